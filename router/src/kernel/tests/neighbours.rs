//! Having neighbours resolved, over a veth pair.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::namespace::{PATIENCE, Peer, in_namespace, index, ip, until, usable_mac};
use crate::kernel::{Event, Kernel, View};

const PEER: Option<[u8; 6]> = Some([2, 0, 0, 0, 0, 2]);

fn address(ip: &str) -> IpAddr {
    ip.parse().unwrap()
}

/// What `ip neighbour` says of an entry: nothing if there is none.
fn shown(of: &str) -> String {
    ip(&format!("neighbour show {of} dev near"))
}

#[test]
fn a_kick_resolves_and_a_release_lets_go() {
    in_namespace("kernel::a_kick_resolves_and_a_release_lets_go", async || {
        let _peer = Peer::linked();
        let mut kernel = Kernel::open().unwrap();
        let near = index(&kernel, "near");
        for of in ["fc00::2", "10.0.0.2"] {
            kernel.resolve(near, address(of)).unwrap();
            kernel.resolve(near, address(of)).unwrap();
            until(&mut kernel, of, |view| usable_mac(view, near, of) == PEER).await;
            assert!(kernel.view().neighbours[&(near, address(of))].managed);
            assert!(shown(of).contains("managed"), "{}", shown(of));

            // It stays known, as an ordinary entry.
            kernel.release(near, address(of)).unwrap();
            until(&mut kernel, "let go", |view| !view.neighbours[&(near, address(of))].managed)
                .await;
            assert_eq!(usable_mac(kernel.view(), near, of), PEER);
            assert!(!shown(of).contains("managed"), "{}", shown(of));
            kernel.release(near, address(of)).unwrap();
        }
    });
}

#[test]
fn a_neighbours_new_mac_is_told() {
    in_namespace("kernel::a_neighbours_new_mac_is_told", async || {
        let peer = Peer::linked();
        let mut kernel = Kernel::open().unwrap();
        let near = index(&kernel, "near");
        kernel.resolve(near, address("fe80::2")).unwrap();
        until(&mut kernel, "resolved", |view| usable_mac(view, near, "fe80::2") == PEER).await;
        // The peer has something to send to us, and asks for our address from its new one.
        peer.ip("link set far address 02:00:00:00:00:bb");
        peer.ip("neighbour replace fe80::1 dev far use");
        let new = Some([2, 0, 0, 0, 0, 0xbb]);
        let events =
            until(&mut kernel, "new MAC", |view| usable_mac(view, near, "fe80::2") == new).await;
        assert!(
            events
                .iter()
                .any(|event| matches!(event, Event::NeighbourChanged { before: Some(before), now }
            if before.mac == PEER && now.mac == new))
        );
    });
}

#[test]
fn an_absent_peer_is_tried_again_until_it_is_back() {
    in_namespace("kernel::an_absent_peer_is_tried_again_until_it_is_back", async || {
        let peer = Peer::linked();
        peer.ip("address delete fc00::2/64 dev far");
        let mut kernel = Kernel::open().unwrap();
        let near = index(&kernel, "near");
        kernel.resolve(near, address("fc00::2")).unwrap();
        // Three solicitations, a second apart.
        let begin = Instant::now();
        while !shown("fc00::2").contains("FAILED") {
            assert!(begin.elapsed() < Duration::from_secs(10), "{}", shown("fc00::2"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(usable_mac(kernel.view(), near, "fc00::2"), None);

        // Back again; nobody asks but the kernel.
        peer.ip("address add fc00::2/64 dev far nodad");
        let begin = Instant::now();
        while !shown("fc00::2").contains("02:00:00:00:00:02") {
            assert!(begin.elapsed() < PATIENCE, "{}", shown("fc00::2"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("the kernel found it again after {:?}", begin.elapsed());
        until(&mut kernel, "back", |view| usable_mac(view, near, "fc00::2") == PEER).await;
    });
}

#[test]
fn a_retry_does_not_wait_for_the_kernels_own() {
    in_namespace("kernel::a_retry_does_not_wait_for_the_kernels_own", async || {
        let peer = Peer::linked();
        peer.ip("address delete fc00::2/64 dev far");
        let mut kernel = Kernel::open().unwrap();
        let near = index(&kernel, "near");
        kernel.resolve(near, address("fc00::2")).unwrap();
        let begin = Instant::now();
        while !shown("fc00::2").contains("FAILED") {
            assert!(begin.elapsed() < Duration::from_secs(10), "{}", shown("fc00::2"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        peer.ip("address add fc00::2/64 dev far nodad");
        let begin = Instant::now();
        kernel.retry_unresolved().unwrap();
        until(&mut kernel, "back", |view| usable_mac(view, near, "fc00::2") == PEER).await;
        println!("the retry found it after {:?}", begin.elapsed());
        // Nothing is left to do.
        kernel.retry_unresolved().unwrap();

        // Unresolved and released: the entry goes.
        kernel.resolve(near, address("fc00::77")).unwrap();
        assert!(!shown("fc00::77").is_empty());
        kernel.release(near, address("fc00::77")).unwrap();
        assert!(!shown("fc00::77").contains("managed"), "{}", shown("fc00::77"));
    });
}

#[test]
fn a_wish_outlives_link_down_and_flush() {
    in_namespace("kernel::a_wish_outlives_link_down_and_flush", async || {
        let peer = Peer::linked();
        let mut kernel = Kernel::open().unwrap();
        let near = index(&kernel, "near");
        let there = |view: &View| usable_mac(view, near, "fc00::2") == PEER;
        kernel.resolve(near, address("fc00::2")).unwrap();
        until(&mut kernel, "resolved", there).await;

        peer.ip("link set far down");
        until(&mut kernel, "lost", |view| !there(view)).await;
        peer.ip("link set far up");
        // The peer's addresses went with its link, as IPv6 addresses do.
        peer.ip("address add fe80::2/64 dev far nodad");
        peer.ip("address add fc00::2/64 dev far nodad");
        let begin = Instant::now();
        until(&mut kernel, "resolved after carrier loss", there).await;
        println!("resolved {:?} after the carrier's return", begin.elapsed());

        ip("neighbour delete fc00::2 dev near");
        until(&mut kernel, "flushed", |view| !there(view)).await;
        until(&mut kernel, "resolved after a flush", there).await;
        assert!(shown("fc00::2").contains("managed"), "{}", shown("fc00::2"));
    });
}

#[test]
fn a_link_that_is_down_is_asked_when_it_is_up() {
    in_namespace("kernel::a_link_that_is_down_is_asked_when_it_is_up", async || {
        let _peer = Peer::linked();
        ip("link set near down");
        let mut kernel = Kernel::open().unwrap();
        let near = index(&kernel, "near");
        kernel.resolve(near, address("10.0.0.2")).unwrap();
        kernel.retry_unresolved().unwrap();
        assert_eq!(shown("10.0.0.2"), "");
        ip("link set near up");
        until(&mut kernel, "resolved", |view| usable_mac(view, near, "10.0.0.2") == PEER).await;
    });
}

#[test]
fn what_the_administrator_set_is_left_alone() {
    in_namespace("kernel::what_the_administrator_set_is_left_alone", async || {
        let _peer = Peer::linked();
        ip("neighbour add fc00::2 lladdr 02:00:00:00:00:99 dev near nud permanent");
        let mut kernel = Kernel::open().unwrap();
        let near = index(&kernel, "near");
        kernel.resolve(near, address("fc00::2")).unwrap();
        kernel.retry_unresolved().unwrap();
        kernel.release(near, address("fc00::2")).unwrap();
        assert!(shown("fc00::2").contains("PERMANENT"), "{}", shown("fc00::2"));

        // Set by hand while it is kept for us.
        kernel.resolve(near, address("10.0.0.2")).unwrap();
        ip("neighbour replace 10.0.0.2 lladdr 02:00:00:00:00:98 dev near nud permanent");
        kernel.retry_unresolved().unwrap();
        kernel.release(near, address("10.0.0.2")).unwrap();
        assert!(shown("10.0.0.2").contains("PERMANENT"), "{}", shown("10.0.0.2"));
    });
}

#[test]
fn what_others_have_kept_is_not_ended_and_what_a_killed_run_left_is() {
    in_namespace("kernel::what_others_have_kept_is_not_ended", async || {
        let _peer = Peer::linked();
        ip("neighbour add fc00::2 dev near managed");
        let mut kernel = Kernel::open().unwrap();
        let near = index(&kernel, "near");
        kernel.resolve(near, address("fc00::2")).unwrap();
        kernel.release(near, address("fc00::2")).unwrap();
        assert!(shown("fc00::2").contains("managed"), "{}", shown("fc00::2"));

        kernel.resolve(near, address("10.0.0.2")).unwrap();
        drop(kernel);
        let mut kernel = Kernel::open().unwrap();
        kernel.resolve(near, address("10.0.0.2")).unwrap();
        kernel.release_all().unwrap();
        assert!(!shown("10.0.0.2").contains("managed"), "{}", shown("10.0.0.2"));
    });
}

#[test]
fn refusals_are_sentences() {
    in_namespace("kernel::refusals_are_sentences", async || {
        let _peer = Peer::linked();
        let mut kernel = Kernel::open().unwrap();
        let near = index(&kernel, "near");
        let no_link = kernel.resolve(4711, address("fc00::2")).unwrap_err();
        println!("{no_link}");
        assert_eq!(no_link.errno(), Some(libc::ENODEV));
        // The wishes of a link end with it.
        ip("link delete near");
        until(&mut kernel, "gone", |view| !view.links.contains_key(&near)).await;
        kernel.release(near, address("fc00::2")).unwrap();
    });
}
