//! How long the daemon takes to its first packet, with a full table.
//!
//! `first_packet_with_a_full_table`: the real table (246 175 prefixes) in the configuration file; from
//! the process's start to the first packet that comes out. Printed, and held to a bound that a debug
//! build on a busy machine keeps; the figure to quote is a release build's:
//! `SIDEWINDER_BIN=$PWD/target/release/sidewinder cargo test -p sidewinder-tests --test start_up -- --nocapture`

use std::fmt::Write as _;
use std::net::Ipv6Addr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sidewinder_tests::lab::star::{self, NEIGHBORS, ROUTER_MACS, WORLD_MACS};
use sidewinder_tests::lab::{Sidewinder as Daemon, Wire, serial};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::packet::build::{self, Ipv6, Layer};
use sidewinder_tests::packet::mac;
use sidewinder_tests::skip::{
    self,
    Need::{AfXdp, Root, Sidewinder, Tool},
};

const TABLE: &str = "shared/data/fib/ris-as3333-2026-05-11-ipv6.txt.gz";

/// What the packets end with.
const PAYLOAD: [u8; 16] = *b"the first packet";

/// Longer than a debug build takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn first_packet_with_a_full_table() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ethtool"));
    let _turn = serial();
    let Some(prefixes) = table()? else {
        skip::announce("first_packet_with_a_full_table", "needs the table of ../shared");
        return Ok(());
    };
    let lab = star::nodes()?;
    star::wire(&lab)?;
    let mut toml = format!("[router]\nname = \"r1\"\nsocket = \"@SOCKET@\"\n\n{}", star::toml());
    for prefix in &prefixes {
        let neighbor = NEIGHBORS[1];
        let _ = write!(
            toml,
            "[[route]]\nprefix = \"{prefix}\"\nnh6 = \"{neighbor}\"\ninterface = \"out0\"\n\n"
        );
    }
    let mut daemon = Daemon::prepare(lab.node("router"), &toml)?;
    let last = prefixes.last().context("the table is empty")?;
    let address: Ipv6Addr = last.split('/').next().unwrap_or(last).parse()?;
    let layers = vec![
        Layer::Ipv6(Ipv6::new("2001:db8:1::1".parse()?, address)),
        Layer::Udp(9000, 9000, PAYLOAD.to_vec()),
    ];
    let frame = build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers);

    let wire = Wire::open(lab.node("world"))?;
    let begin = Instant::now();
    daemon.launch_unready()?;
    let arrived = AtomicBool::new(false);
    let first = thread::scope(|scope| -> Result<_> {
        let sender = scope.spawn(|| -> Result<()> {
            while !arrived.load(Ordering::Relaxed) && begin.elapsed() < LIMIT {
                wire.send("in0", &frame)?;
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        });
        let first = loop {
            // The router's kernel talks, too.
            match wire.receive(begin + LIMIT) {
                Ok(Some(frame)) if wire.name(frame.link) != "out0" => {}
                Ok(Some(frame)) if !frame.frame.ends_with(&PAYLOAD) => {}
                first => break first,
            }
        };
        arrived.store(true, Ordering::Relaxed);
        sender.join().expect("the sender ends")?;
        first
    })?;
    let first = first.with_context(|| format!("nothing came out:\n{}", daemon.log()))?;
    println!("{} routes, first packet after {:.0?}", prefixes.len(), first.at - begin);
    Ok(())
}

/// The prefixes of the table; `None` where it is not.
fn table() -> Result<Option<Vec<String>>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = here.ancestors().map(|above| above.join(TABLE)).find(|path| path.exists());
    let Some(file) = found else { return Ok(None) };
    let output = Command::new("gzip").arg("-dc").arg(&file).output()?;
    ensure!(output.status.success(), "cannot unpack {}", file.display());
    let text = String::from_utf8(output.stdout)?;
    let prefixes = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(Some(prefixes.filter(|prefix| prefix.contains(':')).map(Into::into).collect()))
}
