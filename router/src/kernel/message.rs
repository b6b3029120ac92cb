//! From the bytes of one netlink message to what it says about a link, an address or a neighbour.
//!
//! Attributes are read one by one, and one that the parser does not understand is left out: a
//! newer kernel may say more about a link than this program knows, and that is no reason to miss
//! that the link is down. Routes are read in [`route`](super::route), where the opposite holds. A new
//! message kind is a variant, a row in [`decode`] and a function.

use std::net::IpAddr;

use netlink_packet_core::{DecodeError, NlaBuffer, NlasIterator, Parseable, ParseableParametrized};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeader, AddressHeaderFlags,
};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkHeader, LinkInfo};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourHeader,
    NeighbourState,
};
use netlink_packet_route::route::RouteProtocol;

use super::route::{self, Place, RouteMessage};
use super::view::{Address, AddressKey, Link, Neighbour};

/// `RTM_NEWNEXTHOP` and `RTM_DELNEXTHOP`.
const NEW_NEXTHOP: u16 = 104;
const DEL_NEXTHOP: u16 = 105;

/// `struct ifinfomsg`, in bytes.
const LINK_HEADER: usize = 16;
/// `struct ifaddrmsg`, in bytes.
const ADDRESS_HEADER: usize = 8;
/// `struct ndmsg`, in bytes.
const NEIGHBOUR_HEADER: usize = 12;

/// A message of the kernel, as far as it concerns the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A link is like this.
    Link(Link),
    /// The link of this index is gone.
    LinkGone(u32),
    /// An address is like this.
    Address(Address),
    /// An address is gone.
    AddressGone(AddressKey),
    /// A neighbour is like this.
    Neighbour(Neighbour),
    /// A neighbour is gone.
    NeighbourGone {
        /// Index of its link.
        link: u32,
        /// Its address.
        ip: IpAddr,
    },
    /// About a route or a next-hop object, which are not part of the view.
    Route(RouteMessage),
}

/// Reads the payload of a message of type `kind` (`RTM_…`) with these flags (`NLM_F_…`). `None`:
/// nothing for us.
///
/// Fails if the fixed part is cut short or attributes are not framed as such.
pub fn decode(kind: u16, flags: u16, payload: &[u8]) -> Result<Option<Message>, DecodeError> {
    match kind {
        libc::RTM_NEWLINK => Ok(link(payload)?.map(Message::Link)),
        libc::RTM_DELLINK => Ok(link(payload)?.map(|link| Message::LinkGone(link.index))),
        libc::RTM_NEWADDR => Ok(address(payload)?.map(Message::Address)),
        libc::RTM_DELADDR => Ok(address(payload)?.map(|address| Message::AddressGone(address.key))),
        libc::RTM_NEWNEIGH => {
            Ok(neighbour(payload)?.map(|(neighbour, _)| Message::Neighbour(neighbour)))
        }
        libc::RTM_DELNEIGH => Ok(neighbour(payload)?
            .map(|(Neighbour { link, ip, .. }, _)| Message::NeighbourGone { link, ip })),
        libc::RTM_NEWROUTE => Ok(route::route(payload)?
            .map(|route| Message::Route(RouteMessage::Route(route, Place::of(flags))))),
        libc::RTM_DELROUTE => {
            Ok(route::route(payload)?.map(|route| Message::Route(RouteMessage::RouteGone(route))))
        }
        NEW_NEXTHOP => Ok(route::object(payload)?
            .map(|(id, object)| Message::Route(RouteMessage::Object(id, object)))),
        DEL_NEXTHOP => {
            Ok(route::object(payload)?.map(|(id, _)| Message::Route(RouteMessage::ObjectGone(id))))
        }
        _ => Ok(None),
    }
}

fn link(payload: &[u8]) -> Result<Option<Link>, DecodeError> {
    let header = LinkHeader::parse(payload)?;
    // A bridge tells of its ports by the same messages in its own family, where "link deleted"
    // means "left the bridge".
    if header.interface_family != AddressFamily::Unspec {
        return Ok(None);
    }
    let mut link = Link {
        index: header.index,
        name: String::new(),
        mac: None,
        mtu: 0,
        up: header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
        kind: None,
    };
    for attribute in attributes(payload, LINK_HEADER) {
        match LinkAttribute::parse_with_param(&attribute?, header.interface_family) {
            Ok(LinkAttribute::IfName(name)) => link.name = name,
            Ok(LinkAttribute::Address(bytes)) => link.mac = bytes.try_into().ok(),
            Ok(LinkAttribute::Mtu(mtu)) => link.mtu = mtu,
            Ok(LinkAttribute::LinkInfo(info)) => {
                link.kind = info.into_iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(Some(link))
}

fn address(payload: &[u8]) -> Result<Option<Address>, DecodeError> {
    let header = AddressHeader::parse(payload)?;
    let (mut near, mut far) = (None, None);
    // The header has room for eight flags; the attribute, where there is one, has them all.
    let mut tentative = header.flags.contains(AddressHeaderFlags::Tentative);
    let mut duplicate = header.flags.contains(AddressHeaderFlags::Dadfailed);
    for attribute in attributes(payload, ADDRESS_HEADER) {
        match AddressAttribute::parse(&attribute?) {
            Ok(AddressAttribute::Local(ip)) => near = Some(ip),
            Ok(AddressAttribute::Address(ip)) => far = Some(ip),
            Ok(AddressAttribute::Flags(flags)) => {
                tentative = flags.contains(AddressFlags::Tentative);
                duplicate = flags.contains(AddressFlags::Dadfailed);
            }
            Ok(_) | Err(_) => {}
        }
    }
    // IFA_ADDRESS is the peer where there is an IFA_LOCAL and they differ; IPv4 always has both,
    // IPv6 has IFA_LOCAL only with a peer.
    let Some(ip) = near.or(far) else {
        return Ok(None);
    };
    let key = AddressKey {
        link: header.index,
        ip,
        prefix_len: header.prefix_len,
        peer: far.filter(|far| *far != ip),
    };
    Ok(Some(Address { key, tentative: tentative || duplicate }))
}

/// Reads a neighbour, and the mark of the program that installed it, if it left one.
pub fn neighbour(payload: &[u8]) -> Result<Option<(Neighbour, Option<u8>)>, DecodeError> {
    let header = NeighbourHeader::parse(payload)?;
    // Bridge forwarding entries come in the same group; proxy entries are no neighbours.
    if !matches!(header.family, AddressFamily::Inet | AddressFamily::Inet6)
        || header.flags.contains(NeighbourFlags::Proxy)
    {
        return Ok(None);
    }
    let (mut ip, mut mac, mut managed, mut protocol) = (None, None, false, None);
    for attribute in attributes(payload, NEIGHBOUR_HEADER) {
        match NeighbourAttribute::parse_with_param(&attribute?, header.family) {
            Ok(NeighbourAttribute::Destination(NeighbourAddress::Inet(v4))) => ip = Some(v4.into()),
            Ok(NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6))) => {
                ip = Some(v6.into());
            }
            Ok(NeighbourAttribute::LinkLayerAddress(bytes)) => mac = bytes.try_into().ok(),
            Ok(NeighbourAttribute::ExtFlags(flags)) => {
                managed = flags.contains(NeighbourExtFlags::Managed);
            }
            Ok(NeighbourAttribute::Protocol(mark)) => protocol = mark_of(mark),
            Ok(_) | Err(_) => {}
        }
    }
    let Some(ip) = ip else {
        return Ok(None);
    };
    let usable = matches!(
        header.state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
            | NeighbourState::Noarp
    );
    let fixed = matches!(header.state, NeighbourState::Permanent | NeighbourState::Noarp)
        || header.flags.contains(NeighbourFlags::ExtLearned);
    Ok(Some((Neighbour { link: header.ifindex, ip, mac, usable, fixed, managed }, protocol)))
}

/// Zero is the kernel's way to say that nobody left a mark.
fn mark_of(protocol: RouteProtocol) -> Option<u8> {
    Some(u8::from(protocol)).filter(|mark| *mark != 0)
}

/// The attributes behind a fixed part of `skip` bytes, whose presence the header's parser checked.
fn attributes(
    payload: &[u8],
    skip: usize,
) -> impl Iterator<Item = Result<NlaBuffer<&[u8]>, DecodeError>> {
    NlasIterator::new(payload.get(skip..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;
    use netlink_packet_route::address::AddressMessage;
    use netlink_packet_route::link::{InfoKind, LinkMessage};
    use netlink_packet_route::neighbour::NeighbourMessage;

    use super::*;

    fn bytes(message: &impl Emitable) -> Vec<u8> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    fn read(kind: u16, message: &impl Emitable) -> Option<Message> {
        decode(kind, 0, &bytes(message)).unwrap()
    }

    fn eth0() -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.header.flags = LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Broadcast;
        message.attributes = vec![
            LinkAttribute::IfName("eth0".into()),
            LinkAttribute::Mtu(9000),
            LinkAttribute::Address(vec![2, 0, 0, 0, 0, 7]),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth)]),
        ];
        message
    }

    fn eth0_read() -> Link {
        Link {
            index: 7,
            name: "eth0".into(),
            mac: Some([2, 0, 0, 0, 0, 7]),
            mtu: 9000,
            up: true,
            kind: Some("veth".into()),
        }
    }

    #[test]
    fn a_link() {
        assert_eq!(read(libc::RTM_NEWLINK, &eth0()), Some(Message::Link(eth0_read())));
        assert_eq!(read(libc::RTM_DELLINK, &eth0()), Some(Message::LinkGone(7)));
    }

    #[test]
    fn a_link_is_up_only_with_carrier_and_the_administrators_will() {
        for (flags, up) in [
            (LinkFlags::Up, false),
            (LinkFlags::LowerUp, false),
            (LinkFlags::Up | LinkFlags::LowerUp, true),
        ] {
            let mut message = eth0();
            message.header.flags = flags;
            let expected = Link { up, ..eth0_read() };
            assert_eq!(read(libc::RTM_NEWLINK, &message), Some(Message::Link(expected)));
        }
    }

    #[test]
    fn a_tunnel_has_no_ethernet_address() {
        let mut message = eth0();
        message.attributes[2] = LinkAttribute::Address(vec![0xfc; 16]);
        let expected = Link { mac: None, ..eth0_read() };
        assert_eq!(read(libc::RTM_NEWLINK, &message), Some(Message::Link(expected)));
    }

    #[test]
    fn leaving_a_bridge_is_not_the_end_of_a_link() {
        let mut message = eth0();
        message.header.interface_family = AddressFamily::Bridge;
        assert_eq!(read(libc::RTM_DELLINK, &message), None);
        assert_eq!(read(libc::RTM_NEWLINK, &message), None);
    }

    #[test]
    fn what_the_parser_cannot_read_is_left_out() {
        let mut payload = bytes(&eth0());
        // IFLA_NUM_VF of one byte, and a type that does not exist.
        payload.extend([5, 0, 21, 0, 1, 0, 0, 0]);
        payload.extend([8, 0, 0xff, 0x3f, 1, 2, 3, 4]);
        let read = decode(libc::RTM_NEWLINK, 0, &payload).unwrap();
        assert_eq!(read, Some(Message::Link(eth0_read())));
    }

    #[test]
    fn what_is_cut_short_or_not_framed_is_an_error() {
        let whole = bytes(&eth0());
        for len in [0, 1, 15, 17, whole.len() - 1] {
            assert!(decode(libc::RTM_NEWLINK, 0, &whole[..len]).is_err(), "{len} bytes");
        }
        for kind in [libc::RTM_NEWADDR, libc::RTM_DELADDR, libc::RTM_NEWNEIGH, libc::RTM_DELNEIGH] {
            assert!(decode(kind, 0, &[]).is_err());
        }
        assert_eq!(decode(libc::RTM_NEWRULE, 0, &[]).unwrap(), None);
    }

    #[test]
    fn addresses_with_and_without_peer() {
        let read = |attributes: Vec<AddressAttribute>| {
            let mut message = AddressMessage::default();
            message.header.index = 7;
            message.header.prefix_len = 64;
            message.attributes = attributes;
            match read(libc::RTM_NEWADDR, &message) {
                Some(Message::Address(Address { key, tentative })) => {
                    assert_eq!((key.link, key.prefix_len), (7, 64));
                    Some((key.ip.to_string(), key.peer.map(|ip| ip.to_string()), tentative))
                }
                _ => None,
            }
        };
        let (near, far) = ("fc00::1".parse().unwrap(), "fc00::2".parse().unwrap());
        let shown = |ip: IpAddr| ip.to_string();
        // IPv6, then IPv4's habit of saying it twice, then point to point.
        assert_eq!(read(vec![AddressAttribute::Address(near)]), Some((shown(near), None, false)));
        assert_eq!(
            read(vec![AddressAttribute::Address(near), AddressAttribute::Local(near)]),
            Some((shown(near), None, false))
        );
        assert_eq!(
            read(vec![AddressAttribute::Address(far), AddressAttribute::Local(near)]),
            Some((shown(near), Some(shown(far)), false))
        );
        assert_eq!(
            read(vec![
                AddressAttribute::Address(near),
                AddressAttribute::Flags(AddressFlags::Tentative)
            ]),
            Some((shown(near), None, true))
        );
        assert_eq!(
            read(vec![
                AddressAttribute::Address(near),
                AddressAttribute::Flags(AddressFlags::Dadfailed)
            ]),
            Some((shown(near), None, true))
        );
        assert_eq!(read(vec![]), None);
    }

    fn fe80_2(state: NeighbourState) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet6;
        message.header.ifindex = 7;
        message.header.state = state;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet6("fe80::2".parse().unwrap())),
            NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 2]),
        ];
        message
    }

    #[test]
    fn neighbour_states() {
        for (state, usable, fixed) in [
            (NeighbourState::None, false, false),
            (NeighbourState::Incomplete, false, false),
            (NeighbourState::Failed, false, false),
            (NeighbourState::Reachable, true, false),
            (NeighbourState::Stale, true, false),
            (NeighbourState::Delay, true, false),
            (NeighbourState::Probe, true, false),
            (NeighbourState::Permanent, true, true),
            (NeighbourState::Noarp, true, true),
        ] {
            let expected = Neighbour {
                link: 7,
                ip: "fe80::2".parse().unwrap(),
                mac: Some([2, 0, 0, 0, 0, 2]),
                usable,
                fixed,
                managed: false,
            };
            let read = read(libc::RTM_NEWNEIGH, &fe80_2(state));
            assert_eq!(read, Some(Message::Neighbour(expected)), "{state}");
        }
    }

    #[test]
    fn who_keeps_a_neighbour() {
        let mut message = fe80_2(NeighbourState::Reachable);
        message.attributes.push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
        message.attributes.push(NeighbourAttribute::Protocol(83.into()));
        let (read, mark) = neighbour(&bytes(&message)).unwrap().unwrap();
        assert_eq!((read.managed, read.fixed, mark), (true, false, Some(83)));

        message.header.flags = NeighbourFlags::ExtLearned;
        let (read, _) = neighbour(&bytes(&message)).unwrap().unwrap();
        assert!(read.fixed);
    }

    #[test]
    fn bridge_and_proxy_entries_are_no_neighbours() {
        let mut message = fe80_2(NeighbourState::Reachable);
        message.header.flags = NeighbourFlags::Proxy;
        assert_eq!(read(libc::RTM_NEWNEIGH, &message), None);
        let mut message = fe80_2(NeighbourState::Reachable);
        message.header.family = AddressFamily::Bridge;
        assert_eq!(read(libc::RTM_NEWNEIGH, &message), None);
    }
}
