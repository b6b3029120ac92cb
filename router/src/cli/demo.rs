//! `demo`: three routers and two hosts on this machine, with traffic between the hosts.
//!
//! Nothing of the machine's own network is touched: everything happens in network namespaces,
//! which are deleted at the end, on failure, and when the demo is interrupted.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

mod network;
mod report;
mod topology;
mod traffic;

use network::Network;
use traffic::Traffic;

use super::lab::daemon::Snapshot;
use super::lab::stop::Stop;

/// What the demo can be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How long traffic runs.
    #[arg(long, value_name = "N", default_value_t = 15,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Packets per second, each way.
    #[arg(long, value_name = "N", default_value_t = 20_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Bytes of each packet, from the IPv6 header on.
    #[arg(long, value_name = "BYTES", default_value_t = 1000,
          value_parser = clap::value_parser!(u16).range(128..=1500))]
    size: u16,
    /// Keep routers and hosts for a look around, until interrupted.
    #[arg(long)]
    hold: bool,
}

/// Builds the network, runs the traffic, reports, and cleans up.
pub fn run(args: Args) -> anyhow::Result<()> {
    super::lab::check_machine("demo")?;
    let stop = Stop::on_signals()?;
    let mut out = io::stdout();
    let shown = Network::build(&stop).and_then(|mut network| {
        let shown = show(&args, &mut network, &stop, &mut out);
        // Said before the network goes: the reader may be gone, the clean-up must happen anyway.
        let said = writeln!(out, "\nStopping the routers and deleting the namespaces.");
        drop(network);
        shown.and(said.map_err(Into::into))
    });
    match shown {
        // Whatever went wrong, it was because the user wanted to leave.
        Err(_) if stop.requested() => Ok(()),
        other => other,
    }
}

/// All that happens while the network stands.
fn show(
    args: &Args,
    network: &mut Network,
    stop: &Stop,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    write!(out, "{}", report::heading(network))?;
    let traffic = Traffic::new(network, args.size)?;
    reach(network, &traffic, stop)?;
    walk(network, &traffic, out)?;
    load(args, network, &traffic, stop, out)?;
    if stop.requested() {
        return Ok(());
    }
    if args.hold {
        write!(out, "{}", report::look_around(network))?;
        out.flush()?;
        while !stop.wait(Duration::from_secs(1)) {
            network.check()?;
        }
    } else {
        write!(out, "{}", report::next_steps())?;
    }
    Ok(())
}

/// Sends probes until they arrive in both directions: neighbours are known then.
fn reach(network: &mut Network, traffic: &Traffic, stop: &Stop) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let [forth, back] = [traffic.forth.probe()?, traffic.back.probe()?];
        if forth && back {
            // Stragglers of earlier rounds must not count as what comes later.
            traffic.forth.clear();
            traffic.back.clear();
            return Ok(());
        }
        network.check()?;
        if stop.requested() {
            bail!("interrupted");
        }
        if Instant::now() > deadline {
            let way = if forth { "h2 to h1" } else { "h1 to h2" };
            let drops = report::drops(&network.snapshots()?);
            bail!("no packet came through from {way} in 10 s; dropped or answered:\n{drops}");
        }
    }
}

/// One packet, and which counters it moved.
fn walk(network: &Network, traffic: &Traffic, out: &mut impl Write) -> anyhow::Result<()> {
    let before = network.snapshots()?;
    if !traffic.forth.probe()? {
        bail!("a packet from h1 to h2 was lost");
    }
    // Workers count a burst when it is done; that may be a moment after the packet arrived.
    thread::sleep(Duration::from_millis(100));
    let after = network.snapshots()?;
    write!(out, "{}", report::walk(&before, &after))?;
    Ok(())
}

/// Traffic, a line each second, and the summary.
fn load(
    args: &Args,
    network: &mut Network,
    traffic: &Traffic,
    stop: &Stop,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    writeln!(
        out,
        "\nUDP both ways, {} packets of {} bytes a second each way, for {} s (Ctrl-C ends it):\n",
        super::table::grouped(args.rate.into()),
        args.size,
        args.seconds
    )?;
    write!(out, "{}", report::rate_heading())?;
    out.flush()?;
    let first = network.snapshots()?;
    let told_before = traffic.icmp_errors(network)?;
    let (begin, mut last, mut last_at) = (Instant::now(), first.clone(), Instant::now());
    let running = traffic.start(args.rate);
    let mut tick = |number: u64| -> anyhow::Result<bool> {
        let end = begin + Duration::from_secs(number);
        traffic.stray();
        let stopped = stop.wait(end.saturating_duration_since(Instant::now()));
        network.check()?;
        let now = network.snapshots()?;
        let passed = last_at.elapsed();
        last_at = Instant::now();
        // The last line of an interrupted run would be about a part of a second.
        if !stopped {
            write!(out, "{}", report::rates(number, &last, &now, passed))?;
            out.flush()?;
        }
        last = now;
        Ok(stopped)
    };
    let ticked = (1..=args.seconds).try_fold(false, |stopped, number| match stopped {
        true => Ok(true),
        false => tick(number),
    });
    let delivery = running.finish();
    ticked?;
    let lasted = begin.elapsed();
    let told = traffic.icmp_errors(network)? - told_before;
    let changes: Vec<Snapshot> =
        network.snapshots()?.iter().zip(&first).map(|(now, before)| now.since(before)).collect();
    write!(out, "{}", report::summary(lasted, &changes, &delivery, told))?;
    Ok(())
}
