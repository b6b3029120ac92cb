//! The benches run, and print what they promise. Briefly: figures come from the commands themselves.

#![forbid(unsafe_code)]

use std::process::{Command, Output};

use serde_json::Value;
use sidewinder_tests::needs;
use sidewinder_tests::skip::{self, Need};

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

#[test]
fn veth_measures_both_routers_and_reports() -> anyhow::Result<()> {
    needs!(Need::Root, Need::Tool("ip"), Need::Tool("ethtool"), Need::AfXdp, Need::LinuxSeg6);
    if std::thread::available_parallelism()?.get() < 2 {
        sidewinder_tests::skip!("needs two cores");
    }
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let path = report.to_str().expect("a path in UTF-8");
    let output = bench(&["veth", "--quick", "--behavior", "end", "--json", "--report", path]);
    assert!(output["environment"]["clock"].is_string());
    let results = output["results"].as_array().expect("a list of results");
    let routers: Vec<&Value> = results.iter().map(|result| &result["router"]).collect();
    assert_eq!(routers, ["sidewinder", "linux", "linux-softirq"]);
    for result in results {
        assert_eq!(result["behavior"], "End");
        assert_eq!(result["packet-bytes"], 182);
        for figure in [&result["delivered"], &result["offered"]] {
            assert!(is_positive(&figure["median"]), "{result}");
        }
        for latency in result["latency"].as_array().expect("a list") {
            assert!(is_positive(&latency["p50-us"]) && is_positive(&latency["packets"]));
        }
    }
    let page = std::fs::read_to_string(report.join("index.html"))?;
    assert!(page.contains("<svg") && page.contains("linux-softirq"));
    let raw: Value = serde_json::from_slice(&std::fs::read(report.join("bench-veth.json"))?)?;
    assert_eq!(raw, output);
    Ok(())
}
