//! A router to put packets through, and what has to be so after every round, whatever they are: all
//! frames are where they belong, every packet is counted once, a trace says of each what the counters
//! say, and what leaves is a whole packet for a neighbour.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use sidewinder_dataplane::{
    counters::{Counter, WorkerCounters},
    fib::{
        Change,
        entry::{Entry, PortIndex},
        nexthop::State,
        writer::Writer,
    },
    port::Punt,
    trace::{Filter, Kind, Order, Ring, Session, record::Record},
    verdict::{Fate, Reason},
};

use super::{leaving, steps};
use crate::support::router::{PORTS, Router, Settings};

const FRAMES: u32 = 96;

/// Places in each port's rings: so few that the egress rings of a round can be full. Half of them
/// hold frames to receive into.
const RING: usize = 16;

/// Packets that an input may send. Fewer than any limit of a rate lets through at once, so that what
/// comes out is no matter of time.
const PACKETS: usize = 20;

/// Versions of the FIB that an input may have published.
const VERSIONS: usize = 40;

/// A host that keeps what it is given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Host {
    packets: Vec<Vec<u8>>,
    solicited: Vec<(PortIndex, u128, bool)>,
}

impl Punt for Host {
    fn punt(&mut self, packet: &[u8]) -> bool {
        // Some it would not take.
        if packet.len() % 16 == 15 {
            return false;
        }
        self.packets.push(packet.to_vec());
        true
    }

    fn solicit(&mut self, port: PortIndex, key: u128, v6: bool) {
        self.solicited.push((port, key, v6));
    }
}

/// What the worker counts, but for the ports.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Counts {
    received: u64,
    sent: u64,
    fates: [u64; 4],
    fragments: u64,
    replies: [u64; Reason::COUNT],
    drops: [u64; Reason::COUNT],
}

impl Counts {
    fn of(counters: &WorkerCounters) -> Self {
        let get = |reasons: &[Counter; Reason::COUNT]| std::array::from_fn(|at| reasons[at].get());
        Self {
            received: counters.received.iter().map(|port| port.get().packets).sum(),
            sent: counters.sent.iter().map(|port| port.get().packets).sum(),
            fates: [&counters.forwarded, &counters.punted, &counters.replied, &counters.dropped]
                .map(Counter::get),
            fragments: counters.fragments.get(),
            replies: get(&counters.replies),
            drops: get(&counters.drops),
        }
    }

    /// Counts a packet anew, by what a trace says became of it.
    fn add(&mut self, fate: Fate) {
        match fate {
            Fate::Forwarded => self.fates[0] += 1,
            Fate::Punted => self.fates[1] += 1,
            Fate::Replied(reason) => {
                self.fates[2] += 1;
                self.replies[reason as usize] += 1;
            }
            Fate::Dropped(reason) => {
                self.fates[3] += 1;
                self.drops[reason as usize] += 1;
            }
        }
    }
}

/// What came of an input.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Per port, what was sent by it.
    pub sent: Vec<Vec<Vec<u8>>>,
    host: Host,
    counts: Counts,
}

impl Outcome {
    /// Why packets were dropped or answered: reasons, and how many.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        let both = self.counts.drops.iter().zip(&self.counts.replies);
        let counted = both.map(|(drops, replies)| drops + replies);
        Reason::ALL.iter().copied().zip(counted).filter(|(_, count)| *count > 0)
    }
}

/// Who looks on: sessions, and what they write into.
struct Looking {
    ring: Arc<Ring>,
    sessions: [Option<Box<Session>>; 2],
}

impl Looking {
    fn new() -> Self {
        let ring = Ring::new(3 * RING, u64::MAX);
        let marked = Session::of_marked(Ring::new(4, 0));
        Self {
            sessions: [Some(Session::new(Filter::default(), Arc::clone(&ring))), Some(marked)],
            ring,
        }
    }
}

/// A router that packets are put through.
pub struct Bench {
    router: Router<Host>,
    looking: Option<Looking>,
    /// Per port: what was offered since the last round.
    offered: [Vec<Vec<u8>>; PORTS],
    packets: usize,
    versions: usize,
    staged: bool,
    /// By table, version of IP, prefix and length.
    routes: BTreeMap<(u16, bool, u128, u8), Entry>,
    /// Whether the FIB had none to begin with.
    knows_all_routes: bool,
    sent: Vec<Vec<Vec<u8>>>,
    counted: Counts,
}

thread_local! {
    /// It takes longer to make than an input takes.
    static LOOKING: RefCell<Option<Looking>> = const { RefCell::new(None) };
}

/// Does the same twice: on memory full of zeros with nobody looking on, and on memory full of ones
/// with a trace. What comes out must not tell which.
pub fn twice(writer: impl Fn() -> Writer, drive: impl Fn(&mut Bench)) -> Outcome {
    let [plain, watched] = [false, true].map(|watched| {
        let mut bench = Bench::new(writer(), watched);
        drive(&mut bench);
        bench.finish()
    });
    assert_eq!(plain, watched, "without a trace, and with one");
    watched
}

impl Bench {
    fn new(writer: Writer, watched: bool) -> Self {
        let flow_label = writer.live().node.flow_label;
        let settings = Settings { frames: FRAMES, ring: RING, flow_label };
        let memory = if watched { 0xff } else { 0 };
        let mut router = Router::with(writer, settings, memory, Host::default());
        let looking = watched.then(|| {
            let mut looking = LOOKING.take().unwrap_or_else(Looking::new);
            for (kind, session) in
                [Kind::Trace, Kind::Marked].into_iter().zip(&mut looking.sessions)
            {
                router.worker.pipeline.watch(Order { kind, session: session.take() });
            }
            looking
        });
        let counted = Counts::of(&router.worker.counters);
        let knows_all_routes = router.writer.route_counts().iter().all(|count| *count == (0, 0));
        Self {
            knows_all_routes,
            router,
            looking,
            offered: Default::default(),
            packets: 0,
            versions: 0,
            staged: false,
            routes: BTreeMap::new(),
            sent: vec![Vec::new(); PORTS],
            counted,
        }
    }

    /// Has a change published before the next round.
    pub fn stage(&mut self, change: Change) {
        if let Change::Route { table, v4, key, len, entry } = change {
            self.routes.insert((table, v4, key, len), entry);
        }
        self.router.writer.stage(change);
        self.staged = true;
    }

    /// Sets the state of an adjacency, at once.
    pub fn set_health(&mut self, adjacency: u32, state: State) {
        self.router.writer.live().health.set(adjacency, state);
    }

    /// Puts a frame on the wire to a port.
    pub fn offer(&mut self, port: usize, frame: &[u8]) {
        if self.packets == PACKETS {
            return;
        }
        self.packets += 1;
        if self.offered[port].len() == RING / 2 {
            self.round();
        }
        assert!(self.router.offer(port, frame), "no frame to receive into");
        self.offered[port].push(frame.to_vec());
    }

    /// Publishes what is staged, and lets the worker do a round.
    pub fn round(&mut self) {
        if self.staged && self.versions < VERSIONS {
            // Not before the worker has left the version before the last.
            if !self.router.writer.publish() {
                self.work();
                assert!(self.router.writer.publish(), "the worker keeps an old version");
            }
            self.versions += 1;
            self.staged = false;
        }
        self.work();
    }

    fn work(&mut self) {
        let offered = std::mem::take(&mut self.offered);
        let before = self.counted.clone();
        self.router.worker.round();
        assert_eq!(self.router.worker.frames_held(), FRAMES as usize, "frames");
        let count = offered.iter().map(Vec::len).sum::<usize>() as u64;
        let punted = self.router.worker.punt.packets.len() as u64;
        self.counted = Counts::of(&self.router.worker.counters);
        let now = &self.counted;
        assert_eq!(now.received - before.received, count, "packets received");
        assert_eq!(now.received, now.fates.iter().sum::<u64>(), "packets received, and ended");
        assert_eq!(now.fates[2], now.replies.iter().sum::<u64>(), "answers, and their reasons");
        assert_eq!(now.fates[3], now.drops.iter().sum::<u64>(), "drops, and their reasons");
        // Answers to the host's own packets are handed to the host.
        let left = now.fates[..3].iter().sum::<u64>() + now.fragments;
        assert_eq!(now.sent + punted, left, "what left");
        let records = self.looking.as_ref().map(|looking| {
            let records: Vec<Record> =
                std::iter::from_fn(|| looking.ring.take(Record::clone)).collect();
            assert_eq!(records.len() as u64, count, "packets, and their traces");
            records
        });
        let mut left = vec![Vec::new(); PORTS];
        if let Some(records) = &records {
            let mut traced = before;
            let frames = offered.iter().enumerate().flat_map(|(port, frames)| {
                frames.iter().map(move |frame| (port as PortIndex, &frame[..]))
            });
            for (record, frame) in records.iter().zip(frames) {
                assert_eq!((record.ingress, record.received.bytes()), frame);
                let fate = record.fate.expect("a trace without an end");
                traced.add(fate);
                let live = self.router.writer.live();
                steps::check(record, live);
                if let Some(port) = leaving::check(record, fate, live) {
                    left[port].push(record.sent.bytes().to_vec());
                }
            }
            let (fates, replies, drops) = (traced.fates, traced.replies, traced.drops);
            assert_eq!((fates, replies, drops), (now.fates, now.replies, now.drops), "traced");
        }
        for (port, left) in left.iter().enumerate() {
            let first = self.sent[port].len();
            let sent = &mut self.sent[port];
            while let Some(frame) = self.router.take_sent(port, |bytes| sent.push(bytes.to_vec())) {
                self.router.worker.ports[port].complete(frame);
            }
            if records.is_some() {
                // A packet's trace shows the first of its fragments.
                let mut sent = self.sent[port][first..].iter();
                let is_there = |frame: &Vec<u8>| sent.any(|other| other == frame);
                assert!(left.iter().all(is_there), "sent, and traced");
            }
        }
    }

    fn finish(mut self) -> Outcome {
        self.round();
        self.look_up_all();
        if let Some(mut looking) = self.looking.take() {
            looking.sessions = [Kind::Trace, Kind::Marked]
                .map(|kind| self.router.worker.pipeline.watch(Order { kind, session: None }));
            LOOKING.set(Some(looking));
        }
        let host = std::mem::take(&mut self.router.worker.punt);
        Outcome { sent: self.sent, host, counts: self.counted }
    }

    /// Where all routes are known, the look-up finds what a search through all of them finds: at the
    /// first and the last address of each prefix, and next to it.
    fn look_up_all(&self) {
        if self.staged || !self.knows_all_routes {
            return;
        }
        let live = self.router.writer.live();
        let mask = |len: u8| u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
        for &(table, v4, key, len) in self.routes.keys() {
            let Some(at) = live.tables.get(usize::from(table)) else { continue };
            let lpm = if v4 { &at.v4 } else { &at.v6 };
            let last = key | !mask(len) & if v4 { mask(32) } else { u128::MAX };
            let step = if v4 { 1 << 96 } else { 1 };
            for address in [key, last, key.wrapping_sub(step), last.wrapping_add(step)] {
                let covering = self.routes.iter().filter(|((other, is_v4, key, len), entry)| {
                    (*other, *is_v4, *key) == (table, v4, address & mask(*len))
                        && **entry != Entry::NONE
                });
                let longest = covering.max_by_key(|((.., len), _)| *len);
                let expected = longest.map_or(Entry::NONE, |(_, entry)| *entry);
                assert_eq!(lpm.lookup(address), expected, "table {table}: {address:x}");
            }
        }
    }
}
