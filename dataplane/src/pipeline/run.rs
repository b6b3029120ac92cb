//! Packets that one entry of the FIB applies to, one after the other: what is to be known of the
//! entry is read once for all of them.

use crate::{
    frame::{BURST, Burst},
    packet::{Meta, Packet},
    port::Umem,
    verdict::Verdict,
    wire::ext::{self, Headers},
};

/// Packets that a behavior is applied to.
#[derive(Debug)]
pub struct Run<'a> {
    /// The memory of the packets.
    pub(super) umem: &'a mut Umem,
    /// The burst that the packets are part of.
    pub(super) burst: &'a Burst,
    /// What is remembered of the packets of the burst.
    pub(super) metas: &'a mut [Meta; BURST],
    /// The packets' places in the burst.
    pub(super) indices: &'a [u8],
    /// What becomes of each of them.
    pub(super) verdicts: &'a mut [Verdict],
    /// Bytes of all of them, as they were before the behavior.
    pub(super) bytes: u64,
}

impl Run<'_> {
    /// How many packets there are.
    pub fn packets(&self) -> usize {
        self.indices.len()
    }

    /// Does the same to every packet.
    #[inline(always)]
    pub fn each(&mut self, mut act: impl FnMut(&mut Packet<'_>) -> Verdict) {
        for (index, verdict) in self.indices.iter().zip(&mut *self.verdicts) {
            let index = usize::from(*index);
            let Some(buf) = self.burst.get(index) else { continue };
            let meta = &mut self.metas[index % BURST];
            let mut packet = Packet { frame: self.umem.bytes(&buf.frame), meta };
            self.bytes += packet.len() as u64;
            *verdict = act(&mut packet);
        }
    }

    /// Does the same to every packet whose headers make sense.
    #[inline(always)]
    pub fn each_with_headers(&mut self, act: impl Fn(&mut Packet<'_>, Headers) -> Verdict) {
        self.each(|packet| match ext::walk(packet) {
            Ok(headers) => act(packet, headers),
            Err(verdict) => verdict,
        });
    }
}
