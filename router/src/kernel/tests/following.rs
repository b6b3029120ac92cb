//! The view follows the kernel: dump, notifications, and what is done when some are lost.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::namespace::{Peer, in_namespace, index, ip, ip_batch, until};
use crate::kernel::requests::Requests;
use crate::kernel::{Event, Kernel, Link, View};

/// The link's changes among the events, without news of other things.
fn link_changes(events: Vec<Event>) -> Vec<(Link, Link)> {
    let both = |event| match event {
        Event::LinkChanged { before: Some(before), now } => Some((before, now)),
        _ => None,
    };
    events.into_iter().filter_map(both).collect()
}

#[test]
fn the_dump_has_what_was_there_before() {
    in_namespace("kernel::the_dump_has_what_was_there_before", async || {
        let _peer = Peer::linked();
        ip("neighbour add fc00::9 lladdr 02:00:00:00:00:09 dev near nud permanent");
        let kernel = Kernel::open().unwrap();
        let view = kernel.view();

        let near = view.link_named("near").unwrap();
        assert_eq!(near.mac, Some([2, 0, 0, 0, 0, 1]));
        assert_eq!((near.mtu, near.up, near.kind.as_deref()), (1500, true, Some("veth")));
        assert!(view.link_named("lo").is_some_and(|lo| lo.up && lo.kind.is_none()));

        let own: Vec<IpAddr> = view.own_addresses().collect();
        for ip in ["127.0.0.1", "::1", "10.0.0.1", "fc00::1"] {
            assert!(own.contains(&ip.parse().unwrap()), "{ip} in {own:?}");
        }
        let fixed = view.neighbours[&(near.index, "fc00::9".parse().unwrap())];
        assert!(fixed.usable && fixed.fixed && !fixed.managed);
        assert_eq!(fixed.mac, Some([2, 0, 0, 0, 0, 9]));
    });
}

#[test]
fn link_changes_are_told_one_by_one() {
    in_namespace("kernel::link_changes_are_told_one_by_one", async || {
        let peer = Peer::linked();
        let mut kernel = Kernel::open().unwrap();
        let near = index(&kernel, "near");

        ip("link set near mtu 1400");
        let events = until(&mut kernel, "MTU 1400", |view| view.links[&near].mtu == 1400).await;
        let changes = link_changes(events);
        assert_eq!(changes.iter().map(|(old, new)| (old.mtu, new.mtu)).next(), Some((1500, 1400)));

        ip("link set near address 02:00:00:00:00:aa");
        until(&mut kernel, "new MAC", |view| view.links[&near].mac == Some([2, 0, 0, 0, 0, 0xaa]))
            .await;

        ip("link set near down");
        until(&mut kernel, "down", |view| !view.links[&near].up).await;
        ip("link set near up");
        until(&mut kernel, "up", |view| view.links[&near].up).await;

        // The other end goes down: we are up by our own will, but without carrier.
        peer.ip("link set far down");
        until(&mut kernel, "no carrier", |view| !view.links[&near].up).await;
        peer.ip("link set far up");
        until(&mut kernel, "carrier", |view| view.links[&near].up).await;

        ip("link set near down");
        ip("link set near name wan");
        until(&mut kernel, "new name", |view| view.links[&near].name == "wan").await;

        ip("link add br0 type bridge");
        ip("link set wan master br0");
        ip("link set wan nomaster");
        ip("link set wan mtu 1300");
        let events = until(&mut kernel, "MTU 1300", |view| view.links[&near].mtu == 1300).await;
        let left = events.iter().any(|event| matches!(event, Event::LinkRemoved(_)));
        assert!(!left, "leaving a bridge is not the end of a link");

        ip("link delete wan");
        let events = until(&mut kernel, "gone", |view| !view.links.contains_key(&near)).await;
        assert!(matches!(events.last(), Some(Event::LinkRemoved(gone)) if gone.name == "wan"));
        assert!(kernel.view().addresses.keys().all(|key| key.link != near));
        assert!(kernel.view().neighbours.keys().all(|(link, _)| *link != near));
    });
}

#[test]
fn addresses_come_and_go() {
    in_namespace("kernel::addresses_come_and_go", async || {
        let _peer = Peer::linked();
        let mut kernel = Kernel::open().unwrap();
        let near = index(&kernel, "near");
        for (address, prefix_len) in [("fc00:1::1", 64), ("fc00:1::2", 128), ("10.1.0.1", 24)] {
            let there = |view: &View| {
                let ip: IpAddr = address.parse().unwrap();
                view.addresses
                    .keys()
                    .any(|key| key.link == near && key.ip == ip && key.prefix_len == prefix_len)
            };
            ip(&format!("address add {address}/{prefix_len} dev near"));
            until(&mut kernel, address, there).await;
            ip(&format!("address delete {address}/{prefix_len} dev near"));
            until(&mut kernel, address, |view| !there(view)).await;
        }

        // Duplicate address detection takes a second or two, and its end is told.
        ip("address add fc00:2::1/64 dev near");
        let events = until(&mut kernel, "detection ended", |view| {
            view.addresses
                .values()
                .any(|address| address.key.ip.to_string() == "fc00:2::1" && !address.tentative)
        })
        .await;
        assert!(events.iter().any(|event| matches!(event, Event::AddressAdded(address)
            if address.key.ip.to_string() == "fc00:2::1" && address.tentative)));
    });
}

#[test]
fn a_dropped_future_loses_nothing() {
    in_namespace("kernel::a_dropped_future_loses_nothing", async || {
        let _peer = Peer::linked();
        let mut kernel = Kernel::open().unwrap();
        let near = index(&kernel, "near");
        let mut seen = 0;
        for change in 0..200 {
            ip(&format!("link set near mtu {}", 1300 + change));
            // Now and then there is time for no more than one look.
            let patience = Duration::from_micros(if change % 2 == 0 { 0 } else { 200 });
            if let Ok(events) = timeout(patience, kernel.changed()).await {
                seen += link_changes(events.unwrap()).len();
            }
        }
        let rest = until(&mut kernel, "MTU 1499", |view| view.links[&near].mtu == 1499).await;
        assert_eq!(seen + link_changes(rest).len(), 200);
    });
}

#[test]
fn an_overrun_leads_to_the_truth() {
    in_namespace("kernel::an_overrun_leads_to_the_truth", async || {
        let peer = Peer::linked();
        // The least that the kernel grants: one notification, or two.
        let mut kernel = Kernel::open_with(2048).unwrap();
        let near = index(&kernel, "near");
        for round in 0..5_u32 {
            let (gone, next) = (round * 500, (round + 1) * 500);
            let mut commands = String::new();
            for n in gone..next {
                commands.push_str(&format!("address add fc00:a::{n:x}/128 dev near nodad\n"));
                if n % 2 == 0 {
                    commands.push_str(&format!("address delete fc00:a::{n:x}/128 dev near\n"));
                }
            }
            ip_batch(&commands);
            ip(&format!("link set near mtu {}", 1300 + round));
            let before = kernel.view().clone();
            let mut replayed = before.clone();
            let events = until(&mut kernel, "the last of many changes", |view| {
                view.links[&near].mtu == 1300 + round
                    && view.addresses.keys().filter(|key| key.prefix_len == 128).count() as u32
                        == next / 2 + 1 // and ::1
            })
            .await;
            // Who follows the events has the same as who looks at the view.
            for event in events {
                match event {
                    Event::LinkChanged { now, .. } => drop(replayed.links.insert(now.index, now)),
                    Event::LinkRemoved(gone) => drop(replayed.links.remove(&gone.index)),
                    Event::AddressAdded(now) => drop(replayed.addresses.insert(now.key, now)),
                    Event::AddressRemoved(gone) => drop(replayed.addresses.remove(&gone.key)),
                    Event::NeighbourChanged { now, .. } => {
                        replayed.neighbours.insert((now.link, now.ip), now);
                    }
                    Event::NeighbourRemoved(gone) => {
                        replayed.neighbours.remove(&(gone.link, gone.ip));
                    }
                    Event::Route(_) | Event::DumpBegins(_) | Event::DumpEnds(..) => {
                        panic!("routes were not asked for")
                    }
                }
            }
            assert_eq!(&replayed, kernel.view());
        }
        assert!(kernel.resyncs() > 0, "the test did not overrun anything");
        println!("{} new dumps", kernel.resyncs());
        // After all that it still hears single changes.
        peer.ip("link set far down");
        until(&mut kernel, "no carrier", |view| !view.links[&near].up).await;
        let (truth, _) = Requests::open().unwrap().dump().unwrap();
        until(&mut kernel, "the view is the kernel's", |view| *view == truth).await;
    });
}
