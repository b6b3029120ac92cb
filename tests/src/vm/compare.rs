//! The same packets into two Sidewinders, one on veth and one in the virtual machine: the same bytes
//! have to come out of both.

use std::fmt::{self, Write};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::differential::side::{LONG_QUIET, Output, Side};
use crate::generator::Case;
use crate::lab::star::LINKS;
use crate::packet::{next, summary, tag};

/// How many cases are sent close together: every ring and socket buffer has room for them.
const WINDOW: usize = 32;

/// How long the guest's links must be quiet after the barrier has come. It answers a little later
/// than a veth, and now and then QEMU does not run.
pub const QUIET: Duration = Duration::from_millis(15);

/// The same when a packet is looked at a second time.
const PATIENT: Duration = Duration::from_millis(250);

/// Differences that a failed test shows.
const SHOWN: usize = 5;

/// Differences after which the rest is not looked at: each takes its time.
const ENOUGH: usize = 20;

/// What became of the packets.
#[derive(Debug)]
pub struct Comparison {
    name: String,
    /// Packets for which the same packet came out of both.
    pub forwarded: u32,
    /// Packets that both answered with the same ICMP error.
    pub answered: u32,
    /// Packets for which nothing came out of either.
    pub dropped: u32,
    differences: Vec<String>,
}

impl Comparison {
    /// Sends these cases into both.
    pub fn run(name: &str, veth: &mut Side, guest: &mut Side, cases: Vec<Case>) -> Result<Self> {
        let mut comparison =
            Self { name: name.into(), forwarded: 0, answered: 0, dropped: 0, differences: vec![] };
        for window in cases.chunks(WINDOW) {
            // What carries no tag can only be told from others when it is alone.
            let (tagged, mut alone): (Vec<Case>, Vec<Case>) =
                window.iter().cloned().partition(|case| tag::find(&case.frame) == Some(case.id));
            match (veth.observe(&tagged)?, guest.observe(&tagged)?) {
                (Some(on_veth), Some(in_guest)) => {
                    for ((case, left), right) in tagged.into_iter().zip(on_veth).zip(in_guest) {
                        match left == right {
                            true => comparison.count(&left),
                            // Said of a packet alone and with patience, it is no matter of timing.
                            false => alone.push(case),
                        }
                    }
                }
                _ => alone.extend(tagged),
            }
            for case in alone {
                comparison.alone(veth, guest, &case)?;
                if comparison.differences.len() >= ENOUGH {
                    return Ok(comparison);
                }
            }
        }
        Ok(comparison)
    }

    /// An error that tells the differences, if there are any.
    pub fn all_the_same(&self) -> Result<()> {
        match self.differences.is_empty() {
            true => Ok(()),
            false => bail!(
                "{self}, {} not the same:\n{}",
                self.differences.len(),
                self.differences[..self.differences.len().min(SHOWN)].join("\n")
            ),
        }
    }

    fn alone(&mut self, veth: &mut Side, guest: &mut Side, case: &Case) -> Result<()> {
        let (mut left, mut right) =
            (veth.observe_alone(case, LONG_QUIET / 4)?, guest.observe_alone(case, QUIET)?);
        if left != right {
            left = veth.observe_alone(case, LONG_QUIET)?;
            right = guest.observe_alone(case, PATIENT)?;
        }
        if left == right {
            self.count(&left);
        } else {
            self.differences.push(told(case, &left, &right));
        }
        Ok(())
    }

    fn count(&mut self, outputs: &[Output]) {
        match outputs.first() {
            None => self.dropped += 1,
            Some(output) if is_icmp_error(&output.frame) => self.answered += 1,
            Some(_) => self.forwarded += 1,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, forwarded, answered, dropped, .. } = self;
        write!(f, "{name}: {forwarded} forwarded, {answered} answered, {dropped} dropped the same")
    }
}

/// A difference in words.
fn told(case: &Case, veth: &[Output], guest: &[Output]) -> String {
    let mut text = format!("case {} ({})\n", case.id, case.note);
    let _ = writeln!(text, "  in    {}", summary::line(&case.frame));
    for (name, outputs) in [("veth", veth), ("guest", guest)] {
        if outputs.is_empty() {
            let _ = writeln!(text, "  {name:5} nothing");
        }
        for output in outputs {
            let (link, line) = (LINKS[output.link], summary::line(&output.frame));
            let _ = writeln!(text, "  {name:5} {link}: {line}");
        }
    }
    text.trim_end().to_owned()
}

/// Whether a frame is an ICMP error right after a plain IP header, of either family.
fn is_icmp_error(frame: &[u8]) -> bool {
    let v6 = frame.get(20) == Some(&next::ICMP6) && frame.get(54).is_some_and(|kind| *kind < 128);
    let v4 = frame.get(12..14) == Some(&[8, 0])
        && frame.get(23) == Some(&1)
        && frame.get(34).is_some_and(|kind| matches!(kind, 3 | 11 | 12));
    v6 || v4
}
