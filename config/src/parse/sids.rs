//! `[[locator]]` and `[[sid]]`.

use super::next_hops::{self, Of};
use super::structure::{report_needless, structure};
use super::{Facts, interface_ref};
use crate::behaviors::{
    self, ENDPOINTS, Endpoint, FLAVORS, NEXT_CSID, Named, OTHER_FLAVORS, PARAMS, Params,
};
use crate::item::{At, Item, Value, join, nearest};
use crate::model::{Flavors, Hmac, LocalSid, Locator, NextHop};
use crate::read;
use crate::report::Diagnostic;

pub(super) fn locator(item: &Item<'_>, facts: &mut Facts) -> Option<Locator> {
    let name = item.require("name", "\"main\"", read::name);
    let prefix = item.require("prefix", "\"fc00:0:1::/48\"", read::ipv6_prefix);
    let block = item.get("block-bits", read::bits);
    let node = item.get("node-bits", read::bits);
    let function = item.get("function-bits", read::bits);
    facts.locators.extend(name.clone());
    let prefix = prefix?;
    facts.locator_prefixes.push(prefix.clone());

    let bad_bits = ["block-bits", "node-bits", "function-bits"]
        .into_iter()
        .zip([block, node, function])
        .any(|(key, bits)| item.has(key) && bits.is_none());
    if bad_bits {
        return None;
    }
    let length = prefix.value.prefix_len();
    let function_bits = function.unwrap_or(Locator::DEFAULT_FUNCTION_BITS);
    let (block_bits, node_bits) = match (block, node) {
        (Some(block), Some(node)) => (block, node),
        (Some(block), None) => (block, length.saturating_sub(block)),
        (None, Some(node)) => (length.saturating_sub(node), node),
        (None, None) => {
            let node = Locator::DEFAULT_NODE_BITS.min(length);
            (length - node, node)
        }
    };
    let place = |key: &'static str| item.value(key).map_or(prefix.span.clone(), |v| v.span());
    let locator_bits = u16::from(block_bits) + u16::from(node_bits);
    if locator_bits != u16::from(length) {
        let key = if item.has("node-bits") { "node-bits" } else { "block-bits" };
        item.push(
            Diagnostic::error("block and node bits do not make up the locator")
                .at(
                    place(key),
                    format!("{block_bits} block bits + {node_bits} node bits = {locator_bits}"),
                )
                .at(prefix.span.clone(), format!("a /{length}"))
                .help(format!("block-bits + node-bits is the prefix length, {length}")),
        );
        return None;
    }
    if block_bits == 0 {
        item.push(
            Diagnostic::error("a locator needs a SID block")
                .at(place("block-bits"), "no block bits are left")
                .help("block-bits is at least 1: nodes of a domain share the SID block"),
        );
        return None;
    }
    let total = locator_bits + u16::from(function_bits);
    if total > 128 {
        item.push(
            Diagnostic::error("locator and function do not fit an IPv6 address")
                .at(
                    place("function-bits"),
                    format!("{length} locator bits + {function_bits} function bits = {total}"),
                )
                .help(format!("function-bits is at most {}", 128 - length)),
        );
        return None;
    }
    Some(Locator { name: name?.value, prefix: prefix.value, block_bits, node_bits, function_bits })
}

pub(super) fn sid(item: &Item<'_>, locators: &[Locator], facts: &mut Facts) -> Option<LocalSid> {
    let mut sid = item.require("sid", "\"fc00:0:1:e::\"", read::sid);
    let endpoint = item.require("behavior", "\"End\"", endpoint);
    let table = item.get("table", read::table);
    let policy = item.get_at("policy", read::name);
    facts.policy_refs.extend(policy.clone());
    let listed = flavors(item);
    let has = |name| listed.iter().any(|flavor| flavor.value == name);
    let flavors =
        Flavors { psp: has("PSP"), usp: has("USP"), usd: has("USD"), next_csid: has(NEXT_CSID) };
    let hmac = hmac(item, flavors.next_csid, facts);
    let mut divided = None;
    if !flavors.next_csid {
        report_needless(item);
    } else if let Some(sid) = &mut sid {
        // A locator with an error is no reason for another.
        let all_locators = locators.len() == facts.locator_prefixes.len();
        divided = structure(item, sid, locators, all_locators);
        sid.value = divided.map_or(sid.value, |(prefix, _)| prefix);
        facts.csids.insert(sid.value);
    }
    facts.sids.extend(sid.clone());
    let endpoint = endpoint?;
    report_params(item, &endpoint);
    report_flavors(item, &endpoint, &listed);
    let name = policy.map(|policy| policy.value);
    let (next_hops, interface) = next_hops_of(item, endpoint.value, facts);
    let params = Params { next_hops, interface, table, policy: name.clone() };
    let behavior = (endpoint.value.build)(params)?;
    if let Some(name) = name {
        let wanted = (name, behavior.clone());
        facts.bindings.push(At { value: wanted, span: endpoint.span });
    }
    let structure = divided.map(|(_, structure)| structure);
    if flavors.next_csid && structure.is_none() {
        return None;
    }
    Some(LocalSid { sid: sid?.value, behavior, flavors, structure, hmac })
}

/// What the SID asks of packets' HMAC TLVs.
pub(super) fn hmac(item: &Item<'_>, next_csid: bool, facts: &mut Facts) -> Hmac {
    let Some(asked) = item.get_at("hmac", read::word(Hmac::WORDS)) else { return Hmac::Ignore };
    if asked.value == Hmac::Ignore {
        return Hmac::Ignore;
    }
    facts.hmac_sids.push(asked.span.clone());
    if next_csid {
        item.push(
            Diagnostic::error("a SID with NEXT-CSID cannot ask for an HMAC")
                .at(asked.span, "")
                .help("on the way through a container the destination is not in the segment list")
                .help("remove `hmac`, or have a SID without the flavor behind the container"),
        );
    }
    asked.value
}

/// The next hops of a behavior that has some, and the interface of one that has that alone.
fn next_hops_of(
    item: &Item<'_>,
    endpoint: &Endpoint,
    facts: &mut Facts,
) -> (Option<Vec<NextHop>>, Option<String>) {
    let Some(key) = ["nh6", "nh4"].into_iter().find(|key| endpoint.required.contains(key)) else {
        return (None, interface_ref(item, facts));
    };
    let Some(list) = item.value("next-hops") else {
        let hop = if item.has(key) { next_hops::one(item, &Of::Sid(key), facts) } else { None };
        return (hop.map(|hop| vec![hop]), None);
    };
    for other in [key, "interface"] {
        if let Some(value) = item.value(other) {
            item.push(
                value
                    .error(format!("`{other}` and `next-hops` exclude each other"), "")
                    .at(list.span(), "")
                    .help(format!("put it into the list: {{ {key} = …, interface = … }}")),
            );
        }
    }
    let several = next_hops::several(item, &Of::Sid(key), facts);
    ((!several.is_empty()).then_some(several), None)
}

fn takes(endpoint: &Endpoint, key: &str) -> bool {
    endpoint.required.contains(&key) || endpoint.allowed.contains(&key)
}

/// Reports keys that the behavior needs and has not, or has and does not take.
fn report_params(item: &Item<'_>, endpoint: &At<&'static Endpoint>) {
    let At { value: Endpoint { name, required, allowed, .. }, span } = endpoint;
    let mut taken: Vec<_> = required.iter().chain(*allowed).map(|key| format!("`{key}`")).collect();
    taken.push("`flavors`".to_owned());
    let taken = format!("{name} takes {}", join(&taken, "and"));
    let refuse = |key: &'static str| {
        let Some(value) = item.value(key) else { return };
        let other: Vec<_> =
            ENDPOINTS.iter().filter(|other| takes(other, key)).map(|other| other.name).collect();
        let found = value
            .error(format!("{name} does not take `{key}`"), "")
            .at(span.clone(), "the behavior")
            .help(taken.clone());
        item.push(if other.is_empty() {
            found
        } else {
            found.help(format!("`{key}` is for {}", join(&other, "and")))
        });
    };
    for (key, example) in PARAMS {
        let instead = key.starts_with("nh") && item.has("next-hops");
        if required.contains(&key) && !item.has(key) && !instead {
            item.push(
                Diagnostic::error(format!("{name} needs `{key}`"))
                    .at(span.clone(), format!("`{key}` is missing"))
                    .help(format!("add a line such as {key} = {example}")),
            );
        } else if !takes(endpoint.value, key) {
            refuse(key);
        }
    }
}

/// Reports flavors that the behavior does not take.
fn report_flavors(item: &Item<'_>, endpoint: &At<&'static Endpoint>, listed: &[At<&str>]) {
    let At { value: Endpoint { name, flavors, .. }, span } = endpoint;
    for flavor in listed.iter().filter(|flavor| !flavors.contains(&flavor.value)) {
        let others: Vec<_> = ENDPOINTS
            .iter()
            .filter(|other| other.flavors.contains(&flavor.value))
            .map(|other| other.name)
            .collect();
        item.push(
            Diagnostic::error(format!("{name} does not take the flavor {}", flavor.value))
                .at(flavor.span.clone(), "")
                .at(span.clone(), "the behavior")
                .help(format!("{} is for {}", flavor.value, join(&others, "and"))),
        );
    }
}

fn flavors<'a>(item: &Item<'a>) -> Vec<At<&'a str>> {
    let list = item.list("flavors", flavor).map(|list| list.value).unwrap_or_default();
    for (index, flavor) in list.iter().enumerate() {
        if let Some(first) = list[..index].iter().find(|other| other.value == flavor.value) {
            item.push(
                Diagnostic::error(format!("flavor {} is listed twice", flavor.value))
                    .at(flavor.span.clone(), "again here")
                    .at(first.span.clone(), "first here")
                    .help("remove one of them"),
            );
        }
    }
    list
}

fn flavor<'a>(value: Value<'a>) -> Result<&'a str, Diagnostic> {
    let text = value.toml().as_str().unwrap_or_default();
    if FLAVORS.contains(&text) {
        return Ok(text);
    }
    let names: Vec<_> = FLAVORS.iter().map(|name| format!("\"{name}\"")).collect();
    let help = format!("`flavors` is a list of {}", join(&names, "and"));
    if OTHER_FLAVORS.contains(&text) {
        return Err(value
            .error(format!("flavor {text} is not supported by this version"), "")
            .help(help));
    }
    let label = match nearest(text, FLAVORS.iter().chain(OTHER_FLAVORS).copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => value.kind().to_owned(),
    };
    Err(value.error("not a flavor", label).help(help))
}

/// The name of an endpoint behavior.
fn endpoint(value: Value<'_>) -> Result<&'static Endpoint, Diagnostic> {
    let names: Vec<_> = ENDPOINTS.iter().map(|endpoint| endpoint.name).collect();
    let help = format!("an endpoint behavior is {}", join(&names, "or"));
    match behaviors::named(name(value, &help)?) {
        Named::Endpoint(endpoint) => Ok(endpoint),
        Named::WithCsid(plain) => Err(value
            .error(format!("write {} as {plain}", name(value, &help)?), "")
            .help(format!("behavior = \"{plain}\" and flavors = [\"{NEXT_CSID}\"]"))),
        Named::Headend(headend) => Err(value
            .error(format!("{headend} is a headend behavior"), "not for [[sid]]")
            .help(format!("headend behaviors go into [[policy]]; {help}"))),
        other => Err(no_behavior(value, &other, &names).help(help)),
    }
}

/// The word at `behavior`.
pub(super) fn name<'a>(value: Value<'a>, help: &str) -> Result<&'a str, Diagnostic> {
    value
        .toml()
        .as_str()
        .ok_or_else(|| value.error("`behavior` must be a name, in quotes", value.kind()).help(help))
}

/// What is said of a name that is no such behavior.
pub(super) fn no_behavior(value: Value<'_>, named: &Named, names: &[&'static str]) -> Diagnostic {
    let text = value.toml().as_str().unwrap_or_default();
    if matches!(named, Named::Unsupported) {
        return value.error(format!("{text} is not supported by this version"), "");
    }
    let label = match nearest(text, names.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "not known".to_owned(),
    };
    value.error(format!("unknown behavior `{text}`"), label)
}
