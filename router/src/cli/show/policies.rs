//! Policies as a table.

use super::super::table::{Table, grouped};
use crate::api::show::{List, Policy};

/// Policies as a table.
pub fn policies(policies: &[Policy]) -> Table {
    let mut table = Table::new([
        "policy", "behavior", "source", "hmac key", "path", "segs", "weight", "state", "overhead",
        "packets", "bytes",
    ]);
    for policy in policies {
        for (place, list) in policy.lists.iter().enumerate() {
            let first = |text: &String| if place == 0 { text.clone() } else { String::new() };
            table.row([
                first(&policy.name),
                first(&policy.behavior),
                first(&policy.source),
                first(&policy.hmac_key.map(|id| id.to_string()).unwrap_or_default()),
                list.path.clone().unwrap_or_default(),
                segments(list),
                list.weight.to_string(),
                match &list.invalid {
                    Some(why) => format!("{}: {why}", list.state),
                    None => list.state.clone(),
                },
                list.overhead.to_string(),
                grouped(list.packets),
                grouped(list.bytes),
            ]);
        }
    }
    table.unless_empty("hmac key")
}

/// The segments of a list; of one that names nodes, these too.
fn segments(list: &List) -> String {
    let mut segs = list.segs.join(",");
    if !list.containers.is_empty() {
        segs += &format!(" in {}", list.containers.join(","));
    }
    match (list.via.is_empty(), list.segs.is_empty()) {
        (true, _) => segs,
        (false, true) => format!("via {}", list.via.join(",")),
        (false, false) => format!("{segs} (via {})", list.via.join(",")),
    }
}
