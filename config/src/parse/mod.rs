//! From the file's sections to the model, one section at a time.
//!
//! What can be told from one section alone is checked here; what takes the whole file is noted in
//! [`Facts`] for [`crate::checks`]. A section with an error may be missing from the model, but
//! still counts in the facts, so that references to it are not reported too.

mod link_state;
mod next_hops;
mod policies;
mod routing;
mod rules;
mod sids;
mod structure;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv6Net};

use crate::item::{
    At, INTERFACE, Item, LINK, LOCATOR, NEIGHBOR, NODE, POLICY, ROUTE, ROUTER, RULE, SID, SOURCE,
    Value,
};
use crate::model::{
    Behavior, Color, Config, Domain, FlowLabel, Interface, OFlag, Poll, Router, RouterId,
    RuleScope, SourceCheck, Steer, Table, ZeroCopy,
};
use crate::read;
use crate::report::{Diagnostic, Span};

/// What the sections say about each other, with places.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) interfaces: Vec<At<String>>,
    pub(crate) locators: Vec<At<String>>,
    pub(crate) locator_prefixes: Vec<At<Ipv6Net>>,
    pub(crate) sids: Vec<At<Ipv6Net>>,
    /// Those of them that have NEXT-CSID.
    pub(crate) csids: HashSet<Ipv6Net>,
    pub(crate) policies: Vec<At<String>>,
    pub(crate) routes: Vec<At<(Table, IpNet)>>,
    pub(crate) neighbors: Vec<At<(IpAddr, String)>>,
    /// Interfaces that other sections name.
    pub(crate) interface_refs: Vec<At<String>>,
    /// Policies that routes and SIDs name.
    pub(crate) policy_refs: Vec<At<String>>,
    /// What the rules are for; of one that does not say, its section.
    pub(crate) rules: Vec<At<RuleScope>>,
    /// Those policies that are named by routes and rules, for packets.
    pub(crate) steered_packets: Vec<At<String>>,
    /// Colors and endpoints of policies, with the policies' names.
    pub(crate) colors: Vec<At<(Color, String)>>,
    /// Those that are named for IPv4 packets.
    pub(crate) steered_v4: Vec<At<String>>,
    /// What SIDs that name a policy want its behavior to be.
    pub(crate) bindings: Vec<At<(String, Behavior)>>,
    /// First segments of policies.
    pub(crate) first_segs: Vec<At<Ipv6Addr>>,
    /// Names of nodes.
    pub(crate) nodes: Vec<At<String>>,
    /// Their router IDs.
    pub(crate) node_ids: Vec<At<RouterId>>,
    /// Nodes that links name.
    pub(crate) node_refs: Vec<At<String>>,
    /// Nodes that policies name.
    pub(crate) via: Vec<At<String>>,
    /// The file of keys, if one is named.
    pub(crate) hmac_keys: Option<At<PathBuf>>,
    /// The IDs of its keys, once it was read.
    pub(crate) hmac_key_ids: Option<Vec<u32>>,
    /// Keys that policies name.
    pub(crate) hmac_key_refs: Vec<At<u32>>,
    /// Places where SIDs ask for an HMAC.
    pub(crate) hmac_sids: Vec<Span>,
    /// Whether there is a [source.bgp-ls], however bad.
    pub(crate) bgp_ls: bool,
    /// Place of the router's name, if the file gives one.
    pub(crate) router_name: Option<Span>,
    /// Places of the segment lists of the policies in the model, in its order.
    pub(crate) segment_lists: Vec<Span>,
}

/// Reads the whole file.
pub(crate) fn file(top: &Item<'_>) -> (Config, Facts) {
    let mut facts = Facts::default();
    let router = top.table("router", &ROUTER);
    let encap_source_given = router.as_ref().is_some_and(|item| item.has("encap-source"));
    facts.router_name = router.as_ref().and_then(|item| Some(item.value("name")?.span()));
    facts.hmac_keys = router.as_ref().and_then(|item| item.get_at("hmac-keys", read::path));
    let hmac_keys = facts.hmac_keys.as_ref().map(|file| file.value.clone());
    let router = router.map(|item| self::router(&item)).unwrap_or_default();
    let router = Router { hmac_keys, ..router };

    let mut interfaces = Vec::new();
    for item in top.tables("interface", &INTERFACE) {
        interfaces.extend(interface(&item, &mut facts));
    }
    if top.value("interface").is_none_or(is_empty_list) {
        top.push(
            Diagnostic::error("there is no [[interface]]")
                .at(top.header(), "")
                .help("add [[interface]] and name = \"eth0\" for each interface to forward on"),
        );
    }

    let mut locators = Vec::new();
    for item in top.tables("locator", &LOCATOR) {
        locators.extend(sids::locator(&item, &mut facts));
    }
    let mut sids = Vec::new();
    for item in top.tables("sid", &SID) {
        sids.extend(sids::sid(&item, &locators, &mut facts));
    }
    let mut policies = Vec::new();
    let mut without_source = Vec::new();
    for item in top.tables("policy", &POLICY) {
        if !item.has("source") && !encap_source_given {
            without_source.push(item.header());
        }
        let (policy, bound) = policies::policy(&item, router.encap_source, &mut facts);
        policies.extend(policy);
        sids.extend(bound);
    }
    report_without_source(top, without_source);
    let mut routes = Vec::new();
    for item in top.tables("route", &ROUTE) {
        routes.extend(routing::route(&item, &mut facts));
    }
    let mut rules = Vec::new();
    for item in top.tables("rule", &RULE) {
        rules.extend(self::rules::rule(&item, &mut facts));
    }
    let mut neighbors = Vec::new();
    for item in top.tables("neighbor", &NEIGHBOR) {
        neighbors.extend(routing::neighbor(&item, &mut facts));
    }
    let source = top.table("source", &SOURCE);
    facts.bgp_ls = source.as_ref().is_some_and(|item| item.has("bgp-ls"));
    let sources = source.map(|item| routing::sources(&item)).unwrap_or_default();

    let mut nodes = Vec::new();
    for item in top.tables("node", &NODE) {
        nodes.extend(link_state::node(&item, &mut facts));
    }
    let mut links = Vec::new();
    for item in top.tables("link", &LINK) {
        links.extend(link_state::link(&item, &mut facts));
    }

    let config = Config {
        router,
        interfaces,
        locators,
        sids,
        policies,
        routes,
        rules,
        neighbors,
        sources,
        nodes,
        links,
        hmac_keys: Vec::new(),
    };
    (config, facts)
}

/// One error, however many policies lack a source.
fn report_without_source(top: &Item<'_>, policies: Vec<Span>) {
    if policies.is_empty() {
        return;
    }
    let mut found = Diagnostic::error("policies need an outer source address");
    for header in policies {
        found = found.at(header, "has none");
    }
    top.push(found.help(
        "set encap-source in [router] to an address of this router, or source in the policy",
    ));
}

fn router(item: &Item<'_>) -> Router {
    let default = Router::default();
    let encap_source = item.get("encap-source", read::ipv6_global);
    Router {
        name: item.get("name", read::name).unwrap_or(default.name),
        cores: cores(item),
        encap_source,
        encap_hop_limit: item
            .get("encap-hop-limit", read::number(1..=u8::MAX))
            .unwrap_or(default.encap_hop_limit),
        encap_flow_label: item
            .get("encap-flow-label", read::word(FlowLabel::WORDS))
            .unwrap_or_default(),
        encap_traffic_class: item
            .get("encap-traffic-class", read::traffic_class)
            .unwrap_or(default.encap_traffic_class),
        sid_sources: item
            .list("sid-sources", read::ipv6_prefix)
            .map(|list| list.value.into_iter().map(|prefix| prefix.value).collect())
            .unwrap_or_default(),
        icmp_source: item.get("icmp-source", read::ipv6_global).or(encap_source),
        icmp_rate: item.get("icmp-rate", read::number(0..=u32::MAX)).unwrap_or(default.icmp_rate),
        o_flag: item.get("o-flag", read::word(OFlag::WORDS)).unwrap_or_default(),
        poll: item.get("poll", read::word(Poll::WORDS)).unwrap_or_default(),
        socket: item.get("socket", read::socket_path).unwrap_or(default.socket),
        metrics: item.get("metrics", read::socket_addr),
        hmac_keys: default.hmac_keys,
    }
}

fn cores(item: &Item<'_>) -> Vec<usize> {
    // CPU_SETSIZE: the CPUs that sched_setaffinity's fixed-size set can name.
    const MAX_CPU: usize = 1023;
    let Some(list) = item.list("cores", read::number(0..=MAX_CPU)) else { return Vec::new() };
    if list.value.is_empty() && item.value("cores").is_some_and(is_empty_list) {
        item.push(
            Diagnostic::error("`cores` names no core")
                .at(list.span, "empty")
                .help("name at least one, or remove the key for one worker that is not pinned"),
        );
    }
    for (index, core) in list.value.iter().enumerate() {
        if let Some(first) = list.value[..index].iter().find(|other| other.value == core.value) {
            item.push(
                Diagnostic::error(format!("core {} is listed twice", core.value))
                    .at(core.span.clone(), "again here")
                    .at(first.span.clone(), "first here")
                    .help("each worker needs a core of its own"),
            );
        }
    }
    list.value.into_iter().map(|core| core.value).collect()
}

fn interface(item: &Item<'_>, facts: &mut Facts) -> Option<Interface> {
    let name = item.require("name", "\"eth0\"", read::interface_name);
    let policy = item.get_at("policy", read::name);
    facts.policy_refs.extend(policy.clone());
    let domain = item.get("domain", read::word(Domain::WORDS)).unwrap_or_default();
    let by_default = match domain {
        Domain::Internal => SourceCheck::Off,
        Domain::External => SourceCheck::Domain,
    };
    let let_sids_out = item.get_at("let-sids-out", read::boolean);
    if let Some(said) = &let_sids_out
        && domain == Domain::Internal
    {
        item.push(
            Diagnostic::error("`let-sids-out` is a matter of external interfaces")
                .at(said.span.clone(), "SIDs may leave by any other")
                .help("remove it, or add domain = \"external\""),
        );
    }
    let settings = Interface {
        zero_copy: item.get("zero-copy", read::word(ZeroCopy::WORDS)).unwrap_or_default(),
        queues: item.get("queues", read::queues).unwrap_or_default(),
        steer: item.get("steer", read::word(Steer::WORDS)).unwrap_or_default(),
        table: item.get("table", read::table).unwrap_or_default(),
        domain,
        let_sids_out: let_sids_out.is_some_and(|said| said.value),
        source_check: item
            .get("source-check", read::word(SourceCheck::WORDS))
            .unwrap_or(by_default),
        policy: policy.map(|policy| policy.value),
        ..Interface::new("")
    };
    let name = name?;
    facts.interfaces.push(name.clone());
    Some(Interface { name: name.value, ..settings })
}

/// The interface that a section names.
fn interface_ref(item: &Item<'_>, facts: &mut Facts) -> Option<String> {
    let name = item.get_at("interface", read::interface_name)?;
    facts.interface_refs.push(name.clone());
    Some(name.value)
}

/// Reports a link-local `nh6` without `interface`.
fn report_link_local(item: &Item<'_>, nh6: Option<&At<Ipv6Addr>>) {
    let Some(nh6) = nh6.filter(|nh6| nh6.value.is_unicast_link_local()) else { return };
    if !item.has("interface") {
        item.push(
            Diagnostic::error("a link-local next hop needs `interface`")
                .at(nh6.span.clone(), "link-local: every interface has such neighbors")
                .help("add interface = \"…\", naming the interface it is on"),
        );
    }
}

fn is_empty_list(value: Value<'_>) -> bool {
    value.toml().as_array().is_some_and(|array| array.is_empty())
}

/// Every key that a file may have, in its section, for the sample's test.
#[cfg(test)]
pub(crate) fn all_keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    crate::item::SCHEMAS[1..]
        .iter()
        .flat_map(|schema| schema.keys.iter().map(|key| (schema.header, *key)))
}
