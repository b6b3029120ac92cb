//! Drops and answers by reason, as a table.

use super::super::table::{Table, grouped};
use crate::api::show::Drops;

/// Drops and answers by reason.
pub fn drops(drops: &[Drops]) -> Table {
    let mut table = Table::new(["reason", "dropped", "replied"]);
    for reason in drops {
        table.row([reason.reason.clone(), grouped(reason.dropped), grouped(reason.replied)]);
    }
    table
}
