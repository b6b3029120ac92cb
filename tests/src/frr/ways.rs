//! Where prefixes lead, as FRR says it and as Sidewinder does, in the same words.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Frr;
use super::isis::Network;
use crate::lab::Sidewinder;

/// Next hops, as the router and the link to it, or a SID's behavior, by prefix.
pub type Ways = BTreeMap<String, BTreeSet<String>>;

/// What FRR selected of IS-IS and installed. A next hop by a link that is down stays among the
/// installed ones (`fib`), but is no longer `active`: the kernel does not use it. With `metric`, each
/// next hop has the path's.
pub fn of_frr(network: &Network, frr: &Frr, metric: bool) -> Result<Ways> {
    let routes = frr.json("show ipv6 route isis json")?;
    let routes = routes.as_object().context("an object of prefixes")?;
    let mut ways = Ways::new();
    for (prefix, candidates) in routes {
        for route in candidates.as_array().into_iter().flatten() {
            if route["selected"] != true || route["installed"] != true {
                continue;
            }
            let hops = route["nexthops"].as_array().into_iter().flatten();
            let hops = hops.filter(|hop| hop["fib"] == true && hop["active"] == true).map(|hop| {
                let text = |key: &str| hop[key].as_str().unwrap_or_default();
                match hop["seg6local"]["action"].as_str() {
                    Some(action) => sid(action),
                    None => {
                        let hop = next_hop(network, text("ip"), text("interfaceName"));
                        with_metric(hop, &route["metric"], metric)
                    }
                }
            });
            ways.insert(prefix.clone(), hops.collect());
        }
    }
    Ok(ways)
}

/// What Sidewinder uses of IS-IS from a source. As for FRR, next hops by links that are down do not
/// count: they stay in routes that have others, and no packet takes them.
pub fn of_sidewinder(
    network: &Network,
    daemon: &Sidewinder,
    source: &str,
    metric: bool,
) -> Result<Ways> {
    let routes: Vec<Value> = serde_json::from_str(&daemon.command("show routes --json")?)?;
    let interfaces: Vec<Value> = serde_json::from_str(&daemon.command("show interfaces --json")?)?;
    let down = |link: &str| interfaces.iter().any(|i| i["name"] == link && i["up"] == false);
    let isis = routes.iter().filter(|route| {
        route["source"] == source && route["distance"] == 115 && route["installed"] == true
    });
    let ways = isis.map(|route| {
        let text = |key: &str| route[key].as_str().unwrap_or_default();
        let hops = text("target").split(", ").filter_map(|hop| {
            let words: Vec<&str> = hop.split(' ').collect();
            Some(match words[..] {
                ["via", _, "dev", link, ..] if down(link) => return None,
                ["via", address, "dev", link, ..] => {
                    with_metric(next_hop(network, address, link), &route["metric"], metric)
                }
                ["sid", behavior] => format!("sid {behavior}"),
                _ => hop.to_owned(),
            })
        });
        (text("prefix").to_owned(), hops.collect())
    });
    Ok(ways.collect())
}

fn next_hop(network: &Network, address: &str, link: &str) -> String {
    format!("{} {link}", network.router_at(address, link).unwrap_or(address))
}

fn with_metric(hop: String, metric: &Value, wanted: bool) -> String {
    if wanted { format!("{hop} metric {metric}") } else { hop }
}

/// FRR's name of a behavior, as the RFC spells it.
fn sid(action: &str) -> String {
    match action {
        "uN" => "sid End".into(),
        "uA" => "sid End.X".into(),
        other => format!("sid {other}"),
    }
}
