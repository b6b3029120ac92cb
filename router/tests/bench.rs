//! The benches run, and print what they promise. Briefly: figures come from the commands themselves.

#![forbid(unsafe_code)]

use std::process::{Command, Output};

use serde_json::Value;
use sidewinder_tests::skip;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sidewinder"))
        .arg("bench")
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn bench(arguments: &[&str]) -> Value {
    let output = run(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "bench {arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

fn is_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number > 0.0)
}

#[test]
fn core_measures_every_behavior() {
    let output =
        bench(&["core", "--json", "--packets", "4000", "--routes", "10", "--routes", "500"]);
    assert!(output["environment"]["processor"].is_string());
    let results = output["results"].as_array().expect("a list of results");
    for routes in [10, 500] {
        for behavior in ["IPv6", "End", "End-PSP", "End.X", "End.DT6", "End.DX6", "H.Encaps-1"] {
            let result = results
                .iter()
                .find(|result| result["behavior"] == behavior && result["routes"] == routes)
                .unwrap_or_else(|| panic!("no {behavior} with {routes} routes"));
            for field in ["packet-bytes", "ns-per-packet", "cycles-per-packet", "mpps"] {
                assert!(is_positive(&result[field]), "{behavior}: {field}");
            }
        }
    }
}

#[test]
fn core_compares_workers_with_one() {
    let cores = std::thread::available_parallelism().expect("a number of cores").get();
    let arguments = ["core", "--json", "--packets", "4000", "--behavior", "End", "--workers"];
    let too_many = run(&[&arguments[..], &[&(cores + 1).to_string()]].concat());
    assert!(!too_many.status.success());
    let said = String::from_utf8_lossy(&too_many.stderr).into_owned();
    assert!(said.contains("need a core each"), "{said}");
    if cores == 1 {
        skip::announce("core_compares_workers_with_one", "needs two cores");
        return;
    }
    let result = &bench(&[&arguments[..], &["2"]].concat())["results"][0];
    assert_eq!(result["workers"], 2);
    let scaling = &result["scaling"];
    assert!(is_positive(&scaling["factor"]) && is_positive(&scaling["one-worker-mpps"]));
    let each = scaling["ns-per-packet-by-worker"].as_array().expect("a list of times");
    assert!(each.len() == 2 && each.iter().all(is_positive));
}

#[test]
fn fib_measures_a_table_and_its_updates() {
    let folder = tempfile::tempdir().expect("a folder");
    let updates = folder.path().join("updates");
    std::fs::write(&updates, "A fc00::/32\nW fc00::/32\nA fc00:1::/32\n").expect("a file");
    let path = updates.to_str().expect("a path in UTF-8");
    let output = bench(&["fib", "1000", "--json", "--updates", path]);
    for field in ["build-ms", "memory-bytes", "single-mlps", "batched-mlps"] {
        assert!(is_positive(&output[field]), "{field}");
    }
    assert_eq!(output["updates"]["updates"], 3);
}
