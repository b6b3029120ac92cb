//! From `encap seg6local` to local SIDs.
//!
//! What is not here is left to the kernel, which has the SID and does it: a behavior that the data
//! plane learns is a row of [`target`].

use std::sync::Arc;

use ipnet::Ipv6Net;
use sidewinder_config::{Behavior, Flavors, Hmac, LocalSid, NextHop, Structure, Table};

use super::translate::Translator;
use crate::control::rib::{LeftToKernel, Target};
use crate::kernel::lwtunnel::{Action, Local, operation};

/// The SID that a route with this action makes of its prefix. `link` is the route's own link.
pub fn target(
    translator: &Translator<'_>,
    prefix: Ipv6Net,
    link: u32,
    local: &Local,
) -> Result<Target, LeftToKernel> {
    let not_supported = || LeftToKernel::Action(local.action.to_string().into());
    // Actions without their parameters are refused by the kernel; others may come with more.
    if local.unknown || local.iif != 0 {
        return Err(not_supported());
    }
    let table = || match local.table {
        Some(table) if translator.has_table(table) => Ok(Table(table)),
        Some(table) => Err(LeftToKernel::Table(table)),
        None => Err(not_supported()),
    };
    let nh6 = || match local.nh6 {
        // The destination itself: the next hop of every packet is another.
        Some(nh6) if nh6.is_unspecified() => Err(not_supported()),
        Some(nh6) => {
            let interface = translator.interface_of(nh6.into(), link, local.oif)?;
            Ok(vec![NextHop::new(nh6, interface)])
        }
        None => Err(not_supported()),
    };
    let mut binding = None;
    let behavior = match local.action {
        Action::End => Behavior::End,
        Action::EndX => Behavior::EndX { next_hops: nh6()? },
        Action::EndT => Behavior::EndT { table: table()? },
        Action::EndDx6 => Behavior::EndDx6 { next_hops: nh6()? },
        Action::EndDx4 => match local.nh4 {
            Some(nh4) if !nh4.is_unspecified() => {
                let interface = translator.interface_of(nh4.into(), link, local.oif)?;
                Behavior::EndDx4 { next_hops: vec![NextHop::new(nh4, interface)] }
            }
            _ => return Err(not_supported()),
        },
        Action::EndDt6 => Behavior::EndDt6 { table: table()? },
        Action::EndDt4 => Behavior::EndDt4 { table: table()? },
        Action::EndDt46 => Behavior::EndDt46 { table: table()? },
        Action::EndDx2 if local.oif != 0 => {
            Behavior::EndDx2 { interface: translator.served(local.oif)?.to_string() }
        }
        Action::EndB6Encaps if !local.segs.is_empty() => {
            let policy = translator.binding(&local.segs)?;
            let name = policy.name.clone();
            binding = Some(policy);
            Behavior::EndB6Encaps { policy: name }
        }
        Action::EndDx2
        | Action::EndB6Encaps
        | Action::EndB6
        | Action::EndBm
        | Action::EndS
        | Action::EndAs
        | Action::EndAm
        | Action::EndBpf
        | Action::Other(_) => return Err(not_supported()),
    };
    let takes_flavors =
        matches!(behavior, Behavior::End | Behavior::EndX { .. } | Behavior::EndT { .. });
    let known = operation::PSP | operation::USP | operation::USD | operation::NEXT_CSID;
    if local.flavors & !known != 0 || local.flavors != 0 && !takes_flavors {
        return Err(LeftToKernel::Flavors);
    }
    let has = |flavor| local.flavors & flavor != 0;
    let flavors = Flavors {
        psp: has(operation::PSP),
        usp: has(operation::USP),
        usd: has(operation::USD),
        next_csid: has(operation::NEXT_CSID),
    };
    let structure = if flavors.next_csid { Some(structure(local.csid_bits)?) } else { None };
    // Whether the kernel verifies an HMAC is a matter of the interface, and none of the SID's.
    let hmac = Hmac::Ignore;
    let sid = Arc::new(LocalSid { sid: prefix, behavior, flavors, structure, hmac });
    Ok(match binding {
        Some(policy) => Target::Binding(sid, policy),
        None => Target::Sid(sid),
    })
}

/// The kernel does not tell node and function apart, and nothing depends on it.
fn structure((block_bits, node_bits): (u8, u8)) -> Result<Structure, LeftToKernel> {
    let right =
        block_bits > 0 && node_bits > 0 && u16::from(block_bits) + u16::from(node_bits) < 128;
    if right {
        Ok(Structure { block_bits, node_bits, function_bits: 0 })
    } else {
        Err(LeftToKernel::Flavors)
    }
}
