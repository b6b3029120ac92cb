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

    /// Packets that [`send`](Self::send) takes now; more than a few bursts are not told apart: there
    /// may be fragments of what is in one.
    #[inline]
    pub(super) fn room(&mut self) -> usize {
        self.0.room(4 * BURST as u32) as usize
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
mod memory;

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;
