//! Runs a case: packets in, and what comes out compared byte for byte.

use std::{
    collections::HashMap,
    fmt::Write,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use sidewinder::{
    api::trace::{Traced, hex},
    cli::trace::text,
};
use sidewinder_config::Config;
use sidewinder_dataplane::verdict::Reason;
use tempfile::TempDir;

use crate::{
    case::{Case, Outcome, Step, Via},
    describe,
    encode::{self, Around, Bytes},
    machine::{Counts, Machine, own_mac},
    syntax::Header,
};

/// Source of frames that come in, unless the case says otherwise.
const SENDER: [u8; 6] = [2, 0, 0, 0, 0xff, 0xff];

/// Runs the case in a folder. An error says what is wrong, in text for people.
pub fn run(folder: &Path) -> Result<(), String> {
    let case = Case::load(&folder.join("case.txt"))?;
    let config = configuration(folder)?;
    let mut run = Run { machine: Machine::new(&config, &case)?, config, labels: HashMap::new() };
    // Packets that come in by the same interface, one after the other, are one burst.
    for burst in case.steps.chunk_by(|one, next| one.ingress == next.ingress) {
        run.burst(burst)?;
    }
    Ok(())
}

/// The configuration of a case, or of the folder it is in.
pub fn configuration(folder: &Path) -> Result<Config, String> {
    let own = folder.join("config.toml");
    let path = if own.exists() { own } else { folder.join("../config.toml") };
    let secret = with_secret_keys(&path).map_err(|error| error.to_string())?;
    let path = secret.as_ref().map_or(path, |folder| folder.path().join("config.toml"));
    sidewinder_config::load(path)
        .map(|checked| checked.config)
        .map_err(|failure| failure.to_string())
}

/// A copy of a configuration and its file of keys, if it has one, that nobody else may read: a
/// repository does not keep the mode of files.
fn with_secret_keys(config: &Path) -> std::io::Result<Option<TempDir>> {
    let keys = config.with_file_name("keys.toml");
    if !keys.exists() {
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    fs::copy(config, folder.path().join("config.toml"))?;
    let copy = folder.path().join("keys.toml");
    fs::copy(keys, &copy)?;
    fs::set_permissions(copy, Permissions::from_mode(0o600))?;
    Ok(Some(folder))
}

struct Run {
    machine: Machine,
    config: Config,
    /// Flow labels that the case gave a name.
    labels: HashMap<String, u32>,
}

impl Run {
    fn burst(&mut self, steps: &[Step]) -> Result<(), String> {
        let before = self.machine.counts();
        let mut expected = Expected::new(self.config.interfaces.len(), before);
        for step in steps {
            let port = self.port(&step.ingress)?;
            let macs = (SENDER, own_mac(port));
            let frame = encode::frame(&step.packet, &Around { macs, invoking: &[] })?.bytes;
            self.round_trip(&frame)?;
            for _ in 0..step.count {
                self.machine.offer(port, &frame)?;
                self.expect(step, frame.get(14..).unwrap_or(&[]), &mut expected)?;
            }
        }
        self.machine.round();
        let traced = self.machine.traced();
        let mut left = vec![Vec::new(); self.config.interfaces.len()];
        let expected_traces = steps.iter().flat_map(|step| (0..step.count).map(move |_| step));
        for (index, step) in expected_traces.enumerate() {
            let traced = traced.get(index).ok_or("a packet was not traced")?;
            self.trace_says(step, traced, &mut left)
                .map_err(|what| format!("trace: {what}\n{}", text::packet(traced)))?;
        }
        for (port, fragments) in expected.fragments.iter_mut().enumerate() {
            expected.sent[port].append(fragments);
        }
        for (port, expected) in expected.sent.iter().enumerate() {
            let found = self.machine.sent(port);
            // It shows the first of a packet's fragments; the others are behind all packets.
            if left[port]
                != found.iter().take(left[port].len()).map(|frame| hex(frame)).collect::<Vec<_>>()
            {
                return Err(format!("{}: what the trace says is not what was sent", port));
            }
            let name = self.config.interfaces[port].name.clone();
            self.compare(&name, expected, &found, true)?;
        }
        let found = self.machine.punted();
        self.compare("host", &expected.punted, &found, false)?;
        let counts = self.machine.counts();
        if counts != expected.counts {
            return Err(counted(&expected.counts, &counts));
        }
        // Sent frames come back in the next round.
        self.machine.round();
        match self.machine.frames_are_conserved() {
            true => Ok(()),
            false => Err("a frame was lost".into()),
        }
    }

    /// The trace of a packet says what became of it. What it says was sent is added to what `left`
    /// by that interface.
    fn trace_says(
        &self,
        step: &Step,
        traced: &Traced,
        left: &mut [Vec<String>],
    ) -> Result<(), String> {
        let (fate, reason, egress) = match &step.outcome {
            Outcome::Forwarded { egress, .. } => ("forwarded", None, Some(egress)),
            Outcome::Replied { egress, reason, .. } => ("replied", Some(reason), Some(egress)),
            Outcome::Punted => ("punted", None, None),
            Outcome::AnsweredToHost { reason } => ("replied", Some(reason), None),
            Outcome::Dropped { reason } => ("dropped", Some(reason), None),
        };
        let verdict = &traced.verdict;
        let said = (&*verdict.fate, verdict.reason.as_ref(), verdict.interface.as_ref());
        if said != (fate, reason, egress) {
            return Err(format!("expected {fate}, {reason:?}, {egress:?}, not {said:?}"));
        }
        if traced.interface != step.ingress {
            return Err(format!("it came in by {}", step.ingress));
        }
        match (egress, &traced.sent, traced.steps.last()) {
            (Some(egress), Some(sent), Some(last)) => {
                // A frame of End.DX2 has no neighbour to be sent to.
                if last.adjacency.as_ref().map(|it| &it.interface) != Some(egress)
                    && last.outcome != format!("send the frame by {egress}")
                {
                    return Err("the last step has another adjacency".into());
                }
                // The last step left the packet as it was sent, or whole.
                if step.fragments.is_empty() && 2 * (last.after.length + 14) != sent.len() {
                    return Err("the last step left another packet".into());
                }
                left[self.port(egress)?].push(sent.clone());
                Ok(())
            }
            (None, None, _) => Ok(()),
            _ => Err("sent, or not?".into()),
        }
    }

    /// What a packet should lead to: bytes and counters.
    fn expect(&self, step: &Step, invoking: &[u8], expected: &mut Expected) -> Result<(), String> {
        let counts = &mut expected.counts;
        counts.received += 1;
        match &step.outcome {
            Outcome::Forwarded { egress, via } => {
                counts.forwarded += 1;
                counts.sent += 1;
                let port = self.port(egress)?;
                expected.sent[port].push(self.result(&step.result, egress, via, invoking)?);
                counts.sent += step.fragments.len() as u64;
                for fragment in &step.fragments {
                    let fragment = self.result(fragment, egress, via, invoking)?;
                    expected.fragments[port].push(fragment);
                }
            }
            Outcome::Replied { egress, via, reason } => {
                counts.replied += 1;
                counts.sent += 1;
                counts.replies[place(reason)?] += 1;
                let port = self.port(egress)?;
                expected.sent[port].push(self.result(&step.result, egress, via, invoking)?);
            }
            Outcome::Punted => {
                counts.punted += 1;
                expected.punted.push(self.to_host(step, invoking)?);
            }
            Outcome::AnsweredToHost { reason } => {
                counts.replied += 1;
                counts.replies[place(reason)?] += 1;
                expected.punted.push(self.to_host(step, invoking)?);
            }
            Outcome::Dropped { reason } => {
                counts.dropped += 1;
                counts.drops[place(reason)?] += 1;
            }
        }
        Ok(())
    }

    fn result(
        &self,
        headers: &[Header],
        egress: &str,
        via: &Via,
        invoking: &[u8],
    ) -> Result<Bytes, String> {
        let neighbour = match via {
            Via::Mac(mac) => *mac,
            Via::Address(address) => {
                let known = |neighbor: &&sidewinder_config::Neighbor| {
                    neighbor.address == *address && neighbor.interface == egress
                };
                let found = self.config.neighbors.iter().find(known);
                found.ok_or_else(|| format!("no [[neighbor]] {address} on {egress}"))?.mac.0
            }
        };
        let macs = (own_mac(self.port(egress)?), neighbour);
        encode::frame(headers, &Around { macs, invoking })
    }

    fn to_host(&self, step: &Step, invoking: &[u8]) -> Result<Bytes, String> {
        encode::packet(&step.result, &Around { macs: Default::default(), invoking })
    }

    fn compare(
        &mut self,
        place: &str,
        expected: &[Bytes],
        found: &[Vec<u8>],
        ethernet: bool,
    ) -> Result<(), String> {
        for (index, found) in found.iter().enumerate() {
            let Some(expected) = expected.get(index) else {
                let text = describe::packet(found, ethernet);
                return Err(format!("{place}: nothing more was expected, but there is\n{text}"));
            };
            let mut bytes = expected.bytes.clone();
            self.fill_in_labels(&mut bytes, &expected.labels, found)?;
            if bytes != *found {
                return Err(format!(
                    "{place}: expected\n{}found\n{}difference\n{}",
                    describe::packet(&bytes, ethernet),
                    describe::packet(found, ethernet),
                    describe::difference(&bytes, found),
                ));
            }
        }
        match expected.get(found.len()) {
            Some(missing) => {
                let text = describe::packet(&missing.bytes, ethernet);
                Err(format!("{place}: nothing came, but expected was\n{text}"))
            }
            None => Ok(()),
        }
    }

    /// Puts the labels that the case only names into the expected packet. A name stands for the
    /// same label wherever it occurs, other names for other labels, and none for 0.
    fn fill_in_labels(
        &mut self,
        expected: &mut [u8],
        labels: &[(usize, String)],
        found: &[u8],
    ) -> Result<(), String> {
        for (offset, name) in labels {
            let Some(word) = found.get(*offset..).and_then(|rest| rest.first_chunk()) else {
                continue;
            };
            let found = u32::from_be_bytes(*word) & 0xf_ffff;
            let label = *self.labels.entry(name.clone()).or_insert(found);
            let alike = self.labels.iter().find(|(other, at)| *other != name && **at == label);
            if let Some((other, _)) = alike {
                return Err(format!("flow labels {name} and {other} are both {label:#x}"));
            }
            if label == 0 {
                return Err(format!("flow label {name} is 0"));
            }
            expected[offset + 1] |= (label >> 16) as u8;
            expected[offset + 2..offset + 4].copy_from_slice(&(label as u16).to_be_bytes());
        }
        Ok(())
    }

    /// What is shown of a packet has to be all there is to it: read back, it is the same packet.
    fn round_trip(&self, frame: &[u8]) -> Result<(), String> {
        let text = describe::packet(frame, true);
        let headers: Vec<_> = text
            .lines()
            .enumerate()
            .map(|(line, text)| crate::syntax::Header::parse(line, text))
            .collect::<Result<_, _>>()?;
        let again = encode::frame(&headers, &Around::default())
            .map_err(|what| format!("the description of a packet does not read back: {what}"))?;
        match again.bytes == frame {
            true => Ok(()),
            false => Err(format!(
                "the description of a packet is another packet\n{text}{}",
                describe::difference(frame, &again.bytes)
            )),
        }
    }

    fn port(&self, name: &str) -> Result<usize, String> {
        self.config
            .interfaces
            .iter()
            .position(|interface| interface.name == name)
            .ok_or_else(|| format!("there is no {name}"))
    }
}

struct Expected {
    counts: Counts,
    sent: Vec<Vec<Bytes>>,
    fragments: Vec<Vec<Bytes>>,
    punted: Vec<Bytes>,
}

impl Expected {
    fn new(ports: usize, counts: Counts) -> Self {
        let none = vec![Vec::new(); ports];
        Self { counts, sent: none.clone(), fragments: none, punted: Vec::new() }
    }
}

fn place(reason: &str) -> Result<usize, String> {
    Reason::ALL
        .iter()
        .position(|known| known.name() == reason)
        .ok_or_else(|| format!("there is no reason {reason}"))
}

/// The counters that are not as expected.
fn counted(expected: &Counts, found: &Counts) -> String {
    let mut text = "counters, expected and found:\n".to_owned();
    let mut row = |name: &str, expected: u64, found: u64| {
        if expected != found {
            let _ = writeln!(text, "  {name:<32} {expected:>4} {found:>4}");
        }
    };
    row("received", expected.received, found.received);
    row("sent", expected.sent, found.sent);
    row("forwarded", expected.forwarded, found.forwarded);
    row("punted", expected.punted, found.punted);
    row("replied", expected.replied, found.replied);
    row("dropped", expected.dropped, found.dropped);
    for (index, reason) in Reason::ALL.iter().enumerate() {
        let name = reason.name();
        row(&format!("replied for {name}"), expected.replies[index], found.replies[index]);
        row(&format!("dropped for {name}"), expected.drops[index], found.drops[index]);
    }
    text
}
