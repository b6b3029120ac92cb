//! Local SIDs as a table.

use super::super::table::{Table, grouped};
use crate::api::show::{Sid, Structure};

/// Local SIDs as a table.
pub fn sids(sids: &[Sid]) -> Table {
    let mut table = Table::new([
        "sid",
        "behavior",
        "flavors",
        "structure",
        "hmac",
        "to",
        "source",
        "packets",
        "bytes",
    ]);
    for sid in sids {
        let to = match (&sid.next_hop, &sid.interface, &sid.table) {
            (Some(hop), Some(interface), _) => format!("via {hop} dev {interface}"),
            (Some(hop), None, _) => format!("via {hop}"),
            (_, _, Some(number)) => format!("table {number}"),
            (_, Some(interface), _) => format!("dev {interface}"),
            _ if !sid.next_hops.is_empty() => format!("via {}", sid.next_hops.join(", ")),
            _ => sid.policy.as_ref().map(|name| format!("policy {name}")).unwrap_or_default(),
        };
        table.row([
            sid.sid.clone(),
            sid.behavior.clone(),
            sid.flavors.join(","),
            sid.structure.map(|s| structure(&s)).unwrap_or_default(),
            sid.hmac.clone().unwrap_or_default(),
            to,
            sid.source.clone(),
            grouped(sid.packets),
            grouped(sid.bytes),
        ]);
    }
    table.unless_empty("hmac")
}

/// Bits of block, node and function, as in `32+16+16`; a part that the SID has not is left out.
fn structure(structure: &Structure) -> String {
    let parts = [structure.block_bits, structure.node_bits, structure.function_bits];
    let parts: Vec<_> = parts.iter().filter(|bits| **bits > 0).map(ToString::to_string).collect();
    parts.join("+")
}
