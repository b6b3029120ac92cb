//! Frames and packets: who owns which piece of packet memory.
//!
//! A [`Frame`] is a move-only token for one chunk of a UMEM. Whoever holds the token owns the
//! chunk; giving it to a ring gives the chunk to the kernel. A frame that is neither in a ring, in
//! a [`FreeList`] nor part of a [`PacketBuf`] is lost, so nothing may drop one on the floor: the
//! sum over all of them equals the size of the UMEM, and tests hold it.

use arrayvec::ArrayVec;

/// Bytes of a frame. A power of two, as AF_XDP's aligned mode asks.
pub const FRAME_SIZE: usize = 2048;

/// Where the kernel puts the first byte of a received packet: `XDP_PACKET_HEADROOM`. What may be
/// pushed in front of a packet has to fit in here.
pub const HEADROOM: usize = 256;

/// The longest packet, Ethernet header included, that a frame takes.
pub const MAX_PACKET: usize = FRAME_SIZE - HEADROOM;

/// Packets that are processed together.
pub const BURST: usize = 64;

/// One chunk of a UMEM, owned by whoever holds this token.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame(u32);

impl Frame {
    /// The token for the chunk number `index` of a UMEM. Only what owns the memory (a UMEM at its
    /// creation, a ring that gets a chunk back from the kernel) makes tokens.
    pub(crate) const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The chunk's number in its UMEM, counted from 0.
    pub const fn index(&self) -> u32 {
        self.0
    }
}

/// A frame with a packet in it.
#[derive(Debug, PartialEq, Eq)]
pub struct PacketBuf {
    /// The frame that holds the bytes.
    pub frame: Frame,
    /// Offset of the packet's first byte in the frame.
    pub head: u16,
    /// Length of the packet in bytes, from the Ethernet header on, without FCS.
    pub len: u16,
}

/// Up to [`BURST`] packets on their way together.
pub type Burst = ArrayVec<PacketBuf, BURST>;

/// Frames that are in no ring and hold no packet.
#[derive(Debug, Default)]
pub struct FreeList {
    frames: Vec<Frame>,
}

impl FreeList {
    /// A list of these frames. It never grows beyond them, so it never allocates again.
    pub fn new(frames: Vec<Frame>) -> Self {
        Self { frames }
    }

    /// Takes a frame off the list.
    pub fn pop(&mut self) -> Option<Frame> {
        self.frames.pop()
    }

    /// Puts a frame back.
    pub fn push(&mut self, frame: Frame) {
        self.frames.push(frame);
    }

    /// Frames on the list.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether no frame is left.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}
