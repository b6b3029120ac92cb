//! A generator of packets for measurements: one virtual interface, one core, at a given rate or as
//! fast as it goes.
//!
//! How it does so is drawn in `generator.bpf.c`. Packets leave when they are due to within a batch of
//! the kernel's loop, a few microseconds. Entering the loop takes the kernel some milliseconds (it
//! waits for all processors to take notice of the program), so there is one loop for a trial, and a
//! signal ends it.

#![allow(unsafe_code)]

use std::error::Error as StdError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{io, mem, thread};

use aya::maps::{Array, MapData};
use aya::programs::{TestRun, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use nix::time::{ClockId, clock_gettime};

use super::error::{Error, io_cause};
use super::link;
use super::steer::{Opaque, map_error, program_error, take};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/generator.bpf.o"));

/// The longest packet that can be generated, Ethernet header included.
pub const MAX_PACKET: usize = 256;

/// Times in the program are counted in 2^-16 ns.
const FRACTION: u32 = 16;

/// Frames that the kernel makes before it sends them, when it is to be as fast as it can.
const FLOOD_BATCH: u32 = 64;
/// The same, when pacing: a packet waits for the end of its batch, so that has to be short.
const PACED_BATCH: u32 = 16;
/// More turns of the kernel's loop than any trial has.
const ENDLESS: u32 = i32::MAX as u32;

/// What a generator that got no turn may catch up with.
const PATIENCE: Duration = Duration::from_micros(100);

/// How often it is looked whether a trial is over.
const LOOK: Duration = Duration::from_millis(1);
/// How long the kernel may take to begin.
const START_LIMIT: Duration = Duration::from_secs(2);

/// `struct packet` of the program.
#[derive(Clone, Copy)]
#[repr(C)]
struct Packet {
    length: u32,
    unused: u32,
    bytes: [u8; MAX_PACKET],
}

// SAFETY: integers without padding, for which every bit pattern is a value.
unsafe impl aya::Pod for Packet {}

/// `struct pace` of the program.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Pace {
    interval: u64,
    duration: u64,
    patience: u64,
    begin: u64,
    last: u64,
    due: u64,
    sent: u64,
    forgone: u64,
}

// SAFETY: as above.
unsafe impl aya::Pod for Pace {}

/// What was really offered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offered {
    /// Packets sent to the other end of the interface.
    pub sent: u64,
    /// Packets that were due and not sent, because the generator was too slow or got no turn.
    pub forgone: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl Offered {
    /// Packets per second.
    pub fn rate(&self) -> f64 {
        self.sent as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// A generator on an interface. Dropping it detaches it.
#[derive(Debug)]
pub struct Generator {
    index: u32,
    length: usize,
    packets: Opaque<Array<MapData, Packet>>,
    paces: Opaque<Array<MapData, Pace>>,
    ebpf: Ebpf,
}

impl Generator {
    /// Loads the program, for packets that leave by a virtual interface of this thread's network
    /// namespace. What receives them at the other end needs an XDP program or GRO.
    ///
    /// # Errors
    ///
    /// As [`Steer::attach`](super::Steer::attach).
    pub fn attach(interface: &str) -> Result<Self, Error> {
        let refused =
            |error: &(dyn StdError + 'static)| program_error("loaded for", interface, error);
        let index = link::index(interface)
            .map_err(|_| Error::NoSuchInterface { interface: interface.into() })?;
        let mut ebpf = EbpfLoader::new().btf(None).load(OBJECT).map_err(|error| refused(&error))?;
        for name in ["generate", "pass"] {
            let xdp = xdp(&mut ebpf, name).map_err(|error| refused(&error))?;
            xdp.load().map_err(|error| refused(&error))?;
            if name == "pass" {
                xdp.attach_to_if_index(index, XdpMode::Driver)
                    .map_err(|error| program_error("attached to", interface, &error))?;
            }
        }
        Ok(Self {
            index,
            length: 0,
            packets: Opaque(take(&mut ebpf, "packets").map_err(|error| refused(&error))?),
            paces: Opaque(take(&mut ebpf, "paces").map_err(|error| refused(&error))?),
            ebpf,
        })
    }

    /// Says what to send. The last eight bytes are replaced by the time at which the packet is due,
    /// in nanoseconds of the monotonic clock, in the machine's byte order; 0 when flooding.
    ///
    /// # Errors
    ///
    /// [`Error::System`] for a packet that is too long, or shorter than an Ethernet header and the
    /// stamp.
    pub fn set_packet(&mut self, packet: &[u8]) -> Result<(), Error> {
        if packet.len() > MAX_PACKET || packet.len() < libc::ETH_HLEN as usize + 8 {
            return Err(Error::System {
                doing: format!("generating packets of {} bytes", packet.len()),
                source: io::Error::from_raw_os_error(libc::EMSGSIZE),
            });
        }
        let mut bytes = [0; MAX_PACKET];
        bytes[..packet.len()].copy_from_slice(packet);
        let value = Packet { length: packet.len() as u32, unused: 0, bytes };
        self.packets.0.set(0, value, 0).map_err(map_error("packets"))?;
        self.length = packet.len();
        Ok(())
    }

    /// Sends for so long, so many packets a second, or as many as it can. Has to be called on a
    /// thread in the network namespace of the interface, and keeps its core busy.
    ///
    /// # Errors
    ///
    /// [`Error::System`] on a kernel without live frames (before 5.18).
    pub fn run(&mut self, rate: Option<f64>, duration: Duration) -> Result<Offered, Error> {
        let pace = Pace {
            interval: rate.map_or(0, interval),
            duration: duration.as_nanos() as u64,
            patience: (PATIENCE.as_nanos() as u64) << FRACTION,
            ..Pace::default()
        };
        self.paces.0.set(0, pace, 0).map_err(map_error("paces"))?;
        let batch = if rate.is_some() { PACED_BATCH } else { FLOOD_BATCH };
        let watched = Watched::this_thread()?;
        let (paces, ended) = (&self.paces.0, AtomicBool::new(false));
        let turned = thread::scope(|scope| {
            scope.spawn(|| watched.interrupt_after(paces, duration, &ended));
            let turned = turn(&mut self.ebpf, self.index, self.length, ENDLESS, batch);
            ended.store(true, Ordering::Release);
            turned
        });
        turned?;
        let pace = self.paces.0.get(&0, 0).map_err(map_error("paces"))?;
        Ok(Offered {
            sent: pace.sent,
            forgone: pace.forgone,
            elapsed: duration.min(Duration::from_nanos(pace.last - pace.begin)),
        })
    }
}

/// Has the kernel run the program so many times, unless a signal ends it.
fn turn(ebpf: &mut Ebpf, index: u32, length: usize, turns: u32, batch: u32) -> Result<(), Error> {
    // `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
    let context: [u32; 6] = [0, length as u32, 0, index, 0, 0];
    let context: Vec<u8> = context.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let frame = [0; MAX_PACKET];
    let options = TestRunOptions {
        data_in: Some(&frame[..length]),
        ctx_in: Some(&context),
        repeat: turns,
        attrs: TestRunAttrs::new().xdp_live_frames(batch),
        ..TestRunOptions::default()
    };
    let failed = |source| Error::System {
        doing: "generating packets (BPF_PROG_TEST_RUN with live frames, since Linux 5.18)".into(),
        source,
    };
    let generate =
        xdp(ebpf, "generate").map_err(|error| failed(io::Error::other(error.to_string())))?;
    match generate.test_run(options) {
        Ok(_) => Ok(()),
        Err(error) => match io_cause(&error) {
            cause if cause.raw_os_error() == Some(libc::EINTR) => Ok(()),
            cause => Err(failed(cause)),
        },
    }
}

/// A thread that another may call back out of the kernel.
struct Watched(libc::pthread_t);

impl Watched {
    /// The calling thread. From now on the signal that is used for it, which ends a process by
    /// default, does nothing but to interrupt.
    fn this_thread() -> Result<Self, Error> {
        extern "C" fn nothing(_: libc::c_int) {}
        // SAFETY: a structure of integers and a pointer, for which zeros are values.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        // SAFETY: the handler does nothing, which is safe at any time.
        if unsafe { libc::sigaction(libc::SIGRTMIN(), &action, std::ptr::null_mut()) } != 0 {
            let source = io::Error::last_os_error();
            return Err(Error::System { doing: "setting up a signal".into(), source });
        }
        // SAFETY: takes nothing and cannot fail.
        Ok(Self(unsafe { libc::pthread_self() }))
    }

    /// Interrupts the thread when its trial is over, again and again until it has noticed.
    fn interrupt_after(
        &self,
        paces: &Array<MapData, Pace>,
        duration: Duration,
        ended: &AtomicBool,
    ) {
        let start = Instant::now();
        while !ended.load(Ordering::Acquire) {
            thread::sleep(LOOK);
            // An unreadable map is not to keep the loop running.
            let pace = paces.get(&0, 0).unwrap_or(Pace { begin: 1, ..Pace::default() });
            let over = now().is_ok_and(|now| {
                pace.begin != 0 && now.saturating_sub(pace.begin) >= duration.as_nanos() as u64
            });
            if over || start.elapsed() > duration + START_LIMIT {
                // SAFETY: the thread waits for this one to end (it is its scope), so it is there.
                unsafe { libc::pthread_kill(self.0, libc::SIGRTMIN()) };
            }
        }
    }
}

/// Between packets at so many a second, in the program's fractions of a nanosecond; at least one.
fn interval(rate: f64) -> u64 {
    ((1e9 / rate * f64::from(1 << FRACTION)).round() as u64).max(1)
}

/// The clock that programs in the kernel read.
fn now() -> Result<u64, Error> {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|error| Error::System {
        doing: "reading the clock".into(),
        source: error.into(),
    })?;
    Ok(Duration::from(time).as_nanos() as u64)
}

fn xdp<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp, aya::EbpfError> {
    let missing = || aya::maps::MapError::InvalidName { name: name.into() };
    Ok(ebpf.program_mut(name).ok_or_else(missing)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_keep_the_rate() {
        assert_eq!(interval(1e9), 1 << FRACTION);
        assert_eq!(interval(1e6), 1000 << FRACTION);
        for rate in [1.0, 977.0, 1_234_567.0, 3_000_001.0, 14_880_952.0] {
            let back = 1e9 * f64::from(1 << FRACTION) / interval(rate) as f64;
            assert!((back / rate - 1.0).abs() < 1e-6, "{rate} became {back}");
        }
        // Faster than the clock can tell: as fast as possible, and not a division by zero.
        assert_eq!(interval(f64::INFINITY), 1);
    }

    #[test]
    fn a_rate_is_what_was_sent_in_the_time_it_took() {
        let offered = Offered { sent: 500_000, forgone: 0, elapsed: Duration::from_millis(250) };
        assert!((offered.rate() - 2e6).abs() < 1.0);
        assert!(Offered { elapsed: Duration::ZERO, sent: 0, ..offered }.rate() < 1.0);
    }
}
