//! What the kernel said of its routes, as it was captured, becomes what we say of them.

use std::time::Instant;

use super::*;
use crate::control::rib::Standing;
use crate::control::tests::{config, view};
use crate::kernel::Kernel;
use crate::kernel::lwtunnel::{Action, Encap, Local};
use crate::kernel::route::{Leg, Object};
use crate::kernel::tests::captured;
use crate::kernel::tests::namespace::{PATIENCE, Peer, in_namespace, ip, ip_batch};

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

/// A next-hop object that is found changed while everything is read is told before its routes, and
/// does not stand for them: they come with their own MTU, or have gone.
#[test]
fn a_changed_object_is_no_route() {
    let (mut mirror, view, mut control) = router(SOURCE);
    let object = |gateway: &str| {
        let leg = Leg { link: 3, gateway: Some(gateway.parse().unwrap()), weight: 1, encap: None };
        Event::Route(RouteMessage::Object(10, Object::Leg(leg)))
    };
    let route_with = |mtu, prefix: &str, place| {
        let route = Route {
            table: Key::MAIN,
            prefix: prefix.parse().unwrap(),
            metric: 1024,
            protocol: 3,
            kind: RouteType::Unicast,
            selective: false,
            mtu,
            way: Way::Object(10),
        };
        Event::Route(RouteMessage::Route(route, place))
    };
    let route = |prefix: &str, place| route_with(Some(1400), prefix, place);
    let (stays, goes) = ("2001:db8:b1::/48", "2001:db8:b2::/48");
    let before = [object("fe80::2"), route(stays, Place::Alone), route(goes, Place::Alone)];
    mirror.follow(&before, &view, &mut control);
    let left = ["kernel (mtu-of-its-own) distance 0 metric 1024"];
    assert_eq!(said(&control, goes), left);
    let reading = [
        Event::DumpBegins(Extent::All),
        object("fe80::3"),
        route(stays, Place::Listed),
        Event::DumpEnds(Extent::All, Dump::Whole),
    ];
    mirror.follow(&reading, &view, &mut control);
    assert_eq!(said(&control, stays), left);
    assert_eq!(said(&control, goes), [""; 0]);
    assert!(mirror.several.is_empty());
    // Nor does another object take its MTU away; that it is told without one does.
    mirror.follow(&[object("fe80::4")], &view, &mut control);
    assert_eq!(said(&control, stays), left);
    mirror.follow(&[route_with(None, stays, Place::Alone)], &view, &mut control);
    assert_eq!(said(&control, stays), ["via fe80::4 dev e0 distance 0 metric 1024"]);
    mirror.follow(&[object("fe80::5")], &view, &mut control);
    assert_eq!(said(&control, stays), ["via fe80::5 dev e0 distance 0 metric 1024"]);
}

/// Frames leave by an interface of ours, or it is the kernel's to send them.
#[test]
fn frames_leave_by_our_interfaces() {
    let (mut mirror, view, mut control) = router(SOURCE);
    for (oif, what) in [(3, "sid End.DX2"), (2, "kernel (interface-not-served)")] {
        let local = Local {
            action: Action::EndDx2,
            segs: Vec::new(),
            table: None,
            nh4: None,
            nh6: None,
            iif: 0,
            oif,
            counters: false,
            flavors: 0,
            csid_bits: (32, 16),
            unknown: false,
        };
        let encap = Some(Encap::Local(Box::new(local)));
        let route = Route {
            table: Key::MAIN,
            prefix: "fc00:0:1:d2::/128".parse().unwrap(),
            metric: 1024,
            protocol: 3,
            kind: RouteType::Unicast,
            selective: false,
            mtu: None,
            way: Way::Legs(vec![Leg { link: 3, gateway: None, weight: 1, encap }]),
        };
        let event = Event::Route(RouteMessage::Route(route, Place::Alone));
        mirror.follow(&[event], &view, &mut control);
        control.reconcile();
        let expected = format!("{what} distance 0 metric 1024");
        assert_eq!(said(&control, "fc00:0:1:d2::/128"), [expected]);
    }
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

/// End.B6.Encaps brings its policy along, which is there as long as the SID is.
#[test]
fn a_sid_carries_its_policy() {
    let command = "-6 route add fc00:0:1:b7:: encap seg6local action End.B6.Encaps \
                   srh segs fc00:0:2::,fc00:0:3:: dev e0";
    let mut without = router("");
    take(&mut without, &[command], None);
    let left = ["kernel (no-encap-source) distance 0 metric 1024"];
    assert_eq!(said(&without.2, "fc00:0:1:b7::/128"), left);

    let mut all = router(SOURCE);
    take(&mut all, &[command], None);
    let target = "sid End.B6.Encaps, H.Encaps fc00:0:2::,fc00:0:3::";
    assert_eq!(said(&all.2, "fc00:0:1:b7::/128"), [format!("{target} distance 0 metric 1024")]);
    let key = Key { table: Key::MAIN, prefix: "fc00:0:1:b7::/128".parse().unwrap() };
    let policy = |control: &Control| {
        let policy = control.policy_of(&control.sids[&key]).unwrap();
        assert_eq!(*policy.said.source.to_string(), *"fc00:0:1::1");
        policy.written.clone()
    };
    let segs = |segs: &[&str]| vec![segs.iter().map(|seg| seg.parse().unwrap()).collect()];
    assert_eq!(policy(&all.2), segs(&["fc00:0:2::", "fc00:0:3::"]));
    assert_eq!(all.2.inline_policies().count(), 1);
    // Another list, as `ip route replace` has it; then none.
    let RouteMessage::Route(mut route, _) = captured::all()
        .iter()
        .find(|captured| captured.command == command)
        .and_then(|captured| captured.read().pop())
        .unwrap()
    else {
        panic!("no route");
    };
    let Way::Legs(legs) = &mut route.way else { panic!("no legs") };
    let Some(Encap::Local(local)) = &mut legs[0].encap else { panic!("no SID") };
    local.segs.reverse();
    let (mirror, view, control) = &mut all;
    for (message, expected) in [
        (
            RouteMessage::Route(route.clone(), Place::Alone),
            Some(segs(&["fc00:0:3::", "fc00:0:2::"])),
        ),
        (RouteMessage::RouteGone(route), None),
    ] {
        mirror.follow(&[Event::Route(message)], view, control);
        control.reconcile();
        assert!(control.publish());
        assert_eq!(control.sids.contains_key(&key).then(|| policy(control)), expected);
        assert_eq!(control.inline_policies().count(), usize::from(expected.is_some()));
    }
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

/// Reads what the kernel has, from the beginning.
async fn read(kernel: &mut Kernel, config: &str) -> (Mirror, Control) {
    let config = crate::control::tests::config(config);
    let said = config.sources.kernel.clone().unwrap();
    let mut control = Control::new(config, kernel.view(), 1);
    let mut mirror = Mirror::new(&said, "sidewinder0", &control);
    kernel.follow_routes(true).unwrap();
    while kernel.is_reading_routes() {
        step(kernel, &mut mirror, &mut control).await;
    }
    (mirror, control)
}

/// Takes the next news, as the daemon does.
async fn step(kernel: &mut Kernel, mirror: &mut Mirror, control: &mut Control) {
    let events = kernel.changed().await.unwrap();
    control.observe(kernel.view());
    let doubts = mirror.follow(&events, kernel.view(), control);
    if doubts.all || doubts.ipv4 {
        kernel.read_routes_again(if doubts.all { Extent::All } else { Extent::Ipv4 });
    }
    control.reconcile();
}

/// All routes of the kernel, in words.
fn everything(control: &Control) -> Vec<String> {
    control
        .rib
        .iter()
        .flat_map(|(key, opinions)| {
            opinions.into_iter().filter(|(source, _)| *source == Source::Kernel).map(
                move |(_, route)| {
                    let Opinion { distance, metric, target } = &route.opinion;
                    let stale = route.stale;
                    format!("{} {target} {distance} {metric} {stale}", key.prefix)
                },
            )
        })
        .collect()
}

/// A socket that holds one message or two, and thousands of changes of routes and next-hop objects,
/// for IPv6 and IPv4: in the end the mirror has what the kernel has.
#[test]
fn an_overrun_leads_to_the_truth() {
    in_namespace("source::kernel::an_overrun_leads_to_the_truth", async || {
        const TEXT: &str = "[router]\nencap-source = \"fc00::1\"\n[[interface]]\nname = \"near\"\n\
                            [source.kernel]\n";
        let _peer = Peer::linked();
        let mut kernel = Kernel::open_with(2048).unwrap();
        let (mut mirror, mut control) = read(&mut kernel, TEXT).await;
        for round in 0..4_u32 {
            let mut commands = String::from("nexthop replace id 1 via fe80::2 dev near\n");
            for n in 0..2000 {
                // Each is there in every third round, and is removed in the one after it.
                let verb = match (n + round) % 3 {
                    0 => "replace",
                    1 if round > 0 => "delete",
                    _ => continue,
                };
                let gateway = 2 + (n + round) % 7;
                let way = match n % 4 {
                    _ if verb == "delete" => String::new(),
                    0 => "nhid 1".into(),
                    1 => "encap seg6 mode encap segs fc00:0:2:: dev near".into(),
                    _ => format!("via fc00::{gateway}"),
                };
                commands += &format!("route {verb} fd00:{n:x}::/32 {way}\n");
                if n % 2 == 0 {
                    let way = if way.is_empty() { way } else { format!("via 10.0.0.{gateway}") };
                    commands +=
                        &format!("route {verb} 100.{}.{}.0/24 {way}\n", 64 + n / 250, n % 250);
                }
            }
            ip_batch(&commands);
            let mark = format!("2001:db8:{round}::/48");
            ip(&format!("-6 route add blackhole {mark}"));
            if round == 3 {
                ip("nexthop delete id 1");
            }
            let key = Key { table: Key::MAIN, prefix: mark.parse().unwrap() };
            let waiting = async {
                while control.rib.best(&key).is_none() || kernel.is_reading_routes() {
                    step(&mut kernel, &mut mirror, &mut control).await;
                }
            };
            tokio::time::timeout(PATIENCE, waiting).await.expect("the last route never came");
        }
        assert!(kernel.resyncs() > 0, "the test did not overrun anything");
        println!("{} overruns", kernel.resyncs());
        let (_, truth) = read(&mut Kernel::open().unwrap(), TEXT).await;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while everything(&control) != everything(&truth) {
            assert!(
                tokio::time::Instant::now() < deadline,
                "the mirror is not what the kernel has"
            );
            let next = step(&mut kernel, &mut mirror, &mut control);
            let _ = tokio::time::timeout(std::time::Duration::from_millis(200), next).await;
        }
        assert!(everything(&truth).len() > 500);
        assert_eq!(control.installed(Source::Kernel), truth.installed(Source::Kernel));
    });
}
