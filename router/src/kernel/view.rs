//! The kernel as we last heard of it: plain data, no sockets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::event::Event;
use super::message::Message;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's interface index, unique in the namespace.
    pub index: u32,
    /// Its name; may change during its life.
    pub name: String,
    /// Its Ethernet address; `None` where the link layer has none of six bytes (tunnels).
    pub mac: Option<[u8; 6]>,
    /// Largest layer 3 packet it carries, in bytes.
    pub mtu: u32,
    /// Switched on by the administrator *and* with carrier (`IFF_UP` and `IFF_LOWER_UP`).
    pub up: bool,
    /// The kernel's driver kind (`veth`, `vrf`, `tun`, …); `None` for hardware and loopback.
    pub kind: Option<String>,
}

/// What makes an address of a link a different one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressKey {
    /// Index of the link it is on.
    pub link: u32,
    /// The address itself.
    pub ip: IpAddr,
    /// Length of its on-link prefix, in bits.
    pub prefix_len: u8,
    /// The other end, on point-to-point addresses; the prefix is then that of the peer.
    pub peer: Option<IpAddr>,
}

/// An address of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Link, address, prefix length and peer.
    pub key: AddressKey,
    /// Duplicate address detection has not ended yet, or it found a duplicate: the kernel does
    /// not answer for this address.
    pub tentative: bool,
}

/// An entry of the kernel's neighbour table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Index of the link it is reached by.
    pub link: u32,
    /// Its address.
    pub ip: IpAddr,
    /// Its Ethernet address, where known (stays known for a while after it became unusable).
    pub mac: Option<[u8; 6]>,
    /// Packets may be sent to it now: the state is one of reachable, stale, delay, probe,
    /// permanent and noarp; not failed, incomplete or none.
    pub usable: bool,
    /// The administrator or a control plane set it (permanent, noarp, externally learned): the
    /// kernel does not resolve it, and neither do we.
    pub fixed: bool,
    /// The kernel keeps it resolved by itself (`NTF_EXT_MANAGED`, kernel 5.16 and later).
    pub managed: bool,
}

/// Links, addresses and neighbours of one network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// By interface index.
    pub links: BTreeMap<u32, Link>,
    /// By link, address, prefix length and peer.
    pub addresses: BTreeMap<AddressKey, Address>,
    /// By interface index and address.
    pub neighbours: BTreeMap<(u32, IpAddr), Neighbour>,
}

impl View {
    /// The link of this name.
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// Every address of this host, of all links; one that is on two links comes twice.
    pub fn own_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.keys().map(|key| key.ip)
    }

    /// Takes one message of the kernel in, and says what it changed.
    pub fn apply(&mut self, message: Message) -> Vec<Event> {
        match message {
            Message::Link(now) => {
                let before = self.links.insert(now.index, now.clone());
                changed(before, now, |before, now| Event::LinkChanged { before, now })
            }
            Message::LinkGone(index) => self.remove_link(index),
            Message::Address(now) => {
                let before = self.addresses.insert(now.key, now);
                changed(before, now, |_, now| Event::AddressAdded(now))
            }
            Message::AddressGone(key) => {
                self.addresses.remove(&key).map(Event::AddressRemoved).into_iter().collect()
            }
            Message::Neighbour(now) => {
                let before = self.neighbours.insert((now.link, now.ip), now);
                changed(before, now, |before, now| Event::NeighbourChanged { before, now })
            }
            Message::NeighbourGone { link, ip } => self
                .neighbours
                .remove(&(link, ip))
                .map(Event::NeighbourRemoved)
                .into_iter()
                .collect(),
            Message::Route(message) => vec![Event::Route(message)],
        }
    }

    /// The changes that lead from one view to another: what went away first, then what is new,
    /// and a link always before (or when it goes, after) what is on it.
    pub fn diff(old: &View, new: &View) -> Vec<Event> {
        let mut events = Vec::new();
        for (key, neighbour) in &old.neighbours {
            if !new.neighbours.contains_key(key) {
                events.push(Event::NeighbourRemoved(*neighbour));
            }
        }
        for (key, address) in &old.addresses {
            if !new.addresses.contains_key(key) {
                events.push(Event::AddressRemoved(*address));
            }
        }
        for (index, link) in &old.links {
            if !new.links.contains_key(index) {
                events.push(Event::LinkRemoved(link.clone()));
            }
        }
        for (index, now) in &new.links {
            events.extend(changed(old.links.get(index).cloned(), now.clone(), |before, now| {
                Event::LinkChanged { before, now }
            }));
        }
        for (key, now) in &new.addresses {
            events.extend(changed(old.addresses.get(key).copied(), *now, |_, now| {
                Event::AddressAdded(now)
            }));
        }
        for (key, now) in &new.neighbours {
            events.extend(changed(old.neighbours.get(key).copied(), *now, |before, now| {
                Event::NeighbourChanged { before, now }
            }));
        }
        events
    }

    /// Removes a link and what is left on it. The kernel removes addresses and neighbours before
    /// the link, but a reader must not depend on having heard of each.
    fn remove_link(&mut self, index: u32) -> Vec<Event> {
        let Some(link) = self.links.remove(&index) else {
            return Vec::new();
        };
        let mut events = Vec::new();
        self.neighbours.retain(|(link, _), neighbour| {
            let stays = *link != index;
            if !stays {
                events.push(Event::NeighbourRemoved(*neighbour));
            }
            stays
        });
        self.addresses.retain(|key, address| {
            let stays = key.link != index;
            if !stays {
                events.push(Event::AddressRemoved(*address));
            }
            stays
        });
        events.push(Event::LinkRemoved(link));
        events
    }
}

/// The event of a replacement, or none if it replaced a thing by its like.
fn changed<T: PartialEq>(
    before: Option<T>,
    now: T,
    event: impl FnOnce(Option<T>, T) -> Event,
) -> Vec<Event> {
    if before.as_ref() == Some(&now) { Vec::new() } else { vec![event(before, now)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.into(),
            mac: Some([2, 0, 0, 0, 0, index as u8]),
            mtu: 1500,
            up: true,
            kind: Some("veth".into()),
        }
    }

    fn address(link: u32, ip: &str) -> Address {
        let key = AddressKey { link, ip: ip.parse().unwrap(), prefix_len: 64, peer: None };
        Address { key, tentative: false }
    }

    fn neighbour(link: u32, ip: &str) -> Neighbour {
        Neighbour {
            link,
            ip: ip.parse().unwrap(),
            mac: Some([2, 0, 0, 0, 2, link as u8]),
            usable: true,
            fixed: false,
            managed: false,
        }
    }

    /// Two links, each with an address and a neighbour; the neighbours differ by link only.
    fn full() -> View {
        let mut view = View::default();
        for (index, name) in [(1, "eth0"), (2, "eth1")] {
            view.apply(Message::Link(link(index, name)));
            view.apply(Message::Address(address(index, "fc00::1")));
            view.apply(Message::Neighbour(neighbour(index, "fe80::2")));
        }
        view
    }

    #[test]
    fn what_changes_nothing_is_no_event() {
        let mut view = full();
        for message in [
            Message::Link(link(1, "eth0")),
            Message::Address(address(1, "fc00::1")),
            Message::Neighbour(neighbour(1, "fe80::2")),
            Message::LinkGone(9),
            Message::AddressGone(address(1, "fc00::9").key),
            Message::NeighbourGone { link: 9, ip: "fe80::2".parse().unwrap() },
        ] {
            assert_eq!(view.apply(message.clone()), [], "{message:?}");
        }
        assert_eq!(view, full());
    }

    #[test]
    fn a_link_change_carries_both_sides() {
        let mut view = full();
        let before = link(1, "eth0");
        for now in [
            Link { up: false, ..before.clone() },
            Link { mtu: 9000, ..before.clone() },
            Link { mac: None, ..before.clone() },
            Link { name: "wan".into(), ..before.clone() },
        ] {
            let expected = Event::LinkChanged { before: Some(before.clone()), now: now.clone() };
            assert_eq!(view.apply(Message::Link(now)), [expected]);
            view.apply(Message::Link(before.clone()));
        }
        let new = link(3, "eth2");
        let expected = Event::LinkChanged { before: None, now: new.clone() };
        assert_eq!(view.apply(Message::Link(new)), [expected]);
    }

    #[test]
    fn a_removed_link_takes_its_own_along_and_nothing_else() {
        let mut view = full();
        assert_eq!(
            view.apply(Message::LinkGone(1)),
            [
                Event::NeighbourRemoved(neighbour(1, "fe80::2")),
                Event::AddressRemoved(address(1, "fc00::1")),
                Event::LinkRemoved(link(1, "eth0")),
            ]
        );
        assert_eq!(view.links.keys().collect::<Vec<_>>(), [&2]);
        assert_eq!((view.addresses.len(), view.neighbours.len()), (1, 1));
    }

    #[test]
    fn the_same_address_with_another_prefix_or_peer_is_another() {
        let mut view = full();
        let mut other = address(1, "fc00::1");
        other.key.prefix_len = 128;
        assert_eq!(view.apply(Message::Address(other)), [Event::AddressAdded(other)]);
        other.key.peer = Some("fc00::9".parse().unwrap());
        assert_eq!(view.apply(Message::Address(other)), [Event::AddressAdded(other)]);
        assert_eq!(view.apply(Message::AddressGone(other.key)), [Event::AddressRemoved(other)]);
        assert_eq!(view.addresses.len(), 3);
    }

    #[test]
    fn the_end_of_duplicate_detection_is_an_event() {
        let mut view = full();
        let usable = address(2, "fc00::5");
        let tentative = Address { tentative: true, ..usable };
        assert_eq!(view.apply(Message::Address(tentative)), [Event::AddressAdded(tentative)]);
        assert_eq!(view.apply(Message::Address(usable)), [Event::AddressAdded(usable)]);
    }

    #[test]
    fn a_neighbour_that_fails_and_goes() {
        let mut view = full();
        let before = neighbour(1, "fe80::2");
        let now = Neighbour { usable: false, mac: None, ..before };
        assert_eq!(
            view.apply(Message::Neighbour(now)),
            [Event::NeighbourChanged { before: Some(before), now }]
        );
        assert_eq!(
            view.apply(Message::NeighbourGone { link: now.link, ip: now.ip }),
            [Event::NeighbourRemoved(now)]
        );
    }

    #[test]
    fn a_difference_leads_from_one_view_to_the_other() {
        let old = full();
        let mut new = full();
        new.apply(Message::LinkGone(1));
        new.apply(Message::Link(Link { mtu: 9000, ..link(2, "eth1") }));
        new.apply(Message::Link(link(3, "eth2")));
        new.apply(Message::Address(address(3, "fc00::3")));
        new.apply(Message::Neighbour(neighbour(3, "fe80::3")));
        assert_eq!(
            View::diff(&old, &new),
            [
                Event::NeighbourRemoved(neighbour(1, "fe80::2")),
                Event::AddressRemoved(address(1, "fc00::1")),
                Event::LinkRemoved(link(1, "eth0")),
                Event::LinkChanged {
                    before: Some(link(2, "eth1")),
                    now: Link { mtu: 9000, ..link(2, "eth1") }
                },
                Event::LinkChanged { before: None, now: link(3, "eth2") },
                Event::AddressAdded(address(3, "fc00::3")),
                Event::NeighbourChanged { before: None, now: neighbour(3, "fe80::3") },
            ]
        );
        assert_eq!(View::diff(&new, &new), []);
    }

    #[test]
    fn finds_links_by_name_and_lists_own_addresses() {
        let view = full();
        assert_eq!(view.link_named("eth1").map(|link| link.index), Some(2));
        assert_eq!(view.link_named("eth2"), None);
        assert_eq!(view.own_addresses().count(), 2);
    }
}
