//! Sources as a table, and what else there is to know of them.

use serde_json::Value;

use super::super::table::Table;
use crate::api::show::Source;

/// A table, and beneath it what else there is to know of a source, line by line.
pub fn sources(sources: &[Source]) -> String {
    let mut table = Table::new(["source", "state", "routes", "best", "stale"]);
    let mut details = String::new();
    for source in sources {
        table.row([
            source.source.clone(),
            source.state.clone(),
            source.routes.to_string(),
            source.best.to_string(),
            source.stale.to_string(),
        ]);
        if !source.details.is_empty() {
            let mut lines = Vec::new();
            for (name, value) in &source.details {
                detail(name, value, &mut lines);
            }
            details += &format!("\n{}\n", source.source);
            let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
            for (name, text) in lines {
                details += &format!("  {name:<width$}  {text}\n");
            }
        }
    }
    format!("{table}{details}")
}

/// Lines that say a value: an object's own values in one line, what it holds in lines of their own.
fn detail(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(inline).collect();
            // Several values of one item are a line.
            if items.iter().any(Value::is_object) {
                lines.extend(texts.into_iter().map(|text| (name.to_owned(), text)));
            } else if !texts.is_empty() {
                lines.push((name.to_owned(), texts.join(", ")));
            }
        }
        Value::Object(object) => {
            let own: serde_json::Map<_, _> = object
                .iter()
                .filter(|(_, value)| !value.is_object() && !value.is_null())
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            if !own.is_empty() {
                lines.push((name.to_owned(), inline(&Value::Object(own))));
            }
            for (inner, value) in object.iter().filter(|(_, value)| value.is_object()) {
                detail(&format!("{name} {inner}"), value, lines);
            }
        }
        value => lines.push((name.to_owned(), inline(value))),
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(object) => {
            let parts = object.iter().map(|(name, value)| format!("{name} {}", inline(value)));
            parts.collect::<Vec<_>>().join(", ")
        }
        value => value.to_string(),
    }
}
