//! What takes the whole file to check: duplicates, references, overlaps.

mod rules;

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv6Net};

use crate::item::{At, Sink, join, nearest};
use crate::model::{Color, Config, RouteAction, Table};
use crate::parse::Facts;
use crate::report::{Diagnostic, Span};

/// Reports everything that is wrong between sections.
pub(crate) fn all(config: &Config, facts: &Facts, sink: &Sink) {
    duplicates(&facts.interfaces, sink, |name| format!("interface `{name}`"));
    duplicates(&facts.locators, sink, |name| format!("locator `{name}`"));
    duplicates(&facts.sids, sink, |sid| format!("SID {}", show(sid)));
    duplicates(&facts.policies, sink, |name| format!("policy `{name}`"));
    let colors: Vec<At<Color>> =
        facts.colors.iter().map(|at| At { value: at.value.0, span: at.span.clone() }).collect();
    duplicates(&colors, sink, |Color { color, endpoint }| {
        format!("the policy with color {color} and endpoint {endpoint}")
    });
    duplicates(&facts.routes, sink, |(table, prefix)| format!("route {prefix} in table {table}"));
    duplicates(&facts.neighbors, sink, |(address, interface)| {
        format!("neighbor {address} on `{interface}`")
    });
    references(&facts.interface_refs, &facts.interfaces, "interface", "[[interface]]", sink);
    references(&facts.policy_refs, &facts.policies, "policy", "[[policy]]", sink);
    locators(&facts.locator_prefixes, sink);
    hmac(facts, sink);
    sids(facts, sink);
    bindings(config, facts, sink);
    steering(config, facts, sink);
    rules::rules(config, facts, sink);
    routes_to_sids(facts, sink);
    first_segments(facts, sink);
    policy_loops(config, facts, sink);
    duplicates(&facts.nodes, sink, |name| format!("node `{name}`"));
    duplicates(&facts.node_ids, sink, |id| format!("router ID {id}"));
    references(&facts.node_refs, &facts.nodes, "node", "[[node]]", sink);
    own_node(config, facts, sink);
    via(facts, sink);
}

fn duplicates<T: Eq + Hash>(all: &[At<T>], sink: &Sink, show: impl Fn(&T) -> String) {
    let mut seen: HashMap<&T, &Span> = HashMap::new();
    for At { value, span } in all {
        match seen.get(value) {
            None => {
                seen.insert(value, span);
            }
            Some(first) => sink.push(
                Diagnostic::error(format!("{} is there twice", show(value)))
                    .at(span.clone(), "again here")
                    .at((*first).clone(), "first here")
                    .help("remove or change one of them"),
            ),
        }
    }
}

fn references(refs: &[At<String>], known: &[At<String>], what: &str, section: &str, sink: &Sink) {
    // Names to show where none is near; more would bury the message.
    const SHOWN: usize = 8;
    let mut names: Vec<&str> = Vec::new();
    for name in known {
        // One that is there twice is another message's matter.
        if !names.contains(&name.value.as_str()) {
            names.push(&name.value);
        }
    }
    for At { value, span } in refs {
        if names.contains(&value.as_str()) {
            continue;
        }
        let help = match nearest(value, names.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if names.is_empty() || names.len() > SHOWN => {
                format!("add {section} with name = \"{value}\"")
            }
            None => format!(
                "add {section} with name = \"{value}\"; this file has {}",
                join(&names, "and")
            ),
        };
        sink.push(
            Diagnostic::error(format!("there is no {what} `{value}`"))
                .at(span.clone(), format!("no {section} has this name"))
                .help(help),
        );
    }
}

/// Keys that are named have to be there, and so has the file they are in.
fn hmac(facts: &Facts, sink: &Sink) {
    if facts.hmac_keys.is_none() {
        let keys = facts.hmac_key_refs.iter().map(|key| &key.span);
        for span in facts.hmac_sids.iter().chain(keys) {
            sink.push(
                Diagnostic::error("there are no keys for an HMAC").at(span.clone(), "").help(
                    "write them into a file of mode 0600, and its path into hmac-keys of [router]",
                ),
            );
        }
    }
    let Some(known) = &facts.hmac_key_ids else { return };
    let numbers: Vec<String> = known.iter().map(ToString::to_string).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    for At { value, span } in facts.hmac_key_refs.iter().filter(|key| !known.contains(&key.value)) {
        let mut found = Diagnostic::error(format!("there is no key {value}"))
            .at(span.clone(), "not in the file of keys");
        if let Some(file) = &facts.hmac_keys {
            found = found.at(file.span.clone(), "the file of keys");
        }
        sink.push(found.help(format!("the file has the keys {}", join(&numbers, "and"))));
    }
}

fn locators(prefixes: &[At<Ipv6Net>], sink: &Sink) {
    for (outer, inner) in nested(prefixes) {
        // The later one is to blame, whichever is the larger.
        let (blamed, other) =
            if outer.span.start > inner.span.start { (outer, inner) } else { (inner, outer) };
        sink.push(
            Diagnostic::error(format!("locators {} and {} overlap", other.value, blamed.value))
                .at(blamed.span.clone(), "this one")
                .at(other.span.clone(), "and this one")
                .help("a SID must belong to one locator only"),
        );
    }
    let mut seen: HashMap<Ipv6Net, &Span> = HashMap::new();
    for At { value, span } in prefixes {
        if let Some(first) = seen.insert(*value, span) {
            sink.push(
                Diagnostic::error(format!("locator prefix {value} is there twice"))
                    .at(span.clone(), "again here")
                    .at(first.clone(), "first here")
                    .help("remove one of the locators"),
            );
        }
    }
}

fn sids(facts: &Facts, sink: &Sink) {
    let locators: HashMap<Ipv6Net, &Span> =
        facts.locator_prefixes.iter().map(|at| (at.value, &at.span)).collect();
    let csid = |sid: &Ipv6Net| facts.csids.contains(sid);
    for At { value: sid, span } in &facts.sids {
        let covered = facts
            .locator_prefixes
            .iter()
            .find(|locator| sid.contains(&locator.value) && *sid != locator.value);
        if let Some(locator) = covered {
            sink.push(
                Diagnostic::error(format!(
                    "SID {} covers the whole locator {}",
                    show(sid),
                    locator.value
                ))
                .at(span.clone(), "larger than a locator")
                .at(locator.span.clone(), "this locator is inside")
                .help("a SID is a locator and a function: give it a longer prefix length"),
            );
        } else if csid(sid) {
            // The node's own compressed SID is the locator, and a local one is behind the block.
        } else if let Some(locator) = locators.get(sid) {
            sink.push(
                Diagnostic::warning(format!("SID {} takes a whole locator", show(sid)))
                    .at(span.clone(), "has no function bits")
                    .at((*locator).clone(), "the locator")
                    .help("every address of the locator that is no other SID gets this behavior"),
            );
        } else if longest(&locators, sid.network()).is_none() {
            sink.push(
                Diagnostic::warning(format!("SID {} is outside every locator", show(sid)))
                    .at(span.clone(), "in no [[locator]]")
                    .help("a SID is reached by its locator: correct it, or add [[locator]]"),
            );
        }
    }
    for (outer, inner) in nested(&facts.sids) {
        // A node's compressed SID, and combined with others: RFC 9800, 5.3.
        if csid(&outer.value) {
            continue;
        }
        // Already reported above.
        if facts.locator_prefixes.iter().any(|locator| outer.value.contains(&locator.value)) {
            continue;
        }
        sink.push(
            Diagnostic::warning(format!(
                "SID {} lies inside SID {}",
                show(&inner.value),
                show(&outer.value)
            ))
            .at(inner.span.clone(), "the longer prefix wins for its addresses")
            .at(outer.span.clone(), "all other addresses of this get its behavior")
            .help("if this is meant, ignore the warning; else change one of them"),
        );
    }
}

/// A SID that stands for a policy has the behavior that goes with the policy's.
fn bindings(config: &Config, facts: &Facts, sink: &Sink) {
    for At { value: (name, behavior), span } in &facts.bindings {
        let Some(policy) = config.policy(name) else { continue };
        let right = policy.behavior.binding(name.clone());
        if right.as_ref() != Some(behavior) {
            let help = match right {
                Some(right) => format!("write behavior = \"{right}\", or change the policy's"),
                None => "name a policy of H.Encaps or H.Encaps.Red".to_owned(),
            };
            sink.push(
                Diagnostic::error(format!("{behavior} does not go with policy `{name}`"))
                    .at(span.clone(), format!("the policy is {}", policy.behavior))
                    .help(help),
            );
        }
    }
}

/// Routes and rules steer packets; only whole interfaces have frames.
fn steering(config: &Config, facts: &Facts, sink: &Sink) {
    for at in &facts.steered_packets {
        let found = config.policy(&at.value).map(|policy| policy.behavior);
        if let Some(behavior) = found.filter(|behavior| behavior.is_l2()) {
            sink.push(
                Diagnostic::error(format!("policy `{}` is for whole interfaces", at.value))
                    .at(at.span.clone(), format!("the policy is {behavior}"))
                    .help("write policy = \"…\" in [[interface]]; for routes use H.Encaps"),
            );
        }
    }
    for at in &facts.steered_v4 {
        let found = config.policy(&at.value).map(|policy| policy.behavior);
        if let Some(behavior) = found.filter(|behavior| behavior.is_v6_only()) {
            sink.push(
                Diagnostic::error(format!("policy `{}` is for IPv6 packets only", at.value))
                    .at(at.span.clone(), format!("the policy is {behavior}"))
                    .help("an IPv4 packet takes no SRH: use H.Encaps"),
            );
        }
    }
}

/// One prefix of a table leads to one thing.
fn routes_to_sids(facts: &Facts, sink: &Sink) {
    let sids: HashMap<IpNet, &Span> =
        facts.sids.iter().map(|at| (IpNet::V6(at.value), &at.span)).collect();
    for At { value: (table, prefix), span } in &facts.routes {
        if let Some(sid) = sids.get(prefix).filter(|_| *table == Table::MAIN) {
            sink.push(
                Diagnostic::error(format!("{prefix} is a route and a SID"))
                    .at(span.clone(), "this route")
                    .at((*sid).clone(), "the SID")
                    .help("remove the route: packets to a SID get its behavior"),
            );
        }
    }
}

/// A policy that sends packets to this router itself would encapsulate them for nothing, or for
/// ever.
fn first_segments(facts: &Facts, sink: &Sink) {
    let sids: HashMap<Ipv6Net, &Span> = facts.sids.iter().map(|at| (at.value, &at.span)).collect();
    for At { value, span } in &facts.first_segs {
        if let Some((_, sid)) = longest(&sids, *value) {
            sink.push(
                Diagnostic::error("the first segment of a policy is this router's own SID")
                    .at(span.clone(), "leads back to this router")
                    .at((*sid).clone(), "the SID")
                    .help("begin the list with the first segment on another router"),
            );
        }
    }
}

/// A route that steers a policy's own first segment into that policy.
fn policy_loops(config: &Config, facts: &Facts, sink: &Sink) {
    let routes: HashMap<Ipv6Net, &RouteAction> = main_routes(config).collect();
    let sids: HashMap<Ipv6Net, ()> = config.sids.iter().map(|sid| (sid.sid, ())).collect();
    let lists = config
        .policies
        .iter()
        .flat_map(|policy| policy.lists.iter().map(move |list| (&policy.name, list.segs.first())));
    for ((name, first), span) in lists.zip(&facts.segment_lists) {
        let Some(&first) = first else { continue };
        let Some((prefix, RouteAction::Policy(back))) = longest(&routes, first) else { continue };
        if back != name || longest(&sids, first).is_some() {
            continue;
        }
        let mut found = Diagnostic::warning(format!("policy `{name}` may lead into itself"))
            .at(span.clone(), format!("packets to {first} take the route {prefix}"));
        let route = facts.routes.iter().find(|at| at.value == (Table::MAIN, IpNet::V6(prefix)));
        if let Some(route) = route {
            found = found.at(route.span.clone(), "which leads into the policy");
        }
        sink.push(found.help("add a route to the first segment that does not use the policy"));
    }
}

/// Paths begin at our node.
fn own_node(config: &Config, facts: &Facts, sink: &Sink) {
    let name = &config.router.name;
    if facts.nodes.is_empty() || facts.nodes.iter().any(|node| node.value == *name) {
        return;
    }
    let mut names: Vec<_> = facts.nodes.iter().map(|node| node.value.as_str()).collect();
    names.dedup();
    let found = Diagnostic::error(format!("no [[node]] is this router, `{name}`"))
        .at(facts.nodes[0].span.clone(), "not this one, and none that follows");
    let found = match &facts.router_name {
        Some(span) => found.at(span.clone(), "the router's name"),
        None => found,
    };
    sink.push(match names.len() {
        0..=8 => found.help(format!(
            "set name in [router] to that of its node, {}, or add [[node]] with name = \"{name}\"",
            join(&names, "or")
        )),
        _ => found.help(format!(
            "set name in [router] to that of its node, or add [[node]] with name = \"{name}\""
        )),
    });
}

/// Nodes that policies name are in the topology. What a feed will tell is not known yet.
fn via(facts: &Facts, sink: &Sink) {
    if facts.bgp_ls {
        return;
    }
    let Some(first) = facts.via.first() else { return };
    if facts.nodes.is_empty() {
        sink.push(
            Diagnostic::error("`via` needs a topology, and there is none")
                .at(first.span.clone(), "where this node is, is not known")
                .help("add [source.bgp-ls], or [[node]] and [[link]]; or write SIDs in `segs`"),
        );
        return;
    }
    let ids: Vec<_> = facts.node_ids.iter().map(|id| id.value.to_string()).collect();
    // An address is a SID.
    let is_id = |name: &str| {
        name.parse::<Ipv6Addr>().is_ok() || ids.iter().any(|id| id.eq_ignore_ascii_case(name))
    };
    let by_name: Vec<_> = facts.via.iter().filter(|at| !is_id(&at.value)).cloned().collect();
    references(&by_name, &facts.nodes, "node", "[[node]]", sink);
}

/// The IPv6 routes of the main table.
pub(crate) fn main_routes(config: &Config) -> impl Iterator<Item = (Ipv6Net, &RouteAction)> {
    config.routes.iter().filter(|route| route.table == Table::MAIN).filter_map(|route| match route
        .prefix
    {
        IpNet::V6(prefix) => Some((prefix, &route.action)),
        IpNet::V4(_) => None,
    })
}

/// The longest prefix that `address` is in.
pub(crate) fn longest<V>(
    prefixes: &HashMap<Ipv6Net, V>,
    address: Ipv6Addr,
) -> Option<(Ipv6Net, &V)> {
    (0..=128).rev().find_map(|length| {
        let prefix = Ipv6Net::new(address, length).ok()?.trunc();
        prefixes.get(&prefix).map(|value| (prefix, value))
    })
}

/// Pairs of prefixes where the second lies inside the first and is longer, the nearest such first
/// for each second. A sweep, because a file may have many thousand SIDs.
fn nested(all: &[At<Ipv6Net>]) -> Vec<(&At<Ipv6Net>, &At<Ipv6Net>)> {
    let mut sorted: Vec<_> = all.iter().collect();
    sorted.sort_by_key(|at| (at.value.network(), at.value.prefix_len()));
    let mut open: Vec<&At<Ipv6Net>> = Vec::new();
    let mut pairs = Vec::new();
    for at in sorted {
        while open.last().is_some_and(|outer| !outer.value.contains(&at.value)) {
            open.pop();
        }
        match open.last() {
            // Twice the same is another error.
            Some(outer) if outer.value == at.value => continue,
            Some(outer) => pairs.push((*outer, at)),
            None => {}
        }
        open.push(at);
    }
    pairs
}

/// A SID as a file would write it: an address without `/128`.
fn show(sid: &Ipv6Net) -> Box<dyn Display> {
    if sid.prefix_len() == 128 { Box::new(sid.network()) } else { Box::new(*sid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_prefixes() {
        let all: Vec<_> = ["fc00::/16", "fc00:1::/32", "fc00:1:2::/48", "fc00:2::/32", "fd00::/16"]
            .iter()
            .map(|text| At { value: text.parse().unwrap(), span: 0..0 })
            .collect();
        let pairs: Vec<_> =
            nested(&all).iter().map(|(a, b)| format!("{} {}", a.value, b.value)).collect();
        assert_eq!(
            pairs,
            ["fc00::/16 fc00:1::/32", "fc00:1::/32 fc00:1:2::/48", "fc00::/16 fc00:2::/32"]
        );
    }

    #[test]
    fn longest_prefix() {
        let prefixes: HashMap<Ipv6Net, u8> = [("::/0", 0), ("fc00::/16", 16), ("fc00::1/128", 128)]
            .into_iter()
            .map(|(text, length)| (text.parse().unwrap(), length))
            .collect();
        let find = |text: &str| *longest(&prefixes, text.parse().unwrap()).unwrap().1;
        assert_eq!([find("fc00::1"), find("fc00::2"), find("fd00::")], [128, 16, 0]);
    }
}
