//! SVG, for a browser.

use std::collections::HashMap;
use std::fmt::Write;

use super::layout::layout;
use super::{Line, Options, label, lines, locator};
use crate::ted::{NodeId, Ted};

/// Pixels between neighbors.
const UNIT: f64 = 170.0;
const MARGIN: f64 = 100.0;
/// With more, labels would only cover each other.
const LABELLED: usize = 150;

const STYLE: &str = "text{font:12px sans-serif;text-anchor:middle;fill:#222}\
.locator{font-size:10px;fill:#666}\
.metric{font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:4px}\
.node{fill:#eef3fb;stroke:#4a6fa5;stroke-width:1.5}\
.own{fill:#ffe9a8;stroke:#b8860b;stroke-width:2.5}\
.overload{stroke-dasharray:4 3}\
.lan{fill:#888}\
path{fill:none}";

/// The topology in SVG.
pub fn svg(ted: &Ted, options: &Options<'_>) -> String {
    let ids: Vec<NodeId> = ted.nodes().map(|(id, _)| id).collect();
    let at: HashMap<NodeId, usize> = ids.iter().enumerate().map(|(at, &id)| (id, at)).collect();
    let lines = lines(ted, options);
    let ends: Vec<_> = lines.iter().map(|line| (at[&line.from], at[&line.to])).collect();
    let places: Vec<_> = layout(ids.len(), &ends)
        .into_iter()
        .map(|(x, y)| (x * UNIT + MARGIN, y * UNIT + MARGIN))
        .collect();
    let most = |of: fn(&(f64, f64)) -> f64| places.iter().map(of).fold(MARGIN, f64::max) + MARGIN;
    let (width, height) = (most(|place| place.0), most(|place| place.1));
    // Writing into a string does not fail.
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\">\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    );
    let mut parallel: HashMap<(usize, usize), usize> = HashMap::new();
    let mut metrics = String::new();
    for (line, &(from, to)) in lines.iter().zip(&ends) {
        let number = parallel.entry((from.min(to), from.max(to))).or_default();
        draw_line(&mut out, &mut metrics, line, places[from], places[to], (*number, from < to));
        *number += 1;
    }
    if ids.len() <= LABELLED {
        out.push_str(&metrics);
    }
    for (&id, &place) in ids.iter().zip(&places) {
        draw_node(&mut out, ted, options, id, place, ids.len() <= LABELLED);
    }
    out.push_str("</svg>\n");
    out
}

/// Parallel lines are bent, one to this side, one to that.
fn draw_line(
    out: &mut String,
    metrics: &mut String,
    line: &Line,
    (x1, y1): (f64, f64),
    (x2, y2): (f64, f64),
    (number, forward): (usize, bool),
) {
    let side = if number % 2 == 1 { 1.0 } else { -1.0 };
    let side = if forward { side } else { -side };
    let bend = number.div_ceil(2) as f64 * 40.0 * side;
    let (dx, dy) = (x2 - x1, y2 - y1);
    let length = dx.hypot(dy).max(1.0);
    let (cx, cy) = ((x1 + x2) / 2.0 - dy / length * bend, (y1 + y2) / 2.0 + dx / length * bend);
    let load = line.load.map(|load| load.clamp(0.0, 1.0));
    let stroke = 1.5 + 4.5 * load.unwrap_or_default();
    let dash = if line.both_ways() { "" } else { " stroke-dasharray=\"6 4\"" };
    let _ = writeln!(
        out,
        "<path d=\"M{x1:.0} {y1:.0}Q{cx:.0} {cy:.0} {x2:.0} {y2:.0}\" stroke=\"{}\" \
         stroke-width=\"{stroke:.1}\"{dash}/>",
        color(load)
    );
    // The middle of the curve.
    let (x, y) = ((x1 + x2) / 4.0 + cx / 2.0, (y1 + y2) / 4.0 + cy / 2.0 + 4.0);
    let text = escaped(&line.label());
    let _ = writeln!(metrics, "<text class=\"metric\" x=\"{x:.0}\" y=\"{y:.0}\">{text}</text>");
}

/// Gray where nothing is known, from green over yellow to red.
fn color(load: Option<f64>) -> String {
    load.map_or("#999".to_owned(), |load| format!("hsl({:.0},75%,42%)", 120.0 * (1.0 - load)))
}

fn draw_node(
    out: &mut String,
    ted: &Ted,
    options: &Options<'_>,
    id: NodeId,
    (x, y): (f64, f64),
    labelled: bool,
) {
    let Some(node) = ted.node(id) else { return };
    if node.key().is_pseudonode() {
        let title = escaped(&label(ted, id));
        let _ = writeln!(
            out,
            "<circle class=\"lan\" cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"6\"><title>{title}</title></circle>"
        );
        return;
    }
    let own = if options.own == Some(id) { " own" } else { "" };
    let overloaded = node.attributes().is_some_and(|attributes| attributes.flags.overload());
    let overload = if overloaded { " overload" } else { "" };
    let name = label(ted, id);
    if !labelled {
        let title = escaped(&name);
        let _ = writeln!(
            out,
            "<circle class=\"node{own}{overload}\" cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"8\">\
             <title>{title}</title></circle>"
        );
        return;
    }
    let locator = locator(ted, id).unwrap_or_default();
    // About as wide as the letters are.
    let letters = (name.chars().count() as f64 * 7.2).max(locator.chars().count() as f64 * 6.0);
    let width = letters.max(36.0) + 16.0;
    let height = if locator.is_empty() { 26.0 } else { 38.0 };
    let _ = writeln!(
        out,
        "<rect class=\"node{own}{overload}\" x=\"{:.0}\" y=\"{:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" rx=\"8\"/>",
        x - width / 2.0,
        y - height / 2.0
    );
    let base = if locator.is_empty() { y + 4.0 } else { y - 3.0 };
    let _ = writeln!(out, "<text x=\"{x:.0}\" y=\"{base:.0}\">{}</text>", escaped(&name));
    if !locator.is_empty() {
        let base = y + 11.0;
        let _ =
            writeln!(out, "<text class=\"locator\" x=\"{x:.0}\" y=\"{base:.0}\">{locator}</text>");
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}
