//! Rules as a table.

use super::super::table::{Table, grouped};
use crate::api::show::Rule;

/// Rules as a table.
pub fn rules(rules: &[Rule]) -> Table {
    let mut table = Table::new(["on", "packets for", "to", "state", "packets", "bytes"]);
    for rule in rules {
        table.row([
            rule.on.clone(),
            rule.packets_for.clone(),
            rule.policy
                .as_ref()
                .map_or("where routes lead".into(), |name| format!("policy {name}")),
            if rule.in_force { "" } else { "policy without a way" }.into(),
            grouped(rule.packets),
            grouped(rule.bytes),
        ]);
    }
    table
}
