//! One routing table, and the writer's list of its prefixes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::{entry::Entry, lpm::Lpm, node::mask};

/// A routing table (VRF): an IPv6 and an IPv4 look-up.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The number the kernel knows the table by; 254 is main.
    pub number: u32,
    /// Look-up of IPv6 destinations.
    pub v6: Lpm,
    /// Look-up of IPv4 destinations, left-aligned: see [`left_aligned`].
    pub v4: Lpm,
}

/// An IPv4 address as the key of a look-up.
#[inline(always)]
pub const fn left_aligned(address: u32) -> u128 {
    (address as u128) << 96
}

/// The prefixes of a look-up with their entries, exactly as inserted. Only the writer has it.
#[derive(Debug)]
pub struct Prefixes {
    entries: HashMap<(u128, u8), Entry, BuildHasherDefault<Mix>>,
    /// How many there are of each length.
    counts: [u32; 129],
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { entries: HashMap::default(), counts: [0; 129] }
    }
}

impl Prefixes {
    /// Notes a prefix; says whether that changes anything.
    pub fn insert(&mut self, key: u128, len: u8, entry: Entry) -> bool {
        let before = self.entries.insert((key & mask(len), len), entry);
        self.counts[usize::from(len)] += u32::from(before.is_none());
        before != Some(entry)
    }

    /// Whether there is this prefix.
    pub fn contains(&self, key: u128, len: u8) -> bool {
        self.entries.contains_key(&(key & mask(len), len))
    }

    /// Forgets a prefix; says whether it was there.
    pub fn remove(&mut self, key: u128, len: u8) -> bool {
        let removed = self.entries.remove(&(key & mask(len), len)).is_some();
        self.counts[usize::from(len)] -= u32::from(removed);
        removed
    }

    /// The longest prefix over one that is removed, the default route apart: what
    /// [`Lpm::remove`] asks for.
    pub fn fallback(&self, key: u128, len: u8) -> Option<(u8, Entry)> {
        (1..len).rev().filter(|shorter| self.counts[usize::from(*shorter)] > 0).find_map(
            |shorter| {
                let entry = self.entries.get(&(key & mask(shorter), shorter))?;
                Some((shorter, *entry))
            },
        )
    }

    /// How many prefixes there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A hash for prefixes: two multiplications, where the standard library's takes ten times as long
/// to stand up to an attacker. Who can choose prefixes can fill the table anyway.
#[derive(Debug, Default)]
pub struct Mix(u64);

impl Mix {
    fn mix(&mut self, part: u64) {
        let product = u128::from(self.0 ^ part) * 0x9e37_79b9_7f4a_7c15_u128;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn write_u8(&mut self, len: u8) {
        self.mix(u64::from(len));
    }

    fn write_u128(&mut self, key: u128) {
        self.mix((key >> 64) as u64);
        self.mix(key as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
