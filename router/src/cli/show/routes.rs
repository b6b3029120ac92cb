//! Routes as a table.

use super::super::table::Table;
use crate::api::routes::Route;

/// Routes as a table.
pub fn routes(routes: &[Route]) -> Table {
    let mut table = Table::new([
        "", "table", "prefix", "to", "source", "distance", "metric", "age", "standing",
    ]);
    for route in routes {
        let mut standing = route.standing.clone();
        if let Some(left) = &route.left_to_kernel {
            standing += &format!(": {}", left.why);
        }
        if route.stale {
            standing += " (stale)";
        }
        table.row([
            if route.installed { "*" } else { "" }.into(),
            route.table.clone(),
            route.prefix.clone(),
            route.target.clone(),
            route.source.clone(),
            route.distance.to_string(),
            route.metric.to_string(),
            format!("{}s", route.age),
            standing,
        ]);
    }
    table
}
