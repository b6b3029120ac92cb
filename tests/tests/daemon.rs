//! The daemon as a program: starting, stopping, refusing, telling.
//!
//! ```text
//!            in0 +--------+ out0
//!   world -------| router |------- world
//!                |        |------- world
//!                +--------+ out1
//! ```
//!
//! `says_what_it_got`: the start-up report names every interface, its XDP mode and queues, and says
//! whether zero-copy was granted (never, on veth).
//!
//! `stops_clean`: SIGTERM and SIGINT end it with exit code 0, and no XDP program stays on any
//! interface.
//!
//! `killed_clean`: after SIGKILL no XDP program stays either, and it can be started again at once.
//!
//! `second_daemon_is_refused`: another daemon on the same interfaces ends with an error that names
//! the interface; the first one goes on forwarding.
//!
//! `absent_interface`, `without_privilege`: each ends with exit code 1 and a sentence that names what
//! is missing.
//!
//! `bad_file_changes_nothing`: a reload of a file with errors fails, says where they are, and leaves
//! everything as it was.
//!
//! `hangup_reloads`: SIGHUP does what `sidewinder reload` does.
//!
//! `shows_parse`: every `show … --json` is JSON.
//!
//! `iproute2_takes_our_sids`: every line of `show sids --as iproute2` is taken by `ip` in a namespace
//! of its own, and the kernel then lists the same SIDs.
//!
//! `exit_codes`: `check` says 0 for a good file and 1 for a bad one; wrong usage is 2.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sidewinder_tests::command::{self, PATIENCE};
use sidewinder_tests::lab::star::{self, LINKS, ROUTER_MACS, WORLD_MACS};
use sidewinder_tests::lab::{Lab, Netns, Sidewinder as Daemon, Wire, daemon, linux, serial};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::packet::build::{self, Ipv6, Layer};
use sidewinder_tests::packet::mac;
use sidewinder_tests::skip::Need::{AfXdp, LinuxSeg6, Root, Sidewinder, Tool};

const TOML: &str = r#"
[router]
name = "daemon"
encap-source = "fc00:0:1::1"
socket = "@SOCKET@"

[[locator]]
name = "main"
prefix = "fc00:0:1::/48"
block-bits = 32
node-bits = 16
function-bits = 16

[[sid]]
sid = "fc00:0:1:e::"
behavior = "End"

[[sid]]
sid = "fc00:0:1:e1::"
behavior = "End"
flavors = ["PSP"]

[[sid]]
sid = "fc00:0:1:e2::"
behavior = "End.X"
nh6 = "fe80::c"
interface = "out1"

[[sid]]
sid = "fc00:0:1:d6::"
behavior = "End.DT6"
table = "main"

[[sid]]
sid = "fc00:0:1::/48"
behavior = "End"
flavors = ["NEXT-CSID"]

[[sid]]
sid = "fc00:0:1:ea::/64"
behavior = "End.X"
nh6 = "fe80::c"
interface = "out1"
flavors = ["NEXT-CSID"]

[[policy]]
name = "far"
behavior = "H.Encaps"
segs = ["fc00:0:2:e::", "fc00:0:3:d6::"]

[[route]]
prefix = "2001:db8:e::/48"
policy = "far"

[[route]]
prefix = "2001:db8:b::/48"
nh6 = "fe80::b"
interface = "out0"

[[route]]
prefix = "fc00:0:2::/48"
nh6 = "fe80::b"
interface = "out0"

"#;

const SHOWS: [&str; 7] =
    ["interfaces", "workers", "sids", "routes", "policies", "neighbors", "drops"];

#[test]
fn says_what_it_got() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let daemon = Daemon::start(lab.node("router"), &toml())?;
    let log = daemon.log().to_lowercase();
    for word in LINKS.into_iter().chain(["veth", "driver", "copy", "queue", "worker 0"]) {
        assert!(log.contains(word), "nothing of `{word}` in the start-up report:\n{log}");
    }
    Ok(())
}

#[test]
fn stops_clean() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let router = lab.node("router");
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = Daemon::start(router, &toml())?;
        assert_eq!(with_xdp(router)?, LINKS, "interfaces with an XDP program while it runs");
        let status = daemon.stop(signal)?;
        assert_eq!(status.code(), Some(0), "after {signal}");
        assert_eq!(with_xdp(router)?, [""; 0], "interfaces with an XDP program after {signal}");
        assert!(!daemon.socket().exists(), "the control socket stays after {signal}");
    }
    Ok(())
}

#[test]
fn killed_clean() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let router = lab.node("router");
    let mut daemon = Daemon::start(router, &toml())?;
    for _ in 0..3 {
        daemon.stop(Signal::SIGKILL)?;
        // The kernel takes the program off when it has closed the dead process's descriptors.
        let deadline = Instant::now() + Duration::from_secs(2);
        while !with_xdp(router)?.is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(with_xdp(router)?, [""; 0], "interfaces with an XDP program after SIGKILL");
        daemon.launch()?;
        assert!(forwards(&lab)?, "nothing is forwarded after the start");
    }
    Ok(())
}

#[test]
fn second_daemon_is_refused() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let _first = Daemon::start(lab.node("router"), &toml())?;
    let mut second = Daemon::prepare(lab.node("router"), &toml())?;
    let said = refused(&mut second)?;
    assert!(said.contains(LINKS[0]), "the interface is not named:\n{said}");
    assert!(forwards(&lab)?, "the first daemon does not forward any more");
    Ok(())
}

#[test]
fn absent_interface() -> Outcome {
    needs!(Root, AfXdp, Sidewinder);
    let _turn = serial();
    let lab = Lab::new(&["router"])?;
    let mut daemon = Daemon::prepare(lab.node("router"), &toml())?;
    let said = refused(&mut daemon)?;
    assert!(said.contains("in0"), "the interface is not named:\n{said}");
    Ok(())
}

#[test]
fn without_privilege() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("setpriv"), Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let daemon = Daemon::prepare(lab.node("router"), &toml())?;
    // Where nobody may read: the build directory and the configuration are root's own.
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755))?;
    let (binary, config) = (dir.path().join("sidewinder"), dir.path().join("config.toml"));
    fs::copy(daemon.binary(), &binary)?;
    fs::write(&config, toml().replace("@SOCKET@", &dir.path().join("s").to_string_lossy()))?;
    fs::set_permissions(&config, PermissionsExt::from_mode(0o644))?;
    let mut command = lab.node("router").command(
        "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all",
    );
    let finished =
        command::run_with(command.arg(&binary).args(["run", "-c"]).arg(&config), "", PATIENCE)?;
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains("CAP_NET_ADMIN"), "no capability is named: {finished:?}");
    Ok(())
}

#[test]
fn bad_file_changes_nothing() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let daemon = Daemon::start(lab.node("router"), &toml())?;
    let state = || -> anyhow::Result<String> {
        Ok(daemon.command("show routes --json")? + &daemon.command("show sids --json")?)
    };
    let before = state()?;
    // Half of it is good: that half must not come into force.
    let bad = toml().replace("2001:db8:b::/48", "2001:db8:ee::/48").replace("End.DT6", "End.DT7");
    daemon.configure(&bad)?;
    let said = daemon.ask("reload")?;
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    let line = 1 + bad.lines().position(|line| line.contains("End.DT7")).unwrap_or(0);
    let place = format!("config.toml:{line}:");
    assert!(said.stderr.contains(&place), "no `{place}` in:\n{}", said.stderr);
    assert_eq!(state()?, before);
    assert!(forwards(&lab)?, "nothing is forwarded after the reload");
    Ok(())
}

#[test]
fn hangup_reloads() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let mut daemon = Daemon::start(lab.node("router"), &toml())?;
    daemon.configure(&toml().replace("fc00:0:1:e1::", "fc00:0:1:e9::"))?;
    daemon.process().signal(Signal::SIGHUP)?;
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        let sids = daemon.command("show sids --json")?;
        if sids.contains("fc00:0:1:e9::") && !sids.contains("fc00:0:1:e1::") {
            return Ok(());
        }
        assert!(Instant::now() < deadline, "the new SID is not there:\n{sids}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn shows_parse() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let daemon = Daemon::start(lab.node("router"), &toml())?;
    assert!(forwards(&lab)?);
    for what in SHOWS {
        let text = daemon.command(&format!("show {what} --json"))?;
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text);
        assert!(parsed.is_ok_and(|value| !value.is_null()), "show {what} --json:\n{text}");
        assert!(
            !daemon.command(&format!("show {what}"))?.trim().is_empty(),
            "show {what} is empty"
        );
    }
    let sids = daemon.command("show sids --json")?;
    for word in
        ["fc00:0:1:e::", "fc00:0:1:e2::", "End.X", "End.DT6", "PSP", "\"argument-bits\": 64"]
    {
        assert!(sids.contains(word), "no {word} in:\n{sids}");
    }
    Ok(())
}

#[test]
fn iproute2_takes_our_sids() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let lab = lab()?;
    let daemon = Daemon::start(lab.node("router"), &toml())?;
    let lines = daemon.command("show sids --as iproute2")?;
    let scratch = star::nodes()?;
    linux::srv6_router(scratch.node("router"), "fc00:0:1::1", linux::OuterLabel::Copied)?;
    star::wire(&scratch)?;
    let mut taken = 0;
    for line in
        lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let rest = line.strip_prefix("ip ");
        assert!(rest.is_some(), "not a line of `ip`: {line}");
        scratch.node("router").ip(rest.unwrap_or_default())?;
        taken += 1;
    }
    assert_eq!(taken, 6, "{lines}");
    let routes = scratch.node("router").ip("-6 route show")?;
    for words in [
        "fc00:0:1:e::  encap seg6local action End dev",
        "fc00:0:1:e1::  encap seg6local action End flavors psp dev",
        "fc00:0:1:e2::  encap seg6local action End.X nh6 fe80::c",
        "fc00:0:1:d6::  encap seg6local action End.DT6 table main dev",
        "fc00:0:1::/48  encap seg6local action End flavors next-csid lblen 32 nflen 16 dev",
        "fc00:0:1:ea::/64  encap seg6local action End.X nh6 fe80::c flavors next-csid lblen 32 \
         nflen 32 dev",
    ] {
        assert!(routes.contains(words), "no `{words}` in:\n{routes}");
    }
    Ok(())
}

#[test]
fn exit_codes() -> Outcome {
    needs!(Sidewinder);
    assert_eq!(daemon::check(&toml()), Ok(()));
    let said = daemon::check("[router]\nnaem = 1\n").unwrap_err();
    assert!(said.contains("exit status: 1") && said.contains("did you mean"), "{said}");
    let binary = sidewinder_tests::skip::sidewinder_binary().map_err(anyhow::Error::msg)?;
    let usage = command::run_with(Command::new(binary).arg("no-such-command"), "", PATIENCE)?;
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
    Ok(())
}

fn toml() -> String {
    format!("{TOML}{}", star::toml())
}

fn lab() -> anyhow::Result<Lab> {
    let lab = star::nodes()?;
    star::wire(&lab)?;
    lab.node("router").ip("addr add fc00:0:1::1/128 dev lo nodad")?;
    lab.node("router").ip_batch(star::neighbors())?;
    Ok(lab)
}

/// The interfaces of the star that carry an XDP program.
fn with_xdp(router: &Netns) -> anyhow::Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for link in LINKS {
        if router.ip(&format!("-d link show dev {link}"))?.contains("xdp") {
            found.push(link);
        }
    }
    Ok(found)
}

/// Starts a daemon that must not start; what it says on its way out.
fn refused(daemon: &mut Daemon) -> anyhow::Result<String> {
    daemon.launch_unready()?;
    let status = daemon.process().wait(Duration::from_secs(10))?;
    let log = daemon.log();
    anyhow::ensure!(
        status.is_some_and(|status| status.code() == Some(1)),
        "ended with {status:?} and not with exit code 1:\n{log}"
    );
    anyhow::ensure!(!log.contains("panicked"), "a panic is no message:\n{log}");
    Ok(log)
}

/// Whether a plain packet goes from in0 to out0. The kernel has no route for it.
fn forwards(lab: &Lab) -> anyhow::Result<bool> {
    let wire = Wire::open(lab.node("world"))?;
    let header = Ipv6::new("2001:db8:a::1".parse()?, "2001:db8:b::1".parse()?);
    let layers = [Layer::Ipv6(header), Layer::Udp(1, 1, b"through".to_vec())];
    let frame = build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers);
    wire.send(LINKS[0], &frame)?;
    let deadline = Instant::now() + Duration::from_secs(2);
    while let Some(received) = wire.receive(deadline)? {
        if received.link == wire.link(LINKS[1]) && received.frame.ends_with(b"through") {
            return Ok(true);
        }
    }
    Ok(false)
}
