//! Neighbours as a table.

use super::super::table::Table;
use crate::api::show::Neighbor;

/// Neighbours as a table.
pub fn neighbors(neighbors: &[Neighbor]) -> Table {
    let mut table = Table::new(["address", "interface", "mac", "state", "from"]);
    for neighbor in neighbors {
        table.row([
            neighbor.address.to_string(),
            neighbor.interface.clone(),
            neighbor.mac.clone().unwrap_or_else(|| "unknown".into()),
            neighbor.state.clone(),
            if neighbor.fixed { "file" } else { "kernel" }.into(),
        ]);
    }
    table
}
