//! Holds `docs/conformance.md` to the tests: which items of `tests/conformance/items.txt` are named
//! by a test, and which by none.
//!
//! A test names an item by its number, `C-012`, in its doc comment or in the comments and names
//! inside it; a golden case in the first paragraph of its `case.txt`.

#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// Folders that tests are in.
const TREES: [&str; 6] = ["config", "dataplane", "linkstate", "router", "tests", "benches"];

const PAGE: &str = "docs/conformance.md";

/// An item: level, requirement, source, and why there is no test, as far as the list says so.
#[derive(Debug, Default)]
struct Item {
    heading: Option<String>,
    level: String,
    requirement: String,
    source: String,
    missing: Option<String>,
    /// What is not yet done of it, though it has tests.
    partly: Option<String>,
}

#[test]
fn the_page_is_up_to_date() {
    let page = page(&items(), &tests());
    let path = root().join(PAGE);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).expect("docs/ is there and may be written to");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let command = "UPDATE=1 cargo test -p sidewinder --test conformance";
    assert!(there == page, "{PAGE} is stale: run `make conformance`, that is, `{command}`");
}

#[test]
fn tests_name_items_that_there_are() {
    let items = items();
    let unknown: Vec<_> = tests().into_iter().filter(|(id, _)| !items.contains_key(id)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Every item has a test, or a word why not; never both.
#[test]
fn every_item_has_a_test_or_a_reason() {
    let tests = tests();
    let wrong: Vec<_> = items()
        .into_iter()
        .map(|(id, item)| (tests.get(&id), id, item.missing))
        .filter(|(tests, _, missing)| tests.is_some() == missing.is_some())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn page(items: &BTreeMap<String, Item>, tests: &BTreeMap<String, BTreeSet<String>>) -> String {
    let mut page = String::from(
        "# Conformance\n\n\
         What the RFCs ask of an SRv6 router, and the tests that hold Sidewinder to it. Made by\n\
         `make conformance` from `tests/conformance/items.txt` and the tests; `make test` checks\n\
         that it is up to date.\n\n\
         Level: MUST, SHOULD, MAY as the RFC says; *code*: what its pseudo-code or prose requires;\n\
         *model*: part of the deployment model.\n",
    );
    let done = items.keys().filter(|id| tests.contains_key(*id)).count();
    let _ = writeln!(page, "\n{done} of {} items have a test.", items.len());
    for (id, item) in items {
        if let Some(heading) = &item.heading {
            let _ = writeln!(page, "\n## {heading}\n\n| | level | requirement | source | tests |");
            page.push_str("|---|---|---|---|---|\n");
        }
        let shown = match (tests.get(id), &item.missing) {
            (Some(tests), _) => {
                let links: Vec<String> = tests.iter().map(|test| link(test)).collect();
                let partly = item.partly.as_ref().map(|what| format!("; not yet: {what}"));
                links.join(", ") + &partly.unwrap_or_default()
            }
            (None, why) => format!("not yet: {}", why.as_deref().unwrap_or("no test")),
        };
        let Item { level, requirement, source, .. } = item;
        let _ = writeln!(page, "| {id} | {level} | {requirement} | {source} | {shown} |");
    }
    page
}

/// A test as the page shows it: a golden case by its folder, another by its file.
fn link(path: &str) -> String {
    let name = path.trim_start_matches("tests/golden/").trim_end_matches("/case.txt");
    format!("[{name}](../{path})")
}

fn items() -> BTreeMap<String, Item> {
    let text = fs::read_to_string(root().join("tests/conformance/items.txt"))
        .expect("the list of items is part of the repository");
    let mut items: BTreeMap<String, Item> = BTreeMap::new();
    let mut heading = None;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = Some(title.to_owned());
        } else if line.starts_with('#') {
            continue;
        } else if let Some((id, why)) = line.split_once(" ! ") {
            let item = items.get_mut(id).expect("a reason stands behind its item");
            item.missing = Some(why.to_owned());
        } else if let Some((id, what)) = line.split_once(" ~ ") {
            let item = items.get_mut(id).expect("a remark stands behind its item");
            item.partly = Some(what.to_owned());
        } else {
            let [id, level, requirement, source] =
                line.split(" | ").map(str::to_owned).collect::<Vec<_>>().try_into().expect(line);
            let item =
                Item { heading: heading.take(), level, requirement, source, ..Item::default() };
            assert!(items.insert(id, item).is_none(), "twice: {line}");
        }
    }
    items
}

/// The tests that name each item, by path from the repository's root.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let root = root();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in TREES.iter().flat_map(|tree| files(&root.join(tree))) {
        let relative = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        if relative == "router/tests/conformance.rs" {
            continue;
        }
        let text = match (path.file_name().and_then(|name| name.to_str()), path.extension()) {
            (Some("case.txt"), _) => read(&path).split("\n\n").next().unwrap_or("").to_owned(),
            (_, Some(extension)) if extension == "rs" => test_code(&relative, read(&path)),
            _ => continue,
        };
        for id in numbers(&text) {
            found.entry(id).or_default().insert(relative.clone());
        }
    }
    found
}

/// What of a source file is tests: all of it in a folder or file of tests, else what follows the
/// module of tests.
fn test_code(path: &str, text: String) -> String {
    if path.contains("tests/") || path.ends_with("tests.rs") || path.starts_with("benches/") {
        return text;
    }
    text.split_once("#[cfg(test)]").map(|(_, tests)| tests.to_owned()).unwrap_or_default()
}

/// The numbers in a text: `C-012`.
fn numbers(text: &str) -> BTreeSet<String> {
    text.match_indices("C-")
        .filter_map(|(at, _)| text.get(at..at + 5))
        .filter(|id| id[2..].bytes().all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
