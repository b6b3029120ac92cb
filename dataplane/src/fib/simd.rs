//! The way down a tree, many addresses side by side, with the vector units the processor has.
//!
//! The build is for x86-64-v3, and AVX-512 is found at run time: a function compiled for it may
//! only be called where it is there, and that is what needs `unsafe`. It is here and nowhere else
//! in the look-up. A [`Path`] beyond the portable one exists only where the processor has what the
//! path needs; that is the invariant.

#![allow(unsafe_code)]

use super::node::{FANOUT, Node, Word};
use super::tree::Tree;

/// A way to compare an address with a node's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Path {
    /// All that this processor has, the best one first.
    pub fn available() -> Vec<Self> {
        let mut paths = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let bits = is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2");
            let avx512 =
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
            if bits && avx512 {
                paths.push(Self(Kind::Avx512));
            }
            if bits && is_x86_feature_detected!("avx2") {
                paths.push(Self(Kind::Avx2));
            }
        }
        paths.push(Self(Kind::Portable));
        paths
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            Kind::Portable => "portable",
        }
    }
}

impl Default for Path {
    fn default() -> Self {
        Self::available()[0]
    }
}

/// The words of some addresses. They take a level each in turn, without a branch that depends on
/// what they find, so that their cache misses overlap.
#[inline(always)]
pub(super) fn find<const LANES: usize>(
    path: Path,
    nodes: &[Node],
    tree: Tree,
    needles: &[i64; LANES],
) -> [Word; LANES] {
    match path.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the path exists, so the processor has all that the function is compiled for.
        Kind::Avx512 => unsafe { x86::find_avx512(nodes, tree, needles) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Kind::Avx2 => unsafe { x86::find_avx2(nodes, tree, needles) },
        Kind::Portable => find_portable(nodes, tree, needles),
    }
}

/// Levels of inner nodes from which on a tree is larger than the caches near the core.
const FAR: u32 = 4;

/// Asks for a node's words, which otherwise would be asked for only when its keys have come and
/// have been compared.
#[inline(always)]
fn prefetch(nodes: &[Node], at: Word) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let words = nodes.as_ptr().wrapping_add(at.0 as usize).cast::<i8>().wrapping_add(128);
        // SAFETY: a prefetch of any address is allowed; it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(words) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (nodes, at);
}

/// The body of [`find`]: where it stands says for which processor it is compiled.
macro_rules! descend {
    ($nodes:ident, $tree:ident, $needles:ident, $slot:expr) => {{
        let mut at = [Word($tree.root); LANES];
        let far = $tree.height >= FAR;
        for _ in 0..$tree.height {
            for (at, needle) in at.iter_mut().zip($needles) {
                let node = &$nodes[at.0 as usize];
                *at = node.words[$slot(node, *needle) & (FANOUT - 1)];
                if far {
                    prefetch($nodes, *at);
                }
            }
        }
        for (at, needle) in at.iter_mut().zip($needles) {
            let node = &$nodes[at.0 as usize];
            *at = node.words[$slot(node, *needle) & (FANOUT - 1)];
        }
        at
    }};
}

fn find_portable<const LANES: usize>(
    nodes: &[Node],
    tree: Tree,
    needles: &[i64; LANES],
) -> [Word; LANES] {
    descend!(nodes, tree, needles, Node::slot)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::*;

    #[target_feature(enable = "avx512f,avx512bw,popcnt,bmi1,bmi2")]
    pub(super) fn find_avx512<const LANES: usize>(
        nodes: &[Node],
        tree: Tree,
        needles: &[i64; LANES],
    ) -> [Word; LANES] {
        descend!(nodes, tree, needles, slot_avx512)
    }

    #[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
    pub(super) fn find_avx2<const LANES: usize>(
        nodes: &[Node],
        tree: Tree,
        needles: &[i64; LANES],
    ) -> [Word; LANES] {
        descend!(nodes, tree, needles, slot_avx2)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,popcnt")]
    fn slot_avx512(node: &Node, needle: i64) -> usize {
        let needle = _mm512_set1_epi64(needle);
        let keys = node.keys.as_ptr();
        // SAFETY: the sixteen keys are two vectors of eight, and a node begins a cache line.
        let (low, high) =
            unsafe { (_mm512_load_si512(keys.cast()), _mm512_load_si512(keys.add(8).cast())) };
        let low = _mm512_cmple_epi64_mask(low, needle);
        let high = _mm512_cmple_epi64_mask(high, needle);
        _mm512_kunpackb(u16::from(high), u16::from(low)).count_ones() as usize - 1
    }

    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn slot_avx2(node: &Node, needle: i64) -> usize {
        let needle = _mm256_set1_epi64x(needle);
        let keys = node.keys.as_ptr();
        let beyond = |quarter: usize| {
            // SAFETY: the sixteen keys are four vectors of four, and a node begins a cache line.
            let keys = unsafe { _mm256_load_si256(keys.add(4 * quarter).cast()) };
            _mm256_cmpgt_epi64(keys, needle)
        };
        // Two bytes are left of every key's eight; their order does not matter.
        let halves = _mm256_packs_epi16(
            _mm256_packs_epi32(beyond(0), beyond(1)),
            _mm256_packs_epi32(beyond(2), beyond(3)),
        );
        FANOUT - 1 - _mm256_movemask_epi8(halves).count_ones() as usize / 2
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fib::node::signed;

    fn key() -> impl Strategy<Value = u64> {
        prop_oneof![
            0..40u64,
            (u64::MAX - 20)..=u64::MAX,
            (1u64 << 63) - 5..(1 << 63) + 5,
            any::<u64>()
        ]
    }

    proptest! {
        /// Every path finds the slot that counting finds, in nodes of every fill.
        #[test]
        fn all_paths_find_the_same(keys in proptest::collection::btree_set(key(), 0..FANOUT),
                                   needles in proptest::array::uniform16(key())) {
            let mut keys: Vec<u64> = keys.into_iter().collect();
            if keys.first() != Some(&0) {
                keys.insert(0, 0);
            }
            let intervals: Vec<_> =
                keys.iter().enumerate().map(|(place, key)| (*key, Word(place as u32))).collect();
            let nodes = [Node::new(&intervals)];
            let expected = needles.map(|needle| {
                Word(keys.iter().filter(|key| **key <= needle).count() as u32 - 1)
            });
            for path in Path::available() {
                let found = find(path, &nodes, Tree::default(), &needles.map(signed));
                prop_assert_eq!(found, expected, "{}", path.name());
            }
        }
    }
}
