//! `[[rule]]`.

use super::Facts;
use crate::item::{At, Item, Value};
use crate::model::{Rule, RuleAction, RuleScope};
use crate::read;
use crate::report::Diagnostic;

/// Protocols that have names.
const PROTOCOLS: [(&str, u8); 5] =
    [("tcp", 6), ("udp", 17), ("sctp", 132), ("icmp", 1), ("icmpv6", 58)];

/// Those of them that have ports.
const WITH_PORTS: [u8; 3] = [6, 17, 132];

pub(super) fn rule(item: &Item<'_>, facts: &mut Facts) -> Option<Rule> {
    let on = scope(item, facts);
    let source = item.get_at("source", read::ip_prefix);
    let destination = item.get_at("destination", read::ip_prefix);
    if let (Some(source), Some(destination)) = (&source, &destination)
        && source.value.network().is_ipv4() != destination.value.network().is_ipv4()
    {
        item.push(
            Diagnostic::error("no packet has addresses of both IPv4 and IPv6")
                .at(source.span.clone(), "")
                .at(destination.span.clone(), "")
                .help("write two rules, one for each"),
        );
    }
    let protocol = item.get("protocol", self::protocol);
    let source_ports = item.get("source-port", ports);
    let destination_ports = item.get("destination-port", ports);
    for key in ["source-port", "destination-port"] {
        let Some(value) = item.value(key) else { continue };
        if !item.has("protocol") || protocol.is_some_and(|number| !WITH_PORTS.contains(&number)) {
            item.push(
                value
                    .error(format!("`{key}` needs a protocol with ports"), "")
                    .help("add protocol = \"tcp\", \"udp\" or \"sctp\""),
            );
        }
    }
    let dscp = item.get("dscp", read::number(0..=63_u8));
    let action = action(item, facts);
    if source.as_ref().or(destination.as_ref()).is_some_and(|at| at.value.network().is_ipv4()) {
        facts.steered_v4.extend(item.get_at("policy", read::name));
    }
    let rule = Rule {
        on: on?.value,
        source: source.map(|prefix| prefix.value),
        destination: destination.map(|prefix| prefix.value),
        protocol,
        source_ports,
        destination_ports,
        dscp,
        action: action?,
    };
    Some(rule)
}

fn scope(item: &Item<'_>, facts: &mut Facts) -> Option<At<RuleScope>> {
    let interface = item.get_at("interface", read::interface_name);
    facts.interface_refs.extend(interface.clone());
    if let (Some(interface), Some(table)) = (item.value("interface"), item.value("table")) {
        item.push(
            table
                .error("`interface` and `table` exclude each other", "")
                .at(interface.span(), "")
                .help("a rule is for one interface, or for all that have this table"),
        );
    }
    let scope = if item.has("interface") {
        let At { value, span } = interface?;
        At { value: RuleScope::Interface(value), span }
    } else if item.has("table") {
        let At { value, span } = item.get_at("table", read::table)?;
        At { value: RuleScope::Table(value), span }
    } else {
        At { value: RuleScope::Table(Default::default()), span: item.header() }
    };
    facts.rules.push(scope.clone());
    Some(scope)
}

fn action(item: &Item<'_>, facts: &mut Facts) -> Option<RuleAction> {
    let policy = item.get_at("policy", read::name);
    facts.policy_refs.extend(policy.clone());
    facts.steered_packets.extend(policy.clone());
    let route = item.has("action").then(|| item.get("action", action_word)).flatten();
    match (item.value("policy"), item.value("action")) {
        (None, None) => {
            item.push(
                Diagnostic::error("the rule does nothing")
                    .at(item.header(), "no `policy` here")
                    .help("add policy = \"…\", or action = \"route\" to exempt packets from the rules that follow"),
            );
            None
        }
        (Some(policy), Some(action)) => {
            item.push(
                action
                    .error("`policy` and `action` exclude each other in a rule", "")
                    .at(policy.span(), "")
                    .help("keep one"),
            );
            None
        }
        (Some(_), None) => policy.map(|policy| RuleAction::Policy(policy.value)),
        (None, Some(_)) => route,
    }
}

fn action_word(value: Value<'_>) -> Result<RuleAction, Diagnostic> {
    if value.toml().as_str() == Some("route") {
        return Ok(RuleAction::Route);
    }
    Err(value
        .error("`action` of a rule can only be \"route\"", value.kind())
        .help("\"route\" exempts packets from the rules that follow; to steer them, use `policy`"))
}

/// A protocol: its name or number.
fn protocol(value: Value<'_>) -> Result<u8, Diagnostic> {
    let Some(name) = value.toml().as_str() else { return read::number(0..=u8::MAX)(value) };
    let known = PROTOCOLS.iter().find(|(known, _)| *known == name);
    known.map(|(_, number)| *number).ok_or_else(|| {
        let names: Vec<_> = PROTOCOLS.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        value
            .error(format!("unknown protocol \"{name}\""), "")
            .help(format!("`protocol` is {}, or a number", crate::item::join(&names, "or")))
    })
}

/// A port, or a range of ports as in "1000-2000".
fn ports(value: Value<'_>) -> Result<(u16, u16), Diagnostic> {
    let Some(text) = value.toml().as_str() else {
        return read::number(0..=u16::MAX)(value).map(|port| (port, port));
    };
    let range = text.split_once('-').and_then(|(first, last)| {
        Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
    });
    range.filter(|(first, last)| first <= last).ok_or_else(|| {
        value
            .error(format!("`{}` is no range of ports", value.key), "")
            .help("write a port as a number, or a range as \"1000-2000\"")
    })
}
