//! A steady load of numbered frames through a router, while something is done to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Netns;
use super::star::LINKS;
use super::traffic::Pace;
use super::wire::{Received, Wire};
use crate::packet::tag;

/// How long the last packets may take to come through.
const TAIL: Duration = Duration::from_millis(500);

/// What was sent and what came of it.
#[derive(Debug)]
pub struct Load {
    /// When each frame was sent; the frame's number is its place.
    pub sent: Vec<Instant>,
    /// Every tagged frame that came out, in the order of arrival.
    pub received: Vec<Arrival>,
}

/// A frame that came out.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The number that it was sent under.
    pub number: u32,
    /// The link that it came out on, by its place in [`LINKS`].
    pub link: usize,
    /// When it came.
    pub at: Instant,
    /// The frame.
    pub frame: Vec<u8>,
}

impl Load {
    /// Sends the frames that `make` builds for 0, 1, 2 … into in0 at `rate` per second for as long
    /// as `meanwhile` takes, and gathers what comes out at the router's links.
    pub fn run<T>(
        world: &Netns,
        rate: u32,
        make: impl Fn(u32) -> Vec<u8> + Sync,
        meanwhile: impl FnOnce() -> Result<T>,
    ) -> Result<(Self, T)> {
        let (sender, receiver) = (Wire::open(world)?, Wire::open(world)?);
        let (sending, receiving) = (AtomicBool::new(true), AtomicBool::new(true));
        thread::scope(|scope| {
            let sent = scope.spawn(|| send(&sender, rate, &make, &sending));
            let received = scope.spawn(|| receive(&receiver, &receiving));
            let done = meanwhile();
            sending.store(false, Ordering::Relaxed);
            let sent = sent.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            thread::sleep(TAIL);
            receiving.store(false, Ordering::Relaxed);
            let received = received.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok((Self { sent: sent?, received: received? }, done?))
        })
    }

    /// The numbers that never came out.
    pub fn lost(&self) -> Vec<u32> {
        let mut here = vec![false; self.sent.len()];
        for arrival in &self.received {
            // A number that was not sent would be a changed tag, which checks itself.
            if let Some(here) = usize::try_from(arrival.number).ok().and_then(|n| here.get_mut(n)) {
                *here = true;
            }
        }
        (0..).zip(here).filter(|(_, here)| !here).map(|(number, _)| number).collect()
    }
}

fn send(
    wire: &Wire,
    rate: u32,
    make: impl Fn(u32) -> Vec<u8>,
    running: &AtomicBool,
) -> Result<Vec<Instant>> {
    let mut pace = Pace::new(rate);
    let mut sent = Vec::new();
    for number in 0.. {
        if !running.load(Ordering::Relaxed) {
            break;
        }
        pace.wait();
        wire.send(LINKS[0], &make(number))?;
        sent.push(Instant::now());
    }
    Ok(sent)
}

fn receive(wire: &Wire, running: &AtomicBool) -> Result<Vec<Arrival>> {
    let links = LINKS.map(|link| wire.link(link));
    let mut arrivals = Vec::new();
    while running.load(Ordering::Relaxed) {
        let deadline = Instant::now() + Duration::from_millis(50);
        while let Some(Received { link, at, frame }) = wire.receive(deadline)? {
            let place = links.iter().position(|known| *known == link);
            if let (Some(link), Some(number)) = (place, tag::find(&frame)) {
                arrivals.push(Arrival { number, link, at, frame });
            }
        }
    }
    Ok(arrivals)
}
