//! Numbered datagrams from one node to another at a steady pace, for as long as something happens.

use std::collections::HashSet;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Netns;
use super::traffic::Pace;

const PORT: u16 = 7002;
/// The first of the senders; another, as streams may go both ways.
const SOURCE_PORT: u16 = 20_000;

/// How long the last datagrams may be on their way.
const LATE: Duration = Duration::from_millis(300);

/// Datagrams that are being sent.
#[derive(Debug)]
pub struct Stream {
    running: Arc<AtomicBool>,
    sending: JoinHandle<Vec<Instant>>,
    receiving: JoinHandle<HashSet<u32>>,
}

/// What came of a stream.
#[derive(Debug)]
pub struct Arrivals {
    /// When each datagram was sent, and whether it arrived.
    pub datagrams: Vec<(Instant, bool)>,
}

impl Stream {
    /// Sends `rate` datagrams a second, in turn from as many ports as there are `flows`.
    pub fn start(
        from: (&Netns, Ipv6Addr),
        to: (&Netns, Ipv6Addr),
        rate: u32,
        flows: u16,
    ) -> Result<Self> {
        let target = SocketAddrV6::new(to.1, PORT, 0, 0);
        let receiver = to.0.enter(|| UdpSocket::bind(target))??;
        receiver.set_read_timeout(Some(LATE))?;
        let senders = from.0.enter(|| {
            let bind = |flow| UdpSocket::bind(SocketAddrV6::new(from.1, SOURCE_PORT + flow, 0, 0));
            (0..flows).map(bind).collect::<std::io::Result<Vec<_>>>()
        })??;
        let running = Arc::new(AtomicBool::new(true));
        let on = Arc::clone(&running);
        let sending = thread::spawn(move || {
            let mut pace = Pace::new(rate);
            let mut sent = Vec::new();
            for (number, sender) in (0_u32..).zip(senders.iter().cycle()) {
                if !on.load(Ordering::Relaxed) {
                    break;
                }
                pace.wait();
                sent.push(Instant::now());
                // What the host's own kernel refuses is lost, too.
                let _ = sender.send_to(&number.to_be_bytes(), target);
            }
            sent
        });
        let on = Arc::clone(&running);
        let receiving = thread::spawn(move || {
            let mut numbers = HashSet::new();
            let mut bytes = [0; 4];
            loop {
                // Read before the wait, so that it is waited once more after the last was sent.
                let more = on.load(Ordering::Relaxed);
                while let Ok(4) = receiver.recv(&mut bytes) {
                    numbers.insert(u32::from_be_bytes(bytes));
                }
                if !more {
                    return numbers;
                }
            }
        });
        Ok(Self { running, sending, receiving })
    }

    /// Stops sending, and waits for what is on its way.
    pub fn stop(self) -> Result<Arrivals> {
        self.running.store(false, Ordering::Relaxed);
        let sent = self.sending.join().ok().context("the sender panicked")?;
        let numbers = self.receiving.join().ok().context("the receiver panicked")?;
        let datagrams = (0..).zip(sent).map(|(n, at)| (at, numbers.contains(&n)));
        Ok(Arrivals { datagrams: datagrams.collect() })
    }
}

impl Arrivals {
    /// How many were lost, and how long after `event` the last of them was sent.
    pub fn lost(&self, event: Instant) -> (usize, Duration) {
        let lost = || self.datagrams.iter().filter(|(_, arrived)| !arrived);
        let last = lost().next_back();
        let until = last.map_or(Duration::ZERO, |(at, _)| at.saturating_duration_since(event));
        (lost().count(), until)
    }
}
