//! `[source.bgp-ls]`, `[[node]]` and `[[link]]`.

use std::net::Ipv4Addr;

use super::Facts;
use crate::item::{At, Item};
use crate::model::{BgpLsSource, BgpSession, Link, Node, RouterId};
use crate::read;
use crate::report::Diagnostic;

/// The longest time that routes may stay without a session: a week.
const MAX_GRACE: u32 = 7 * 24 * 3600;

pub(super) fn bgp_ls(item: &Item<'_>) -> Option<BgpLsSource> {
    let session = session(item);
    let as_number = read::number(1..=u32::MAX);
    let local_as = item.require("local-as", "65000", &as_number);
    let peer_as = item.get("peer-as", &as_number);
    let router_id = item.require("router-id", "\"0000.0000.0001\"", read::router_id);
    let identifier = item.get_at("bgp-identifier", read::ipv4_unicast);
    let hold_time = item.get_at("hold-time", read::number(0..=u16::MAX));
    if let Some(At { value: 1 | 2, span }) = &hold_time {
        item.push(
            Diagnostic::error("`hold-time` cannot be 1 or 2")
                .at(span.clone(), "too short")
                .help("write 3 or more, or 0 for a session that never times out (RFC 4271, 4.2)"),
        );
    }
    let instance = item.get("instance-id", read::number(0..=u64::MAX));
    let grace = item.get("grace", read::number(0..=MAX_GRACE));
    let password_file = item.get("password-file", read::path);
    let router_id = router_id?;
    let identifier = match identifier {
        Some(identifier) => identifier.value,
        None if item.has("bgp-identifier") => return None,
        None => default_identifier(item, &router_id)?,
    };
    let local_as = local_as?.value;
    Some(BgpLsSource {
        session: session?,
        local_as,
        peer_as: peer_as.unwrap_or(local_as),
        router_id: router_id.value,
        identifier,
        instance,
        hold_time: hold_time.map_or(BgpLsSource::DEFAULT_HOLD_TIME, |at| at.value),
        grace: grace.unwrap_or(BgpLsSource::DEFAULT_GRACE),
        password_file,
    })
}

/// Who connects to whom.
fn session(item: &Item<'_>) -> Option<BgpSession> {
    let peer = item.get_at("peer", read::bgp_addr);
    let listen = item.get_at("listen", read::bgp_addr);
    let local = item.get_at("local-address", read::ip);
    let from = item.get_at("from", read::network);
    match (item.value("peer"), item.value("listen")) {
        (Some(peer), Some(listen)) => item.push(
            listen
                .error("`peer` and `listen` exclude each other", "")
                .at(peer.span(), "")
                .help("keep `peer` to open the session from here, `listen` to wait for it"),
        ),
        (None, None) => item.push(
            Diagnostic::error("[source.bgp-ls] has neither `peer` nor `listen`")
                .at(item.header(), "one of them is missing here")
                .help("add a line such as peer = \"[fc00::9]:179\""),
        ),
        (Some(_), None) => {
            if let Some(from) = item.value("from") {
                item.push(
                    from.error("`from` goes with `listen`", "")
                        .help("remove it: `peer` says who the other side is"),
                );
            }
        }
        (None, Some(_)) => {
            if let Some(local) = item.value("local-address") {
                item.push(
                    local
                        .error("`local-address` goes with `peer`", "")
                        .help("remove it: `listen` says which address the other side connects to"),
                );
            }
            if let (Some(key), false) = (item.value("password-file"), item.has("from")) {
                item.push(
                    key.error("signatures need to know who connects", "")
                        .help("add from = \"fc00::9\", the address of the other side"),
                );
            }
        }
    }
    if let (Some(peer), Some(local)) = (&peer, &local)
        && peer.value.is_ipv4() != local.value.is_ipv4()
    {
        item.push(
            Diagnostic::error("`local-address` and `peer` are not of one family")
                .at(local.span.clone(), "from here")
                .at(peer.span.clone(), "to here")
                .help("make both IPv6, or both IPv4"),
        );
    }
    match (peer, listen) {
        (Some(peer), None) => {
            let local = local.map(|at| at.value);
            Some(BgpSession::Peer { address: peer.value, local })
        }
        (None, Some(listen)) => {
            let from = from.map(|at| at.value);
            Some(BgpSession::Listen { address: listen.value, from })
        }
        _ => None,
    }
}

/// The OSPF router ID, or the last four octets of the system ID.
fn default_identifier(item: &Item<'_>, router_id: &At<RouterId>) -> Option<Ipv4Addr> {
    let identifier = match router_id.value {
        RouterId::Ospf(address) => address,
        RouterId::Isis([_, _, a, b, c, d]) => Ipv4Addr::new(a, b, c, d),
    };
    if identifier.is_unspecified() {
        item.push(
            Diagnostic::error("[source.bgp-ls] has no `bgp-identifier`")
                .at(router_id.span.clone(), "ends in 0000.0000, which is none")
                .help("add a line such as bgp-identifier = \"192.0.2.1\""),
        );
        return None;
    }
    Some(identifier)
}

pub(super) fn node(item: &Item<'_>, facts: &mut Facts) -> Option<Node> {
    let name = item.require("name", "\"r1\"", read::name);
    let router_id = item.get_at("router-id", read::router_id);
    let locators = values(item.list("locators", read::ipv6_prefix));
    let end_sids = values(item.list("end-sids", read::ipv6_global));
    let prefixes = values(item.list("prefixes", read::ip_prefix));
    let overload = item.get("overload", read::boolean).unwrap_or_default();
    facts.node_ids.extend(router_id.clone());
    let name = name?;
    facts.nodes.push(name.clone());
    let router_id = router_id.map(|at| at.value);
    Some(Node { name: name.value, router_id, locators, end_sids, prefixes, overload })
}

pub(super) fn link(item: &Item<'_>, facts: &mut Facts) -> Option<Link> {
    let from = item.require("from", "\"r1\"", read::name);
    let to = item.require("to", "\"r2\"", read::name);
    let metric = item.require("metric", "10", read::number(1..=Link::MAX_METRIC));
    let metric_back = item.get("metric-back", read::number(1..=Link::MAX_METRIC));
    let local = item.get_at("local", read::ipv6_unicast);
    let remote = item.get_at("remote", read::ipv6_unicast);
    if let (Some(local), Some(remote)) = (&local, &remote)
        && local.value == remote.value
    {
        item.push(
            Diagnostic::error("both ends of a link have the same address")
                .at(remote.span.clone(), "this one")
                .at(local.span.clone(), "and this one")
                .help("`local` is the address of `from`, `remote` that of `to`"),
        );
    }
    let bandwidth = item.get("bandwidth", read::number(1..=u64::MAX));
    let delay = item.get("delay", read::number(0..=Link::MAX_DELAY));
    let srlgs = values(item.list("srlgs", read::number(0..=u32::MAX)));
    let adjacency_sids = values(item.list("adjacency-sids", read::ipv6_global));
    let adjacency_sids_back = values(item.list("adjacency-sids-back", read::ipv6_global));
    facts.node_refs.extend([from.clone(), to.clone()].into_iter().flatten());
    if let (Some(from), Some(to)) = (&from, &to)
        && from.value == to.value
    {
        item.push(
            Diagnostic::error("a link leads from a node to itself")
                .at(to.span.clone(), "the same node")
                .at(from.span.clone(), "as this")
                .help("name another node"),
        );
    }
    let metric = metric?.value;
    Some(Link {
        from: from?.value,
        to: to?.value,
        metric,
        metric_back: metric_back.unwrap_or(metric),
        local: local.map(|at| at.value),
        remote: remote.map(|at| at.value),
        bandwidth,
        delay,
        srlgs,
        adjacency_sids,
        adjacency_sids_back,
    })
}

fn values<T>(list: Option<At<Vec<At<T>>>>) -> Vec<T> {
    list.map(|list| list.value.into_iter().map(|at| at.value).collect()).unwrap_or_default()
}
