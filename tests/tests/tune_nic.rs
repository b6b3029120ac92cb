//! `scripts/tune-nic` says what it would do, and refuses what cannot be done. On a veth pair with two
//! queues, and without doing it: huge pages and interrupts are the whole machine's.

use std::process::Command;

use anyhow::Result;
use sidewinder_tests::command::{self, Finished, PATIENCE};
use sidewinder_tests::lab::Netns;
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::skip::Need::{Root, Tool};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/tune-nic");

#[test]
fn dry_run_prints_the_commands() -> Outcome {
    needs!(Root, Tool("ethtool"));
    let netns = namespace()?;
    let text = tune(&netns, "--dry-run nic0 0")?.success()?;
    for line in [
        "ethtool -L nic0 rx 1",
        "ethtool -L nic0 tx 1",
        "echo 2 > /sys/class/net/nic0/napi_defer_hard_irqs",
        "echo 200000 > /sys/class/net/nic0/gro_flush_timeout",
    ] {
        assert!(text.lines().any(|said| said == line), "no `{line}` in:\n{text}");
    }
    let queues = netns.run("ethtool -l nic0")?;
    assert_eq!(queues.matches("RX:\t\t2").count(), 2, "nothing was done:\n{queues}");
    Ok(())
}

#[test]
fn refuses_what_cannot_be_done() -> Outcome {
    needs!(Root, Tool("ethtool"));
    let netns = namespace()?;
    for (arguments, code, reason) in [
        ("--dry-run none0 0", 1, "there is no interface none0 here"),
        ("--dry-run nic0 0 0", 1, "a core is named twice"),
        ("--dry-run nic0 zero", 1, "zero is no core"),
        ("--dry-run nic0 99999", 1, "there is no core 99999 here"),
        ("--undo nic0", 1, "nic0 was not tuned"),
        ("nic0", 2, "usage: tune-nic"),
    ] {
        let finished = tune(&netns, arguments)?;
        assert_eq!(finished.status.code(), Some(code), "{arguments}");
        assert!(finished.stderr.contains(reason), "{arguments}: {}", finished.stderr);
    }
    Ok(())
}

fn namespace() -> Result<Netns> {
    let netns = Netns::new("tune")?;
    let queues = "numtxqueues 2 numrxqueues 2";
    netns.ip(&format!("link add nic0 {queues} type veth peer name far0 {queues}"))?;
    Ok(netns)
}

/// Inside the namespace, where /sys shows its interfaces.
fn tune(netns: &Netns, arguments: &str) -> Result<Finished> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", netns.name(), SCRIPT]).args(arguments.split(' '));
    command::run_with(&mut command, "", PATIENCE)
}
