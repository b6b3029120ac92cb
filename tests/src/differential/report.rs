//! The sum of a differential run, and the files that its failures leave behind.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::side::Output;
use super::subject::Subject;
use super::{Judged, Verdict};
use crate::generator::Case;
use crate::lab::star::LINKS;
use crate::packet::{hex, next, summary};

/// How many unexplained differences are written out; more would bury the first.
const SHOWN: usize = 5;

/// Counts by verdict, and the unexplained cases themselves.
#[derive(Debug)]
pub struct Report {
    subject: Subject,
    seed: u64,
    /// Packets that came out the same, forwarded.
    pub forwarded: u32,
    /// Packets for which both sent the same ICMP message.
    pub answered: u32,
    /// Packets that got nothing from either.
    pub dropped: u32,
    /// Intended differences: name, the RFC's sentence, count.
    pub intended: BTreeMap<&'static str, (&'static str, u32)>,
    /// What nothing explains.
    pub unexplained: Vec<Judged>,
}

impl Report {
    pub(super) fn new(subject: Subject, seed: u64) -> Self {
        Self {
            subject,
            seed,
            forwarded: 0,
            answered: 0,
            dropped: 0,
            intended: BTreeMap::new(),
            unexplained: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, judged: Judged) {
        match judged.verdict {
            Verdict::Nothing => self.dropped += 1,
            Verdict::Same if judged.linux.iter().any(is_icmp_error) => self.answered += 1,
            Verdict::Same => self.forwarded += 1,
            Verdict::Intended(difference) => {
                let entry = self.intended.entry(difference.name).or_insert((difference.rule, 0));
                entry.1 += 1;
            }
            Verdict::Unexplained => self.unexplained.push(judged),
        }
    }

    /// How many packets were judged.
    pub fn total(&self) -> u32 {
        let intended: u32 = self.intended.values().map(|(_, count)| count).sum();
        let unexplained = u32::try_from(self.unexplained.len()).unwrap_or(u32::MAX);
        self.forwarded + self.answered + self.dropped + intended + unexplained
    }

    /// An error with the first unexplained differences, each also written to a file that
    /// `SIDEWINDER_CASE` replays.
    pub fn all_explained(&self) -> Result<()> {
        if self.unexplained.is_empty() {
            return Ok(());
        }
        let mut text = format!("{} unexplained differences\n{self}", self.unexplained.len());
        for judged in self.unexplained.iter().take(SHOWN) {
            let file = save(self.subject, self.seed, judged)?;
            let _ =
                write!(text, "\n{}\n  replay: SIDEWINDER_CASE={}", told(judged), file.display());
        }
        bail!(text)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} packets, {} forwarded the same, {} answered the same, {} dropped by both",
            self.subject,
            self.total(),
            self.forwarded,
            self.answered,
            self.dropped
        )?;
        for (name, (rule, count)) in &self.intended {
            write!(f, "\n{count:7} {name}\n          {rule}")?;
        }
        Ok(())
    }
}

/// A judged packet in words.
pub fn told(judged: &Judged) -> String {
    let mut text = format!("case {} ({})\n", judged.case.id, judged.case.note);
    let _ = writeln!(text, "  in         {}", summary::line(&judged.case.frame));
    for (name, outputs) in [("linux", &judged.linux), ("sidewinder", &judged.other)] {
        if outputs.is_empty() {
            let _ = writeln!(text, "  {name:10} nothing");
        }
        for output in outputs {
            let (link, line) = (LINKS[output.link], summary::line(&output.frame));
            let _ = writeln!(text, "  {name:10} {link}: {line}");
        }
    }
    text.trim_end().to_owned()
}

/// Writes a case file: what was sent, and what came out of both.
fn save(subject: Subject, seed: u64, judged: &Judged) -> Result<PathBuf> {
    let mut text = format!("# {} seed {seed}: {}\n", subject, judged.case.note);
    let _ = writeln!(text, "subject {subject}\ncase {}\ninput", judged.case.id);
    text.push_str(&hex::dump(&judged.case.frame));
    for (name, outputs) in [("linux", &judged.linux), ("sidewinder", &judged.other)] {
        for output in outputs {
            let _ = writeln!(text, "{name} {}", LINKS[output.link]);
            text.push_str(&hex::dump(&output.frame));
        }
    }
    let dir = env::current_exe()?;
    // target/<profile>/deps/<test>
    let target = dir.ancestors().nth(3).unwrap_or(Path::new("/tmp"));
    let dir = target.join("differential");
    fs::create_dir_all(&dir)?;
    let file = dir.join(format!("{subject}-{seed}-{}.case", judged.case.id));
    fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

/// Reads a case file back: the subject, and the packet that was sent.
pub fn load(file: &Path) -> Result<(Subject, Case)> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let word = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    let subject = word("subject").and_then(Subject::named).context("no `subject` line")?;
    let id = word("case").and_then(|id| id.parse().ok()).context("no `case` line")?;
    let input = text.lines().skip_while(|line| *line != "input").skip(1);
    let is_hex =
        |line: &&str| line.starts_with(|c: char| c.is_ascii_hexdigit()) && line.contains("  ");
    let rows: Vec<&str> = input.take_while(is_hex).collect();
    let frame = hex::parse(&rows.join("\n")).context("no bytes after `input`")?;
    Ok((subject, Case { id, note: format!("from {}", file.display()), frame }))
}

fn is_icmp_error(output: &Output) -> bool {
    let frame = &output.frame;
    // An error begins right after a plain IPv6 header.
    frame.get(20) == Some(&next::ICMP6) && frame.get(54).is_some_and(|kind| *kind < 128)
}
