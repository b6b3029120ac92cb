//! Our node's SIDs, as the topology tells them.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv6Net};
use sidewinder_config::{self as config, Hmac, LocalSid, NextHop, Structure, Table};
use sidewinder_dataplane::behavior::{Behavior, Flavors, TABLE};
use sidewinder_linkstate::spf::FirstHop;
use sidewinder_linkstate::ted::{self, NodeId, SidStructure, Ted};

use super::hops::Places;

macro_rules! skipped {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a SID that the topology tells of our node is not one here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Skipped {
            $($(#[$doc])* $name,)*
        }

        impl Skipped {
            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

skipped! {
    /// The data plane does not have this behavior, or not with these flavors.
    Behavior = "behavior-not-supported",
    /// The topology does not tell the behavior.
    BehaviorUnknown = "behavior-not-told",
    /// It takes compressed SIDs, and the topology does not tell how long they are.
    StructureUnknown = "structure-not-told",
    /// It leads to a neighbour or by an interface, and the topology does not tell to which.
    NeighborUnknown = "neighbor-not-told",
    /// It stands for a policy, and the topology does not tell for which.
    PolicyUnknown = "policy-not-told",
    /// It leads to a neighbour that is on no interface of ours, or without an address.
    NextHopUnknown = "next-hop-unknown",
}

/// What the topology tells of our SIDs.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sids {
    /// Those that are SIDs here.
    pub local: BTreeMap<Ipv6Net, Arc<LocalSid>>,
    /// Those that are not, with their code points.
    pub skipped: BTreeMap<Ipv6Addr, (u16, Skipped)>,
}

impl Sids {
    /// Adds what the topology tells of a node.
    pub(super) fn read(&mut self, ted: &Ted, node: NodeId, places: &mut Places) {
        for sid in ted.sids_of(node) {
            let (address, structure) = (sid.descriptor.sid, sid.attributes.structure);
            match sid.attributes.endpoint {
                None => self.skip(address, 0, Skipped::BehaviorUnknown),
                Some(endpoint) => self.add(address, endpoint.behavior, structure, None),
            }
        }
        for (id, link) in ted.links_from(node) {
            for sid in &link.attributes.adjacency_sids {
                let hop = match &sid.neighbor {
                    None => FirstHop::over(ted, id),
                    Some(neighbor) => FirstHop::across(ted, id, neighbor),
                };
                let Some(hop) = hop else {
                    self.skip(sid.sid, sid.behavior.0, Skipped::NeighborUnknown);
                    continue;
                };
                let place = places.of(ted, &hop);
                let found = place.interface.as_deref().zip(place.v6());
                let Some((interface, nh6)) = found else {
                    self.skip(sid.sid, sid.behavior.0, Skipped::NextHopUnknown);
                    continue;
                };
                self.add(sid.sid, sid.behavior, sid.structure, Some((nh6, interface)));
            }
        }
    }

    fn skip(&mut self, sid: Ipv6Addr, code_point: u16, why: Skipped) {
        self.skipped.insert(sid, (code_point, why));
    }

    fn add(
        &mut self,
        sid: Ipv6Addr,
        code_point: ted::Behavior,
        structure: Option<SidStructure>,
        neighbor: Option<(Ipv6Addr, &str)>,
    ) {
        match local(sid, code_point, structure, neighbor) {
            Ok(local) => {
                self.local.insert(local.sid, Arc::new(local));
            }
            Err(why) => self.skip(sid, code_point.0, why),
        }
    }
}

/// The behavior and flavors of a code point, if the data plane has them.
fn by_code_point(code_point: u16) -> Option<(Behavior, Flavors)> {
    let flavors = [Flavors::PSP, Flavors::USP, Flavors::USD, Flavors::NEXT_CSID];
    (0..1 << flavors.len()).find_map(|set: usize| {
        let chosen = flavors.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1);
        let flavors = chosen.fold(Flavors::NONE, |all, (_, one)| all.with(*one));
        let row = TABLE.iter().find(|row| row.behavior.code_point(flavors) == code_point)?;
        Some((row.behavior, flavors))
    })
}

fn local(
    sid: Ipv6Addr,
    code_point: ted::Behavior,
    structure: Option<SidStructure>,
    neighbor: Option<(Ipv6Addr, &str)>,
) -> Result<LocalSid, Skipped> {
    let (behavior, flavors) = by_code_point(code_point.0).ok_or(Skipped::Behavior)?;
    let neighbor = || {
        let (nh6, interface) = neighbor.ok_or(Skipped::NeighborUnknown)?;
        Ok(vec![NextHop::new(nh6, Some(interface.to_owned()))])
    };
    // Which table it is the topology does not tell.
    let table = Table::MAIN;
    let behavior = match behavior {
        Behavior::End => config::Behavior::End,
        Behavior::EndX => config::Behavior::EndX { next_hops: neighbor()? },
        Behavior::EndT => config::Behavior::EndT { table },
        Behavior::EndDx6 => config::Behavior::EndDx6 { next_hops: neighbor()? },
        Behavior::EndDt6 => config::Behavior::EndDt6 { table },
        Behavior::EndDt4 => config::Behavior::EndDt4 { table },
        Behavior::EndDt46 => config::Behavior::EndDt46 { table },
        Behavior::EndDx4 | Behavior::EndDx2 => return Err(Skipped::NeighborUnknown),
        Behavior::EndB6Encaps | Behavior::EndB6EncapsRed => return Err(Skipped::PolicyUnknown),
    };
    let flavors = config::Flavors {
        psp: flavors.has(Flavors::PSP),
        usp: flavors.has(Flavors::USP),
        usd: flavors.has(Flavors::USD),
        next_csid: flavors.has(Flavors::NEXT_CSID),
    };
    if !flavors.next_csid {
        let (sid, hmac) = (prefix(sid, structure), Hmac::Ignore);
        return Ok(LocalSid { sid, behavior, flavors, structure: None, hmac });
    }
    let structure = structure.and_then(|told| csid(sid, told)).ok_or(Skipped::StructureUnknown)?;
    let length = 128 - structure.argument_bits();
    let prefix = Ipv6Net::new(sid, length).map_err(|_| Skipped::StructureUnknown)?.trunc();
    let (structure, hmac) = (Some(structure), Hmac::Ignore);
    Ok(LocalSid { sid: prefix, behavior, flavors, structure, hmac })
}

/// How somebody's SID is divided, if its behavior is one with NEXT-CSID.
pub(super) fn compressed(
    sid: Ipv6Addr,
    code_point: ted::Behavior,
    told: SidStructure,
) -> Option<Structure> {
    let (_, flavors) = by_code_point(code_point.0)?;
    if flavors.has(Flavors::NEXT_CSID) { csid(sid, told) } else { None }
}

/// How a SID that takes compressed SIDs is divided. Feeds tell the length of a function of any SID of
/// the locator; one that has none, uN, ends with the node. `None`: there is no room for an argument.
fn csid(sid: Ipv6Addr, told: SidStructure) -> Option<Structure> {
    let locator = told.block.checked_add(told.node)?;
    let end = locator.checked_add(told.function)?;
    if told.block == 0 || end == told.block || end > 127 {
        return None;
    }
    let function = u128::from(sid) << locator >> locator >> (128 - end);
    Some(Structure {
        block_bits: told.block,
        node_bits: told.node,
        function_bits: if function == 0 && told.node > 0 { 0 } else { told.function },
    })
}

/// What packets to the SID are matched by: locator and function, where an argument follows (RFC
/// 8986, section 3.1); all of it otherwise.
fn prefix(sid: Ipv6Addr, structure: Option<SidStructure>) -> Ipv6Net {
    let length = match structure {
        Some(parts) if parts.argument > 0 => {
            // The sum was checked to be no more than 128.
            parts.block.saturating_add(parts.node).saturating_add(parts.function)
        }
        _ => 128,
    };
    Ipv6Net::new(sid, length.min(128)).unwrap_or(sid.into()).trunc()
}

/// The SIDs as routes lead to them.
pub(super) fn prefixes(sids: &Sids) -> impl Iterator<Item = (IpNet, &Arc<LocalSid>)> {
    sids.local.iter().map(|(prefix, sid)| (IpNet::V6(*prefix), sid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_lead_to_behaviors() {
        let all = Flavors::PSP.with(Flavors::USP).with(Flavors::USD);
        for (code_point, behavior, flavors) in [
            (1, Behavior::End, Flavors::NONE),
            (2, Behavior::End, Flavors::PSP),
            (31, Behavior::End, all),
            (5, Behavior::EndX, Flavors::NONE),
            (35, Behavior::EndX, all),
            (9, Behavior::EndT, Flavors::NONE),
            (16, Behavior::EndDx6, Flavors::NONE),
            (18, Behavior::EndDt6, Flavors::NONE),
            (20, Behavior::EndDt46, Flavors::NONE),
        ] {
            assert_eq!(by_code_point(code_point), Some((behavior, flavors)), "{code_point}");
        }
        let csid = |flavors: Flavors| flavors.with(Flavors::NEXT_CSID);
        assert_eq!(by_code_point(43), Some((Behavior::End, csid(Flavors::NONE))));
        assert_eq!(by_code_point(59), Some((Behavior::EndX, csid(all))));
        for code_point in [0, 0xffff, 24] {
            assert_eq!(by_code_point(code_point), None, "{code_point}");
        }
    }

    /// As FRR tells uN and uA: 32+16+16, whether there is a function or not.
    #[test]
    fn compressed_sids_are_prefixes() {
        let structure = SidStructure { block: 32, node: 16, function: 16, argument: 0 };
        let sid = |sid: &str, code_point, structure| {
            let neighbor = Some(("fe80::2".parse().unwrap(), "eth1"));
            local(sid.parse().unwrap(), ted::Behavior(code_point), structure, neighbor)
        };
        let node = sid("fcbb:bbbb:1::", 43, Some(structure)).unwrap();
        assert_eq!(
            (node.sid.to_string(), node.structure.unwrap().csid_bits()),
            ("fcbb:bbbb:1::/48".into(), 16)
        );
        let adjacency = sid("fcbb:bbbb:1:e000::", 52, Some(structure)).unwrap();
        assert_eq!(adjacency.sid.to_string(), "fcbb:bbbb:1:e000::/64");
        assert_eq!(adjacency.structure.unwrap().csid_bits(), 32);
        assert_eq!(sid("fcbb:bbbb:1::", 43, None), Err(Skipped::StructureUnknown));
        let whole = SidStructure { function: 80, ..structure };
        assert_eq!(sid("fcbb:bbbb:1:1::", 43, Some(whole)), Err(Skipped::StructureUnknown));
    }

    /// C-139: which SIDs of others may be packed into containers.
    #[test]
    fn who_takes_compressed_sids() {
        let told = SidStructure { block: 32, node: 16, function: 16, argument: 0 };
        let bits = |sid: &str, code_point| {
            let structure = compressed(sid.parse().unwrap(), ted::Behavior(code_point), told)?;
            Some((structure.block_bits, structure.node_bits, structure.function_bits))
        };
        assert_eq!(bits("fcbb:bbbb:2::", 43), Some((32, 16, 0)));
        assert_eq!(bits("fcbb:bbbb:2:d6::", 62), Some((32, 16, 16)));
        assert_eq!(bits("fcbb:bbbb:2::", 1), None);
        assert_eq!(bits("fcbb:bbbb:2::", 65_000), None);
    }

    #[test]
    fn an_argument_is_not_part_of_the_sid() {
        let sid = "fc00:0:1:e:7::".parse().unwrap();
        let structure =
            |function, argument| Some(SidStructure { block: 32, node: 16, function, argument });
        assert_eq!(prefix(sid, None).to_string(), "fc00:0:1:e:7::/128");
        assert_eq!(prefix(sid, structure(16, 0)).to_string(), "fc00:0:1:e:7::/128");
        assert_eq!(prefix(sid, structure(16, 64)).to_string(), "fc00:0:1:e::/64");
    }
}
