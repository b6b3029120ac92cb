//! The same packets into two routers, and the judgement of what comes out.

pub mod chain;
pub mod differences;
pub mod report;
pub mod rfc;
pub mod side;
pub mod subject;

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::generator::{self, Case};
use crate::packet::tag;
use differences::{Difference, Pair};
use report::Report;
use side::{Output, Side};
use subject::Subject;

/// How many cases are sent close together. Small enough for every ring and socket buffer.
const WINDOW: u32 = 32;

/// What the two routers' outputs for one packet are to each other.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// The same bytes on the same links.
    Same,
    /// Nothing from either.
    Nothing,
    /// Not the same, and it is meant to be so.
    Intended(&'static Difference),
    /// Not the same, and nothing explains it.
    Unexplained,
}

/// A packet and what became of it on both sides.
#[derive(Debug)]
pub struct Judged {
    /// The packet.
    pub case: Case,
    /// What Linux made of it.
    pub linux: Vec<Output>,
    /// What the other router made of it.
    pub other: Vec<Output>,
    /// The judgement.
    pub verdict: Verdict,
}

/// Two routers side by side.
#[derive(Debug)]
pub struct Bench {
    subject: Subject,
    linux: Side,
    other: Side,
}

impl Bench {
    /// Linux and Sidewinder.
    pub fn new(subject: Subject) -> Result<Self> {
        let (linux, other) = (Side::linux(subject)?, Side::sidewinder(subject)?);
        Ok(Self { subject, linux, other })
    }

    /// Linux and Linux: what shows that the bench itself makes no differences.
    pub fn of_linux(subject: Subject) -> Result<Self> {
        let (linux, other) = (Side::linux(subject)?, Side::linux(subject)?);
        Ok(Self { subject, linux, other })
    }

    /// Runs the cases of `seed` with the numbers below `count`.
    pub fn run(&mut self, seed: u64, count: u32) -> Result<Report> {
        let mut report = Report::new(self.subject, seed);
        let mut next = 0;
        while next < count {
            let last = count.min(next + WINDOW);
            let cases: Vec<Case> =
                (next..last).map(|id| generator::case(self.subject, seed, id)).collect();
            for judged in self.window(cases)? {
                report.add(judged);
            }
            next = last;
        }
        Ok(report)
    }

    /// Whether Sidewinder has counted every packet exactly once: as forwarded, given to the host,
    /// answered or dropped.
    pub fn counters_add_up(&self) -> Result<()> {
        let daemon = self.other.daemon.as_ref().context("no daemon on this bench")?;
        let text = daemon.command("show workers --json")?;
        let workers: serde_json::Value = serde_json::from_str(&text)?;
        let count =
            |key: &str| workers[0][key].as_u64().with_context(|| format!("no {key} in {text}"));
        let fates = count("forwarded")? + count("punted")? + count("replied")? + count("dropped")?;
        ensure!(count("received")? == fates && fates > 0, "the counters do not add up: {text}");
        Ok(())
    }

    /// Sends one packet, alone, and waits long for what comes out.
    pub fn alone(&mut self, case: Case) -> Result<Judged> {
        self.single(case, side::LONG_QUIET)
    }

    fn single(&mut self, case: Case, quiet: Duration) -> Result<Judged> {
        let (linux, other) = self.both(|side| side.observe_alone(&case, quiet))?;
        Ok(self.judge(case, linux, other))
    }

    fn window(&mut self, cases: Vec<Case>) -> Result<Vec<Judged>> {
        // What carries no tag can only be told from others when it is alone.
        let (tagged, bare): (Vec<Case>, Vec<Case>) =
            cases.into_iter().partition(|case| tag::find(&case.frame) == Some(case.id));
        let mut judged = Vec::new();
        let outputs = self.both(|side| side.observe(&tagged))?;
        if let (Some(linux), Some(other)) = outputs {
            for ((case, linux), other) in tagged.into_iter().zip(linux).zip(other) {
                judged.push(self.judge(case, linux, other));
            }
        } else {
            for case in tagged {
                judged.push(self.single(case, side::QUIET)?);
            }
        }
        for case in bare {
            judged.push(self.single(case, side::QUIET)?);
        }
        // Said of a packet alone and with patience, a difference is no matter of timing.
        judged
            .into_iter()
            .map(|judged| match judged.verdict {
                Verdict::Unexplained => self.alone(judged.case),
                _ => Ok(judged),
            })
            .collect()
    }

    /// Looks at both routers at the same time: mostly it is waited for nothing to come.
    fn both<T: Send>(&mut self, look: impl Fn(&mut Side) -> Result<T> + Sync) -> Result<(T, T)> {
        let Self { linux, other, .. } = self;
        let (linux, other) = std::thread::scope(|scope| {
            let linux = scope.spawn(|| look(linux));
            let other = look(other);
            (linux.join(), other)
        });
        let linux = linux.map_err(|_| anyhow!("looking at Linux panicked"))?;
        Ok((linux?, other?))
    }

    fn judge(&self, case: Case, linux: Vec<Output>, other: Vec<Output>) -> Judged {
        let verdict = if linux == other {
            if linux.is_empty() { Verdict::Nothing } else { Verdict::Same }
        } else {
            let pair = Pair::new(self.subject, &case.frame, &linux, &other);
            differences::explain(&pair).map_or(Verdict::Unexplained, Verdict::Intended)
        };
        Judged { case, linux, other, verdict }
    }
}
