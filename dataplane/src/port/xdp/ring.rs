//! The rings that are shared with the kernel.
//!
//! ```text
//!             producer moves →
//!     ┌───┬───┬─▼─┬───┬───┬───┬───┬───┐   free-running 32-bit indices,
//!     │ d │ d │   │   │   │ d │ d │ d │   slot = index & (size - 1),
//!     └───┴───┴───┴───┴───┴─▲─┴───┴───┘   d: an entry that is not consumed yet
//!             consumer moves →
//! ```
//!
//! Each ring has one producer and one consumer, one of which is the kernel. The logic here
//! ([`Producer`], [`Consumer`]) knows only the trait [`Memory`]: [`Mapped`] is a ring in the
//! kernel's memory, tests pair a producer with a consumer over ordinary memory.
//!
//! Layout and semantics: Linux, Documentation/networking/af_xdp.rst and net/xdp/xsk_queue.h.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{io, mem};

use libc::xdp_desc as Desc;

use crate::frame::{BURST, Burst, FRAME_SIZE, Frame, FreeList, PacketBuf};

/// One of a ring's two shared indices.
pub(super) trait Index {
    /// Reads the other side's index, and with it everything that side did before it moved it.
    fn acquire(&self) -> u32;
    /// Moves our index, and makes everything done before visible to the other side.
    fn release(&self, value: u32);
}

macro_rules! impl_index {
    ($atomic:ty, $ordering:ty) => {
        impl Index for $atomic {
            #[inline]
            fn acquire(&self) -> u32 {
                self.load(<$ordering>::Acquire)
            }
            #[inline]
            fn release(&self, value: u32) {
                self.store(value, <$ordering>::Release)
            }
        }
    };
}

impl_index!(AtomicU32, Ordering);
#[cfg(loom)]
impl_index!(loom::sync::atomic::AtomicU32, loom::sync::atomic::Ordering);

/// Where a ring is.
///
/// # Safety
///
/// `read` and `write` with the same index have to reach the same slot, and slots have to stay
/// valid for as long as the value lives, wherever it moves.
pub(super) unsafe trait Memory {
    /// Type of the two indices.
    type Index: Index;
    /// What is in a slot.
    type Item: Copy;

    /// Slots. A power of two.
    fn size(&self) -> u32;
    /// The index of the next entry to be produced.
    fn producer(&self) -> &Self::Index;
    /// The index of the next entry to be consumed.
    fn consumer(&self) -> &Self::Index;
    /// Whether the kernel asks to be woken up before it looks at the ring again.
    fn needs_wakeup(&self) -> bool;
    /// Reads the slot of this index.
    ///
    /// # Safety
    ///
    /// The other side does not write the slot at this moment: the index is one that the producer
    /// has published and the consumer not yet released.
    unsafe fn read(&self, index: u32) -> Self::Item;
    /// Writes the slot of this index.
    ///
    /// # Safety
    ///
    /// The other side does not access the slot at this moment: the index is one that the producer
    /// has not published, less than `size` ahead of the consumer.
    unsafe fn write(&self, index: u32, item: Self::Item);
}

/// Our end of a ring that the kernel consumes.
#[derive(Debug)]
pub(super) struct Producer<M> {
    memory: M,
    /// Index of the next entry, ours to move.
    next: u32,
    /// The kernel's index as it was when we last looked.
    consumed: u32,
}

impl<M: Memory> Producer<M> {
    /// Takes the producing end of a ring. There must be no other.
    pub(super) fn new(memory: M) -> Self {
        let next = memory.producer().acquire();
        let consumed = memory.consumer().acquire();
        Self { memory, next, consumed }
    }

    /// Free slots; `want` are enough. Looks at the shared index only if those it knows are fewer.
    #[inline]
    pub(super) fn room(&mut self, want: u32) -> u32 {
        let size = self.memory.size();
        // More than `size` would be the kernel's mistake, and is no room rather than a lot of it.
        let room = size.saturating_sub(self.next.wrapping_sub(self.consumed));
        if room >= want {
            return want;
        }
        self.consumed = self.memory.consumer().acquire();
        size.saturating_sub(self.next.wrapping_sub(self.consumed)).min(want)
    }

    /// Writes up to `want` entries, until there is no room or no more items, then shows them to
    /// the kernel all at once. Returns how many.
    #[inline]
    pub(super) fn produce(&mut self, want: u32, mut item: impl FnMut() -> Option<M::Item>) -> u32 {
        let room = self.room(want);
        let mut written = 0;
        while written < room {
            let Some(item) = item() else { break };
            // SAFETY: `room` slots from `next` on are free: the consumer has released them (its
            // index was read with Acquire), and it will not look at them before the store below.
            unsafe { self.memory.write(self.next.wrapping_add(written), item) };
            written += 1;
        }
        if written != 0 {
            self.next = self.next.wrapping_add(written);
            self.memory.producer().release(self.next);
        }
        written
    }

    /// Entries that the kernel has not consumed yet.
    #[inline]
    pub(super) fn pending(&self) -> u32 {
        self.next.wrapping_sub(self.memory.consumer().acquire())
    }

    /// Whether the kernel asks to be woken up before it consumes more.
    #[inline]
    pub(super) fn needs_wakeup(&self) -> bool {
        self.memory.needs_wakeup()
    }
}

/// Our end of a ring that the kernel produces.
#[derive(Debug)]
pub(super) struct Consumer<M> {
    memory: M,
    /// Index of the next entry, ours to move.
    next: u32,
    /// The kernel's index as it was when we last looked.
    produced: u32,
}

impl<M: Memory> Consumer<M> {
    /// Takes the consuming end of a ring. There must be no other.
    pub(super) fn new(memory: M) -> Self {
        let produced = memory.producer().acquire();
        let next = memory.consumer().acquire();
        Self { memory, next, produced }
    }

    /// Reads up to `want` entries, then gives their slots back all at once. Returns how many.
    #[inline]
    pub(super) fn consume(&mut self, want: u32, mut take: impl FnMut(M::Item)) -> u32 {
        let mut available = self.produced.wrapping_sub(self.next);
        if available < want {
            self.produced = self.memory.producer().acquire();
            // More than the ring has slots would be the kernel's mistake.
            available = self.produced.wrapping_sub(self.next).min(self.memory.size());
        }
        let count = available.min(want);
        for i in 0..count {
            // SAFETY: the producer has published `available` entries from `next` on (its index was
            // read with Acquire), and does not write them again before the store below.
            take(unsafe { self.memory.read(self.next.wrapping_add(i)) });
        }
        if count != 0 {
            self.next = self.next.wrapping_add(count);
            self.memory.consumer().release(self.next);
        }
        count
    }
}

/// Received packets.
#[derive(Debug)]
pub(super) struct RxRing<M = Mapped<Desc>>(Consumer<M>);

impl<M: Memory<Item = Desc>> RxRing<M> {
    pub(super) fn new(memory: M) -> Self {
        Self(Consumer::new(memory))
    }

    /// Appends packets to `burst` for as long as it has room. Returns how many.
    #[inline]
    pub(super) fn receive(&mut self, burst: &mut Burst) -> u32 {
        let want = burst.remaining_capacity() as u32;
        self.0.consume(want, |desc| {
            let head = (desc.addr % FRAME_SIZE as u64) as u16;
            burst.push(PacketBuf { frame: frame_of(desc.addr), head, len: desc.len as u16 });
        })
    }
}

/// Packets to be sent.
#[derive(Debug)]
pub(super) struct TxRing<M = Mapped<Desc>>(Producer<M>);

impl<M: Memory<Item = Desc>> TxRing<M> {
    pub(super) fn new(memory: M) -> Self {
        Self(Producer::new(memory))
    }

    /// Packets that [`send`](Self::send) takes now; more than a burst are not told apart.
    #[inline]
    pub(super) fn room(&mut self) -> usize {
        self.0.room(BURST as u32) as usize
    }

    /// Hands over the oldest packets of `burst`, as many as there is room for, and returns how
    /// many were taken. Frames of packets that the kernel would refuse go to `refused`: it would
    /// skip their descriptors, and never give the frames back.
    #[inline]
    pub(super) fn send(&mut self, burst: &mut Burst, refused: &mut Vec<Frame>) -> u32 {
        let room = self.0.room(burst.len() as u32);
        let mut packets = burst.drain(..room as usize);
        self.0.produce(room, || {
            loop {
                let packet = packets.next()?;
                if sendable(&packet) {
                    let addr = address_of(&packet.frame) + u64::from(packet.head);
                    return Some(Desc { addr, len: u32::from(packet.len), options: 0 });
                }
                refused.push(packet.frame);
            }
        })
    }

    /// Packets that the kernel has not taken yet.
    #[inline]
    pub(super) fn pending(&self) -> u32 {
        self.0.pending()
    }

    #[inline]
    pub(super) fn needs_wakeup(&self) -> bool {
        self.0.needs_wakeup()
    }
}

/// Frames for the kernel to receive into.
#[derive(Debug)]
pub(super) struct FillRing<M = Mapped<u64>>(Producer<M>);

impl<M: Memory<Item = u64>> FillRing<M> {
    pub(super) fn new(memory: M) -> Self {
        Self(Producer::new(memory))
    }

    /// Gives up to `want` frames off the free list to the kernel. Returns how many.
    #[inline]
    pub(super) fn fill(&mut self, want: u32, free: &mut FreeList) -> u32 {
        self.0.produce(want, || free.pop().map(|frame| address_of(&frame)))
    }

    #[inline]
    pub(super) fn needs_wakeup(&self) -> bool {
        self.0.needs_wakeup()
    }
}

/// Frames of sent packets.
#[derive(Debug)]
pub(super) struct CompRing<M = Mapped<u64>>(Consumer<M>);

impl<M: Memory<Item = u64>> CompRing<M> {
    pub(super) fn new(memory: M) -> Self {
        Self(Consumer::new(memory))
    }

    /// Moves the frames of all packets that were sent to the free list. Returns how many.
    #[inline]
    pub(super) fn reclaim(&mut self, free: &mut FreeList) -> u32 {
        // The address is the one that was sent, so it is somewhere in the frame.
        self.0.consume(u32::MAX, |address| free.push(frame_of(address)))
    }
}

/// The frame that an address in the UMEM is in. Only for addresses that come back from the kernel:
/// with them comes the ownership.
#[inline]
fn frame_of(address: u64) -> Frame {
    Frame::new((address / FRAME_SIZE as u64) as u32)
}

/// Address of the frame's first byte, as an offset in the UMEM.
#[inline]
fn address_of(frame: &Frame) -> u64 {
    u64::from(frame.index()) * FRAME_SIZE as u64
}

/// Whether the kernel takes a descriptor of this packet: it has an Ethernet header, and its end is
/// in the frame (net/xdp/xsk_queue.h, xp_aligned_validate_desc).
#[inline]
fn sendable(packet: &PacketBuf) -> bool {
    packet.len >= libc::ETH_HLEN as u16
        && usize::from(packet.head) + usize::from(packet.len) <= FRAME_SIZE
}

/// A ring in memory that is shared with the kernel.
#[derive(Debug)]
pub(super) struct Mapped<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    slots: NonNull<T>,
    size: u32,
    /// Start and length of the mapping.
    mapping: (NonNull<libc::c_void>, usize),
}

// SAFETY: the pointers are into a mapping that the value owns, and a mapping belongs to no thread.
unsafe impl<T: Send> Send for Mapped<T> {}

impl<T: Copy> Mapped<T> {
    /// Maps the ring of `size` entries at `page` (one of the XDP_*PGOFF_*) of the socket `fd`.
    pub(super) fn new(
        fd: BorrowedFd<'_>,
        page: i64,
        offsets: &libc::xdp_ring_offset,
        size: u32,
    ) -> io::Result<Self> {
        assert!(size.is_power_of_two());
        let length = offsets.desc as usize + size as usize * mem::size_of::<T>();
        // SAFETY: a new mapping at an address of the kernel's choice; the kernel checks that
        // the ring really has this length.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                fd.as_raw_fd(),
                page,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the kernel told these offsets for this ring (XDP_MMAP_OFFSETS); they are inside
        // the mapping and aligned for what is there.
        let at = |offset: u64| unsafe { base.byte_add(offset as usize) };
        Ok(Self {
            producer: at(offsets.producer).cast(),
            consumer: at(offsets.consumer).cast(),
            flags: at(offsets.flags).cast(),
            slots: at(offsets.desc).cast(),
            size,
            mapping: (base, length),
        })
    }
}

// SAFETY: `mapping` stays until the value is dropped, and a slot's address depends on the index
// only.
unsafe impl<T: Copy> Memory for Mapped<T> {
    type Index = AtomicU32;
    type Item = T;

    #[inline]
    fn size(&self) -> u32 {
        self.size
    }

    #[inline]
    fn producer(&self) -> &AtomicU32 {
        // SAFETY: inside the mapping that lives as long as `self`; the kernel, too, accesses it by
        // atomic loads and stores only.
        unsafe { self.producer.as_ref() }
    }

    #[inline]
    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as for `producer`.
        unsafe { self.consumer.as_ref() }
    }

    #[inline]
    fn needs_wakeup(&self) -> bool {
        // SAFETY: as for `producer`.
        let flags = unsafe { self.flags.as_ref() };
        flags.load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    #[inline]
    unsafe fn read(&self, index: u32) -> T {
        // SAFETY: masked, the index is inside of the ring; that the slot is ours is promised by
        // the caller.
        unsafe { self.slots.add((index & (self.size - 1)) as usize).read() }
    }

    #[inline]
    unsafe fn write(&self, index: u32, item: T) {
        // SAFETY: as for `read`.
        unsafe { self.slots.add((index & (self.size - 1)) as usize).write(item) }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: the range is the one that `new` mapped, and all references into it borrow `self`.
        unsafe { libc::munmap(self.mapping.0.as_ptr(), self.mapping.1) };
    }
}

#[cfg(test)]
mod memory {
    //! A ring in ordinary memory. Under loom its accesses are all watched.

    #[cfg(loom)]
    pub(super) use loom::{cell::UnsafeCell, sync::Arc, sync::atomic::AtomicU32};
    #[cfg(not(loom))]
    pub(super) use std::sync::{Arc, atomic::AtomicU32};

    use super::Memory;

    #[cfg(not(loom))]
    #[derive(Debug)]
    pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    #[cfg(not(loom))]
    impl<T> UnsafeCell<T> {
        fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }
        fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }
        fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    #[derive(Debug)]
    pub(super) struct Heap<T> {
        producer: AtomicU32,
        consumer: AtomicU32,
        slots: Vec<UnsafeCell<T>>,
    }

    // SAFETY: the two ends may be in different threads; that they never access a slot at the same
    // time is what the contract of `Memory::read` and `write` says.
    unsafe impl<T: Send> Sync for Heap<T> {}

    impl<T: Copy> Heap<T> {
        /// Two handles of one empty ring, whose indices begin at `first`.
        pub(super) fn pair(size: u32, first: u32, item: T) -> (Arc<Self>, Arc<Self>) {
            let heap = Arc::new(Self {
                producer: AtomicU32::new(first),
                consumer: AtomicU32::new(first),
                slots: (0..size).map(|_| UnsafeCell::new(item)).collect(),
            });
            (heap.clone(), heap)
        }

        fn slot(&self, index: u32) -> &UnsafeCell<T> {
            &self.slots[index as usize & (self.slots.len() - 1)]
        }
    }

    // SAFETY: the slots are owned by the shared allocation, and a slot depends on the index only.
    unsafe impl<T: Copy> Memory for Arc<Heap<T>> {
        type Index = AtomicU32;
        type Item = T;

        fn size(&self) -> u32 {
            self.slots.len() as u32
        }
        fn producer(&self) -> &AtomicU32 {
            &self.producer
        }
        fn consumer(&self) -> &AtomicU32 {
            &self.consumer
        }
        fn needs_wakeup(&self) -> bool {
            false
        }
        unsafe fn read(&self, index: u32) -> T {
            // SAFETY: the pointer is to a live slot; the caller promises that nobody writes it.
            self.slot(index).with(|slot| unsafe { *slot })
        }
        unsafe fn write(&self, index: u32, item: T) {
            // SAFETY: the pointer is to a live slot; the caller promises that it is ours.
            self.slot(index).with_mut(|slot| unsafe { *slot = item })
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::memory::Heap;
    use super::*;
    use crate::frame::HEADROOM;

    const NO_DESC: Desc = Desc { addr: 0, len: 0, options: 0 };

    #[test]
    fn entries_come_out_in_order_across_the_index_overflow() {
        let (a, b) = Heap::pair(8, u32::MAX - 20, 0u64);
        let (mut producer, mut consumer) = (Producer::new(a), Consumer::new(b));
        let mut next = 0;
        let mut expected = 0;
        for round in 0..1000 {
            producer.produce(round % 9, || {
                next += 1;
                Some(next)
            });
            consumer.consume(round % 7, |item| {
                expected += 1;
                assert_eq!(item, expected);
            });
        }
    }

    #[test]
    fn a_full_ring_takes_no_more_and_an_empty_one_gives_nothing() {
        let (a, b) = Heap::pair(4, 0, 0u64);
        let (mut producer, mut consumer) = (Producer::new(a), Consumer::new(b));
        assert_eq!(consumer.consume(4, |_| unreachable!("the ring is empty")), 0);
        assert_eq!(producer.produce(5, || Some(7)), 4);
        assert_eq!(producer.pending(), 4);
        assert_eq!(producer.produce(1, || Some(7)), 0);
        assert_eq!(consumer.consume(3, |item| assert_eq!(item, 7)), 3);
        assert_eq!(producer.pending(), 1);
        assert_eq!(producer.room(10), 3);
        assert_eq!(producer.room(2), 2);
    }

    #[test]
    fn items_may_end_before_the_room() {
        let (a, b) = Heap::pair(8, 0, 0u64);
        let (mut producer, mut consumer) = (Producer::new(a), Consumer::new(b));
        let mut items = [1, 2, 3].into_iter();
        assert_eq!(producer.produce(8, || items.next()), 3);
        let mut read = Vec::new();
        consumer.consume(8, |item| read.push(item));
        assert_eq!(read, [1, 2, 3]);
    }

    #[test]
    fn indices_beyond_reason_are_contained() {
        let (a, b) = Heap::pair(4, 0, 0u64);
        b.producer().release(1_000);
        let mut consumer = Consumer::new(b);
        assert_eq!(consumer.consume(u32::MAX, |_| ()), 4);
        a.consumer().release(2_000);
        a.producer().release(0);
        let mut producer = Producer::new(a);
        assert_eq!(producer.room(4), 0);
    }

    /// The four rings of a socket, with a kernel that loops every sent packet back.
    #[test]
    fn frames_are_conserved_through_the_four_rings() {
        const FRAMES: u32 = 64;
        let (fill, kernel_fill) = Heap::pair(32, 5, 0u64);
        let (comp, kernel_comp) = Heap::pair(32, u32::MAX - 100, 0u64);
        let (rx, kernel_rx) = Heap::pair(16, 0, NO_DESC);
        let (tx, kernel_tx) = Heap::pair(16, 77, NO_DESC);
        let (mut fill, mut comp) = (FillRing::new(fill), CompRing::new(comp));
        let (mut rx, mut tx) = (RxRing::new(rx), TxRing::new(tx));
        let mut kernel_fill = Consumer::new(kernel_fill);
        let mut kernel_comp = Producer::new(kernel_comp);
        let mut kernel_rx = Producer::new(kernel_rx);
        let mut kernel_tx = Consumer::new(kernel_tx);

        let mut free = FreeList::new((0..FRAMES).map(Frame::new).collect());
        let mut burst = Burst::new();
        let mut refused = Vec::new();
        let (mut held, mut received, mut sent) = (0, 0, 0);
        for round in 0..10_000u32 {
            held -= comp.reclaim(&mut free);
            held += fill.fill(32, &mut free);

            let room = kernel_rx.room(round % 5);
            kernel_fill.consume(room, |address| {
                let desc = Desc { addr: address + HEADROOM as u64, len: 100, options: 0 };
                assert_eq!(kernel_rx.produce(1, || Some(desc)), 1);
            });
            let n = rx.receive(&mut burst);
            held -= n;
            received += n;

            for packet in &mut burst {
                assert_eq!((packet.head, packet.len), (256, 100));
                packet.head -= 40;
                packet.len += 40;
            }
            let n = tx.send(&mut burst, &mut refused);
            held += n;
            sent += n;
            // What was left is dropped, as a worker would.
            for mut packet in burst.drain(..) {
                packet.head = 0;
                free.push(packet.frame);
            }
            kernel_tx.consume(round % 7, |desc| {
                assert_eq!((desc.addr % 2048, desc.len), (216, 140));
                assert_eq!(kernel_comp.produce(1, || Some(desc.addr)), 1);
            });
            assert_eq!(free.len() as u32 + held, FRAMES);
        }
        assert!(received > 10_000, "{received}");
        assert_eq!(received, sent);
        assert!(refused.is_empty());
    }

    #[test]
    fn a_packet_that_the_kernel_would_refuse_is_handed_back() {
        let (tx, kernel) = Heap::pair(8, 0, NO_DESC);
        let (mut tx, mut kernel) = (TxRing::new(tx), Consumer::new(kernel));
        let mut burst = Burst::new();
        for (index, (head, len)) in
            [(256, 60), (256, 13), (256, 1793), (2047, 60), (256, 1792)].into_iter().enumerate()
        {
            burst.push(PacketBuf { frame: Frame::new(index as u32), head, len });
        }
        let mut refused = Vec::new();
        assert_eq!(tx.send(&mut burst, &mut refused), 2);
        assert!(burst.is_empty());
        assert_eq!(refused, [Frame::new(1), Frame::new(2), Frame::new(3)]);
        let mut sent = Vec::new();
        kernel.consume(8, |desc| sent.push(desc.len));
        assert_eq!(sent, [60, 1792]);
    }

    #[test]
    fn what_has_no_room_stays_in_the_burst() {
        let (tx, _kernel) = Heap::pair(2, 0, NO_DESC);
        let mut tx = TxRing::new(tx);
        let mut burst: Burst =
            (0..5).map(|i| PacketBuf { frame: Frame::new(i), head: 256, len: 60 }).collect();
        assert_eq!(tx.send(&mut burst, &mut Vec::new()), 2);
        let left: Vec<_> = burst.iter().map(|packet| packet.frame.index()).collect();
        assert_eq!(left, [2, 3, 4]);
    }

    #[test]
    fn two_threads() {
        const COUNT: u64 = 200_000;
        let (a, b) = Heap::pair(64, 0, 0u64);
        let (mut producer, mut consumer) = (Producer::new(a), Consumer::new(b));
        let thread = std::thread::spawn(move || {
            let mut next = 0;
            while next < COUNT {
                let n = producer.produce(16, || {
                    next += 1;
                    (next <= COUNT).then_some(next)
                });
                if n == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        while expected < COUNT {
            let n = consumer.consume(32, |item| {
                expected += 1;
                assert_eq!(item, expected);
            });
            if n == 0 {
                std::thread::yield_now();
            }
        }
        thread.join().expect("the producer does not panic");
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::memory::Heap;
    use super::{Consumer, Producer};

    /// In every interleaving, entries come out once, in order, and no slot is read while it is
    /// written (loom's cells panic on that).
    #[test]
    fn one_producer_and_one_consumer() {
        const COUNT: u32 = 4;
        loom::model(|| {
            // Two slots and an index that overflows: every slot is used twice.
            let (a, b) = Heap::pair(2, u32::MAX - 1, 0u32);
            let producing = loom::thread::spawn(move || {
                let mut producer = Producer::new(a);
                let mut next = 0;
                while next < COUNT {
                    let want = COUNT - next;
                    let n = producer.produce(want, || {
                        next += 1;
                        Some(next)
                    });
                    if n == 0 {
                        loom::thread::yield_now();
                    }
                }
            });
            let mut consumer = Consumer::new(b);
            let mut expected = 0;
            while expected < COUNT {
                let n = consumer.consume(2, |item| {
                    expected += 1;
                    assert_eq!(item, expected);
                });
                if n == 0 {
                    loom::thread::yield_now();
                }
            }
            producing.join().expect("the producer does not panic");
        });
    }
}
