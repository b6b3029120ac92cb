//! Addresses and prefixes, and where they cannot work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

use super::{Read, string};
use crate::item::Value;
use crate::report::Diagnostic;

/// A family of addresses that a key asks for.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    V4,
    V6,
    Either,
}

impl Asked {
    fn article(self) -> &'static str {
        match self {
            Self::V4 => "an IPv4",
            Self::V6 => "an IPv6",
            Self::Either => "an IP",
        }
    }
}

/// An IPv6 address a packet can be sent to on some link: unicast, link-local too.
pub(crate) fn ipv6_unicast(value: Value<'_>) -> Read<Ipv6Addr> {
    let address = ipv6(value)?;
    match unusable_v6(address) {
        Some(why) => Err(unusable(value, why)),
        None => Ok(address),
    }
}

/// An IPv6 address that is routed: unicast, not link-local.
pub(crate) fn ipv6_global(value: Value<'_>) -> Read<Ipv6Addr> {
    let address = ipv6_unicast(value)?;
    if address.is_unicast_link_local() {
        return Err(link_local(value));
    }
    Ok(address)
}

/// An IPv4 address a packet can be sent to: unicast.
pub(crate) fn ipv4_unicast(value: Value<'_>) -> Read<Ipv4Addr> {
    match address(value, Asked::V4)? {
        IpAddr::V4(address) => match unusable_v4(address) {
            Some(why) => Err(unusable(value, why)),
            None => Ok(address),
        },
        IpAddr::V6(_) => Err(wrong_family(value, Asked::V4)),
    }
}

/// A unicast address of either family.
pub(crate) fn ip(value: Value<'_>) -> Read<IpAddr> {
    let address = address(value, Asked::Either)?;
    let why = match address {
        IpAddr::V4(address) => unusable_v4(address),
        IpAddr::V6(address) => unusable_v6(address),
    };
    match why {
        Some(why) => Err(unusable(value, why)),
        None => Ok(address),
    }
}

/// A prefix of either family that packets can be routed by.
pub(crate) fn ip_prefix(value: Value<'_>) -> Read<IpNet> {
    let prefix = prefix(value, Asked::Either)?;
    let why = match prefix.network() {
        IpAddr::V6(network) if network.is_multicast() => "multicast",
        IpAddr::V4(network) if network.is_multicast() => "multicast",
        IpAddr::V6(network) if network.is_unicast_link_local() => "link-local",
        IpAddr::V4(network) if network.is_link_local() && prefix.prefix_len() >= 16 => "link-local",
        _ => return Ok(prefix),
    };
    Err(value
        .error(format!("`{}` cannot be {why}", value.key), format!("a {why} prefix"))
        .help(format!("{why} packets are left to the kernel; remove this route")))
}

/// An IPv6 prefix that a locator can have.
pub(crate) fn ipv6_prefix(value: Value<'_>) -> Read<Ipv6Net> {
    match prefix(value, Asked::V6)? {
        IpNet::V6(prefix) => routed(value, prefix),
        IpNet::V4(_) => Err(wrong_family(value, Asked::V6)),
    }
}

/// One host, or a prefix of hosts, of either family.
pub(crate) fn network(value: Value<'_>) -> Read<IpNet> {
    if string(value, "an address or a prefix")?.contains('/') {
        return prefix(value, Asked::Either);
    }
    ip(value).map(IpNet::from)
}

/// A SID: an IPv6 address, or a prefix.
pub(crate) fn sid(value: Value<'_>) -> Read<Ipv6Net> {
    if string(value, "a SID")?.contains('/') {
        return ipv6_prefix(value);
    }
    ipv6(value).and_then(|address| routed(value, Ipv6Net::from(address)))
}

/// `prefix`, if unicast packets are routed to it.
fn routed(value: Value<'_>, prefix: Ipv6Net) -> Read<Ipv6Net> {
    let network = prefix.network();
    match unusable_v6(network) {
        Some(why) => Err(unusable(value, why)),
        None if network.is_unicast_link_local() => Err(link_local(value)),
        None => Ok(prefix),
    }
}

fn ipv6(value: Value<'_>) -> Read<Ipv6Addr> {
    match address(value, Asked::V6)? {
        IpAddr::V6(address) => Ok(address),
        IpAddr::V4(_) => Err(wrong_family(value, Asked::V6)),
    }
}

fn address(value: Value<'_>, asked: Asked) -> Read<IpAddr> {
    let text = string(value, &format!("{} address", asked.article()))?;
    text.parse().map_err(|_| not_an_address(value, text, asked))
}

fn prefix(value: Value<'_>, asked: Asked) -> Read<IpNet> {
    let text = string(value, &format!("{} prefix", asked.article()))?;
    let Some((address, length)) = text.split_once('/') else {
        let address: IpAddr = text.parse().map_err(|_| {
            value
                .error(format!("`{text}` is not {} prefix", asked.article()), "")
                .help("a prefix is an address and a length, as in \"2001:db8::/32\"")
        })?;
        let single = of_family(value, IpNet::from(address), asked)?;
        return Err(value
            .error(format!("`{text}` has no prefix length"), "")
            .help(format!("for this one address, write \"{single}\"")));
    };
    let address_part = value.part(0..address.len());
    let length_part = value.part(address.len()..text.len());
    let parsed: IpAddr = address.parse().map_err(|_| {
        Diagnostic::error(format!("`{address}` is not {} address", asked.article()))
            .at(address_part, "")
            .help("a prefix is an address and a length, as in \"2001:db8::/32\"")
    })?;
    let most = if parsed.is_ipv6() { 128 } else { 32 };
    let length: u8 = match length.parse::<u32>() {
        Ok(length) if length > most => {
            return Err(Diagnostic::error(format!("prefix length {length} is over {most}"))
                .at(length_part, format!("must be at most {most}"))
                .help(format!("for one address, write \"{address}/{most}\"")));
        }
        // At most 128 here.
        Ok(length) => length as u8,
        Err(_) => {
            return Err(Diagnostic::error(format!("`{length}` is not a prefix length"))
                .at(length_part, format!("must be a number from 0 to {most}"))
                .help("a prefix is an address and a length, as in \"2001:db8::/32\""));
        }
    };
    let net = IpNet::new(parsed, length)
        .map_err(|why| value.error(format!("`{text}` is not a prefix"), why.to_string()))?;
    let net = of_family(value, net, asked)?;
    if net != net.trunc() {
        return Err(value
            .error(
                format!("`{text}` has bits set after its prefix length"),
                format!("not zero after the first {length} bits"),
            )
            .help(format!("did you mean \"{}\"?", net.trunc())));
    }
    Ok(net)
}

fn of_family(value: Value<'_>, net: IpNet, asked: Asked) -> Read<IpNet> {
    match (asked, net) {
        (Asked::V6, IpNet::V4(_)) | (Asked::V4, IpNet::V6(_)) => Err(wrong_family(value, asked)),
        _ => Ok(net),
    }
}

fn wrong_family(value: Value<'_>, asked: Asked) -> Diagnostic {
    let (asked, given) = match asked {
        Asked::V4 => ("IPv4", "IPv6"),
        _ => ("IPv6", "IPv4"),
    };
    let found =
        value.error(format!("{} must be {asked}", value.name()), format!("this is {given}"));
    match value.key {
        "nh4" => found.help("the key of an IPv6 next hop is `nh6`, where one is possible"),
        "nh6" => found.help("the key of an IPv4 next hop is `nh4`, where one is possible"),
        "segs" => found.help("segments are IPv6 addresses; IPv4 packets are carried inside IPv6"),
        _ => found.help(format!("write an {asked} address here")),
    }
}

fn not_an_address(value: Value<'_>, text: &str, asked: Asked) -> Diagnostic {
    let found = value.error(format!("`{text}` is not {} address", asked.article()), "");
    if let Some((address, zone)) = text.split_once('%') {
        return found.help(format!(
            "write \"{address}\", and name the interface with interface = \"{zone}\""
        ));
    }
    match text.split_once('/') {
        Some((address, _)) if address.parse::<IpAddr>().is_ok() => {
            found.help(format!("`{}` takes no prefix length; write \"{address}\"", value.key))
        }
        _ => found.help(match asked {
            Asked::V4 => "for example \"192.0.2.1\"",
            Asked::V6 => "for example \"fc00:0:1::1\"",
            Asked::Either => "for example \"fc00:0:1::1\" or \"192.0.2.1\"",
        }),
    }
}

fn unusable(value: Value<'_>, why: &str) -> Diagnostic {
    value
        .error(format!("{} must be a unicast address", value.name()), format!("this is {why}"))
        .help("no single node can be reached by it; write a node's own address")
}

fn link_local(value: Value<'_>) -> Diagnostic {
    value
        .error(format!("{} must be an address that is routed", value.name()), "this is link-local")
        .help("link-local addresses are known on one link only; use a global or unique local one")
}

fn unusable_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address.is_loopback() {
        Some("the loopback address")
    } else if address.to_ipv4_mapped().is_some() {
        Some("an IPv4-mapped address")
    } else {
        None
    }
}

fn unusable_v4(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address.is_broadcast() {
        Some("the broadcast address")
    } else if address.is_loopback() {
        Some("a loopback address")
    } else {
        None
    }
}
