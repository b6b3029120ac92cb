//! Next hops of routes and of SIDs: one, or a list of several.

use std::net::IpAddr;

use super::{Facts, interface_ref, is_empty_list, report_link_local};
use crate::item::{At, Item, NEXT_HOP};
use crate::model::NextHop;
use crate::read;
use crate::report::{Diagnostic, Span};

/// What next hops are of, which says what their addresses may be.
#[derive(Clone)]
pub(super) enum Of {
    /// Anything: an IPv4 route, or one whose prefix is bad.
    Any,
    /// An IPv6 route, whose prefix is here.
    Ipv6Route(Span),
    /// A SID whose behavior takes this key, `nh6` or `nh4`.
    Sid(&'static str),
}

/// `nh6` or `nh4`, with `interface`.
pub(super) fn one(item: &Item<'_>, of: &Of, facts: &mut Facts) -> Option<NextHop> {
    let nh6 = item.get_at("nh6", read::ipv6_unicast);
    let nh4 = item.get_at("nh4", read::ipv4_unicast);
    if !item.has("nh6") && !item.has("nh4") {
        return None;
    }
    report_link_local(item, nh6.as_ref());
    if let (Some(At { span, .. }), Of::Ipv6Route(prefix)) = (&nh4, of) {
        item.push(
            Diagnostic::error("an IPv6 route cannot have an IPv4 next hop")
                .at(span.clone(), "this is IPv4")
                .at(prefix.clone(), "this is IPv6")
                .help("use `nh6`"),
        );
    }
    let interface = interface_ref(item, facts);
    let nh6 = nh6.map(|nh6| IpAddr::V6(nh6.value));
    let address = nh6.or(nh4.map(|nh4| IpAddr::V4(nh4.value)))?;
    Some(NextHop::new(address, interface))
}

/// The next hops of `next-hops`; none where there is no such list.
pub(super) fn several(item: &Item<'_>, of: &Of, facts: &mut Facts) -> Vec<NextHop> {
    let Some(list) = item.value("next-hops") else { return Vec::new() };
    if is_empty_list(list) {
        let found = list.error("`next-hops` names no next hop", "empty");
        item.push(match of {
            Of::Sid(key) => found.help(format!("write next-hops = [ {{ {key} = … }}, … ]")),
            _ => found.help("to drop packets, write action = \"blackhole\" or \"unreachable\""),
        });
    }
    let items = item.tables("next-hops", &NEXT_HOP);
    let found: Vec<NextHop> = items.iter().filter_map(|item| listed(item, of, facts)).collect();
    if !found.is_empty() && found.len() == items.len() && found.iter().all(|hop| hop.backup) {
        item.push(
            list.error("every next hop is a backup", "")
                .help("a backup is used while all others are down: make one of them no backup"),
        );
    }
    found
}

/// An element of `next-hops`.
fn listed(item: &Item<'_>, of: &Of, facts: &mut Facts) -> Option<NextHop> {
    let weight = item.get("weight", read::number(1..=u8::MAX)).unwrap_or(1);
    let backup = item.get("backup", read::boolean).unwrap_or(false);
    let given = ["nh6", "nh4"].map(|key| item.has(key));
    match (of, given) {
        (Of::Sid(key), [false, false]) => item.push(
            Diagnostic::error("a next hop has no address")
                .at(item.header(), format!("`{key}` is missing here"))
                .help(format!("write {{ {key} = … }}")),
        ),
        (_, [false, false]) => item.push(
            Diagnostic::error("a next hop has no address")
                .at(item.header(), "`nh6` or `nh4` is missing here")
                .help("write { nh6 = \"fe80::2\", interface = \"eth1\" }"),
        ),
        (_, [true, true]) => item.push(
            Diagnostic::error("a next hop has two addresses")
                .at(item.header(), "`nh6` and `nh4`")
                .help("write a next hop for each"),
        ),
        (Of::Sid(key), _) => {
            let other = if *key == "nh6" { "nh4" } else { "nh6" };
            if let Some(value) = item.value(other) {
                item.push(
                    value
                        .error(format!("the next hops of this behavior are `{key}`"), "")
                        .help(format!("write {{ {key} = … }}")),
                );
            }
        }
        _ => {}
    }
    Some(NextHop { weight, backup, ..one(item, of, facts)? })
}
