//! A case file: a title, what comes in, and what becomes of it.

use std::{net::IpAddr, path::Path};

use crate::syntax::{Header, mac};

/// One case.
#[derive(Debug)]
pub struct Case {
    /// The first paragraph: what the case proves.
    pub title: String,
    /// `mtu eth1=1400`: interfaces whose MTU is not 1500.
    pub mtus: Vec<(String, u32)>,
    /// `down eth1`: interfaces whose link is down.
    pub down: Vec<String>,
    /// Packets in, with what is expected of each.
    pub steps: Vec<Step>,
}

/// A packet in, and what becomes of it.
#[derive(Debug)]
pub struct Step {
    /// The interface it comes in by.
    pub ingress: String,
    /// How many of the same.
    pub count: usize,
    /// Its headers.
    pub packet: Vec<Header>,
    /// What becomes of it.
    pub outcome: Outcome,
    /// The headers of the packet that comes out; none where it is dropped.
    pub result: Vec<Header>,
    /// The fragments that come out behind it.
    pub fragments: Vec<Vec<Header>>,
}

/// What becomes of a packet, as it is counted.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `forwarded eth1 via fc00:12::2`: sent on to this neighbour.
    Forwarded { egress: String, via: Via },
    /// `replied eth0 via fc00:11::1 for no-route`: answered, and why.
    Replied { egress: String, via: Via, reason: String },
    /// `punted`: given to the host.
    Punted,
    /// `answered to the host for no-route`: the answer goes to the host itself.
    AnsweredToHost { reason: String },
    /// `dropped no-route`
    Dropped { reason: String },
}

/// A neighbour, by address or by MAC.
#[derive(Debug, PartialEq, Eq)]
pub enum Via {
    Address(IpAddr),
    Mac([u8; 6]),
}

impl Case {
    /// Reads a case file.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (title, body) = text.split_once("\n\n").ok_or("no empty line after the title")?;
        let skipped = title.lines().count() + 1;
        let mut case =
            Self { title: title.to_owned(), mtus: Vec::new(), down: Vec::new(), steps: Vec::new() };
        for (index, line) in body.lines().enumerate() {
            let number = skipped + index + 1;
            let line = line.split_once(" #").map_or(line, |(line, _)| line).trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            case.line(number, line).map_err(|what| format!("line {number}: {what}: {line}"))?;
        }
        match case.steps.last() {
            None => Err("nothing comes in".into()),
            Some(_) => Ok(case),
        }
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if line.starts_with(' ') {
            let header = Header::parse(number, line)?;
            let step = self.steps.last_mut().ok_or("a header without `in`")?;
            let lines = match step.fragments.last_mut() {
                Some(fragment) => fragment,
                None if step.outcome == Outcome::UNSAID => &mut step.packet,
                None => &mut step.result,
            };
            lines.push(header);
            return Ok(());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["mtu", setting] => {
                let (name, mtu) = setting.split_once('=').ok_or("not NAME=MTU")?;
                let mtu = mtu.parse().map_err(|_| "not a number")?;
                self.mtus.push((name.to_owned(), mtu));
            }
            ["down", name] => self.down.push((*name).to_owned()),
            ["in", ingress, times @ ..] => {
                let count = match times {
                    [] => 1,
                    [times] => {
                        let times = times.strip_prefix('x').and_then(|times| times.parse().ok());
                        times.ok_or("not xN")?
                    }
                    _ => return Err("too many words".into()),
                };
                self.steps.push(Step {
                    ingress: (*ingress).to_owned(),
                    count,
                    packet: Vec::new(),
                    outcome: Outcome::UNSAID,
                    result: Vec::new(),
                    fragments: Vec::new(),
                });
            }
            ["and"] => {
                let step = self.steps.last_mut().ok_or("`and` without `in`")?;
                if !matches!(step.outcome, Outcome::Forwarded { .. }) {
                    return Err("only what is forwarded has fragments".into());
                }
                step.fragments.push(Vec::new());
            }
            words => {
                let step = self.steps.last_mut().ok_or("an outcome without `in`")?;
                if step.outcome != Outcome::UNSAID {
                    return Err("a second outcome".into());
                }
                step.outcome = Outcome::parse(words)?;
            }
        }
        Ok(())
    }
}

impl Outcome {
    /// Stands in until the case has said it.
    const UNSAID: Self = Self::Dropped { reason: String::new() };

    fn parse(words: &[&str]) -> Result<Self, String> {
        Ok(match words {
            ["forwarded", egress, "via", via] => {
                Self::Forwarded { egress: (*egress).to_owned(), via: Via::parse(via)? }
            }
            ["replied", egress, "via", via, "for", reason] => Self::Replied {
                egress: (*egress).to_owned(),
                via: Via::parse(via)?,
                reason: (*reason).to_owned(),
            },
            ["punted"] => Self::Punted,
            ["answered", "to", "the", "host", "for", reason] => {
                Self::AnsweredToHost { reason: (*reason).to_owned() }
            }
            ["dropped", reason] => Self::Dropped { reason: (*reason).to_owned() },
            _ => return Err("neither a direction nor an outcome".into()),
        })
    }
}

impl Via {
    fn parse(text: &str) -> Result<Self, String> {
        match (text.parse(), mac(text)) {
            (Ok(address), _) => Ok(Self::Address(address)),
            (_, Some(mac)) => Ok(Self::Mac(mac)),
            _ => Err(format!("{text} is no address")),
        }
    }
}
