//! From a TOML value to a value of ours, or a message that says what was expected.

mod address;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::de::DeValue;

pub(crate) use self::address::{
    ip, ip_prefix, ipv4_unicast, ipv6_global, ipv6_prefix, ipv6_unicast, network, sid,
};
use crate::item::{Value, join, nearest};
use crate::mac::MacAddr;
use crate::model::{Queues, RouterId, Table};
use crate::report::Diagnostic;

type Read<T> = Result<T, Diagnostic>;

/// A string; `what` says what it stands for, with an article.
fn string<'a>(value: Value<'a>, what: &str) -> Read<&'a str> {
    value.toml().as_str().ok_or_else(|| {
        value.error(format!("{} must be {what}, in quotes", value.name()), value.kind()).help(
            match value.toml() {
                DeValue::Array(_) => "write a single value, without brackets",
                _ => "write it in double quotes",
            },
        )
    })
}

/// A name of a locator, a policy or the router.
pub(crate) fn name(value: Value<'_>) -> Read<String> {
    let text = string(value, "a name")?;
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let label = if text.is_empty() { "empty" } else { "has a space or control character" };
        return Err(value
            .error(format!("`{}` is not a usable name", value.key), label)
            .help("a name has one or more characters, and no spaces"));
    }
    Ok(text.to_owned())
}

/// A name that the kernel accepts for an interface.
pub(crate) fn interface_name(value: Value<'_>) -> Read<String> {
    // IFNAMSIZ less the terminating zero.
    const MAX: usize = 15;
    let text = string(value, "the name of an interface")?;
    let bad = |label: &str| {
        Err(value
            .error(format!("`{text}` cannot be the name of an interface"), label)
            .help("`ip link` lists the interfaces of this machine"))
    };
    match text {
        "" => bad("empty"),
        "." | ".." => bad("not a name the kernel accepts"),
        _ if text.len() > MAX => bad("longer than 15 bytes"),
        _ if text.chars().any(|c| c.is_whitespace() || c.is_control() || "/:".contains(c)) => {
            bad("has a space, `/` or `:`")
        }
        _ => Ok(text.to_owned()),
    }
}

/// One of `words`.
pub(crate) fn word<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(Value<'_>) -> Read<T> {
    move |value| {
        let quoted: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let choice = join(&quoted, "or");
        let text = string(value, &choice)?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Ok(*meaning),
            None => Err(not_a_word(value, words.iter().map(|(word, _)| *word))
                .help(format!("`{}` is {choice}", value.key))),
        }
    }
}

/// `value` is not among `words`; the nearest one is in the label.
fn not_a_word<'a>(value: Value<'_>, words: impl IntoIterator<Item = &'a str>) -> Diagnostic {
    let text = value.toml().as_str().unwrap_or_default();
    let label = match nearest(text, words) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "not known".to_owned(),
    };
    value.error(format!("`{}` cannot be \"{text}\"", value.key), label)
}

/// A whole number in `range`.
pub(crate) fn number<T>(range: RangeInclusive<T>) -> impl Fn(Value<'_>) -> Read<T>
where
    T: TryFrom<i128> + PartialOrd + std::fmt::Display,
{
    move |value| {
        let (low, high) = (range.start(), range.end());
        let DeValue::Integer(integer) = value.toml() else {
            return Err(not_a_number(value));
        };
        i128::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                value
                    .error(
                        format!("{} must be from {low} to {high}", value.name()),
                        format!("{integer} is out of range"),
                    )
                    .help(format!("write a whole number from {low} to {high}"))
            })
    }
}

/// A traffic class: a number, or `None` for "copy".
pub(crate) fn traffic_class(value: Value<'_>) -> Read<Option<u8>> {
    match value.toml().as_str() {
        Some("copy") => Ok(None),
        Some(_) => Err(not_a_word(value, ["copy"])
            .help("`encap-traffic-class` is \"copy\" or a number from 0 to 255")),
        None => number(0..=u8::MAX)(value).map(Some),
    }
}

fn not_a_number(value: Value<'_>) -> Diagnostic {
    let found = value.error(format!("{} must be a whole number", value.name()), value.kind());
    match value.toml().as_str() {
        Some(text) if text.parse::<u64>().is_ok() => {
            found.help(format!("write {text} without quotes"))
        }
        _ => found.help("write a number such as 64, without quotes or a decimal point"),
    }
}

/// `true` or `false`.
pub(crate) fn boolean(value: Value<'_>) -> Read<bool> {
    match value.toml() {
        DeValue::Boolean(boolean) => Ok(*boolean),
        _ => Err(value
            .error(format!("{} must be true or false", value.name()), value.kind())
            .help("write true or false, without quotes")),
    }
}

/// A number of bits of an IPv6 address.
pub(crate) fn bits(value: Value<'_>) -> Read<u8> {
    number(0..=128)(value)
}

/// A routing table: its number, or a name that Linux gives it.
pub(crate) fn table(value: Value<'_>) -> Read<Table> {
    let help = "a table is a number from 1 to 4294967295, or \"main\", \"local\" or \"default\"";
    let found = match value.toml() {
        DeValue::Integer(_) => match number(1..=u32::MAX)(value) {
            Ok(number) => return Ok(Table(number)),
            Err(found) => found,
        },
        DeValue::String(text) => match Table::NAMES.iter().find(|(name, _)| name == text) {
            Some((_, table)) => return Ok(*table),
            None if text.parse::<u32>().is_ok() => not_a_number(value),
            None => not_a_word(value, Table::NAMES.iter().map(|(name, _)| *name)),
        },
        _ => value.error(format!("{} must be a table", value.name()), value.kind()),
    };
    Err(found.help(help))
}

/// `"all"`, or how many.
pub(crate) fn queues(value: Value<'_>) -> Read<Queues> {
    match value.toml() {
        DeValue::Integer(_) => number(1..=u32::from(u16::MAX))(value).map(Queues::Count),
        DeValue::String(text) if text == "all" => Ok(Queues::All),
        _ => Err(value
            .error("`queues` must be \"all\" or a number", value.kind())
            .help("\"all\" serves every receive queue; a number serves the first so many")),
    }
}

/// A unicast MAC address.
pub(crate) fn mac(value: Value<'_>) -> Read<MacAddr> {
    let text = string(value, "a MAC address")?;
    let mac: MacAddr = text.parse().map_err(|why: crate::mac::BadMac| {
        value.error(format!("`{text}` is not a MAC address"), "").help(why.to_string())
    })?;
    if mac.is_multicast() {
        return Err(value
            .error("a neighbor's MAC address cannot be multicast", "the group bit is set")
            .help("the first octet of a unicast MAC address is even"));
    }
    if mac.is_zero() {
        return Err(value
            .error("a neighbor's MAC address cannot be all zero", "")
            .help("`ip neighbor` and `ip link` show MAC addresses"));
    }
    Ok(mac)
}

/// The path of a Unix socket.
pub(crate) fn socket_path(value: Value<'_>) -> Read<PathBuf> {
    // sun_path of sockaddr_un, less the terminating zero.
    const MAX: usize = 107;
    let text = string(value, "a path")?;
    let bad = |label: &str| {
        Err(value
            .error(format!("`{}` cannot be the path of a socket", value.key), label)
            .help("for example \"/run/sidewinder/r1.sock\""))
    };
    match text {
        "" => bad("empty"),
        _ if text.contains('\0') => bad("has a zero byte"),
        _ if text.len() > MAX => bad("longer than 107 bytes, the most a Unix socket takes"),
        _ => Ok(PathBuf::from(text)),
    }
}

/// The path of a file.
pub(crate) fn path(value: Value<'_>) -> Read<PathBuf> {
    let text = string(value, "a path")?;
    if text.is_empty() || text.contains('\0') {
        let label = if text.is_empty() { "empty" } else { "has a zero byte" };
        return Err(value
            .error(format!("`{}` cannot be the path of a file", value.key), label)
            .help("for example \"/etc/sidewinder/bgp.key\""));
    }
    Ok(PathBuf::from(text))
}

/// An address and a port.
pub(crate) fn socket_addr(value: Value<'_>) -> Read<SocketAddr> {
    let text = string(value, "an address and a port")?;
    text.parse().map_err(|_| {
        let label = if text.parse::<std::net::IpAddr>().is_ok() { "has no port" } else { "" };
        value
            .error(format!("`{text}` is not an address and a port"), label)
            .help("write \"[::1]:9117\" or \"127.0.0.1:9117\"")
    })
}

/// As [`socket_addr`]; port 179 where there is none.
pub(crate) fn bgp_addr(value: Value<'_>) -> Read<SocketAddr> {
    const BGP_PORT: u16 = 179;
    let text = string(value, "an address")?;
    match text.parse::<std::net::IpAddr>() {
        Ok(address) => Ok(SocketAddr::new(address, BGP_PORT)),
        Err(_) => text.parse().map_err(|_| {
            value
                .error(format!("`{text}` is not an address"), "")
                .help("write \"fc00::9\", or with a port \"[fc00::9]:179\"")
        }),
    }
}

/// An IS-IS system ID or an OSPF router ID.
pub(crate) fn router_id(value: Value<'_>) -> Read<RouterId> {
    let text = string(value, "a router ID")?;
    isis_id(text).map(RouterId::Isis).or_else(|| text.parse().ok().map(RouterId::Ospf)).ok_or_else(
        || {
            value.error(format!("`{text}` is not a router ID"), "").help(
                "write an IS-IS system ID, \"0000.0000.0001\", or an OSPF router ID, \"192.0.2.1\"",
            )
        },
    )
}

fn isis_id(text: &str) -> Option<[u8; 6]> {
    let digits = text.as_bytes();
    let well_formed = digits.len() == 14
        && digits.iter().enumerate().all(|(index, digit)| match index {
            4 | 9 => *digit == b'.',
            _ => digit.is_ascii_hexdigit(),
        });
    if !well_formed {
        return None;
    }
    let id = u64::from_str_radix(&text.replace('.', ""), 16).ok()?;
    let [_, _, id @ ..] = id.to_be_bytes();
    Some(id)
}
