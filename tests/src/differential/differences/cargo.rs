//! Frames as cargo: End.DX2, H.Encaps.L2, H.Encaps.L2.Red.

use super::{Difference, Pair};
use crate::differential::rfc::Why;
use crate::differential::side::Output;
use crate::differential::subject::Subject;
use crate::packet::{ETHERNET, IPV6};

pub(super) const ROWS: &[Difference] = &[
    Difference {
        name: "every frame is cargo",
        rule: "RFC 8986, 5.3: \"encapsulates a received Ethernet frame and its attached VLAN header, if \
               present, in an IPv6 packet with an SRH\"; Linux has routes lead into it, and takes only \
               packets that it would forward",
        holds: |pair| {
            pair.subject.takes_frames() && !pair.linux.iter().any(|output| pair.is_cargo(output))
        },
    },
    Difference {
        name: "a frame goes with its padding",
        rule: "RFC 8986, 5.3: \"The Ethernet frame becomes the payload of the new IPv6 packet\"; Linux \
               has cut it to the packet in it",
        holds: |pair| {
            let padding = pair.input.len().saturating_sub(pair.layout.end);
            // With it, it may be too long.
            let is_cut = pair.is_cut(padding) || pair.fate.why == Why::TooBig;
            pair.subject.takes_frames() && padding > 0 && is_cut
        },
    },
    Difference {
        name: "hop limit of H.Encaps.L2",
        rule: "RFC 8986, 5.3: \"The Ethernet frame becomes the payload of the new IPv6 packet\", which has \
               a hop limit of its own; Linux copies that of the packet in the frame, and takes one",
        holds: |pair| {
            pair.subject.takes_frames() && pair.differ_only(|frame| frame[ETHERNET + 7] = 0)
        },
    },
    Difference {
        name: "any frame is forwarded",
        rule: "RFC 8986, 4.9, S03: \"Forward the Ethernet frame to the OIF I\"; Linux drops those that have \
               a length in the place of a protocol (IEEE 802.3)",
        holds: |pair| {
            let [Output { frame, .. }] = pair.sidewinder else { return false };
            pair.subject == Subject::EndDx2
                && pair.linux.is_empty()
                && pair.fate.why == Why::Forwarded
                && frame.get(12..14).is_some_and(|kind| *kind < [6, 0][..])
        },
    },
    Difference {
        name: "a broadcast is not forwarded",
        rule: "RFC 1812, 5.3.4: \"A router MUST NOT forward any packet which the router received as a Link \
               Layer broadcast\"; where Linux forwards packets it does not either, but takes frames out",
        holds: |pair| {
            let to_many = pair.input.first().is_some_and(|byte| byte & 1 != 0);
            pair.subject == Subject::EndDx2 && to_many && pair.sidewinder.is_empty()
        },
    },
];

impl Pair<'_> {
    /// Whether this has the whole frame in it, but for padding.
    fn is_cargo(&self, output: &Output) -> bool {
        let frame = self.input.get(..self.layout.end).unwrap_or_default();
        output.frame.len() > frame.len() && output.frame.ends_with(frame)
    }

    /// Whether Linux sent the same but for its hop limit, and so many bytes less at the end.
    fn is_cut(&self, padding: usize) -> bool {
        let ([linux], [sidewinder]) = (self.linux, self.sidewinder) else { return false };
        let mut right = sidewinder.clone();
        right.frame.truncate(right.frame.len().saturating_sub(padding));
        let Some(length) = right.frame.len().checked_sub(ETHERNET + IPV6) else { return false };
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        right.frame[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&length.to_be_bytes());
        right.frame[ETHERNET + 7] = linux.frame.get(ETHERNET + 7).copied().unwrap_or(0);
        *linux == right
    }
}
