//! What files and views of the kernel become.

mod awaited;
mod border;
mod policies;

use std::net::IpAddr;

use ipnet::IpNet;
use sidewinder_dataplane::fib::entry::{Action, Punted};
use sidewinder_dataplane::fib::nexthop::State;

use super::rib::{Hop, LeftToKernel, inline};
use super::*;
use crate::kernel::{Address, AddressKey, Link, Neighbour};

const TWO_INTERFACES: &str = "
    [[interface]]
    name = \"eth0\"
    [[interface]]
    name = \"eth1\"
    ";

pub(crate) fn config(text: &str) -> Config {
    match sidewinder_config::check(text, "test.toml") {
        Ok(checked) => checked.config,
        Err(failure) => panic!("{failure}"),
    }
}

/// A kernel with eth0 (index 1) and eth1 (index 2), both up, and these addresses.
pub(crate) fn view(addresses: &[(u32, &str)]) -> View {
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

fn key(prefix: &str) -> Key {
    Key { table: Key::MAIN, prefix: prefix.parse().unwrap() }
}

fn via(addresses: &[(&str, u32)]) -> Target {
    let hop = |(address, weight): &(&str, u32)| Hop {
        weight: *weight,
        ..Hop::new(address.parse().unwrap(), None)
    };
    Target::Via(addresses.iter().map(hop).collect())
}

fn announce(control: &mut Control, prefix: &str, target: Target) {
    let opinion = Opinion { distance: 115, metric: 10, target };
    control.rib.announce(Source::LinkState, key(prefix), opinion, Instant::now());
    control.reconcile();
    assert!(control.publish());
}

fn withdraw(control: &mut Control, prefix: &str) {
    control.rib.withdraw(Source::LinkState, key(prefix));
    control.reconcile();
    assert!(control.publish());
}

/// The standing of a prefix's best route.
fn standing(control: &Control, prefix: &str) -> Standing {
    let best = control.rib.best(&key(prefix)).unwrap();
    control.standing(&key(prefix), 0, best, best)
}

/// Ports and shares of the group that an address is forwarded to.
fn neighbours_of(control: &Control, address: &str) -> Vec<(PortIndex, usize)> {
    let Action::Forward(group) = lookup(control, 254, address) else { return Vec::new() };
    let fib = control.writer.live();
    let mut shares = BTreeMap::new();
    for id in fib.groups[group as usize].buckets() {
        *shares.entry(fib.adjacencies[*id as usize].port).or_insert(0) += 1;
    }
    shares.into_iter().collect()
}

#[test]
fn next_hops_on_no_link_are_found_by_routes() {
    let mut view = view(&[(1, "2001:db8:1::1/64"), (2, "2001:db8:2::1/64")]);
    neighbour(&mut view, 1, "2001:db8:1::9");
    neighbour(&mut view, 2, "2001:db8:2::9");
    let mut control = control(TWO_INTERFACES, &view);
    // Over two others, the last of which is not there yet.
    announce(&mut control, "2001:db8:a::/48", via(&[("2001:db8:b::1", 1)]));
    announce(&mut control, "2001:db8:b::/48", via(&[("2001:db8:c::1", 1)]));
    assert_eq!(standing(&control, "2001:db8:a::/48"), Standing::NextHopUnresolved);
    assert_eq!(lookup(&control, 254, "2001:db8:a::1"), Action::NoRoute);
    announce(&mut control, "2001:db8:c::/48", via(&[("2001:db8:1::9", 1)]));
    assert_eq!(standing(&control, "2001:db8:a::/48"), Standing::Best);
    assert_eq!(neighbours_of(&control, "2001:db8:a::1"), [(0, 1)]);
    // What it rests on changes: once to another way, once to two ways, and once a longer prefix.
    announce(&mut control, "2001:db8:c::/48", via(&[("2001:db8:2::9", 1)]));
    assert_eq!(neighbours_of(&control, "2001:db8:a::1"), [(1, 1)]);
    let both = via(&[("2001:db8:1::9", 1), ("2001:db8:2::9", 3)]);
    announce(&mut control, "2001:db8:c::/48", both);
    assert_eq!(neighbours_of(&control, "2001:db8:a::1"), [(0, 1), (1, 3)]);
    announce(&mut control, "2001:db8:c::1/128", via(&[("2001:db8:1::9", 1)]));
    assert_eq!(neighbours_of(&control, "2001:db8:a::1"), [(0, 1)]);
    withdraw(&mut control, "2001:db8:c::1/128");
    withdraw(&mut control, "2001:db8:c::/48");
    assert_eq!(standing(&control, "2001:db8:a::/48"), Standing::NextHopUnresolved);
    withdraw(&mut control, "2001:db8:b::/48");
    withdraw(&mut control, "2001:db8:a::/48");
    assert_eq!(control.trackers.all().count(), 0);
}

/// A next hop's share is divided among what it comes to.
#[test]
fn shares_of_next_hops_that_are_several_neighbours() {
    let mut view = view(&[(1, "2001:db8:1::1/64"), (2, "2001:db8:2::1/64")]);
    neighbour(&mut view, 1, "2001:db8:1::9");
    neighbour(&mut view, 1, "2001:db8:1::8");
    neighbour(&mut view, 2, "2001:db8:2::9");
    let mut control = control(TWO_INTERFACES, &view);
    let both = via(&[("2001:db8:1::8", 1), ("2001:db8:1::9", 1)]);
    announce(&mut control, "2001:db8:b::/48", both);
    announce(&mut control, "2001:db8:a::/48", via(&[("2001:db8:b::1", 1), ("2001:db8:2::9", 1)]));
    assert_eq!(neighbours_of(&control, "2001:db8:a::1"), [(0, 128), (1, 128)]);
}

#[test]
fn routes_that_rest_on_themselves_lead_nowhere() {
    let view = view(&[(1, "2001:db8:1::1/64")]);
    let mut control = control(TWO_INTERFACES, &view);
    announce(&mut control, "2001:db8:a::/48", via(&[("2001:db8:a::1", 1)]));
    announce(&mut control, "2001:db8:b::/48", via(&[("2001:db8:c::1", 1)]));
    announce(&mut control, "2001:db8:c::/48", via(&[("2001:db8:b::1", 1)]));
    announce(&mut control, "::/0", via(&[("2001:db8:1::9", 1)]));
    for prefix in ["2001:db8:a::/48", "2001:db8:b::/48", "2001:db8:c::/48"] {
        assert_eq!(standing(&control, prefix), Standing::NextHopUnresolved, "{prefix}");
    }
}

/// A link is down whose prefix covers the next hop: where another route leads there, it is taken.
#[test]
fn a_next_hop_whose_link_is_down_is_reached_another_way() {
    let mut view = view(&[(1, "2001:db8:1::1/64"), (2, "2001:db8:2::1/64")]);
    neighbour(&mut view, 2, "2001:db8:2::9");
    let mut control = control(TWO_INTERFACES, &view);
    announce(&mut control, "2001:db8:a::/48", via(&[("2001:db8:1::9", 1)]));
    announce(&mut control, "2001:db8:1::/64", via(&[("2001:db8:2::9", 1)]));
    view.links.get_mut(&1).unwrap().up = false;
    control.observe(&view);
    assert!(control.publish());
    assert_eq!(neighbours_of(&control, "2001:db8:a::1"), [(1, 1)]);
    view.links.get_mut(&1).unwrap().up = true;
    neighbour(&mut view, 1, "2001:db8:1::9");
    control.observe(&view);
    assert!(control.publish());
    assert_eq!(neighbours_of(&control, "2001:db8:a::1"), [(0, 1)]);
}

#[test]
fn any_source_has_sids_and_policies() {
    let view = view(&[]);
    let text = format!("{TWO_INTERFACES}[[sid]]\nsid = \"fc00:0:1:e::\"\nbehavior = \"End\"\n");
    let mut control = control(&text, &view);
    let local = |sid: &str, behavior| {
        let sid = sid.parse().unwrap();
        let flavors = sidewinder_config::Flavors::default();
        Target::Sid(Arc::new(sidewinder_config::LocalSid {
            sid,
            behavior,
            flavors,
            structure: None,
            hmac: sidewinder_config::Hmac::Ignore,
        }))
    };
    let end_dt6 = sidewinder_config::Behavior::EndDt6 { table: sidewinder_config::Table(7) };
    announce(&mut control, "fc00:0:1:d6::/128", local("fc00:0:1:d6::/128", end_dt6.clone()));
    assert!(matches!(lookup(&control, 254, "fc00:0:1:d6::"), Action::Local(_)));
    // The file's word counts for more.
    announce(&mut control, "fc00:0:1:e::/128", local("fc00:0:1:e::/128", end_dt6));
    assert_eq!(control.sids[&key("fc00:0:1:e::/128")].source, Source::Sid);

    let policy = |seg: &str| {
        let list = sidewinder_config::SegmentList {
            segs: vec![seg.parse().unwrap()],
            structures: Vec::new(),
            via: Vec::new(),
            weight: 1,
            path: 0,
        };
        let (behavior, source) = (sidewinder_config::Headend::HEncaps, "fc00::1".parse().unwrap());
        inline(sidewinder_config::Policy::new(behavior, vec![list], source))
    };
    announce(&mut control, "2001:db8:a::/48", Target::Encap(policy("fc00:0:2::")));
    announce(&mut control, "2001:db8:b::/48", Target::Encap(policy("fc00:0:2::")));
    // A next hop that is steered is a steered route.
    announce(&mut control, "2001:db8:c::/48", via(&[("2001:db8:a::1", 1)]));
    let entry = lookup(&control, 254, "2001:db8:a::1");
    assert!(matches!(entry, Action::Encap(_)));
    assert_eq!(lookup(&control, 254, "2001:db8:b::1"), entry, "equal ones are one");
    assert_eq!(lookup(&control, 254, "2001:db8:c::1"), entry);
    assert_eq!(control.inline_policies().count(), 1);
    announce(&mut control, "2001:db8:a::/48", Target::Encap(policy("fc00:0:3::")));
    assert_ne!(lookup(&control, 254, "2001:db8:c::1"), lookup(&control, 254, "2001:db8:b::1"));
    for prefix in ["2001:db8:c::/48", "2001:db8:b::/48", "2001:db8:a::/48"] {
        withdraw(&mut control, prefix);
    }
    assert_eq!(control.inline_policies().count(), 0);
    for prefix in ["fc00:0:1:d6::/128", "fc00:0:1:e::/128"] {
        withdraw(&mut control, prefix);
    }
    assert_eq!(control.sids.len(), 1);
    assert_eq!(lookup(&control, 254, "fc00:0:1:d6::"), Action::NoRoute);
}

#[test]
fn what_is_left_to_the_kernel_is_punted() {
    let view = view(&[]);
    let mut control = control(TWO_INTERFACES, &view);
    let why = LeftToKernel::Interface("mgmt0".into());
    announce(&mut control, "2001:db8:a::/48", Target::Kernel(why));
    assert_eq!(lookup(&control, 254, "2001:db8:a::1"), Action::Punt(Punted::Host));
    assert_eq!(standing(&control, "2001:db8:a::/48"), Standing::LeftToKernel);
}

/// A prefix that another source puts on a link: its neighbours are forwarded to, too.
#[test]
fn neighbours_in_a_prefix_of_a_source() {
    let mut view = view(&[]);
    neighbour(&mut view, 2, "2001:db8:5::9");
    let mut control = control(TWO_INTERFACES, &view);
    assert_eq!(lookup(&control, 254, "2001:db8:5::9"), Action::NoRoute);
    announce(&mut control, "2001:db8:5::/64", Target::OnLink("eth1".into()));
    assert!(matches!(lookup(&control, 254, "2001:db8:5::9"), Action::Forward(_)));
    // A single address is a neighbour itself.
    announce(&mut control, "2001:db8:6::9/128", Target::OnLink("eth1".into()));
    assert!(matches!(lookup(&control, 254, "2001:db8:6::9"), Action::Forward(_)));
    withdraw(&mut control, "2001:db8:5::/64");
    assert_eq!(lookup(&control, 254, "2001:db8:5::9"), Action::NoRoute);
}

/// A table of a quarter of a million routes goes in at once, and a single change is a single change.
#[test]
fn many_routes() {
    let view = view(&[(1, "2001:db8:1::1/64")]);
    let mut control = control(TWO_INTERFACES, &view);
    let (count, now) = (246_175_u32, Instant::now());
    let target = via(&[("2001:db8:1::9", 1)]);
    for n in 0..count {
        let address = std::net::Ipv6Addr::from(0x2000_u128 << 112 | u128::from(n) << 80);
        let place = Key { table: Key::MAIN, prefix: IpNet::new(address.into(), 48).unwrap() };
        let opinion = Opinion { distance: 20, metric: 0, target: target.clone() };
        control.rib.announce(Source::Kernel, place, opinion, now);
    }
    let said = now.elapsed();
    control.reconcile();
    let reconciled = now.elapsed();
    assert!(control.publish());
    let published = now.elapsed();
    announce(&mut control, "2001:db8:a::/48", target);
    let once_more = now.elapsed();
    println!(
        "{count} routes: said {said:?}, reconciled {:?}, published {:?}; one more {:?}",
        reconciled - said,
        published - reconciled,
        once_more - published,
    );
    assert_eq!(control.installed(Source::Kernel), count as usize);
}
