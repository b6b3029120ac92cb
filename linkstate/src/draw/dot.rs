//! DOT, for Graphviz.

use std::fmt::Write;

use super::{Options, label, lines, locator};
use crate::ted::Ted;

/// The topology in DOT.
pub fn dot(ted: &Ted, options: &Options<'_>) -> String {
    let mut out = String::from("graph topology {\n");
    out.push_str("  layout=neato; overlap=false; splines=true;\n");
    out.push_str("  node [shape=box style=\"rounded,filled\" fillcolor=white fontname=sans];\n");
    out.push_str("  edge [fontname=sans fontsize=10];\n");
    // Writing into a string does not fail.
    for (id, node) in ted.nodes() {
        let mut text = quoted(&label(ted, id));
        if let Some(locator) = locator(ted, id) {
            let _ = write!(text, "\\n{locator}");
        }
        let shape = if node.key().is_pseudonode() { " shape=point" } else { "" };
        let own = if options.own == Some(id) { " fillcolor=gold penwidth=2" } else { "" };
        let _ = writeln!(out, "  n{} [label=\"{text}\"{shape}{own}];", id.0);
    }
    for line in lines(ted, options) {
        let style = if line.both_ways() { "" } else { " style=dashed" };
        let width = line.load.map_or(1.0, |load| 1.0 + 4.0 * load.clamp(0.0, 1.0));
        let _ = writeln!(
            out,
            "  n{} -- n{} [label=\"{}\" penwidth={width:.1}{style}];",
            line.from.0,
            line.to.0,
            quoted(&line.label())
        );
    }
    out.push_str("}\n");
    out
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
