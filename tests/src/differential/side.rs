//! One of the two routers that get the same packets, and what comes out of it.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::subject::{self, HOST, ROUTER, SOURCES, Subject};
use crate::generator::{CARGO_SOURCE, Case};
use crate::lab::linux::{self, OuterLabel};
use crate::lab::star::{self, LINKS, ROUTER_MACS, WORLD_MACS};
use crate::lab::{Lab, Netns, Sidewinder, Wire};
use crate::packet::build::{self, Ipv6, Layer};
use crate::packet::{mac, tag};

/// How long a barrier may be under way before the router is taken for dead.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long the links must be quiet after the barrier has come.
pub const QUIET: Duration = Duration::from_millis(3);

/// The same when a packet is looked at a second time: for the slow path through the host's kernel.
pub const LONG_QUIET: Duration = Duration::from_millis(40);

/// Tags from here on are barriers, not cases.
const BARRIERS: u32 = 0xf0_0000;

/// A frame that came out, with the number of its link in [`LINKS`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Output {
    /// Which link.
    pub link: usize,
    /// The frame.
    pub frame: Vec<u8>,
}

/// The other ends of a router's three links, wherever the router is. Both routers of a bench are
/// looked at at the same time.
pub trait Ends: Debug + Send {
    /// Sends a frame on the link of this number in [`LINKS`].
    fn put(&self, link: usize, frame: &[u8]) -> Result<()>;

    /// The next frame that the router sent, with its link's number; `None` if none comes before
    /// `deadline`.
    fn take(&self, deadline: Instant) -> Result<Option<(usize, Vec<u8>)>>;
}

impl<T: Ends + Sync> Ends for std::sync::Arc<T> {
    fn put(&self, link: usize, frame: &[u8]) -> Result<()> {
        (**self).put(link, frame)
    }

    fn take(&self, deadline: Instant) -> Result<Option<(usize, Vec<u8>)>> {
        (**self).take(deadline)
    }
}

impl Ends for Wire {
    fn put(&self, link: usize, frame: &[u8]) -> Result<()> {
        self.send(LINKS[link], frame)
    }

    fn take(&self, deadline: Instant) -> Result<Option<(usize, Vec<u8>)>> {
        let Some(received) = self.receive(deadline)? else { return Ok(None) };
        let name = self.name(received.link);
        match LINKS.iter().position(|link| *link == name) {
            Some(link) => Ok(Some((link, received.frame))),
            None => bail!("a frame on the unknown link {name}"),
        }
    }
}

/// A router with three links, and their other ends.
#[derive(Debug)]
pub struct Side {
    // Dropped in this order: the daemon before its namespace.
    /// The daemon, if this side is Sidewinder.
    pub daemon: Option<Sidewinder>,
    ends: Box<dyn Ends>,
    barriers: u32,
    quiet: Duration,
    _lab: Option<Lab>,
}

impl Side {
    /// The kernel as the router.
    pub fn linux(subject: Subject) -> Result<Self> {
        Self::kernel(subject.linux(), |router| subject.tell_linux(router))
    }

    /// The kernel as the router, with routes of one's own, and what else it is to be told.
    pub fn kernel(routes: Vec<String>, told: impl FnOnce(&Netns) -> Result<()>) -> Result<Self> {
        let lab = star::nodes()?;
        let router = lab.node("router");
        linux::srv6_router(router, ROUTER, OuterLabel::Copied)?;
        linux::plain_icmp(router)?;
        star::wire(&lab)?;
        router.ip_batch(subject::addresses())?;
        router.ip_batch(subject::linux_routes())?;
        router.ip_batch(routes)?;
        told(router)?;
        Self::ready(lab, None)
    }

    /// Sidewinder as the router. The kernel beside it knows the same address and nothing of routes.
    pub fn sidewinder(subject: Subject) -> Result<Self> {
        let secrets = subject.secrets();
        let secrets: Vec<_> = secrets.iter().map(|(name, text)| (*name, text.as_str())).collect();
        Self::with_secrets(&subject.configuration(), &secrets)
    }

    /// Sidewinder with a configuration of one's own.
    pub fn configured(toml: &str) -> Result<Self> {
        Self::with_secrets(toml, &[])
    }

    /// The same, with files beside the configuration that nobody else may read: name and text.
    pub fn with_secrets(toml: &str, secrets: &[(&str, &str)]) -> Result<Self> {
        let lab = star::nodes()?;
        let router = lab.node("router");
        linux::forwarding(router)?;
        linux::plain_icmp(router)?;
        star::wire(&lab)?;
        router.ip_batch(subject::addresses())?;
        let mut daemon = Sidewinder::prepare(router, toml)?;
        for (name, text) in secrets {
            daemon.secret(name, text)?;
        }
        daemon.launch()?;
        Self::ready(lab, Some(daemon))
    }

    fn ready(lab: Lab, daemon: Option<Sidewinder>) -> Result<Self> {
        let ends = Box::new(Wire::open(lab.node("world"))?);
        Self::settled(Self { daemon, ends, barriers: 0, quiet: QUIET, _lab: Some(lab) })
    }

    /// A router that runs elsewhere, whose links must be quiet for `quiet` after a barrier.
    pub fn elsewhere(ends: Box<dyn Ends>, quiet: Duration) -> Result<Self> {
        Self::settled(Self { daemon: None, ends, barriers: 0, quiet, _lab: None })
    }

    fn settled(mut side: Self) -> Result<Self> {
        // The first packets may meet a router that still settles.
        side.window(&[], LONG_QUIET)?;
        Ok(side)
    }

    /// What comes out for each of these cases, sent close together. `None`: something came out that
    /// belongs to none of them, so that they must be sent one by one.
    pub fn observe(&mut self, cases: &[Case]) -> Result<Option<Vec<Vec<Output>>>> {
        let mut outputs = vec![Vec::new(); cases.len()];
        for output in self.window(cases, self.quiet)? {
            let owner =
                tag::find(&output.frame).and_then(|id| cases.iter().position(|case| case.id == id));
            let Some(owner) = owner else { return Ok(None) };
            outputs[owner].push(output);
        }
        for outputs in &mut outputs {
            outputs.sort();
        }
        Ok(Some(outputs))
    }

    /// What comes out for one case, whatever it is.
    pub fn observe_alone(&mut self, case: &Case, quiet: Duration) -> Result<Vec<Output>> {
        let mut outputs = self.window(std::slice::from_ref(case), quiet)?;
        outputs.sort();
        Ok(outputs)
    }

    /// Sends the cases and then a barrier: a plain packet that every router forwards. When it has
    /// come out, so has everything before it, but for what waits on another link.
    fn window(&mut self, cases: &[Case], quiet: Duration) -> Result<Vec<Output>> {
        for case in cases {
            self.ends.put(0, &case.frame)?;
        }
        self.barriers += 1;
        let barrier = BARRIERS + self.barriers;
        self.ends.put(0, &barrier_frame(barrier)?)?;

        let mut outputs = Vec::new();
        let mut passed = false;
        let mut deadline = Instant::now() + PATIENCE;
        while let Some((link, frame)) = self.ends.take(deadline)? {
            if is_chatter(&frame) {
                continue;
            }
            if passed {
                deadline = Instant::now() + quiet;
            }
            if tag::find(&frame) == Some(barrier) {
                passed = true;
                deadline = Instant::now() + quiet;
                continue;
            }
            outputs.push(Output { link, frame });
        }
        if !passed {
            bail!(
                "a plain packet sent after {} cases ({:?} …) did not come through",
                cases.len(),
                cases.first().map(|case| case.id)
            );
        }
        Ok(outputs)
    }
}

fn barrier_frame(id: u32) -> Result<Vec<u8>> {
    let source = tag::address(SOURCES.parse()?, id);
    let layers = [Layer::Ipv6(Ipv6::new(source, HOST.parse()?)), Layer::Udp(9, 9, vec![])];
    Ok(build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers))
}

/// A frame as it is seen when it has come out, if it is: the kernel takes a VLAN tag off before a raw
/// socket gets it, and drops what has a tag and nothing behind it.
pub fn seen(mut frame: Vec<u8>) -> Option<Vec<u8>> {
    if let Some([0x81, 0x00] | [0x88, 0xa8]) = frame.get(12..14) {
        if frame.len() < 20 {
            return None;
        }
        frame.drain(12..16);
    }
    Some(frame)
}

/// What a kernel says by itself: neighbour and listener discovery, ARP.
fn is_chatter(frame: &[u8]) -> bool {
    let multicast = frame.starts_with(&[0x33, 0x33]) && frame.get(12..14) == Some(&[0x86, 0xdd]);
    let arp = frame.get(12..14) == Some(&[0x08, 0x06]);
    // Frames that were cargo may look the same.
    let is_cargo = frame.get(6..12) == Some(&mac(CARGO_SOURCE));
    !is_cargo && (multicast && matches!(frame.get(20), Some(58 | 0)) || arp)
}
