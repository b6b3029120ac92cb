//! How a SID with the flavor NEXT-CSID is divided: RFC 9800, section 4.
//!
//! The block is the locator's that the SID lies in, or whose block it lies in. Inside a locator the
//! SID is the node's (`…:1::/48`, uN), or the node's and a function (`…:1:e000::/64`, a combined
//! entry); outside it is a local C-SID (`…:e000::/48`). Keys of the SID say otherwise.

use ipnet::Ipv6Net;

use crate::behaviors::NEXT_CSID;
use crate::item::{At, Item};
use crate::model::{Locator, Structure};
use crate::read;
use crate::report::Diagnostic;

/// The keys that say how a SID is divided.
const KEYS: [&str; 3] = ["block-bits", "node-bits", "function-bits"];

/// The SID with the prefix length of its structure, and the structure. `None`: it has none, or a
/// bad one, which is reported; a missing locator only if these are `all_locators` of the file.
pub(super) fn structure(
    item: &Item<'_>,
    sid: &At<Ipv6Net>,
    locators: &[Locator],
    all_locators: bool,
) -> Option<(Ipv6Net, Structure)> {
    let [block, node, function] = KEYS.map(|key| item.get(key, read::bits));
    if KEYS.iter().zip([block, node, function]).any(|(key, bits)| item.has(key) && bits.is_none()) {
        return None;
    }
    let locator = locator_of(sid.value, locators);
    let Some(block_bits) = block.or(locator.map(|locator| locator.block_bits)) else {
        if all_locators {
            item.push(
                Diagnostic::error(format!("{NEXT_CSID} needs a SID block"))
                    .at(sid.span.clone(), "in the SID block of no [[locator]]")
                    .help("add [[locator]], or block-bits, node-bits and function-bits to the SID"),
            );
        }
        return None;
    };
    // A prefix says where it ends; an address leaves that to the locator.
    let length = Some(sid.value.prefix_len()).filter(|length| *length < 128);
    let of_locator = |bits: fn(&Locator) -> u8| locator.map(bits).unwrap_or(0);
    let local = !locator.is_some_and(|locator| locator.prefix.contains(&sid.value));
    let node_bits = node.unwrap_or_else(|| match length {
        _ if local => 0,
        Some(length) => of_locator(|locator| locator.node_bits)
            .min(length.saturating_sub(block_bits).saturating_sub(function.unwrap_or(0))),
        None => of_locator(|locator| locator.node_bits),
    });
    let function_bits = function.unwrap_or_else(|| match length {
        Some(length) => length.saturating_sub(block_bits).saturating_sub(node_bits),
        None if locator.is_some_and(|locator| locator.prefix.network() == sid.value.network()) => 0,
        None => of_locator(|locator| locator.function_bits),
    });
    let sum = u16::from(block_bits) + u16::from(node_bits) + u16::from(function_bits);
    let parts = format!(
        "{block_bits} block bits + {node_bits} node bits + {function_bits} function bits = {sum}"
    );
    check(item, sid, length, (block_bits, sum), &parts)?;
    // Less than 128, by the check.
    let prefix = Ipv6Net::new(sid.value.network(), sum as u8).ok()?;
    let structure = Structure { block_bits, node_bits, function_bits };
    let address = u128::from(sid.value.network());
    if prefix.trunc().network() != sid.value.network() {
        item.push(
            Diagnostic::error(format!("a SID with {NEXT_CSID} has no argument"))
                .at(sid.span.clone(), format!("has bits set behind {parts}"))
                .help(format!("write \"{}\": packets may have any argument", prefix.trunc())),
        );
        return None;
    }
    if address << block_bits == 0 {
        item.push(
            Diagnostic::error("the compressed SID 0 cannot be used")
                .at(sid.span.clone(), format!("nothing but zeros behind {block_bits} block bits"))
                .help("0 is the end of a container (RFC 9800, 5): choose another"),
        );
        return None;
    }
    Some((prefix, structure))
}

/// Checks the number of bits in the block and in all.
fn check(
    item: &Item<'_>,
    sid: &At<Ipv6Net>,
    length: Option<u8>,
    (block_bits, sum): (u8, u16),
    parts: &str,
) -> Option<()> {
    let place = KEYS.iter().rev().find_map(|key| item.value(key)).map(|value| value.span());
    let place = place.unwrap_or(sid.span.clone());
    let found = if let Some(length) = length.filter(|length| u16::from(*length) != sum) {
        Diagnostic::error("block, node and function bits do not make up the SID")
            .at(place, parts.to_owned())
            .at(sid.span.clone(), format!("a /{length}"))
            .help("their sum is the prefix length: all that is behind it is the argument")
    } else if block_bits == 0 {
        let place = item.value("block-bits").map_or(place, |value| value.span());
        Diagnostic::error(format!("{NEXT_CSID} needs a SID block"))
            .at(place, "no block bits")
            .help("block-bits is at least 1; 16, 32 and 48 are common")
    } else if sum == u16::from(block_bits) {
        Diagnostic::error(format!("{NEXT_CSID} needs a compressed SID"))
            .at(place, parts.to_owned())
            .help("node-bits + function-bits is at least 1; 16 is common")
    } else if sum >= 128 {
        Diagnostic::error(format!("{NEXT_CSID} leaves no room for an argument"))
            .at(place, parts.to_owned())
            .help("block-bits + node-bits + function-bits is at most 127")
    } else {
        return Some(());
    };
    item.push(found);
    None
}

/// The locator that a SID lies in, or else one whose block it lies in.
fn locator_of(sid: Ipv6Net, locators: &[Locator]) -> Option<&Locator> {
    let within = |length: fn(&Locator) -> u8| {
        locators.iter().find(|locator| {
            Ipv6Net::new(locator.prefix.network(), length(locator))
                .is_ok_and(|prefix| prefix.trunc().contains(&sid))
        })
    };
    within(|locator| locator.prefix.prefix_len()).or_else(|| within(|locator| locator.block_bits))
}

/// Reports keys of the structure of a SID that has none.
pub(super) fn report_needless(item: &Item<'_>) {
    for value in KEYS.iter().filter_map(|key| item.value(key)) {
        item.push(
            value
                .error(format!("`{}` is for SIDs with {NEXT_CSID}", value.key), "")
                .help(format!("remove it, or add flavors = [\"{NEXT_CSID}\"]")),
        );
    }
}
