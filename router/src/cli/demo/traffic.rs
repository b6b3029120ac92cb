//! Numbered datagrams between the hosts, at a steady pace, and what became of them.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::socket::{setsockopt, sockopt};

use super::network::Network;
use super::topology::{H1, H2, NOWHERE, UNWANTED};
use crate::cli::lab::netns::Netns;

/// Bytes of IPv6 and UDP header.
const HEADERS: usize = 48;
/// Bytes of a receiving socket's buffer: a reader that gets no turn for a while is not the
/// routers' fault.
const BUFFER: usize = 16 << 20;
/// How often the sender looks at the clock.
const TICK: Duration = Duration::from_millis(1);
/// What a sender that got no turn may catch up with, at most.
const CATCH_UP: Duration = Duration::from_millis(10);
/// How long a packet may be on its way, on a busy machine.
const PATIENCE: Duration = Duration::from_millis(500);
const PORT: u16 = 7001;

/// What a datagram starts with: of a probe, and of the load.
const PROBE: u64 = u64::from_be_bytes(*b"sw-probe");
const LOAD: u64 = u64::from_be_bytes(*b"sw-load.");

/// Both directions, and packets that are meant to fail.
#[derive(Debug)]
pub struct Traffic {
    /// From h1 to h2.
    pub forth: Arc<Direction>,
    /// From h2 to h1.
    pub back: Arc<Direction>,
    strays: UdpSocket,
    short_lived: UdpSocket,
}

impl Traffic {
    /// Opens the sockets, for packets of so many bytes from the IPv6 header on.
    pub fn new(network: &Network, size: u16) -> anyhow::Result<Self> {
        let (h1, h2) = (network.node("h1"), network.node("h2"));
        let epoch = Instant::now();
        let direction = |from: (&Netns, &str), to: (&Netns, &str)| {
            let sender = open(from.0, from.1, 0)?;
            let receiver = open(to.0, to.1, PORT)?;
            setsockopt(&receiver, sockopt::RcvBufForce, &BUFFER)?;
            receiver.set_read_timeout(Some(Duration::from_millis(100)))?;
            sender.connect(receiver.local_addr()?)?;
            let payload = usize::from(size) - HEADERS;
            anyhow::Ok(Arc::new(Direction { sender, receiver, payload, epoch }))
        };
        let short_lived = open(h1, H1, 0)?;
        setsockopt(&short_lived, sockopt::Ipv6Ttl, &1)?;
        Ok(Self {
            forth: direction((h1, H1), (h2, H2))?,
            back: direction((h2, H2), (h1, H1))?,
            strays: open(h1, H1, 0)?,
            short_lived,
        })
    }

    /// Starts both directions.
    pub fn start(&self, rate: u32) -> Running {
        Running { flows: [&self.forth, &self.back].map(|direction| direction.start(rate)) }
    }

    /// Sends three packets that cannot arrive: to nowhere, to where r1 drops them, and with a hop
    /// limit that lasts for one hop.
    pub fn stray(&self) {
        // Errors are those that ICMP told of earlier strays.
        let _ = self.strays.send_to(b"stray", (address(NOWHERE), PORT));
        let _ = self.strays.send_to(b"stray", (address(UNWANTED), PORT));
        let _ = self.short_lived.send_to(b"stray", (address(H2), PORT));
    }

    /// ICMPv6 errors that h1 was sent so far.
    pub fn icmp_errors(&self, network: &Network) -> anyhow::Result<u64> {
        // /proc/net shows the namespace of the process's first thread.
        let read = || std::fs::read_to_string("/proc/thread-self/net/snmp6");
        let text = network.node("h1").enter(read)?.context("reading h1's counters")?;
        let count = |name: &str| {
            let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        };
        let kinds = ["Icmp6InDestUnreachs", "Icmp6InTimeExcds"];
        Ok(kinds.into_iter().filter_map(count).sum())
    }
}

/// Datagrams from one host to the other.
#[derive(Debug)]
pub struct Direction {
    sender: UdpSocket,
    receiver: UdpSocket,
    payload: usize,
    epoch: Instant,
}

impl Direction {
    /// Sends one datagram, and says whether it arrived.
    pub fn probe(&self) -> io::Result<bool> {
        // An error here is what ICMP told of an earlier probe.
        let _ = self.sender.send(&self.datagram(PROBE));
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 2048];
        while Instant::now() < deadline {
            match self.receiver.recv(&mut buffer) {
                Ok(length) if marker(&buffer[..length]) == Some(PROBE) => return Ok(true),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Throws away what has arrived.
    pub fn clear(&self) {
        while self.receiver.recv(&mut [0; 2048]).is_ok() {}
    }

    fn datagram(&self, marker: u64) -> Vec<u8> {
        let mut bytes = vec![0; self.payload];
        bytes[..8].copy_from_slice(&marker.to_be_bytes());
        bytes
    }

    fn start(self: &Arc<Self>, rate: u32) -> Flow {
        let shared = Arc::new(Shared::default());
        let (direction, state) = (Arc::clone(self), Arc::clone(&shared));
        let writer = thread::spawn(move || direction.write(&state, rate));
        let (direction, state) = (Arc::clone(self), Arc::clone(&shared));
        let reader = thread::spawn(move || direction.read(&state));
        Flow { shared, writer, reader }
    }

    /// Sends until told to stop.
    fn write(&self, shared: &Shared, rate: u32) {
        let mut bytes = self.datagram(LOAD);
        let rate = u64::from(rate);
        let most = (rate * CATCH_UP.as_millis() as u64 / 1000).max(1);
        let (begin, mut done) = (Instant::now(), 0);
        while !shared.stop.load(Ordering::Relaxed) {
            let due = begin.elapsed().as_micros() as u64 * rate / 1_000_000;
            // What is overdue for longer is not sent at all: a burst would test buffers only.
            done = done.max(due.saturating_sub(most));
            while done < due {
                let now = self.epoch.elapsed().as_nanos() as u64;
                bytes[8..16].copy_from_slice(&now.to_be_bytes());
                if self.sender.send(&bytes).is_ok() {
                    shared.sent.fetch_add(1, Ordering::Relaxed);
                }
                done += 1;
            }
            thread::sleep(TICK);
        }
    }

    /// Receives until told to stop and nothing comes any more.
    fn read(&self, shared: &Shared) -> Delays {
        let mut delays = Delays::default();
        let mut buffer = [0; 2048];
        loop {
            match self.receiver.recv(&mut buffer) {
                Ok(length) if marker(&buffer[..length]) == Some(LOAD) => {
                    let sent = buffer[8..16].try_into().map_or(0, u64::from_be_bytes);
                    let now = self.epoch.elapsed().as_nanos() as u64;
                    delays.add(Duration::from_nanos(now.saturating_sub(sent)));
                }
                Ok(_) => {}
                Err(_) if shared.stop.load(Ordering::Relaxed) => return delays,
                // Nothing came for a while.
                Err(_) => {}
            }
        }
    }
}

fn marker(datagram: &[u8]) -> Option<u64> {
    datagram.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// What a sender and a receiver have in common.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    sent: AtomicU64,
}

#[derive(Debug)]
struct Flow {
    shared: Arc<Shared>,
    writer: JoinHandle<()>,
    reader: JoinHandle<Delays>,
}

/// Load in both directions.
#[derive(Debug)]
pub struct Running {
    flows: [Flow; 2],
}

impl Running {
    /// Ends it, and says what became of it: forth, and back.
    pub fn finish(self) -> [Delivery; 2] {
        for flow in &self.flows {
            flow.shared.stop.store(true, Ordering::Relaxed);
        }
        self.flows.map(|flow| {
            // A panic of ours is a bug, and shown as what it is.
            flow.writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let delays = flow.reader.join();
            let delays = delays.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Delivery { sent: flow.shared.sent.load(Ordering::Relaxed), delays }
        })
    }
}

/// What became of one direction's datagrams.
#[derive(Debug)]
pub struct Delivery {
    /// Sent.
    pub sent: u64,
    /// Arrived, by how long they took.
    pub delays: Delays,
}

/// How often each delay occurred, in microseconds; the last place stands for all that are longer.
#[derive(Debug, Clone)]
pub struct Delays {
    counts: Vec<u64>,
}

impl Default for Delays {
    fn default() -> Self {
        Self { counts: vec![0; 100_000] }
    }
}

impl Delays {
    fn add(&mut self, delay: Duration) {
        let last = self.counts.len() - 1;
        self.counts[(delay.as_micros() as usize).min(last)] += 1;
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The delay, in microseconds, that so many per mille are not longer than.
    pub fn per_mille(&self, part: u64) -> u64 {
        let wanted = (self.count() * part).div_ceil(1000);
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        place.unwrap_or(0) as u64
    }
}

fn open(netns: &Netns, host: &str, port: u16) -> anyhow::Result<UdpSocket> {
    netns
        .enter(|| UdpSocket::bind(SocketAddrV6::new(address(host), port, 0, 0)))?
        .with_context(|| format!("opening a socket in {}", netns.name()))
}

fn address(text: &str) -> Ipv6Addr {
    // Only ever one of the topology's constants.
    text.parse().expect("an IPv6 address")
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_by_rank() {
        let mut delays = Delays::default();
        for micros in 1..=1000 {
            delays.add(Duration::from_micros(micros));
        }
        delays.add(Duration::from_secs(5));
        assert_eq!(delays.count(), 1001);
        assert_eq!(delays.per_mille(500), 501);
        assert_eq!(delays.per_mille(990), 991);
        assert_eq!(delays.per_mille(1000), 99_999);
    }

    #[test]
    fn addresses_are_addresses() {
        for text in [H1, H2, NOWHERE, UNWANTED] {
            assert_eq!(address(text).to_string(), text);
        }
    }
}
