//! What files and views of the kernel become.

use std::net::IpAddr;

use sidewinder_dataplane::fib::entry::{Action, Punted};
use sidewinder_dataplane::fib::nexthop::State;

use super::*;
use crate::kernel::{Address, AddressKey, Link, Neighbour};

const TWO_INTERFACES: &str = "
    [[interface]]
    name = \"eth0\"
    [[interface]]
    name = \"eth1\"
    ";

fn config(text: &str) -> Config {
    match sidewinder_config::check(text, "test.toml") {
        Ok(checked) => checked.config,
        Err(failure) => panic!("{failure}"),
    }
}

/// A kernel with eth0 (index 1) and eth1 (index 2), both up, and these addresses.
fn view(addresses: &[(u32, &str)]) -> View {
    let mut view = View::default();
    for index in [1, 2] {
        let link = Link {
            index,
            name: format!("eth{}", index - 1),
            mac: Some([2, 0, 0, 0, 0, index as u8]),
            mtu: 1500,
            up: true,
            kind: None,
        };
        view.links.insert(index, link);
    }
    for (link, prefix) in addresses {
        let prefix: IpNet = prefix.parse().unwrap();
        let key = AddressKey {
            link: *link,
            ip: prefix.addr(),
            prefix_len: prefix.prefix_len(),
            peer: None,
        };
        view.addresses.insert(key, Address { key, tentative: false });
    }
    view
}

fn neighbour(view: &mut View, link: u32, ip: &str) {
    let ip: IpAddr = ip.parse().unwrap();
    let neighbour = Neighbour {
        link,
        ip,
        mac: Some([2, 0, 0, 0, 9, 9]),
        usable: true,
        fixed: false,
        managed: false,
    };
    view.neighbours.insert((link, ip), neighbour);
}

fn control(text: &str, view: &View) -> Control {
    let mut control = Control::new(config(text), view, 1);
    assert!(control.publish());
    control
}

fn lookup(control: &Control, table: u32, address: &str) -> Action {
    let index = usize::from(control.tables[&table]);
    let address: std::net::Ipv6Addr = address.parse().unwrap();
    control.writer.live().tables[index].v6.lookup(address.into()).action()
}

#[test]
fn addresses_become_routes() {
    let mut view = view(&[(1, "2001:db8:1::1/64")]);
    neighbour(&mut view, 1, "2001:db8:1::9");
    let control = control(TWO_INTERFACES, &view);
    assert_eq!(lookup(&control, 254, "2001:db8:1::1"), Action::Punt(Punted::Host));
    assert_eq!(lookup(&control, 254, "2001:db8:1::2"), Action::Punt(Punted::OnLink));
    assert!(matches!(lookup(&control, 254, "2001:db8:1::9"), Action::Forward(_)));
    assert_eq!(lookup(&control, 254, "2001:db8:2::1"), Action::NoRoute);
}

#[test]
fn a_prefix_that_only_the_file_puts_on_a_link() {
    let text =
        format!("{TWO_INTERFACES}[[route]]\nprefix = \"2001:db8:5::/64\"\ninterface = \"eth1\"");
    let mut view = view(&[]);
    let mut control = control(&text, &view);
    assert_eq!(lookup(&control, 254, "2001:db8:5::9"), Action::Punt(Punted::Solicit(1)));
    // Found, it is forwarded to.
    neighbour(&mut view, 2, "2001:db8:5::9");
    control.observe(&view);
    assert!(control.publish());
    assert!(matches!(lookup(&control, 254, "2001:db8:5::9"), Action::Forward(_)));
}

/// What somebody said of a single address counts for more than that a neighbour was found there.
#[test]
fn a_route_beats_a_neighbour() {
    let text =
        format!("{TWO_INTERFACES}[[route]]\nprefix = \"2001:db8:1::9/128\"\naction = \"prohibit\"");
    let mut view = view(&[(1, "2001:db8:1::1/64")]);
    neighbour(&mut view, 1, "2001:db8:1::9");
    let control = control(&text, &view);
    assert!(matches!(lookup(&control, 254, "2001:db8:1::9"), Action::Discard(_)));
}

/// C-054: two customers with the same prefix, and neither sees the other's addresses.
#[test]
fn tables_are_kept_apart() {
    let text = "
        [[interface]]
        name = \"eth0\"
        table = 100
        [[interface]]
        name = \"eth1\"
        table = 200
        ";
    let mut view = view(&[(1, "2001:db8:c::1/64"), (2, "2001:db8:c::2/64")]);
    neighbour(&mut view, 2, "2001:db8:c::9");
    let control = control(text, &view);
    assert_eq!(lookup(&control, 100, "2001:db8:c::9"), Action::Punt(Punted::OnLink));
    assert!(matches!(lookup(&control, 200, "2001:db8:c::9"), Action::Forward(_)));
    assert_eq!(lookup(&control, 100, "2001:db8:c::1"), Action::Punt(Punted::Host));
    assert_eq!(lookup(&control, 100, "2001:db8:c::2"), Action::Punt(Punted::OnLink));
    assert_eq!(lookup(&control, 254, "2001:db8:c::2"), Action::Punt(Punted::Host));
}

/// An interface that was deleted and made again is not the one that the sockets are on.
#[test]
fn a_replaced_interface_is_down() {
    let text = format!(
        "{TWO_INTERFACES}[[route]]\nprefix = \"fc00:0:2::/48\"\nnh6 = \"fe80::2\"\ninterface = \"eth1\""
    );
    let mut view = view(&[]);
    neighbour(&mut view, 2, "fe80::2");
    let mut control = control(&text, &view);
    control.bound = [("eth0".into(), 1), ("eth1".into(), 2)].into();
    let state = |control: &Control| control.nexthops.iter().next().map(|(_, _, state)| state);
    assert_eq!(state(&control), Some(State::Up));
    let mut link = view.links.remove(&2).unwrap();
    link.index = 7;
    view.links.insert(7, link);
    let changes = control.observe(&view);
    assert_eq!(state(&control), Some(State::Down));
    assert_eq!(
        changes,
        ["eth1 is another interface than at the start, and is not served: restart"]
    );
}

/// Without a source for them there are no ICMP errors; an address of an interface of the file is
/// one, an address of another interface is not.
#[test]
fn where_errors_come_from() {
    let source = |view: &View| control(TWO_INTERFACES, view).writer.live().node.icmp_source;
    assert_eq!(source(&view(&[])), 0);
    assert_eq!(source(&view(&[(9, "2001:db8:9::1/64")])), 0);
    assert_eq!(source(&view(&[(2, "2001:db8:2::1/64")])), 0x2001_0db8_0002 << 80 | 1);
}

#[test]
fn a_reload_is_a_difference() {
    let view = view(&[]);
    let mut control = control(TWO_INTERFACES, &view);
    let before = control.writer.version();
    let text = format!(
        "[router]\nicmp-rate = 7\n{TWO_INTERFACES}[[sid]]\nsid = \"fc00:0:1:e::\"\nbehavior = \"End\"\n\
         [[route]]\nprefix = \"fc00::/16\"\naction = \"blackhole\"\n"
    );
    let difference = control.configure(config(&text), &view);
    let expected = Difference { routes: 1, sids: 1, settings: true, ..Difference::default() };
    assert_eq!(difference, expected);
    assert!(control.publish());
    assert_eq!(control.writer.version(), before + 1, "one change");
    assert!(matches!(lookup(&control, 254, "fc00:0:1:e::"), Action::Local(_)));
    // The same file again changes nothing.
    assert_eq!(control.configure(config(&text), &view), Difference::default());
    assert!(control.publish());
    assert_eq!(control.writer.version(), before + 1);
}
