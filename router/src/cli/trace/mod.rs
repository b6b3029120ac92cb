//! `trace`: the way of the next packets that match.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use ipnet::IpNet;
use sidewinder_dataplane::verdict::Reason;

use super::lab::stop::Stop;
use crate::api::Request;
use crate::api::client::Answers;
use crate::api::trace::{Ask, End, Message, Why};

mod pcapng;
pub mod text;

/// What `trace` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after so many packets; 0: as many as come.
    #[arg(long, value_name = "N", default_value_t = 10)]
    count: u64,
    /// End after so many seconds; 0: not for that.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// Only packets that come in by this interface.
    #[arg(long, value_name = "IF")]
    interface: Option<String>,
    /// Only packets with a destination in this prefix, as they come or after any step.
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    prefix: Option<IpNet>,
    /// Only packets for this local SID.
    #[arg(long, value_name = "SID", value_parser = prefix)]
    sid: Option<IpNet>,
    /// Only packets that are dropped or answered for this reason.
    #[arg(long, value_name = "REASON", value_parser = reasons(), hide_possible_values = true)]
    drop: Option<String>,
    /// Only packets for our SIDs with the O-flag (RFC 9259), beginning with the last 128 of those that
    /// were copied before. Needs o-flag = "copy" in [router].
    #[arg(long)]
    o_flag: bool,
    /// Write the packets, as they come and as they leave, to this file, for Wireshark.
    #[arg(long, value_name = "FILE.pcapng")]
    write: Option<PathBuf>,
    /// Print JSON, one message a line.
    #[arg(long)]
    json: bool,
}

/// A prefix, or an address as one.
fn prefix(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| "not an address or a prefix".into())
}

fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(Reason::ALL.iter().map(|reason| reason.name()))
}

/// Tells the way of the next packets that match.
pub fn trace(socket: &Path, args: Args) -> anyhow::Result<()> {
    let Args { count, timeout, interface, prefix, sid, drop, o_flag, write, json } = args;
    // Before the daemon is asked: a file that cannot be written must not cost it anything.
    let mut capture = write.as_deref().map(create).transpose()?;
    let request = Request::Trace(Ask { count, timeout, interface, prefix, sid, drop, o_flag });
    let mut answers = Answers::ask(socket, &request)?;
    end_on_signal(&answers)?;
    let mut out = std::io::stdout().lock();
    while let Some(answer) = answers.receive()? {
        if json {
            writeln!(out, "{answer}")?;
            out.flush()?;
        }
        let message = serde_json::from_value(answer).context("the daemon is of another version")?;
        match message {
            Message::Begun { .. } => {}
            Message::Packet(packet) => {
                if let Some(capture) = &mut capture {
                    capture.packet(&packet, &text::packet(&packet))?;
                } else if !json {
                    write!(out, "{}", text::packet(&packet))?;
                    out.flush()?;
                }
            }
            Message::End(end) => {
                if let (Some(capture), Some(path)) = (&mut capture, &write) {
                    capture.flush().with_context(|| format!("cannot write {}", path.display()))?;
                }
                eprintln!("{}", said(&end, write.as_deref()));
                return Ok(());
            }
        }
    }
    anyhow::bail!("the daemon hung up")
}

fn create(path: &Path) -> anyhow::Result<pcapng::Capture<BufWriter<File>>> {
    let file = File::create(path).with_context(|| format!("cannot write to {}", path.display()))?;
    Ok(pcapng::Capture::new(BufWriter::new(file))?)
}

/// A signal ends the trace, not this program: what is on its way is still told.
fn end_on_signal(answers: &Answers) -> anyhow::Result<()> {
    let connection = answers.connection()?;
    let stop = Stop::on_signals()?;
    thread::spawn(move || {
        while !stop.wait(Duration::from_secs(3600)) {}
        // Fails only where the daemon has hung up already.
        let _ = connection.shutdown(Shutdown::Write);
    });
    Ok(())
}

fn said(end: &End, file: Option<&Path>) -> String {
    let End { why, packets, missed } = end;
    let mut said = format!("{packets} packet{}", if *packets == 1 { "" } else { "s" });
    if let Some(file) = file {
        said += &format!(" written to {}", file.display());
    }
    said += match why {
        Why::Count => "",
        Why::Timeout => ", then the time was up (`--timeout`)",
        Why::Stopped => ", then stopped",
    };
    if *missed > 0 {
        said += &format!(
            "; {missed} more matched and are not told, since they came faster than they could be \
             taken away: a narrower filter misses less"
        );
    }
    said
}
