//! What a packet is: the first step, on its first two cache lines.

use super::{Context, Pipeline, ip, observe::Observer};
use crate::{
    fib::{PortSettings, entry::PortIndex},
    frame::{Burst, FRAME_SIZE},
    packet::{Meta, Packet, Received, array_at},
    port::Punt,
    verdict::{Fate, Reason},
    wire::{
        ethernet,
        ipv6::{
            self,
            field::{DESTINATION, HOP_LIMIT, SOURCE},
        },
    },
};

/// How many packets ahead the headers are asked for. Frames lie 2048 bytes apart, so that the
/// headers of all of a burst do not fit into the first-level cache together.
const AHEAD: usize = 6;

/// Bytes of an Ethernet header and an IPv6 header.
const HEADERS: usize = ethernet::HEADER_LEN + ipv6::HEADER_LEN;

impl Pipeline {
    /// Takes note of the packets, and says which of them are to be looked up.
    #[inline(always)]
    pub(super) fn parse<U: Punt>(
        &mut self,
        ingress: PortIndex,
        burst: &Burst,
        context: &mut Context<'_, U>,
        observer: &mut impl Observer,
    ) {
        let settings = context.fib.ports.get(usize::from(ingress)).copied();
        let expected = Expected::new(ingress, settings);
        self.pending.begin();
        let mut bytes = 0;
        for (index, (buf, meta)) in burst.iter().zip(&mut *self.metas).enumerate() {
            if let Some(next) = burst.get(index + AHEAD) {
                context.umem.prefetch(next);
            }
            bytes += u64::from(buf.len);
            let frame = context.umem.bytes(&buf.frame);
            if let Some(key) = expected.enter(frame, meta, buf.head, buf.len) {
                self.pending.push_v6(index, expected.meta.table, key);
                continue;
            }
            let head = u32::from(buf.head);
            *meta = Meta::new(ingress, expected.meta.table, head, head + u32::from(buf.len));
            match enter(&mut Packet { frame, meta }, settings) {
                Ok(()) => self.pending.push(index, meta),
                Err(reason) => {
                    self.counters.count_drop(reason);
                    observer.ended(index, Fate::Dropped(reason));
                }
            }
        }
        if let Some(received) = self.counters.received.get(usize::from(ingress)) {
            received.add(burst.len() as u64, bytes);
        }
    }
}

/// What the packets of a port are expected to be: IPv6 for our Ethernet address, between unicast
/// addresses.
#[derive(Debug, Clone, Copy)]
struct Expected {
    /// The Ethernet address as it lies in the frame, in the last six bytes of a word. One more
    /// where the port is not known: no frame has that.
    mac: u64,
    /// What is remembered of any of them.
    meta: Meta,
}

impl Expected {
    fn new(ingress: PortIndex, settings: Option<PortSettings>) -> Self {
        let mut mac = [0; 8];
        match settings {
            Some(settings) => mac[2..].copy_from_slice(&settings.mac),
            None => mac[0] = 1,
        }
        let table = settings.map_or(0, |settings| settings.table);
        let meta = Meta { v6: true, ..Meta::new(ingress, table, 0, 0) };
        Self { mac: u64::from_le_bytes(mac), meta }
    }

    /// [`enter`] for what is expected, without its branches: says what to look up. `None`: it is
    /// something else, or there is something wrong with it, and nothing was changed.
    #[inline(always)]
    fn enter(
        &self,
        frame: &[u8; FRAME_SIZE],
        meta: &mut Meta,
        head: u16,
        len: u16,
    ) -> Option<u128> {
        const LEN: usize = ethernet::HEADER_LEN;
        let start = usize::from(head);
        let bytes = array_at::<HEADERS>(frame, u32::from(head))?;
        let (l2, rest) = bytes.split_first_chunk::<LEN>()?;
        let header: &[u8; ipv6::HEADER_LEN] = rest.first_chunk()?;
        // Two bytes more than the address, shifted out; and EtherType with the version of IP.
        let destination_mac = u64::from_le_bytes(*l2.first_chunk()?) << 16;
        let kind = u32::from_be_bytes(*bytes[LEN - 2..].first_chunk()?) & 0xffff_f000;
        let total = LEN + ipv6::total_len(header);
        let expected = destination_mac == self.mac
            && kind == u32::from(ethernet::IPV6) << 16 | 0x6000
            && total <= usize::from(len)
            && start + total <= FRAME_SIZE
            && ip::is_surely_unicast_v6(header[SOURCE])
            && ip::is_surely_unicast_v6(header[DESTINATION]);
        if !expected {
            return None;
        }
        let destination = *header[DESTINATION..].first_chunk()?;
        let head = head + LEN as u16;
        *meta = self.meta;
        meta.key = u128::from_be_bytes(destination);
        meta.head = u32::from(head);
        meta.tail = (start + total) as u32;
        meta.received = Received::new(head, true, destination, header[HOP_LIMIT]);
        Some(meta.key)
    }
}

/// Takes the Ethernet header off and checks what is behind it.
#[inline(never)]
fn enter(packet: &mut Packet<'_>, settings: Option<PortSettings>) -> Result<(), Reason> {
    let header = ethernet::Ethernet::new_checked(packet.bytes()).ok_or(Reason::NotIp)?;
    let (destination, ether_type) = (header.destination(), header.ether_type());
    if settings.is_none_or(|settings| settings.mac != destination) {
        return Err(Reason::DestinationMac);
    }
    packet.meta.head += ethernet::HEADER_LEN as u32;
    let version = packet.bytes().first().map_or(0, |byte| byte >> 4);
    match (ether_type, version) {
        (ethernet::IPV6, 6) | (ethernet::IPV4, 4) => ip::enter(packet),
        (ethernet::IPV6 | ethernet::IPV4, _) => Err(Reason::IpHeader),
        _ => Err(Reason::NotIp),
    }
}
