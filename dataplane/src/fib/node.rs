//! A node of the trie, and the sets of its slots.

/// A set of slots that knows how many bits are set before each word.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slots {
    words: [u64; 4],
    /// Where the item of the first set slot lies.
    pub(super) base: u32,
    before: [u8; 4],
}

impl Slots {
    /// Where the item of `slot` lies, if the slot is set.
    #[inline(always)]
    pub(super) fn find(&self, slot: u8) -> Option<u32> {
        let index = usize::from(slot >> 6);
        let bit = slot & 63;
        let word = self.words[index];
        (word >> bit & 1 != 0).then(|| {
            self.base + u32::from(self.before[index]) + (word & ((1 << bit) - 1)).count_ones()
        })
    }

    /// [`find`](Self::find) without a branch: all ones and the place, or zero and any number.
    #[inline(always)]
    pub(super) fn find_masked(&self, slot: u8) -> (u32, u32) {
        let index = usize::from(slot >> 6);
        let bit = slot & 63;
        let word = self.words[index];
        let mask = ((word >> bit) as u32 & 1).wrapping_neg();
        let before = u32::from(self.before[index]) + (word & ((1 << bit) - 1)).count_ones();
        (mask, self.base.wrapping_add(before))
    }

    pub(super) fn set(&mut self, slot: u8, on: bool) {
        let word = &mut self.words[usize::from(slot >> 6)];
        *word = *word & !(1 << (slot & 63)) | u64::from(on) << (slot & 63);
        let mut total = 0;
        for (word, before) in self.words.iter().zip(&mut self.before) {
            *before = total as u8;
            total += word.count_ones();
        }
    }

    pub(super) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=255).filter(|slot| self.words[usize::from(slot >> 6)] >> (slot & 63) & 1 != 0)
    }
}

/// What a look-up needs of a node on its way fills the first cache line; the leaves, which it needs
/// of the last one only, are in the second.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(super) struct Node {
    pub(super) children: Slots,
    /// The leaf word of the longest prefix that covers all of the node; 0: there is none, but
    /// perhaps the default route.
    pub(super) inherited: u32,
    /// Bytes above the node.
    pub(super) depth: u8,
    /// The bits above the node, left-aligned, and zeros.
    pub(super) prefix: u128,
    pub(super) leaves: Slots,
}

impl Node {
    pub(super) fn new(key: u128, depth: u8) -> Self {
        Self { prefix: key & mask(8 * depth), depth, ..Self::default() }
    }

    #[inline(always)]
    pub(super) fn covers(&self, key: u128) -> bool {
        (key ^ self.prefix) & ABOVE[usize::from(self.depth & 15)] == 0
    }

    #[inline(always)]
    pub(super) fn slot(&self, key: u128) -> u8 {
        self.slot_of(&key.to_be_bytes())
    }

    /// The slot of a key in network byte order.
    #[inline(always)]
    pub(super) fn slot_of(&self, key: &[u8; 16]) -> u8 {
        key[usize::from(self.depth & 15)]
    }
}

/// By depth: ones over the bits above a node.
static ABOVE: [u128; 16] = {
    let mut masks = [0; 16];
    let mut depth = 0;
    while depth < 16 {
        masks[depth] = mask(8 * depth as u8);
        depth += 1;
    }
    masks
};

/// The `len` leftmost bits.
#[inline(always)]
pub(super) const fn mask(len: u8) -> u128 {
    if len == 0 { 0 } else { u128::MAX << (128 - len as u32) }
}
