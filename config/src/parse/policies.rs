//! `[[policy]]`.

use std::net::Ipv6Addr;

use super::sids::{hmac, name, no_behavior};
use super::{Facts, is_empty_list};
use crate::HEADROOM;
use crate::behaviors::{self, Named};
use crate::compress::pack;
use crate::item::{At, CANDIDATE_PATH, Item, LIST, SEG, Value, join};
use crate::model::{
    CandidatePath, Color, Flavors, Headend, LocalSid, Policy, SegmentList, Structure,
};
use crate::read;
use crate::report::{Diagnostic, Span};

/// A policy, and the SID that stands for it. `encap_source` is the router's.
pub(super) fn policy(
    item: &Item<'_>,
    encap_source: Option<Ipv6Addr>,
    facts: &mut Facts,
) -> (Option<Policy>, Option<LocalSid>) {
    let name = item.require("name", "\"to-r3\"", read::name);
    facts.policies.extend(name.clone());
    let behavior = item.require("behavior", "\"H.Encaps\"", headend);
    let bsid = item.get_at("bsid", read::sid);
    facts.sids.extend(bsid.clone());
    let hmac = hmac(item, false, facts);
    if let Some(value) = item.value("hmac").filter(|_| !item.has("bsid")) {
        item.push(
            Diagnostic::error("`hmac` is asked of packets to a binding SID")
                .at(value.span(), "the policy has none")
                .help("remove it, or add `bsid`; `hmac-key` has the segment lists signed"),
        );
    }
    let bound = bsid.zip(name.clone()).zip(behavior.clone());
    let bound = bound.and_then(|((bsid, name), At { value: headend, span })| {
        let Some(behavior) = headend.binding(name.value) else {
            let found = Diagnostic::error(format!("a policy of {headend} has no binding SID"));
            let found = found.at(bsid.span, "");
            item.push(if headend.is_l2() {
                found
                    .at(span, "for Ethernet frames")
                    .help("remove `bsid`: packets with segments left are no frames")
            } else {
                found
                    .at(span, "puts its segments into packets")
                    .help("remove `bsid`, or use H.Encaps: a binding SID encapsulates")
            });
            return None;
        };
        let flavors = Flavors::default();
        Some(LocalSid { sid: bsid.value, behavior, flavors, structure: None, hmac })
    });
    (read_policy(item, name, behavior, encap_source, facts), bound)
}

fn read_policy(
    item: &Item<'_>,
    name: Option<At<String>>,
    behavior: Option<At<Headend>>,
    encap_source: Option<Ipv6Addr>,
    facts: &mut Facts,
) -> Option<Policy> {
    let source = item.get("source", read::ipv6_global).or(encap_source);
    let color = color(item, name.as_ref(), facts);
    let compress = item.get("compress", read::boolean).unwrap_or(false);
    let (paths, lists) = paths(item);
    let hmac_key = item.get_at("hmac-key", read::number(1..=u32::MAX));
    facts.hmac_key_refs.extend(hmac_key.clone());
    if let (Some(key), Some(behavior)) = (&hmac_key, &behavior)
        && behavior.value == Headend::HInsert
    {
        item.push(
            Diagnostic::error("the segment lists of H.Insert are not signed")
                .at(key.span.clone(), "")
                .help("remove `hmac-key`: the packet's own source and destination would be signed, too"),
        );
    }
    if let Some(behavior) = &behavior {
        for list in &lists {
            report_headroom(item, (behavior.value, hmac_key.is_some()), list, compress);
        }
    }
    facts.first_segs.extend(lists.iter().filter_map(|list| list.segs.first().cloned()));
    facts.via.extend(lists.iter().flat_map(|list| list.via.iter().cloned()));
    let policy = Policy {
        name: name?.value,
        behavior: behavior?.value,
        color,
        paths,
        compress,
        lists: lists.iter().map(Listed::segment_list).collect(),
        source: source?,
        hmac_key: hmac_key.map(|key| key.value),
    };
    facts.segment_lists.extend(lists.into_iter().map(|list| list.span));
    Some(policy)
}

/// A segment list with its places.
struct Listed {
    segs: Vec<At<Ipv6Addr>>,
    structures: Vec<Option<Structure>>,
    via: Vec<At<String>>,
    weight: u8,
    path: usize,
    span: Span,
}

impl Listed {
    fn segment_list(&self) -> SegmentList {
        let segs = self.segs.iter().map(|seg| seg.value).collect();
        let via = self.via.iter().map(|node| node.value.clone()).collect();
        let structures = self.structures.clone();
        SegmentList { segs, structures, via, weight: self.weight, path: self.path }
    }

    /// The places of its segments.
    fn places(&self) -> Vec<&Span> {
        let segs = self.segs.iter().map(|seg| &seg.span);
        segs.chain(self.via.iter().map(|node| &node.span)).collect()
    }
}

/// Color and endpoint of the policy; one is nothing without the other.
fn color(item: &Item<'_>, name: Option<&At<String>>, facts: &mut Facts) -> Option<Color> {
    let color = item.get_at("color", read::number(0..=u32::MAX));
    let endpoint = item.get_at("endpoint", read::ipv6_unicast);
    for (given, missing, example) in
        [("color", "endpoint", "\"fc00:0:3::1\""), ("endpoint", "color", "100")]
    {
        if let Some(value) = item.value(given).filter(|_| !item.has(missing)) {
            item.push(
                value
                    .error(format!("`{given}` needs `{missing}`"), "")
                    .help(format!("add a line such as {missing} = {example}")),
            );
        }
    }
    let At { value: color, span } = color?;
    let color = Color { color, endpoint: endpoint?.value };
    facts.colors.push(At { value: (color, name?.value.clone()), span });
    Some(color)
}

/// The policy's candidate paths, as far as it has any, and its segment lists.
fn paths(item: &Item<'_>) -> (Vec<CandidatePath>, Vec<Listed>) {
    let Some(value) = item.value("candidate-paths") else { return (Vec::new(), lists(item)) };
    for key in ["segs", "via", "lists"] {
        if let Some(other) = item.value(key) {
            item.push(
                other
                    .error(format!("`{key}` and `candidate-paths` exclude each other"), "")
                    .at(value.span(), "")
                    .help("put the segments into a candidate path"),
            );
        }
    }
    if is_empty_list(value) {
        item.push(
            value
                .error("`candidate-paths` names no path", "empty")
                .help("write { preference = 200, segs = [\"fc00:0:2:e::\"] } for each path"),
        );
    }
    let mut paths: Vec<At<CandidatePath>> = Vec::new();
    let mut all = Vec::new();
    for item in item.tables("candidate-paths", &CANDIDATE_PATH) {
        let name = item.get("name", read::name);
        let preference = item.get_at("preference", read::number(0..=u32::MAX));
        let span = preference.as_ref().map_or(item.header(), |at| at.span.clone());
        let preference = preference.map_or(CandidatePath::DEFAULT_PREFERENCE, |at| at.value);
        if let Some(same) = paths.iter().find(|other| other.value.preference == preference) {
            item.push(
                Diagnostic::error(format!("two candidate paths have the preference {preference}"))
                    .at(span.clone(), "this one")
                    .at(same.span.clone(), "and this one")
                    .help("the path with the highest preference is used: give each another"),
            );
        }
        let path = paths.len();
        all.extend(lists(&item).into_iter().map(|list| Listed { path, ..list }));
        paths.push(At { value: CandidatePath { name, preference }, span });
    }
    (paths.into_iter().map(|path| path.value).collect(), all)
}

/// The segment lists of a policy or of a candidate path, of `segs`, of `via` or of `lists`.
fn lists(item: &Item<'_>) -> Vec<Listed> {
    let given: Vec<_> =
        ["segs", "via", "lists"].into_iter().filter_map(|key| item.value(key)).collect();
    match given[..] {
        [] => item.push(
            Diagnostic::error(format!("{} has no segments", item.written()))
                .at(item.header(), "`segs` is missing here")
                .help("add a line such as segs = [\"fc00:0:2:e::\", \"fc00:0:3:d6::\"]")
                .help("or name nodes of the topology: via = [\"r2\", \"fc00:0:3:d6::\"]"),
        ),
        [lists] if lists.key == "lists" && is_empty_list(lists) => item.push(
            lists
                .error("`lists` names no segment list", "empty")
                .help("write lists = [ { segs = [\"fc00:0:2:e::\"], weight = 1 } ]"),
        ),
        [_] => {}
        [ref others @ .., lists] => {
            let names: Vec<_> = given.iter().map(|value| value.name()).collect();
            let found = lists.error(format!("{} exclude each other", join(&names, "and")), "");
            let found = others.iter().fold(found, |found, other| found.at(other.span(), ""));
            item.push(match lists.key {
                "lists" => found
                    .help("for one segment list keep `segs`; for several, put all into `lists`"),
                _ => found.help("keep `segs` to write SIDs, `via` to have them found by nodes"),
            });
        }
    }
    let mut all: Vec<_> = segs(item, 1).into_iter().chain(via(item, 1)).collect();
    for item in item.tables("lists", &LIST) {
        let weight = item.get("weight", read::number(1..=u8::MAX)).unwrap_or(1);
        match (item.value("segs"), item.value("via")) {
            (None, None) => item.push(
                Diagnostic::error("a segment list has no `segs`")
                    .at(item.header(), "`segs` is missing here")
                    .help("write { segs = [\"fc00:0:2:e::\"], weight = 1 }"),
            ),
            (Some(segs), Some(via)) => item.push(
                via.error("`segs` and `via` exclude each other", "")
                    .at(segs.span(), "")
                    .help("keep `segs` to write SIDs, `via` to have them found by nodes"),
            ),
            _ => {}
        }
        all.extend(segs(&item, weight).into_iter().chain(via(&item, weight)));
    }
    all
}

fn segs(item: &Item<'_>, weight: u8) -> Option<Listed> {
    let plain = |value: Value<'_>| read::ipv6_global(value).map(|sid| (sid, None));
    let list = item.list_or_tables("segs", &SEG, plain, divided)?;
    if item.value("segs").is_some_and(is_empty_list) {
        item.push(
            Diagnostic::error("`segs` names no segment")
                .at(list.span.clone(), "empty")
                .help("list the SIDs to visit, first to last"),
        );
    }
    let structures = list.value.iter().map(|at| at.value.1);
    let structures = if list.value.iter().any(|at| at.value.1.is_some()) {
        structures.collect()
    } else {
        Vec::new()
    };
    let segs = list.value.into_iter().map(|At { value: (sid, _), span }| At { value: sid, span });
    Some(Listed {
        segs: segs.collect(),
        structures,
        via: Vec::new(),
        weight,
        path: 0,
        span: list.span,
    })
}

/// A segment whose structure the file gives.
fn divided(item: &Item<'_>) -> Option<(Ipv6Addr, Option<Structure>)> {
    let sid = item.require("sid", "\"fc00:0:2::\"", read::ipv6_global);
    let bits = |key: &'static str, default: u8| match item.has(key) {
        true => item.get(key, read::bits),
        false => Some(default),
    };
    let block = item.require("block-bits", "32", read::bits);
    let node = item.require("node-bits", "16", read::bits);
    let function_bits = bits("function-bits", 0);
    let sid = sid?;
    let (block_bits, node_bits) = (block?.value, node?.value);
    let structure = Structure { block_bits, node_bits, function_bits: function_bits? };
    if !structure.is_whole(sid.value) {
        item.push(
            Diagnostic::error(format!("{} cannot be compressed with these bits", sid.value))
                .at(sid.span, "needs a block, a node or function that is not 0, and zeros behind it")
                .help("block, node and function are as the SID's own node has them; or write the SID alone"),
        );
        return None;
    }
    Some((sid.value, Some(structure)))
}

fn via(item: &Item<'_>, weight: u8) -> Option<Listed> {
    let list = item.list("via", read::name)?;
    if item.value("via").is_some_and(is_empty_list) {
        item.push(
            Diagnostic::error("`via` names no node")
                .at(list.span.clone(), "empty")
                .help("list the nodes to visit, first to last"),
        );
    }
    let (segs, structures) = (Vec::new(), Vec::new());
    Some(Listed { segs, structures, via: list.value, weight, path: 0, span: list.span })
}

fn report_headroom(
    item: &Item<'_>,
    (behavior, signed): (Headend, bool),
    list: &Listed,
    compress: bool,
) {
    let places = list.places();
    let added = |segments| match signed {
        true => behavior.signed_overhead(segments),
        false => behavior.overhead(segments),
    };
    if compress {
        let segs: Vec<Ipv6Addr> = list.segs.iter().map(|seg| seg.value).collect();
        let count = pack(&segs, &list.structures).len() + list.via.len();
        if added(count) <= HEADROOM {
            return;
        }
    }
    let overhead = added(places.len());
    let too_many = (1..=places.len()).find(|n| added(*n) > HEADROOM);
    let Some(too_many) = too_many else { return };
    let most = too_many - 1;
    item.push(
        Diagnostic::error(format!("{} segments do not fit in front of a packet", places.len()))
            .at(places[most].clone(), "one too many")
            .help(format!(
                "{behavior} can carry at most {most} segments{}",
                if signed { " with an HMAC" } else { "" }
            ))
            .help(format!("this list adds {overhead} bytes, and there is room for {HEADROOM}")),
    );
}

/// The name of a headend behavior.
fn headend(value: Value<'_>) -> Result<Headend, Diagnostic> {
    let names: Vec<_> = Headend::WORDS.iter().map(|(name, _)| *name).collect();
    let help = format!("a headend behavior is {}", join(&names, "or"));
    match behaviors::named(name(value, &help)?) {
        Named::Headend(headend) => Ok(headend),
        Named::Endpoint(endpoint) => Err(value
            .error(format!("{} is an endpoint behavior", endpoint.name), "not for [[policy]]")
            .help(format!("endpoint behaviors go into [[sid]]; {help}"))),
        other => Err(no_behavior(value, &other, &names).help(help)),
    }
}
