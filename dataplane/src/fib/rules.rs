//! Rules that steer packets by what they are, and not only by where they go: addresses, protocol,
//! ports and DSCP.
//!
//! An interface has a list of rules at most, [`Rules::MAX`] long, and the first that fits counts. A
//! list is gone through from its beginning: a rule costs about ten instructions, two comparisons of
//! masked addresses, one of all that is shorter, and the ports where the rest fits. Few routers have
//! more than a handful, and none of it is there on interfaces without rules.

use std::sync::Arc;

use super::{entry::PolicyId, table::left_aligned};
use crate::{
    behavior::flow,
    counters::PacketCounters,
    wire::{ext, ipv4, ipv6},
};

/// What of a packet rules look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fields {
    source: u128,
    destination: u128,
    /// Version of IP, protocol and DSCP, a byte each.
    short: u32,
    /// Source port and destination port, of a packet that shows them.
    ports: Option<[u16; 2]>,
}

const fn short(version: u8, protocol: u8, dscp: u8) -> u32 {
    (version as u32) << 16 | (protocol as u32) << 8 | dscp as u32
}

impl Fields {
    /// The fields of a packet. The upper layer of an IPv6 packet is looked for where rules ask for it.
    fn of(bytes: &[u8], v6: bool, upper_layer: bool) -> Option<Self> {
        if !v6 {
            return Self::of_v4(bytes);
        }
        let header = ipv6::Ipv6::new_checked(bytes)?;
        let (mut protocol, mut ports) = (header.next_header(), None);
        if upper_layer {
            // What cannot be read has no upper layer: the rules that ask for one do not fit.
            if let Ok(headers) = ext::walk(bytes) {
                protocol = headers.upper;
                let at = usize::from(headers.upper_offset);
                ports = if headers.fragment { None } else { ports_at(bytes, at, protocol) };
            }
        }
        Some(Self {
            source: header.source(),
            destination: header.destination(),
            short: short(6, protocol, header.traffic_class() >> 2),
            ports,
        })
    }

    fn of_v4(bytes: &[u8]) -> Option<Self> {
        let header = ipv4::Ipv4::new_checked(bytes)?;
        let (protocol, at) = (header.protocol(), header.header_len());
        // Only the first fragment has ports, and all of them go the same way.
        let ports = if header.is_fragment() { None } else { ports_at(bytes, at, protocol) };
        Some(Self {
            source: left_aligned(header.source()),
            destination: left_aligned(header.destination()),
            short: short(4, protocol, header.tos() >> 2),
            ports,
        })
    }
}

fn ports_at(bytes: &[u8], at: usize, protocol: u8) -> Option<[u16; 2]> {
    let [a, b, c, d] = *bytes.get(at..)?.first_chunk::<4>()?;
    flow::has_ports(protocol).then_some([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])])
}

/// What packets a rule is for; nothing said: all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Match {
    /// Only IPv6 packets, or only IPv4 packets.
    pub v6: Option<bool>,
    /// Prefix of the source, left-aligned, and its length.
    pub source: (u128, u8),
    /// Prefix of the destination.
    pub destination: (u128, u8),
    /// The upper layer's protocol.
    pub protocol: Option<u8>,
    /// First and last source port.
    pub source_ports: Option<(u16, u16)>,
    /// First and last destination port.
    pub destination_ports: Option<(u16, u16)>,
    /// Differentiated services code point.
    pub dscp: Option<u8>,
}

/// A rule, with its masks made ready.
#[derive(Debug, Clone)]
struct Rule {
    value: Fields,
    mask: Fields,
    /// First and last port of both sides.
    ports: Option<[(u16, u16); 2]>,
    to: Option<PolicyId>,
    counters: Arc<PacketCounters>,
}

impl Rule {
    fn new(of: &Match, to: Option<PolicyId>, counters: Arc<PacketCounters>) -> Self {
        const ANY: (u16, u16) = (0, u16::MAX);
        let bits =
            |len: u8| if len == 0 { 0 } else { u128::MAX << (128 - u32::from(len.min(128))) };
        let byte = |given: bool| if given { u8::MAX } else { 0 };
        let mask = Fields {
            source: bits(of.source.1),
            destination: bits(of.destination.1),
            short: short(
                byte(of.v6.is_some()),
                byte(of.protocol.is_some()),
                byte(of.dscp.is_some()),
            ),
            ports: None,
        };
        let version = of.v6.map_or(0, |v6| if v6 { 6 } else { 4 });
        let value = Fields {
            source: of.source.0 & mask.source,
            destination: of.destination.0 & mask.destination,
            short: short(version, of.protocol.unwrap_or(0), of.dscp.unwrap_or(0)),
            ports: None,
        };
        let ports = (of.source_ports.is_some() || of.destination_ports.is_some())
            .then(|| [of.source_ports.unwrap_or(ANY), of.destination_ports.unwrap_or(ANY)]);
        Self { value, mask, ports, to, counters }
    }

    #[inline(always)]
    fn fits(&self, fields: &Fields) -> bool {
        let Self { value, mask, .. } = self;
        let differs = (fields.source & mask.source ^ value.source)
            | (fields.destination & mask.destination ^ value.destination)
            | u128::from(fields.short & mask.short ^ value.short);
        differs == 0 && self.ports_fit(fields)
    }

    #[inline(always)]
    fn ports_fit(&self, fields: &Fields) -> bool {
        let Some([source, destination]) = self.ports else { return true };
        fields.ports.is_some_and(|ports| {
            (source.0..=source.1).contains(&ports[0])
                && (destination.0..=destination.1).contains(&ports[1])
        })
    }
}

/// The rules of an interface, in their order.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Whether a rule asks for protocol or ports.
    upper_layer: bool,
}

impl Rules {
    /// Rules of an interface at most.
    pub const MAX: usize = 64;

    /// No rules.
    pub const NONE: Self = Self { rules: Vec::new(), upper_layer: false };

    /// Adds a rule behind the others: packets that it is for are steered into the policy, or, without
    /// one, go where the FIB leads them.
    pub fn push(&mut self, of: &Match, to: Option<PolicyId>, counters: Arc<PacketCounters>) {
        self.upper_layer |=
            of.protocol.is_some() || of.source_ports.is_some() || of.destination_ports.is_some();
        self.rules.push(Rule::new(of, to, counters));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The policy that the first rule for a packet steers it into, if it does.
    pub fn policy_of(&self, packet: &[u8], v6: bool, worker: usize) -> Option<PolicyId> {
        let fields = Fields::of(packet, v6, self.upper_layer)?;
        let rule = self.rules.iter().find(|rule| rule.fits(&fields))?;
        rule.counters.add(worker, 1, packet.len() as u64);
        rule.to
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a rule says, literally.
    fn literally(of: &Match, fields: &Fields) -> bool {
        let [_, version, protocol, dscp] = fields.short.to_be_bytes();
        let within = |address: u128, (prefix, len): (u128, u8)| {
            (0..len).all(|bit| (address ^ prefix) >> (127 - u32::from(bit)) & 1 == 0)
        };
        let port = |side: usize, range: Option<(u16, u16)>| match (range, fields.ports) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((first, last)), Some(ports)) => first <= ports[side] && ports[side] <= last,
        };
        of.v6.is_none_or(|v6| version == if v6 { 6 } else { 4 })
            && within(fields.source, of.source)
            && within(fields.destination, of.destination)
            && of.protocol.is_none_or(|wanted| wanted == protocol)
            && of.dscp.is_none_or(|wanted| wanted == dscp)
            && port(0, of.source_ports)
            && port(1, of.destination_ports)
    }

    /// Addresses with few different bits, so that prefixes fit now and then.
    fn address() -> impl Strategy<Value = u128> {
        (0_u128..4, 0_u128..4).prop_map(|(high, low)| high << 126 | low)
    }

    fn range() -> impl Strategy<Value = Option<(u16, u16)>> {
        proptest::option::of((0_u16..4, 0_u16..4).prop_map(|(a, b)| (a.min(b), a.max(b))))
    }

    prop_compose! {
        fn any_match()(
            v6 in any::<Option<bool>>(),
            source in (address(), prop_oneof![Just(0_u8), Just(1), Just(2), Just(128)]),
            destination in (address(), prop_oneof![Just(0_u8), Just(1), Just(127)]),
            protocol in proptest::option::of(0_u8..3),
            source_ports in range(),
            destination_ports in range(),
            dscp in proptest::option::of(0_u8..3),
        ) -> Match {
            Match { v6, source, destination, protocol, source_ports, destination_ports, dscp }
        }
    }

    prop_compose! {
        fn any_fields()(
            source in address(),
            destination in address(),
            v6 in any::<bool>(),
            protocol in 0_u8..3,
            dscp in 0_u8..3,
            ports in proptest::option::of([0_u16..5, 0_u16..5]),
        ) -> Fields {
            let short = short(if v6 { 6 } else { 4 }, protocol, dscp);
            Fields { source, destination, short, ports }
        }
    }

    proptest! {
        /// A rule fits where all that it says is so.
        #[test]
        fn masks_say_what_the_rule_says(of in any_match(), fields in any_fields()) {
            let rule = Rule::new(&of, Some(1), PacketCounters::new(1));
            prop_assert_eq!(rule.fits(&fields), literally(&of, &fields));
        }
    }
}
