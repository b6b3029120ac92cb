//! `[[route]]`, `[[neighbor]]` and `[source.*]`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::next_hops::{self, Of};
use super::{Facts, interface_ref, is_empty_list, link_state};
use crate::item::{At, Item, SOURCE_BGP_LS, SOURCE_KERNEL, join};
use crate::model::{Color, KernelSource, Neighbor, NextHop, Route, RouteAction, Sources, Table};
use crate::read;
use crate::report::Diagnostic;

/// What `action` may be.
const ACTIONS: &[(&str, Action)] = &[
    ("blackhole", Action::Blackhole),
    ("unreachable", Action::Unreachable),
    ("prohibit", Action::Prohibit),
    ("local", Action::Local),
];

#[derive(Clone, Copy)]
enum Action {
    Blackhole,
    Unreachable,
    Prohibit,
    Local,
}

pub(super) fn route(item: &Item<'_>, facts: &mut Facts) -> Option<Route> {
    let prefix = item.require("prefix", "\"2001:db8:b::/48\"", read::ip_prefix);
    let table = item.get("table", read::table);
    let table_known = table.is_some() || !item.has("table");
    let table = table.unwrap_or_default();
    if let Some(prefix) = prefix.as_ref().filter(|_| table_known) {
        facts.routes.push(At { value: (table, prefix.value), span: prefix.span.clone() });
    }
    let action = route_action(item, prefix.as_ref(), facts);
    Some(Route { prefix: prefix?.value, table, action: action? })
}

fn route_action(
    item: &Item<'_>,
    prefix: Option<&At<IpNet>>,
    facts: &mut Facts,
) -> Option<RouteAction> {
    let policy = item.get_at("policy", read::name);
    facts.policy_refs.extend(policy.clone());
    facts.steered_packets.extend(policy.clone());
    if prefix.is_some_and(|prefix| prefix.value.network().is_ipv4()) {
        facts.steered_v4.extend(policy.clone());
    }
    let color = item.get_at("color", read::number(0..=u32::MAX));
    let action = item.get("action", read::word(ACTIONS));
    let of = match prefix {
        Some(At { value: IpNet::V6(_), span }) => Of::Ipv6Route(span.clone()),
        _ => Of::Any,
    };
    let next_hops = next_hops::several(item, &of, facts);
    let single = next_hops::one(item, &of, facts);
    let link = if item.has("nh6") || item.has("nh4") { None } else { interface_ref(item, facts) };

    // Which of the ways to go the route names; exactly one is right.
    let mut ways: Vec<&'static str> = ["policy", "nh6", "nh4", "next-hops", "action"]
        .into_iter()
        .filter(|key| item.has(key))
        .collect();
    // `interface` belongs to nh6 or nh4, or stands alone.
    if item.has("interface") && !ways.iter().any(|way| way.starts_with("nh")) {
        ways.push("interface");
    }
    if let Some(value) = item.value("color").filter(|_| *ways != ["nh6"]) {
        item.push(
            value
                .error("`color` needs `nh6`, and nothing else", "")
                .help("the policy is the one with this color whose endpoint is the next hop"),
        );
    }
    match &*ways {
        [] => {
            item.push(
                Diagnostic::error("the route leads nowhere")
                    .at(item.header(), "no next hop, policy or action")
                    .help(
                        "add one of `nh6`, `nh4`, `interface`, `next-hops`, `policy` and `action`",
                    ),
            );
            None
        }
        ["policy"] => policy.map(|policy| RouteAction::Policy(policy.value)),
        ["nh6"] if item.has("color") => colored(item, color?, single?, facts),
        ["nh6"] | ["nh4"] => single.map(|next_hop| RouteAction::Via(vec![next_hop])),
        ["next-hops"] => Some(RouteAction::Via(next_hops)),
        ["action"] => action.map(|action| match action {
            Action::Blackhole => RouteAction::Blackhole,
            Action::Unreachable => RouteAction::Unreachable,
            Action::Prohibit => RouteAction::Prohibit,
            Action::Local => RouteAction::Local,
        }),
        ["interface"] => link.map(RouteAction::OnLink),
        several => {
            let quoted: Vec<_> = several.iter().map(|key| format!("`{key}`")).collect();
            let mut found = Diagnostic::error(format!(
                "{} exclude each other in a route",
                join(&quoted, "and")
            ));
            for value in several.iter().filter_map(|key| item.value(key)) {
                found = found.at(value.span(), "");
            }
            item.push(
                found
                    .help("keep one; several next hops are written next-hops = [ { nh6 = … }, … ]"),
            );
            None
        }
    }
}

/// A route with a color: the policy with this color for its next hop.
fn colored(
    item: &Item<'_>,
    color: At<u32>,
    next_hop: NextHop,
    facts: &mut Facts,
) -> Option<RouteAction> {
    let endpoint = match next_hop.address {
        IpAddr::V6(endpoint) => endpoint,
        IpAddr::V4(_) => return None,
    };
    let wanted = Color { color: color.value, endpoint };
    let found = facts.colors.iter().find(|at| at.value.0 == wanted);
    let Some(At { value: (_, name), .. }) = found else {
        let of_color = facts.colors.iter().find(|at| at.value.0.color == color.value);
        let found = Diagnostic::error(format!(
            "there is no policy with color {} and endpoint {endpoint}",
            color.value
        ))
        .at(color.span, "");
        item.push(match of_color {
            Some(At { value: (Color { endpoint, .. }, name), .. }) => {
                found.help(format!("policy `{name}` has this color, and endpoint {endpoint}"))
            }
            None => found.help(format!(
                "add color = {} and endpoint = \"{endpoint}\" to a [[policy]]",
                color.value
            )),
        });
        return None;
    };
    facts.steered_packets.push(At { value: name.clone(), span: color.span });
    Some(RouteAction::Colored(name.clone(), next_hop))
}

pub(super) fn neighbor(item: &Item<'_>, facts: &mut Facts) -> Option<Neighbor> {
    let address = item.require("address", "\"fc00:12::2\"", read::ip);
    let interface = item.require("interface", "\"eth1\"", read::interface_name);
    let mac = item.require("mac", "\"02:00:00:00:02:02\"", read::mac);
    facts.interface_refs.extend(interface.clone());
    let (address, interface) = (address?, interface?.value);
    facts.neighbors.push(At { value: (address.value, interface.clone()), span: address.span });
    Some(Neighbor { address: address.value, interface, mac: mac?.value })
}

pub(super) fn sources(item: &Item<'_>) -> Sources {
    Sources {
        kernel: item.table("kernel", &SOURCE_KERNEL).map(|item| kernel(&item)),
        bgp_ls: item.table("bgp-ls", &SOURCE_BGP_LS).and_then(|item| link_state::bgp_ls(&item)),
    }
}

fn kernel(item: &Item<'_>) -> KernelSource {
    let Some(list) = item.list("tables", read::table) else {
        return KernelSource { tables: vec![Table::MAIN] };
    };
    if list.value.is_empty() && item.value("tables").is_some_and(is_empty_list) {
        item.push(
            Diagnostic::error("`tables` names no table")
                .at(list.span, "empty")
                .help("name at least one, such as tables = [\"main\"], or remove the section"),
        );
    }
    let mut tables: Vec<At<Table>> = Vec::new();
    for table in list.value {
        match tables.iter().find(|other| other.value == table.value) {
            Some(first) => item.push(
                Diagnostic::error(format!("table {} is listed twice", table.value))
                    .at(table.span, "again here")
                    .at(first.span.clone(), "first here")
                    .help("remove one of them"),
            ),
            None => tables.push(table),
        }
    }
    KernelSource { tables: tables.into_iter().map(|table| table.value).collect() }
}
