//! Workers: what they cost when there is nothing to do, and how several share the work.
//!
//! ```text
//!            in0 +--------+ out0
//!   world -------| router |------- world      two queues on every link
//!                |        |------- world
//!                +--------+ out1
//! ```
//!
//! `idle_adaptive_worker_sleeps`: with `poll = "adaptive"`, the default, a worker without packets takes
//! less than 3 % of a core.
//!
//! `busy_worker_never_sleeps`: with `poll = "busy"` it takes what it can get.
//!
//! `two_workers_share_the_queues`: many flows spread over two queues with a worker each. Every packet
//! comes out once, each worker has a good part of them, and what the workers counted by themselves
//! adds up: for the interfaces, and for the SID that half of the packets go through.

use std::fs;
use std::net::Ipv6Addr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::sched_getaffinity;
use nix::unistd::Pid;
use serde_json::Value;
use sidewinder_tests::lab::load::Load;
use sidewinder_tests::lab::star::{self, ROUTER_MACS, WORLD_MACS};
use sidewinder_tests::lab::{Lab, Sidewinder as Daemon, linux, serial};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::packet::build::{self, Ipv6, Layer, Srh};
use sidewinder_tests::packet::{mac, tag};
use sidewinder_tests::skip::{
    self,
    Need::{AfXdp, Root, Sidewinder, Tool},
};

/// Packets per second: far below what the set-up carries.
const RATE: u32 = 10_000;

/// How long a worker is watched doing nothing.
const WATCHED: Duration = Duration::from_secs(2);

#[test]
fn idle_adaptive_worker_sleeps() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let share = idle_share("poll = \"adaptive\"")?;
    println!("an idle adaptive worker takes {:.2} % of a core", share * 100.0);
    assert!(share < 0.03, "an idle worker takes {:.1} % of a core", share * 100.0);
    Ok(())
}

#[test]
fn busy_worker_never_sleeps() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let share = idle_share("poll = \"busy\"")?;
    println!("an idle busy worker takes {:.1} % of a core", share * 100.0);
    // Less than all of it where other processes want the core, too.
    assert!(share > 0.25, "a busy worker takes {:.1} % of a core only", share * 100.0);
    Ok(())
}

#[test]
fn two_workers_share_the_queues() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let cores = cores()?;
    let [first, second, ..] = cores[..] else {
        skip::announce("two_workers_share_the_queues", "needs two cores");
        return Ok(());
    };
    let lab = lab(2)?;
    let daemon = Daemon::start(lab.node("router"), &toml(&format!("cores = [{first}, {second}]")))?;
    let (load, ()) = Load::run(lab.node("world"), RATE, frame, || {
        thread::sleep(Duration::from_secs(2));
        Ok(())
    })?;

    let sent = load.sent.len() as u64;
    assert_eq!(load.lost(), [0u32; 0], "lost, of {sent}");
    assert_eq!(load.received.len() as u64, sent, "some packets came out twice");
    assert!(load.received.iter().all(|arrival| arrival.link == 1), "all leave by out0");

    let ask = |what: &str| -> Result<Value> {
        Ok(serde_json::from_str(&daemon.command(&format!("show {what} --json"))?)?)
    };
    let workers = ask("workers")?;
    let each = |key: &str| -> Vec<u64> {
        let workers = workers.as_array().into_iter().flatten();
        workers.filter_map(|worker| worker[key].as_u64()).collect()
    };
    let received = each("received");
    println!("{sent} packets, by worker: {received:?}");
    assert_eq!(received.len(), 2, "workers: {workers}");
    assert!(received.iter().all(|part| part * 4 > sent), "unevenly spread: {received:?}");
    assert_eq!(received.iter().sum::<u64>(), sent, "received by the workers");
    assert_eq!(each("forwarded"), received, "each worker forwards what it received");
    for key in ["punted", "replied", "dropped"] {
        assert_eq!(each(key), [0, 0], "{key}");
    }
    let interfaces = ask("interfaces")?;
    assert_eq!(interfaces[0]["received"]["packets"], sent, "{interfaces}");
    assert_eq!(interfaces[1]["sent"]["packets"], sent, "{interfaces}");
    assert_eq!(interfaces[0]["queues"], serde_json::json!([0, 1]), "{interfaces}");
    let sids = ask("sids")?;
    assert_eq!(sids[0]["packets"], sent / 2, "odd packets go through the SID: {sids}");
    Ok(())
}

/// The share of a core that the only worker of a daemon without traffic takes.
fn idle_share(poll: &str) -> Result<f64> {
    let lab = lab(1)?;
    let mut daemon = Daemon::start(lab.node("router"), &toml(poll))?;
    let pid = daemon.process().pid();
    // After what follows a start: neighbours, the first look around.
    thread::sleep(Duration::from_millis(500));
    let before = worker_time(pid)?;
    thread::sleep(WATCHED);
    let after = worker_time(pid)?;
    Ok((after - before).as_secs_f64() / WATCHED.as_secs_f64())
}

/// The processor time that the thread of worker 0 has taken.
fn worker_time(pid: Pid) -> Result<Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).context("the daemon's threads")?;
    for task in tasks {
        let path = task?.path();
        if fs::read_to_string(path.join("comm"))?.trim() != "worker-0" {
            continue;
        }
        let stat = fs::read_to_string(path.join("stat"))?;
        // Behind the name, which may have spaces: state is the first field, utime the twelfth.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11));
        let ticks: u64 =
            fields.context("no fields in stat")?.take(2).flat_map(str::parse::<u64>).sum();
        // USER_HZ is 100 on every x86-64 kernel.
        return Ok(Duration::from_millis(ticks * 10));
    }
    anyhow::bail!("the daemon has no thread worker-0")
}

/// The cores that this process may use.
fn cores() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..nix::sched::CpuSet::count()).filter(|core| allowed.is_set(*core) == Ok(true)).collect())
}

fn lab(queues: u32) -> Result<Lab> {
    let lab = star::nodes()?;
    linux::forwarding(lab.node("router"))?;
    star::wire_with_queues(&lab, queues)?;
    lab.node("router").ip("addr add fc00:0:1::1/128 dev lo nodad")?;
    lab.node("router").ip_batch(star::neighbors())?;
    Ok(lab)
}

fn toml(setting: &str) -> String {
    format!(
        "[router]\nname = \"workers\"\nencap-source = \"fc00:0:1::1\"\nsocket = \"@SOCKET@\"\n\
         {setting}\n\n\
         [[locator]]\nname = \"main\"\nprefix = \"fc00:0:1::/48\"\nblock-bits = 32\n\
         node-bits = 16\nfunction-bits = 16\n\n\
         [[sid]]\nsid = \"fc00:0:1:e::\"\nbehavior = \"End\"\n\n\
         [[route]]\nprefix = \"2001:db8:b::/48\"\nnh6 = \"fe80::b\"\ninterface = \"out0\"\n\n{}",
        star::toml()
    )
}

/// Packet `number`, a flow of its own: even ones are forwarded, odd ones go through the SID.
fn frame(number: u32) -> Vec<u8> {
    let [sid, host] = ["fc00:0:1:e::", "2001:db8:b::9"].map(address);
    let source = tag::address(address("2001:db8:a::"), number);
    let udp = Layer::Udp(9000, 9000, vec![0; 64]);
    let layers = if number.is_multiple_of(2) {
        vec![Layer::Ipv6(Ipv6::new(source, host)), udp]
    } else {
        let srh = Srh::starting(&[sid, host]);
        vec![Layer::Ipv6(Ipv6::new(source, sid)), Layer::Srh(srh), udp]
    };
    build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers)
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap_or_else(|_| panic!("{text} is no address"))
}
