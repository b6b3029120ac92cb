//! Where measured packets end: an interface that compares, counts and drops what it receives.
//!
//! What it decides is drawn in `sink.bpf.c`.

#![allow(unsafe_code)]

use std::error::Error as StdError;

use aya::maps::{Array, MapData, PerCpuArray, PerCpuValues};
use aya::programs::{SchedClassifier, TcAttachType};
use aya::{Ebpf, EbpfLoader};

use super::error::Error;
use super::generator::MAX_PACKET;
use super::steer::{Opaque, map_error, program_error, take};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sink.bpf.o"));

const MAX_WORDS: usize = MAX_PACKET / 8;

/// Delays are counted in so many steps for each power of two.
const BITS: u32 = 6;
const STEPS: usize = 1 << BITS;
const DELAYS: usize = 29 * STEPS;

/// `struct expected` of the program.
#[derive(Clone, Copy)]
#[repr(C)]
struct Expected {
    mark: u64,
    length: u32,
    words: u32,
    delays: u32,
    unused: u32,
    bytes: [u64; MAX_WORDS],
    masks: [u64; MAX_WORDS],
}

// SAFETY: integers without padding, for which every bit pattern is a value.
unsafe impl aya::Pod for Expected {}

/// What arrived: `struct counts` of the program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counts {
    /// Packets that were as they should be.
    pub delivered: u64,
    /// Packets of the generator that were not.
    pub wrong: u64,
    /// Packets of somebody else: neighbour discovery and the like.
    pub other: u64,
}

// SAFETY: as above.
unsafe impl aya::Pod for Counts {}

/// `struct delays` of the program.
#[derive(Clone, Copy)]
#[repr(C)]
struct Delays {
    counts: [u64; DELAYS],
}

// SAFETY: as above.
unsafe impl aya::Pod for Delays {}

/// `struct sample` of the program.
#[derive(Clone, Copy)]
#[repr(C)]
struct Sample {
    length: u32,
    taken: u32,
    bytes: [u8; MAX_PACKET],
}

// SAFETY: as above.
unsafe impl aya::Pod for Sample {}

/// How packets have to look when they arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The packet, from the Ethernet header on. Its last eight bytes are the stamp, and not
    /// compared; the eight before are the mark by which the generator's packets are known.
    pub bytes: Vec<u8>,
    /// Bits that have to be as in `bytes`; for bytes beyond its end, all.
    pub mask: Vec<u8>,
}

/// A sink on an interface. Dropping it detaches it.
#[derive(Debug)]
pub struct Sink {
    expectations: Opaque<Array<MapData, Expected>>,
    counts: Opaque<PerCpuArray<MapData, Counts>>,
    delays: Opaque<PerCpuArray<MapData, Delays>>,
    samples: Opaque<Array<MapData, Sample>>,
    _ebpf: Ebpf,
}

impl Sink {
    /// Makes an interface of this thread's network namespace a sink: the kernel gets nothing of what
    /// it receives.
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`] without CAP_NET_ADMIN and CAP_BPF, [`Error::Program`].
    pub fn attach(interface: &str) -> Result<Self, Error> {
        let refused =
            |error: &(dyn StdError + 'static)| program_error("loaded for", interface, error);
        let attached =
            |error: &(dyn StdError + 'static)| program_error("attached to", interface, error);
        let mut ebpf = EbpfLoader::new().btf(None).load(OBJECT).map_err(|error| refused(&error))?;
        // Without this qdisc there is no ingress hook on kernels before 6.6. It may be there already.
        let _ = aya::programs::tc::qdisc_add_clsact(interface);
        let missing = || aya::maps::MapError::InvalidName { name: "sink".into() };
        let program: &mut SchedClassifier = ebpf
            .program_mut("sink")
            .ok_or_else(missing)
            .map_err(|error| refused(&error))?
            .try_into()
            .map_err(|error: aya::programs::ProgramError| refused(&error))?;
        program.load().map_err(|error| refused(&error))?;
        program.attach(interface, TcAttachType::Ingress).map_err(|error| attached(&error))?;
        Ok(Self {
            expectations: Opaque(take(&mut ebpf, "expectations").map_err(|error| refused(&error))?),
            counts: Opaque(take(&mut ebpf, "counts").map_err(|error| refused(&error))?),
            delays: Opaque(take(&mut ebpf, "delays").map_err(|error| refused(&error))?),
            samples: Opaque(take(&mut ebpf, "samples").map_err(|error| refused(&error))?),
            _ebpf: ebpf,
        })
    }

    /// Forgets what was counted, and counts packets like this one from now on; with `delays`, also
    /// how long they took.
    ///
    /// # Errors
    ///
    /// [`Error::Map`], which is not expected.
    pub fn expect(&mut self, packet: &Expectation, delays: bool) -> Result<(), Error> {
        let expected = expected(packet, delays);
        self.expectations.0.set(0, expected, 0).map_err(map_error("expectations"))?;
        let cores = aya::util::nr_cpus().map_err(|(what, source)| Error::System {
            doing: format!("counting the processors in {what}"),
            source,
        })?;
        let zeros = PerCpuValues::try_from(vec![Counts::default(); cores]);
        self.counts.0.set(0, values(zeros)?, 0).map_err(map_error("counts"))?;
        let zeros = PerCpuValues::try_from(vec![Delays { counts: [0; DELAYS] }; cores]);
        self.delays.0.set(0, values(zeros)?, 0).map_err(map_error("delays"))?;
        let none = Sample { length: 0, taken: 0, bytes: [0; MAX_PACKET] };
        for index in 0..2 {
            self.samples.0.set(index, none, 0).map_err(map_error("samples"))?;
        }
        Ok(())
    }

    /// What was counted so far, all processors together.
    ///
    /// # Errors
    ///
    /// [`Error::Map`], which is not expected.
    pub fn counts(&self) -> Result<Counts, Error> {
        let each = self.counts.0.get(&0, 0).map_err(map_error("counts"))?;
        Ok(each.iter().fold(Counts::default(), |sum, one| Counts {
            delivered: sum.delivered + one.delivered,
            wrong: sum.wrong + one.wrong,
            other: sum.other + one.other,
        }))
    }

    /// How long packets took: nanoseconds, to within 1.6 %, and how many took that long.
    ///
    /// # Errors
    ///
    /// [`Error::Map`], which is not expected.
    pub fn delays(&self) -> Result<Vec<(u64, u64)>, Error> {
        let each = self.delays.0.get(&0, 0).map_err(map_error("delays"))?;
        let sum = |step: usize| each.iter().map(|one| one.counts[step]).sum::<u64>();
        Ok((0..DELAYS).map(|step| (middle(step), sum(step))).filter(|pair| pair.1 > 0).collect())
    }

    /// The first packet that was not as it should be.
    ///
    /// # Errors
    ///
    /// [`Error::Map`], which is not expected.
    pub fn wrong(&self) -> Result<Option<Vec<u8>>, Error> {
        self.sample(0)
    }

    /// The first packet that was as it should be.
    ///
    /// # Errors
    ///
    /// [`Error::Map`], which is not expected.
    pub fn right(&self) -> Result<Option<Vec<u8>>, Error> {
        self.sample(1)
    }

    fn sample(&self, index: u32) -> Result<Option<Vec<u8>>, Error> {
        let sample = self.samples.0.get(&index, 0).map_err(map_error("samples"))?;
        let length = (sample.length as usize).min(MAX_PACKET);
        Ok((sample.taken != 0).then(|| sample.bytes[..length].to_vec()))
    }
}

fn values<T: aya::Pod>(result: std::io::Result<PerCpuValues<T>>) -> Result<PerCpuValues<T>, Error> {
    result.map_err(|source| Error::System { doing: "counting the processors".into(), source })
}

/// A packet and its mask as the program compares them: in whole words, up to the stamp.
fn expected(packet: &Expectation, delays: bool) -> Expected {
    let compared = packet.bytes.len().min(MAX_PACKET).saturating_sub(8);
    let (mut bytes, mut masks) = ([0; MAX_WORDS], [0; MAX_WORDS]);
    let words = compared / 8;
    for word in 0..words {
        for byte in word * 8..word * 8 + 8 {
            let shift = (byte % 8) * 8;
            // A word of the program is read from memory, in the machine's byte order.
            let shift = if cfg!(target_endian = "little") { shift } else { 56 - shift };
            bytes[word] |= u64::from(packet.bytes[byte]) << shift;
            masks[word] |= u64::from(packet.mask.get(byte).copied().unwrap_or(0xff)) << shift;
        }
    }
    let mark = packet.bytes.len().checked_sub(16).and_then(|at| packet.bytes[at..].first_chunk());
    Expected {
        mark: mark.map_or(0, |bytes| u64::from_ne_bytes(*bytes)),
        length: packet.bytes.len() as u32,
        words: words as u32,
        delays: delays.into(),
        unused: 0,
        bytes,
        masks,
    }
}

/// The middle of what a step of the program's counts stands for.
fn middle(step: usize) -> u64 {
    let power = (step >> BITS).saturating_sub(1) as u32;
    if power == 0 && step < STEPS {
        return step as u64;
    }
    let low = ((STEPS + (step & (STEPS - 1))) as u64) << power;
    low + (1 << power) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_in_order_and_close() {
        let mut last = None;
        for step in 0..DELAYS {
            let value = middle(step);
            assert!(last.is_none_or(|last| value > last), "step {step}");
            if let Some(last) = last.filter(|last| *last > 64) {
                assert!((value - last) as f64 / last as f64 <= 1.0 / 60.0, "step {step}");
            }
            last = Some(value);
        }
        assert_eq!(middle(STEPS - 1), 63);
        assert_eq!(middle(STEPS), 64);
        assert_eq!(middle(2 * STEPS), 129);
        assert!(middle(DELAYS - 1) > 10_000_000_000, "ten seconds");
    }

    #[test]
    fn the_stamp_is_not_compared() {
        let packet = Expectation { bytes: (0..30).collect(), mask: vec![0, 0xf0] };
        let expected = expected(&packet, false);
        assert_eq!((expected.length, expected.words), (30, 2), "22 bytes are two whole words");
        assert_eq!(expected.bytes[1].to_ne_bytes(), [8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(expected.masks[0].to_ne_bytes(), [0, 0xf0, 255, 255, 255, 255, 255, 255]);
        assert_eq!(expected.mark.to_ne_bytes(), [14, 15, 16, 17, 18, 19, 20, 21]);
    }
}
