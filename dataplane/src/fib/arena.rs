//! Blocks of items in one vector: what lies side by side is found by its place.

/// Items in one vector, handed out in blocks whose sizes are powers of two up to 256.
#[derive(Debug, Clone)]
pub(super) struct Arena<T> {
    /// The items, in use and free.
    pub(super) items: Vec<T>,
    free: [Vec<u32>; 9],
}

impl<T: Copy + Default> Arena<T> {
    pub(super) fn new() -> Self {
        Self { items: Vec::new(), free: Default::default() }
    }

    pub(super) fn class(count: usize) -> usize {
        count.next_power_of_two().trailing_zeros() as usize
    }

    pub(super) fn allocate(&mut self, count: usize) -> u32 {
        let class = Self::class(count);
        self.free[class].pop().unwrap_or_else(|| {
            let base = self.items.len();
            self.items.resize(base + (1 << class), T::default());
            base as u32
        })
    }

    pub(super) fn release(&mut self, base: u32, count: usize) {
        if count > 0 {
            self.free[Self::class(count)].push(base);
        }
    }

    /// Moves a block of `old` items at `base` to hold `new` of them.
    pub(super) fn resize(&mut self, base: u32, old: usize, new: usize) -> u32 {
        if old > 0 && new > 0 && Self::class(old) == Self::class(new) {
            return base;
        }
        let moved = if new > 0 { self.allocate(new) } else { 0 };
        let kept = old.min(new);
        self.items.copy_within(base as usize..base as usize + kept, moved as usize);
        self.release(base, old);
        moved
    }

    /// Makes room for one more item at `place` of a block of `count`, and puts `item` there.
    pub(super) fn insert(&mut self, base: u32, count: usize, place: usize, item: T) -> u32 {
        let base = self.resize(base, count, count + 1);
        let start = base as usize;
        self.items.copy_within(start + place..start + count, start + place + 1);
        self.items[start + place] = item;
        base
    }

    /// Takes the item at `place` out of a block of `count`.
    pub(super) fn remove(&mut self, base: u32, count: usize, place: usize) -> u32 {
        let start = base as usize;
        self.items.copy_within(start + place + 1..start + count, start + place);
        self.resize(base, count, count - 1)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<T>() * self.items.capacity()
            + self.free.iter().map(|list| 4 * list.capacity()).sum::<usize>()
    }
}
