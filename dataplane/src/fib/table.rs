//! One routing table, and the writer's list of its prefixes.

use std::collections::HashMap;

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
#[derive(Debug, Default)]
pub struct Prefixes {
    entries: HashMap<(u128, u8), Entry>,
}

impl Prefixes {
    /// Notes a prefix; says whether that changes anything.
    pub fn insert(&mut self, key: u128, len: u8, entry: Entry) -> bool {
        self.entries.insert((key & mask(len), len), entry) != Some(entry)
    }

    /// Forgets a prefix; says whether it was there.
    pub fn remove(&mut self, key: u128, len: u8) -> bool {
        self.entries.remove(&(key & mask(len), len)).is_some()
    }

    /// The prefix that takes over the node's slots of a removed one: what
    /// [`Lpm::remove`] asks for.
    pub fn fallback(&self, key: u128, len: u8) -> Option<(u8, Entry)> {
        let shortest = len.saturating_sub(1) / 8 * 8 + 1;
        (shortest..len).rev().find_map(|shorter| {
            self.entries.get(&(key & mask(shorter), shorter)).map(|entry| (shorter, *entry))
        })
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
