//! The sample file holds every key, and the defaults of the code.

use crate::{Config, SAMPLE, check, parse};

fn config(text: &str) -> Config {
    let checked = check(text, "sidewinder.sample.toml").unwrap_or_else(|why| panic!("{why}"));
    assert!(checked.warnings.is_empty(), "{}", checked.warnings);
    checked.config
}

/// A line of the sample that is a key at its default, without the `#`.
fn default_line(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

#[test]
fn is_good_and_uses_every_section() {
    let config = config(SAMPLE);
    assert_eq!(config.interfaces.len(), 2);
    assert_eq!(config.locators.len(), 1);
    assert_eq!(config.sids.len(), 5);
    assert_eq!(config.policies.len(), 1);
    assert_eq!(config.routes.len(), 5);
    assert_eq!(config.neighbors.len(), 1);
    assert_eq!(config.rules.len(), 1);
}

#[test]
fn commented_out_defaults_change_nothing() {
    let lines = SAMPLE.lines().map(|line| default_line(line).unwrap_or(line));
    let spelled_out = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(config(&spelled_out), config(SAMPLE));
    assert!(SAMPLE.lines().filter_map(default_line).count() >= 15);
}

#[test]
fn mentions_every_key() {
    // What is commented out in whatever way counts too.
    let lines: Vec<_> = SAMPLE.lines().map(|line| line.trim_start_matches(['#', ' '])).collect();
    for (header, key) in parse::all_keys() {
        let sections = lines.split(|line| line.starts_with('[')).zip(
            std::iter::once("").chain(lines.iter().copied().filter(|line| line.starts_with('['))),
        );
        let written = format!("{key} = ");
        let found = sections.into_iter().any(|(section, name)| match header {
            // Tables inside a section.
            "lists" | "candidate-paths" | "segs" => {
                name == "[[policy]]" && section.iter().any(|l| inline(l, &written))
            }
            "next-hops" => name == "[[route]]" && section.iter().any(|l| inline(l, &written)),
            // Its keys are sections.
            "[source]" => name == format!("[source.{key}]"),
            _ => name == header && section.iter().any(|line| line.starts_with(&written)),
        });
        assert!(found, "the sample does not show `{key}` in {header}");
    }
}

fn inline(line: &str, written: &str) -> bool {
    line.starts_with('{') && line.contains(written)
}

#[test]
fn commented_out_sources_are_good_too() {
    let at = SAMPLE.find("# [source.kernel]").unwrap();
    let is_key = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let keys = SAMPLE[at..]
        .lines()
        .map(|line| line.trim_start_matches("# "))
        .filter(|line| line.starts_with('[') || is_key(line))
        // Those that go with the other side only.
        .filter(|line| !line.starts_with("listen") && !line.starts_with("from = \"fc"));
    let sample = SAMPLE.replace("#name = \"sidewinder\"", "name = \"r1\"");
    let text = format!("{sample}\n{}", keys.collect::<Vec<_>>().join("\n"));
    let checked = check(&text, "sample").unwrap_or_else(|why| panic!("{why}"));
    assert!(checked.warnings.is_empty(), "{}", checked.warnings);
    let config = checked.config;
    assert!(config.sources.kernel.is_some());
    // What is written there is the default, if there is one.
    let bgp_ls = config.sources.bgp_ls.unwrap();
    assert_eq!(bgp_ls.hold_time, crate::BgpLsSource::DEFAULT_HOLD_TIME);
    assert_eq!(bgp_ls.grace, crate::BgpLsSource::DEFAULT_GRACE);
    assert_eq!((config.nodes.len(), config.links.len()), (2, 1));
}
