//! The kernel as a source that comes and goes by reload.
//!
//! `turned_on_and_off`: also for another table.
//!
//! `turned_on_in_vain`: while the daemon cannot open another socket. The file is in force, and the
//! kernel is asked again until it answers.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use sidewinder_tests::lab::star::LINKS;
use sidewinder_tests::lab::{Sidewinder as Daemon, serial};
use sidewinder_tests::mirror::{BEST, SHOWN, SOURCE, lab, plain, shown, toml, wait_until, ways};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::skip::Need::{AfXdp, LinuxSeg6, Root, Sidewinder, Tool};

#[test]
fn turned_on_and_off() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let router = lab.node("router");
    router.ip("-6 route add 2001:db8:f1::/48 via fe80::b dev out0")?;
    router.ip("-6 route add 2001:db8:f2::/48 via fe80::b dev out0 table 100")?;
    let daemon = Daemon::start(router, &toml(&LINKS))?;
    assert_eq!(shown(&daemon, "2001:db8:f1::/48")?, []);
    daemon.reload(&(toml(&LINKS) + SOURCE))?;
    wait_until(&daemon, "2001:db8:f1::/48", &[("via fe80::b dev out0", BEST)])?;
    daemon.reload(&(toml(&LINKS) + "[source.kernel]\ntables = [100]\n"))?;
    wait_until(&daemon, "2001:db8:f2::/48", &[("via fe80::b dev out0", BEST)])?;
    wait_until(&daemon, "2001:db8:f1::/48", &[])?;
    router.ip("-6 route replace 2001:db8:f2::/48 via fe80::c dev out1 table 100")?;
    wait_until(&daemon, "2001:db8:f2::/48", &[("via fe80::c dev out1", BEST)])?;
    daemon.reload(&toml(&LINKS))?;
    wait_until(&daemon, "2001:db8:f2::/48", &[])?;
    Ok(())
}

/// Waits until something is there.
fn wait_for<T>(what: &str, mut find: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + SHOWN;
    loop {
        if let Some(found) = find()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("not within {SHOWN:?}: {what}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Has a daemon read a new configuration, and open no file more than it has open while it reads.
/// Says how many it may have.
fn reload_with_no_file_to_spare(daemon: &mut Daemon, toml: &str) -> Result<usize> {
    let file = daemon.config_file();
    fs::remove_file(&file)?;
    // It waits in the middle of reading for as long as nothing is written.
    mkfifo(&file, Mode::from_bits_truncate(0o600))?;
    let pid = daemon.process().pid();
    daemon.process().signal(Signal::SIGHUP)?;
    let mut writer: File = wait_for("the daemon reads the file", || {
        Ok(OpenOptions::new().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&file).ok())
    })?;
    let open = wait_for("the file is open", || {
        let mut open = fs::read_dir(format!("/proc/{pid}/fd"))?.filter_map(|entry| {
            let entry = entry.ok()?;
            let leads_there = fs::read_link(entry.path()).is_ok_and(|target| target == file);
            leads_there.then(|| entry.file_name().to_str()?.parse::<usize>().ok()).flatten()
        });
        Ok(open.next())
    })?;
    limit_files(daemon, open)?;
    writer.write_all(toml.replace("@SOCKET@", &daemon.socket().to_string_lossy()).as_bytes())?;
    Ok(open)
}

/// So many files may the daemon have open.
fn limit_files(daemon: &mut Daemon, count: usize) -> Result<()> {
    let pid = daemon.process().pid();
    let status = Command::new("prlimit")
        .args([format!("--pid={pid}"), format!("--nofile={count}:")])
        .status()?;
    if !status.success() {
        bail!("prlimit ended with {status}");
    }
    Ok(())
}

#[test]
fn turned_on_in_vain() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"), Tool("prlimit"));
    let _turn = serial();
    let lab = lab()?;
    let (router, world) = (lab.node("router"), lab.node("world"));
    router.ip("-6 route add 2001:db8:f1::/48 via fe80::b dev out0")?;
    let mut daemon = Daemon::start(router, &toml(&LINKS))?;
    let route =
        "[[route]]\nprefix = \"2001:db8:f2::/48\"\nnh6 = \"fe80::c\"\ninterface = \"out1\"\n";
    let open = reload_with_no_file_to_spare(&mut daemon, &(toml(&LINKS) + route + SOURCE))?;
    // What does not need the kernel is in force.
    wait_for("the route of the file", || {
        let out = ways(world, 1, |n| plain(n, "2001:db8:f2::1"))?.0;
        Ok(out.contains("out1").then_some(()))
    })?;
    let log = daemon.log();
    assert!(log.contains("the kernel's routes cannot be followed"), "{log}");
    assert!(log.contains("reloaded: ") && !log.contains("not reloaded"), "{log}");
    assert!(
        ways(world, 1, |n| plain(n, "2001:db8:f1::1"))?.0.is_disjoint(&["out0", "out1"].into())
    );
    // It can be, and is.
    limit_files(&mut daemon, open + 64)?;
    wait_until(&daemon, "2001:db8:f1::/48", &[("via fe80::b dev out0", BEST)])?;
    assert_eq!(ways(world, 1, |n| plain(n, "2001:db8:f1::1"))?.0, ["out0"].into());
    // And followed from then on.
    router.ip("-6 route replace 2001:db8:f1::/48 via fe80::c dev out1")?;
    wait_until(&daemon, "2001:db8:f1::/48", &[("via fe80::c dev out1", BEST)])?;
    Ok(())
}
