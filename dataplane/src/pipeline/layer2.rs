//! Ethernet frames as cargo: those of an interface that is steered as a whole into a policy
//! (H.Encaps.L2: RFC 8986, sections 5.3 and 5.4), and those that End.DX2 sends (section 4.9).

use super::{Context, Pipeline, observe::Observer};
use crate::{
    behavior::headend,
    fib::{
        PortSettings,
        entry::{PolicyId, PortIndex},
    },
    frame::Burst,
    packet::{Meta, Packet},
    port::Punt,
    verdict::{Fate, Reason, Verdict},
    wire::ethernet,
};

impl Pipeline {
    /// Takes all frames of an interface for a policy's, whoever they are for.
    #[inline(never)]
    pub(super) fn parse_frames<U: Punt>(
        &mut self,
        ingress: PortIndex,
        policy: PolicyId,
        burst: &Burst,
        context: &mut Context<'_, U>,
        observer: &mut impl Observer,
    ) {
        self.pending.begin();
        let mut bytes = 0;
        for (index, (buf, meta)) in burst.iter().zip(&mut *self.metas).enumerate() {
            bytes += u64::from(buf.len);
            let head = u32::from(buf.head);
            *meta = Meta::new(ingress, 0, head, head + u32::from(buf.len));
            meta.received.ethernet = true;
            let mut packet = Packet { frame: context.umem.bytes(&buf.frame), meta };
            let reason = match headend::encap_frame(&mut packet, policy, context.fib, self.worker) {
                Ok(table) => {
                    packet.meta.table = table;
                    self.pending.push(index, packet.meta);
                    continue;
                }
                Err(Verdict::Drop(reason) | Verdict::Refuse(reason, _)) => reason,
                Err(_) => Reason::NoRoute,
            };
            self.counters.count_drop(reason);
            observer.ended(index, Fate::Dropped(reason));
        }
        observer.steered(policy, &self.view(burst, context.umem, context.fib));
        if let Some(received) = self.counters.received.get(usize::from(ingress)) {
            received.add(burst.len() as u64, bytes);
        }
    }
}

/// Whether a frame may leave by a port. A port that is down has an MTU of 0.
pub(super) fn check(packet: &Packet<'_>, port: Option<&PortSettings>) -> Result<(), Reason> {
    const TAGS: [u16; 2] = [ethernet::VLAN, ethernet::SERVICE_VLAN];
    const TAG_LEN: usize = 4;
    let mtu = match port.map(|port| usize::from(port.mtu)) {
        None | Some(0) => return Err(Reason::AdjacencyDown),
        Some(mtu) => mtu,
    };
    let header = ethernet::Ethernet::new_checked(packet.bytes()).ok_or(Reason::InnerPacket)?;
    let tag = if TAGS.contains(&header.ether_type()) { TAG_LEN } else { 0 };
    if packet.len() > mtu + ethernet::HEADER_LEN + tag {
        return Err(Reason::PacketTooBig);
    }
    Ok(())
}
