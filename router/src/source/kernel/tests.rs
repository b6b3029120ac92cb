//! What the kernel said of its routes, as it was captured, becomes what we say of them.

use std::time::Instant;

use super::*;
use crate::control::rib::Standing;
use crate::control::tests::{config, view};
use crate::kernel::tests::captured;

/// A router whose port `e0` is the kernel's link 3.
fn router(text: &str) -> (Mirror, View, Control) {
    let mut found = view(&[]);
    let mut link = found.links.remove(&1).unwrap();
    link.index = 3;
    link.name = "e0".into();
    found.links.insert(3, link);
    let text = format!("{text}\n[[interface]]\nname = \"e0\"\n[source.kernel]\n");
    let config = config(&text);
    let said = config.sources.kernel.clone().unwrap();
    let control = Control::new(config, &found, 1);
    let mirror = Mirror::new(&said, "sidewinder0", &control);
    (mirror, found, control)
}

const SOURCE: &str = "[router]\nencap-source = \"fc00:0:1::1\"\n";

/// Every route of a prefix in words.
fn said(control: &Control, prefix: &str) -> Vec<String> {
    let key = Key { table: Key::MAIN, prefix: prefix.parse().unwrap() };
    control
        .rib
        .of(Source::Kernel, &key)
        .map(|route| {
            let Opinion { distance, metric, target } = &route.opinion;
            let why = match target {
                Target::Kernel(why) => format!(" ({})", why.name()),
                _ => String::new(),
            };
            format!("{target}{why} distance {distance} metric {metric}")
        })
        .collect()
}

fn prefix_of(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split(' ').filter(|word| *word != "default").collect();
    let address = |word: &&str| word.contains(':') || word.matches('.').count() == 3;
    let word = words.iter().find(|word| address(word))?;
    let full = if word.contains(':') { 128 } else { 32 };
    Some(if word.contains('/') { (*word).to_owned() } else { format!("{word}/{full}") })
}

#[test]
fn each_command_has_its_effect() {
    let (mut mirror, view, mut control) = router(SOURCE);
    let mut text = String::new();
    for captured in captured::all() {
        let events: Vec<Event> = captured.read().into_iter().map(Event::Route).collect();
        let doubts = mirror.follow(&events, &view, &mut control);
        control.reconcile();
        assert!(control.publish());
        text += captured.command;
        text += "\n";
        if doubts != Doubts::default() {
            text += &format!("    {doubts:?}\n");
        }
        if !captured.command.starts_with("nexthop")
            && let Some(prefix) = prefix_of(captured.command)
        {
            for route in said(&control, &prefix) {
                text += &format!("    {prefix} {route}\n");
            }
        }
    }
    insta::assert_snapshot!(text);
}

fn take(
    (mirror, view, control): &mut (Mirror, View, Control),
    commands: &[&str],
    place: Option<Place>,
) -> Doubts {
    let all = captured::all();
    let mut events = Vec::new();
    for command in commands {
        let found = all.iter().find(|captured| captured.command == *command);
        let found = found.unwrap_or_else(|| panic!("not captured: {command}"));
        events.extend(found.read().into_iter().map(|message| match (message, place) {
            (RouteMessage::Route(route, _), Some(place)) => {
                Event::Route(RouteMessage::Route(route, place))
            }
            (message, _) => Event::Route(message),
        }));
    }
    let doubts = mirror.follow(&events, view, control);
    control.reconcile();
    assert!(control.publish());
    doubts
}

/// What was not told again is gone; what was is not stale, and keeps its age.
#[test]
fn a_reading_is_a_difference() {
    let mut all = router(SOURCE);
    let v6 = "-6 route add blackhole 2001:db8:a3::/48";
    let v4 = "route add 198.51.100.0/24 via 192.0.2.2";
    let end = "-6 route add fc00:0:1:e:: encap seg6local action End dev e0";
    take(&mut all, &[v6, v4, end], None);
    let since = |control: &Control| {
        let key = Key { table: Key::MAIN, prefix: "2001:db8:a3::/48".parse().unwrap() };
        control.rib.best(&key).map(|(_, route)| route.since)
    };
    let before = since(&all.2).unwrap();
    let (mirror, view, control) = &mut all;
    mirror.follow(&[Event::DumpBegins(Extent::All)], view, control);
    assert_eq!(control.rib.count(Source::Kernel), (3, 3));
    take(&mut all, &[v6, v4], Some(Place::Listed));
    let (mirror, view, control) = &mut all;
    // Not the whole truth: nothing goes.
    let ends = Event::DumpEnds(Extent::All, Dump::Interrupted);
    mirror.follow(&[ends, Event::DumpBegins(Extent::All)], view, control);
    assert_eq!(control.rib.count(Source::Kernel), (3, 3));
    take(&mut all, &[v6, v4], Some(Place::Listed));
    let (mirror, view, control) = &mut all;
    mirror.follow(&[Event::DumpEnds(Extent::All, Dump::Whole)], view, control);
    assert_eq!(control.rib.count(Source::Kernel), (2, 0));
    assert_eq!(since(control), Some(before));
    // IPv4 alone: the others stay as they are.
    mirror.follow(&[Event::DumpBegins(Extent::Ipv4)], view, control);
    assert_eq!(control.rib.count(Source::Kernel), (2, 1));
    mirror.follow(&[Event::DumpEnds(Extent::Ipv4, Dump::Whole)], view, control);
    assert_eq!(control.rib.count(Source::Kernel), (1, 0));
}

/// Of several routes with the same prefix and metric, the first in the list counts, and when one
/// goes the list is read again.
#[test]
fn the_first_of_several_counts() {
    let mut all = router(SOURCE);
    let (first, second) =
        ("route add 198.51.100.0/24 via 192.0.2.2", "route append 198.51.100.0/24 via 192.0.2.3");
    take(&mut all, &[first, second], Some(Place::Listed));
    assert_eq!(said(&all.2, "198.51.100.0/24"), ["via 192.0.2.2 dev e0 distance 0 metric 0"]);
    let before = "route prepend 198.51.100.0/24 via 192.0.2.4";
    take(&mut all, &[before], None);
    assert_eq!(said(&all.2, "198.51.100.0/24"), ["via 192.0.2.4 dev e0 distance 0 metric 0"]);
    let (mirror, view, control) = &mut all;
    let gone = match &captured::all().iter().find(|c| c.command == before).unwrap().read()[..] {
        [RouteMessage::Route(route, _)] => RouteMessage::RouteGone(route.clone()),
        other => panic!("{other:?}"),
    };
    let doubts = mirror.follow(&[Event::Route(gone)], view, control);
    assert_eq!(doubts, Doubts { ipv4: true, all: false });
}

/// Without a source for outer headers, the kernel encapsulates; with the first address, we do.
#[test]
fn encapsulation_needs_a_source() {
    let mut all = router("");
    let command = "-6 route add 2001:db8:c1::/48 encap seg6 mode encap segs fc00:0:2:e::,fc00:0:3:d6:: dev e0";
    let doubts = take(&mut all, &[command], None);
    assert_eq!(doubts, Doubts::default());
    let routes = said(&all.2, "2001:db8:c1::/48");
    assert_eq!(routes, ["kernel (no-encap-source) distance 0 metric 1024"]);
    let (mirror, view, control) = &mut all;
    let ip = "2001:db8:1::1".parse().unwrap();
    let key = crate::kernel::AddressKey { link: 3, ip, prefix_len: 64, peer: None };
    view.addresses.insert(key, crate::kernel::Address { key, tentative: false });
    control.observe(view);
    let doubts = mirror.follow(&[], view, control);
    assert_eq!(doubts, Doubts { ipv4: false, all: true });
    take(&mut all, &[command], Some(Place::Alone));
    let routes = said(&all.2, "2001:db8:c1::/48");
    assert_eq!(routes, ["H.Encaps fc00:0:2:e::,fc00:0:3:d6:: distance 0 metric 1024"]);
}

/// A SID whose table is not mirrored is the kernel's; one whose neighbour is nowhere says so.
#[test]
fn sids_that_lead_elsewhere() {
    let mut all = router(SOURCE);
    let end_x = "-6 route add fc00:0:1:e2:: encap seg6local action End.X nh6 2001:db8:1::2 dev e0";
    take(&mut all, &[end_x], None);
    let key = Key { table: Key::MAIN, prefix: "fc00:0:1:e2::/128".parse().unwrap() };
    let best = all.2.rib.best(&key).unwrap();
    assert_eq!(all.2.standing(&key, 0, best, best), Standing::NextHopUnresolved);

    all.0.tables = [7].into();
    let translator = Translator {
        view: &all.1,
        ports: &all.2.ports,
        config: &all.2.config,
        tables: &all.0.tables,
    };
    assert!(translator.has_table(Key::MAIN), "e0 is in it");
    assert!(translator.has_table(7));
    assert!(!translator.has_table(900));
}

#[test]
fn what_is_never_forwarded_is_not_mirrored() {
    let (mirror, view, _) = router(SOURCE);
    let route = |prefix: &str, table: u32, link: u32| Route {
        table,
        prefix: prefix.parse().unwrap(),
        metric: 0,
        protocol: 2,
        kind: RouteType::Unicast,
        selective: false,
        mtu: None,
        way: Way::Legs(vec![crate::kernel::route::Leg {
            link,
            gateway: None,
            weight: 1,
            encap: None,
        }]),
    };
    for (prefix, table, link, concerns) in [
        ("::/0", 254, 3, true),
        ("0.0.0.0/0", 254, 3, true),
        ("2001:db8::/32", 254, 3, true),
        ("2001:db8::/32", 255, 3, false),
        ("fe80::/64", 254, 3, false),
        ("ff00::/8", 254, 3, false),
        ("::1/128", 254, 3, false),
        ("127.0.0.0/8", 254, 3, false),
        ("169.254.7.0/24", 254, 3, false),
        ("224.0.0.0/4", 254, 3, false),
        ("255.255.255.255/32", 254, 3, false),
    ] {
        assert_eq!(mirror.concerns_us(&route(prefix, table, link), &view), concerns, "{prefix}");
    }
    let mut view = view;
    let mut tun = view.links[&3].clone();
    (tun.index, tun.name) = (9, "sidewinder0".into());
    view.links.insert(9, tun);
    assert!(!mirror.concerns_us(&route("2001:db8::/32", 254, 9), &view), "our own device");
}

/// A quarter of a million routes are translated and taken in at once.
#[test]
fn many_routes() {
    let (mut mirror, view, mut control) = router(SOURCE);
    let count = 246_175_u32;
    let events: Vec<Event> = (0..count)
        .map(|n| {
            let address = std::net::Ipv6Addr::from(0x2000_u128 << 112 | u128::from(n) << 80);
            let leg = crate::kernel::route::Leg {
                link: 3,
                gateway: Some("2001:db8:1::2".parse().unwrap()),
                weight: 1,
                encap: None,
            };
            let route = Route {
                table: 254,
                prefix: IpNet::new(address.into(), 48).unwrap(),
                metric: 20,
                protocol: 186,
                kind: RouteType::Unicast,
                selective: false,
                mtu: None,
                way: Way::Legs(vec![leg]),
            };
            Event::Route(RouteMessage::Route(route, Place::Listed))
        })
        .collect();
    let begun = Instant::now();
    mirror.follow(&events, &view, &mut control);
    let followed = begun.elapsed();
    control.reconcile();
    println!("{count} routes: followed {followed:?}, reconciled after {:?}", begun.elapsed());
    assert_eq!(control.installed(Source::Kernel), count as usize);
    assert_eq!(mirror.hops.len(), 1, "equal ones are one");
}
