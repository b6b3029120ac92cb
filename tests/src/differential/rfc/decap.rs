//! What is taken out of a packet: RFC 8986, 4.4 to 4.6 and 4.9.

use super::{End, LookUp, MTU, Refuse, Send, Step, Transmit, Way, Why, chain, value};
use crate::differential::subject::Subject;
use crate::packet::{ETHERNET, next};

impl Way {
    /// RFC 8986, 4.4 to 4.6 and 4.9: C-034 to C-036, C-052 to C-054, C-057.
    pub(super) fn decapsulate(&mut self, chain: chain::Chain) -> Step {
        if let Some(at) = chain.srh {
            return Refuse(Why::SegmentsLeft, 4, 0, value(at + 3));
        }
        let (protocol, version) = match self.subject {
            Subject::EndDx4 => (next::IPV4, 4),
            Subject::EndDx2 => (next::ETHERNET, 0),
            _ => (next::IPV6, 6),
        };
        if chain.upper != protocol || chain.fragment {
            return self.upper_layer(chain);
        }
        self.packet.drain(..chain.upper_at);
        (self.changed, self.spent) = (true, false);
        if protocol == next::ETHERNET {
            self.is_frame = true;
            return Transmit(2);
        }
        if self.packet.first().is_none_or(|byte| byte >> 4 != version) {
            return End(Why::NoPacket);
        }
        if let Err(why) = self.enter() {
            return End(why);
        }
        match self.subject {
            Subject::EndDt6 => LookUp,
            _ => Send(2),
        }
    }

    /// RFC 8986, 4.9, S03, of what is a frame and fits: C-057, C-100.
    pub(super) fn transmit(&mut self, link: usize) -> (Option<usize>, Why) {
        let tag = match self.packet.get(12..ETHERNET) {
            None => return (None, Why::NoPacket),
            Some([0x81, 0] | [0x88, 0xa8]) => 4,
            Some(_) => 0,
        };
        if self.packet.len() > ETHERNET + tag + MTU {
            return (None, Why::TooBig);
        }
        (Some(link), Why::Forwarded)
    }
}
