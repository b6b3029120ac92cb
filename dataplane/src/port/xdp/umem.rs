//! Packet memory of one worker.

#![allow(unsafe_code)]

use std::num::NonZeroU32;
use std::ptr::NonNull;
use std::{fs, io};

use xsk_rs::config::{FrameSize, QueueSize, UmemConfig};

use super::error::{Error, Permission};
use crate::frame::{FRAME_SIZE, Frame, HEADROOM, PacketBuf};

/// Descriptors in each of a socket's four rings. A power of two.
pub const RING_SIZE: u32 = 2048;

/// Bytes of a cache line, for [`Umem::prefetch`].
const CACHE_LINE: usize = 64;

/// Packet memory of one worker: `FRAME_SIZE` chunks, numbered from 0.
///
/// The [`Frame`] tokens that come with it say who owns which chunk; to look at a chunk one needs
/// both its token and the `Umem`, so a chunk that was handed to the kernel cannot be touched.
#[derive(Debug)]
pub struct Umem {
    base: NonNull<u8>,
    frames: u32,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    /// Registered with the kernel, which reads and writes packets in it.
    Registered { umem: xsk_rs::Umem, huge: bool },
    /// Known to this process only.
    Private(#[allow(dead_code, reason = "unmaps in its Drop")] Anonymous),
}

// SAFETY: `base` points into memory that the `Umem` itself keeps mapped (`memory`), and nothing
// about a mapping is tied to the thread that made it.
unsafe impl Send for Umem {}

impl Umem {
    /// Memory for `frames` packets that AF_XDP sockets can be opened on, and its frames.
    ///
    /// With `huge`, on huge pages where the system has enough of them reserved and `frames` fill
    /// whole ones (1024 frames a piece at 2 MiB), else on normal pages; [`Umem::huge_pages`] says
    /// which it became.
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`] without CAP_NET_RAW, [`Error::LockedMemory`] where the limit on
    /// locked memory is too low, [`Error::NoAfXdp`] on a kernel without AF_XDP.
    pub fn new(frames: u32, huge: bool) -> Result<(Self, Vec<Frame>), Error> {
        let count = NonZeroU32::new(frames).ok_or(Error::NoFrames)?;
        raise_locked_memory_limit();
        if huge && fills_huge_pages(frames) {
            // Not enough reserved huge pages is the usual case, and no error.
            if let Ok(made) = Self::register(count, true) {
                return Ok(made);
            }
        }
        Self::register(count, false)
    }

    fn register(count: NonZeroU32, huge: bool) -> Result<(Self, Vec<Frame>), Error> {
        let bytes = count.get() as usize * FRAME_SIZE;
        let config = config()?;
        let (umem, descriptors) = xsk_rs::Umem::new(config, count, huge).map_err(|error| {
            let source = super::error::io_cause(&error);
            match source.raw_os_error() {
                Some(libc::EPERM) => Error::NotPermitted(Permission::socket("packet memory")),
                Some(libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN) => {
                    Error::LockedMemory { bytes, source }
                }
                Some(libc::EAFNOSUPPORT) => Error::NoAfXdp,
                _ => Error::System { doing: "setting up packet memory".into(), source },
            }
        })?;
        let first = descriptors.first().ok_or(Error::NoFrames)?;
        // SAFETY: the descriptor is from this very UMEM and was given to no ring yet. Its length
        // is 0, so this reads nothing.
        let packet = unsafe { umem.data(first) }.contents().as_ptr();
        // xsk-rs keeps the start of its mapping to itself, so it is taken from where it says that
        // the first packet would be. Going through the exposed address gives a pointer that is
        // good for the whole mapping, not only for that packet.
        let address = packet.expose_provenance() - first.addr();
        let base = NonNull::new(std::ptr::with_exposed_provenance_mut::<u8>(address))
            .ok_or(Error::NoFrames)?;
        let made = Self { base, frames: count.get(), memory: Memory::Registered { umem, huge } };
        Ok((made, tokens(count.get())))
    }

    /// Memory for `frames` packets that only this process knows, for ports in memory. Needs no
    /// privilege; AF_XDP sockets cannot be opened on it.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where the system has not that much memory.
    pub fn private(frames: u32) -> Result<(Self, Vec<Frame>), Error> {
        if frames == 0 {
            return Err(Error::NoFrames);
        }
        let memory = Anonymous::new(frames as usize * FRAME_SIZE)
            .map_err(|source| Error::System { doing: "allocating packet memory".into(), source })?;
        let umem = Self { base: memory.base, frames, memory: Memory::Private(memory) };
        Ok((umem, tokens(frames)))
    }

    /// The frame's bytes, to write to.
    ///
    /// # Panics
    ///
    /// If the frame's number is beyond this memory: it is another `Umem`'s.
    #[inline]
    pub fn bytes(&mut self, frame: &Frame) -> &mut [u8; FRAME_SIZE] {
        assert!(frame.index() < self.frames, "frame of another Umem");
        // SAFETY: the index was checked, so the chunk is inside the mapping, which lives as long
        // as `self`; `&mut self` makes this the only reference into it. The kernel does not touch
        // the chunk while its token is outside of the rings.
        unsafe { &mut *self.base.as_ptr().add(frame.index() as usize * FRAME_SIZE).cast() }
    }

    /// The frame's bytes, to read.
    ///
    /// # Panics
    ///
    /// If the frame's number is beyond this memory: it is another `Umem`'s.
    #[inline]
    pub fn bytes_ref(&self, frame: &Frame) -> &[u8; FRAME_SIZE] {
        assert!(frame.index() < self.frames, "frame of another Umem");
        // SAFETY: as in `bytes`, with `&self` there is no `&mut` into the mapping.
        unsafe { &*self.base.as_ptr().add(frame.index() as usize * FRAME_SIZE).cast() }
    }

    /// Tells the processor that the packet's first two cache lines (Ethernet, IPv6 and the
    /// beginning of an SRH) will be read soon. Does nothing where there is no such instruction.
    #[inline]
    pub fn prefetch(&self, packet: &PacketBuf) {
        let offset = packet.frame.index() as usize * FRAME_SIZE + usize::from(packet.head);
        let first = self.base.as_ptr().wrapping_add(offset);
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch of any address is harmless: it is a hint that never faults.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(first.cast());
                _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(CACHE_LINE).cast());
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (first, CACHE_LINE);
    }

    /// Frames that this memory consists of, wherever they are.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Whether the memory is on huge pages.
    pub fn huge_pages(&self) -> bool {
        matches!(self.memory, Memory::Registered { huge: true, .. })
    }

    /// The UMEM as xsk-rs knows it, `None` for private memory.
    pub(super) fn registered(&self) -> Option<&xsk_rs::Umem> {
        match &self.memory {
            Memory::Registered { umem, .. } => Some(umem),
            Memory::Private(_) => None,
        }
    }
}

/// The tokens for all frames, to be handed out once per memory. The lowest number is last, so a
/// free list gives it out first.
fn tokens(frames: u32) -> Vec<Frame> {
    (0..frames).rev().map(Frame::new).collect()
}

fn config() -> Result<UmemConfig, Error> {
    let invalid = |what: &dyn std::fmt::Display| Error::System {
        doing: "choosing the layout of packet memory".into(),
        source: io::Error::other(what.to_string()),
    };
    // The kernel's own headroom is the only one, see `HEADROOM`.
    const { assert!(HEADROOM == 256) };
    UmemConfig::builder()
        .frame_size(FrameSize::new(FRAME_SIZE as u32).map_err(|e| invalid(&e))?)
        .fill_queue_size(QueueSize::new(RING_SIZE).map_err(|e| invalid(&e))?)
        .comp_queue_size(QueueSize::new(RING_SIZE).map_err(|e| invalid(&e))?)
        .frame_headroom(0)
        .build()
        .map_err(|e| invalid(&e))
}

/// Whether so many frames fill whole huge pages. The mapping is made and unmade with its exact
/// length, and the kernel refuses to unmap a part of a huge page.
fn fills_huge_pages(frames: u32) -> bool {
    let Ok(meminfo) = fs::read_to_string("/proc/meminfo") else { return false };
    let kilobytes = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("Hugepagesize:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<usize>().ok());
    kilobytes.is_some_and(|k| k != 0 && (frames as usize * FRAME_SIZE).is_multiple_of(k * 1024))
}

/// Lets this process lock as much memory as it may. Without the right to raise the limit
/// (CAP_SYS_RESOURCE) the limit may still be high enough, and with CAP_IPC_LOCK it does not count,
/// so a failure means nothing yet.
fn raise_locked_memory_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if setrlimit(Resource::RLIMIT_MEMLOCK, libc::RLIM_INFINITY, libc::RLIM_INFINITY).is_err()
        && let Ok((_, hard)) = getrlimit(Resource::RLIMIT_MEMLOCK)
    {
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard);
    }
}

/// Anonymous memory, page aligned, unmapped on drop.
#[derive(Debug)]
struct Anonymous {
    base: NonNull<u8>,
    length: usize,
}

impl Anonymous {
    fn new(length: usize) -> io::Result<Self> {
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory
        // that exists already.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // Benches on this memory are to see the TLB as it is on a router, where memory is on huge
        // pages. It is advice: refusing it is fine.
        // SAFETY: the range is the mapping just made, and the advice changes no contents.
        unsafe { libc::madvise(base, length, libc::MADV_HUGEPAGE) };
        let base = NonNull::new(base.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { base, length })
    }
}

impl Drop for Anonymous {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `new` mapped, and no reference into it is left: those
        // borrow the `Umem` that owns this.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_frames_are_distinct_and_zero() {
        let (mut umem, frames) = Umem::private(16).expect("16 frames");
        assert_eq!(frames.len(), 16);
        for frame in &frames {
            assert_eq!(umem.bytes_ref(frame), &[0; FRAME_SIZE]);
            umem.bytes(frame).fill(frame.index() as u8 + 1);
        }
        for frame in &frames {
            assert_eq!(umem.bytes_ref(frame), &[frame.index() as u8 + 1; FRAME_SIZE]);
        }
        assert!(!umem.huge_pages());
    }

    #[test]
    fn the_first_frame_out_of_a_free_list_is_number_0() {
        let (_umem, frames) = Umem::private(4).expect("4 frames");
        assert_eq!(crate::frame::FreeList::new(frames).pop().map(|f| f.index()), Some(0));
    }

    #[test]
    #[should_panic(expected = "frame of another Umem")]
    fn a_foreign_frame_is_caught() {
        let (_large, frames) = Umem::private(16).expect("16 frames");
        let (mut small, _) = Umem::private(4).expect("4 frames");
        let foreign = frames.iter().find(|f| f.index() == 4).expect("frame 4");
        small.bytes(foreign);
    }

    #[test]
    fn registering_works_or_says_what_is_missing() {
        match Umem::new(1024, true) {
            Ok((mut umem, frames)) => {
                assert_eq!((umem.frames(), frames.len()), (1024, 1024));
                for frame in &frames {
                    umem.bytes(frame).fill(frame.index() as u8);
                }
                for frame in &frames {
                    assert_eq!(umem.bytes_ref(frame), &[frame.index() as u8; FRAME_SIZE]);
                }
            }
            Err(Error::NotPermitted(permission)) => {
                assert!(permission.to_string().contains("CAP_NET_RAW"), "{permission}");
            }
            Err(error) => panic!("{error}"),
        }
        assert!(matches!(Umem::new(0, false), Err(Error::NoFrames)));
    }

    #[test]
    fn prefetch_takes_any_packet() {
        let (umem, frames) = Umem::private(1).expect("1 frame");
        for frame in frames {
            umem.prefetch(&PacketBuf { frame, head: u16::MAX, len: 0 });
        }
    }
}
