use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::fib::table::{Prefixes, left_aligned};

/// The obvious way: every prefix is tried.
#[derive(Default)]
struct Scan(HashMap<(u128, u8), Entry>);

impl Scan {
    fn lookup(&self, key: u128) -> Entry {
        self.lookup_prefix(key).0
    }

    fn lookup_prefix(&self, key: u128) -> (Entry, u8) {
        self.0
            .iter()
            .filter(|((prefix, len), _)| (key ^ prefix) & mask(*len) == 0)
            .max_by_key(|((_, len), _)| *len)
            .map_or((Entry::NONE, 0), |((_, len), entry)| (*entry, *len))
    }
}

/// A table, with what the writer knows of it, and the obvious way beside it.
#[derive(Default)]
struct Tables {
    scan: Scan,
    prefixes: Prefixes,
    lpm: Lpm,
}

impl Tables {
    fn apply(&mut self, key: u128, len: u8, value: Option<u32>) {
        let key = key & mask(len);
        match value {
            Some(value) => {
                let entry = Entry::forward(value);
                self.scan.0.insert((key, len), entry);
                self.prefixes.insert(key, len, entry);
                self.lpm.insert(key, len, entry);
            }
            None => {
                self.scan.0.remove(&(key, len));
                if self.prefixes.remove(key, len) {
                    self.lpm.remove(key, len, self.prefixes.fallback(key, len));
                }
            }
        }
    }

    /// The trees are as they should be, and no node is lost.
    fn check(&self) {
        let mut words = Vec::new();
        let mut count = self.lpm.nodes.check(self.lpm.upper, &mut words);
        let mut trees: Vec<u32> = words.iter().filter_map(|word| word.tree()).collect();
        trees.sort_unstable();
        for tree in &trees {
            let mut words = Vec::new();
            count += self.lpm.nodes.check(self.lpm.lower[*tree as usize], &mut words);
            assert!(words.iter().all(|word| !word.is_deeper()));
            assert!(words.iter().any(|word| word.owner() > 64), "a tree without need");
        }
        let distinct = trees.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(distinct, "a tree of two cells");
        assert_eq!(trees.len(), self.lpm.lower.len() - self.lpm.free.len());
        assert_eq!(count, self.lpm.nodes.in_use());
    }

    fn compare(&mut self, keys: &[u128]) {
        for path in Path::available() {
            self.lpm.set_path(path);
            let mut entries = vec![Entry::NONE; keys.len()];
            self.lpm.lookup_batch(keys, &mut entries);
            for (key, entry) in keys.iter().zip(entries) {
                let expected = self.scan.lookup(*key);
                assert_eq!(self.lpm.lookup(*key), expected, "{key:x}");
                assert_eq!(entry, expected, "{key:x}, {}", path.name());
            }
        }
        for key in keys {
            assert_eq!(self.lpm.lookup_prefix(*key), self.scan.lookup_prefix(*key), "{key:x}");
        }
    }
}

/// Keys that collide often: few distinct values per byte.
fn key() -> impl Strategy<Value = u128> {
    let clustered = proptest::array::uniform16(prop_oneof![
        4 => Just(0u8),
        1 => Just(0xfc),
        1 => Just(0x80),
        2 => Just(0xff),
        1 => any::<u8>(),
    ])
    .prop_map(u128::from_be_bytes);
    let cell = (0..4u128, 0..64u128, 0..3u128)
        .prop_map(|(cell, sid, end)| (0xfc << 120) + (cell << 64) + (sid << 48) + end);
    let top = (0..300u128).prop_map(|from_top| u128::MAX - from_top);
    let v4 = (0..4u32, any::<u8>())
        .prop_map(|(block, host)| left_aligned(0x0a00_0000 | block << 8 | u32::from(host)));
    prop_oneof![4 => clustered, 3 => cell, 1 => top, 1 => v4]
}

fn len() -> impl Strategy<Value = u8> {
    prop_oneof![0..=128u8, Just(16u8), Just(32u8), Just(48u8), Just(64u8), 70..=128u8, Just(128u8)]
}

fn change() -> impl Strategy<Value = (u128, u8, Option<u32>)> {
    (key(), len(), proptest::option::weighted(0.7, 1..20u32))
}

/// Addresses at the edges of the prefixes, just beyond, and within.
fn edges(changes: &[(u128, u8, Option<u32>)]) -> Vec<u128> {
    let edges = |(key, len, _): &(u128, u8, Option<u32>)| {
        let (first, last) = (key & mask(*len), key | !mask(*len));
        let within = first | !mask(*len) & 0x0123_4567_89ab_cdef;
        [first, last, first.wrapping_sub(1), last.wrapping_add(1), within]
    };
    changes.iter().flat_map(edges).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn equals_a_scan(changes in proptest::collection::vec(change(), 1..250),
                     probes in proptest::collection::vec(key(), 40)) {
        let mut tables = Tables::default();
        for (key, len, value) in &changes {
            tables.apply(*key, *len, *value);
            tables.check();
        }
        let mut keys = probes;
        keys.extend(edges(&changes));
        tables.compare(&keys);
    }

    /// Whatever was inserted, in whichever order it is removed: one empty leaf is left.
    #[test]
    fn nothing_is_left_behind(changes in proptest::collection::vec(change(), 1..300),
                              order in any::<u64>()) {
        let mut tables = Tables::default();
        for (key, len, value) in &changes {
            tables.apply(*key, *len, Some(value.unwrap_or(7)));
        }
        let mut left = changes.clone();
        left.sort_by_key(|(key, len, _)| {
            (*key as u64 ^ (*key >> 64) as u64 ^ u64::from(*len)).wrapping_mul(order | 1)
        });
        for (key, len, _) in &left {
            tables.apply(*key, *len, None);
        }
        tables.check();
        prop_assert_eq!(tables.lpm.nodes.in_use(), 1);
        prop_assert_eq!(tables.lpm.upper.height, 0);
        prop_assert_eq!(tables.lpm.lookup(changes[0].0), Entry::NONE);
    }
}

/// Numbers that look random, the same in every run.
fn numbers(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn endless_changes_take_no_more_memory() {
    let mut tables = Tables::default();
    let mut next = numbers(5);
    let mut random = || {
        let len = [20u8, 29, 32, 48, 48, 64, 96, 128][next() as usize % 8];
        let key = u128::from(next() % 4096) << 100 | u128::from(next() % 4) << 40;
        (key, len)
    };
    let mut live = std::collections::VecDeque::new();
    let mut settled = 0;
    for round in 0..60_000 {
        let (key, len) = random();
        tables.apply(key, len, Some(round % 7 + 1));
        live.push_back((key, len));
        if live.len() > 3000 {
            let (key, len) = live.pop_front().unwrap();
            tables.apply(key, len, None);
        }
        if round == 15_000 {
            tables.check();
            settled = tables.lpm.bytes();
        }
    }
    tables.check();
    assert!(tables.lpm.bytes() <= 2 * settled, "{} after {settled}", tables.lpm.bytes());
    for (key, len) in live {
        tables.apply(key, len, None);
    }
    assert_eq!(tables.lpm.nodes.in_use(), 1);
}

#[test]
fn sorted_prefixes_fill_the_nodes() {
    let mut lpm = Lpm::new();
    for n in 0..10_000u128 {
        lpm.insert(n << 90, 48, Entry::forward((n % 5) as u32));
    }
    let most = 2 * 10_000 / 14;
    assert!(lpm.nodes.in_use() < most, "{} nodes", lpm.nodes.in_use());
}

#[test]
fn a_small_table_is_one_node() {
    let mut lpm = Lpm::new();
    for n in 0..7u128 {
        lpm.insert(0xfc << 120 | n << 81, 48, Entry::forward(1));
    }
    assert_eq!((lpm.nodes.in_use(), lpm.upper.height), (1, 0));
}
