//! Shortest paths: against what can be told by hand, against a slow computation that is evidently
//! right, and, after every change, against a computation from the beginning.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::paths::{quickly, slowly};
use proptest::prelude::*;
use sidewinder_linkstate::generate::{Plan, key, link_descriptor, link_event, locator, node_event};
use sidewinder_linkstate::reason::Tally;
use sidewinder_linkstate::spf::{FirstHop, IPV6_TOPOLOGY, Run, Spf};
use sidewinder_linkstate::ted::{
    Event, Instance, LinkAttributes, LinkDescriptor, Nlri, NodeAttributes, NodeDescriptor,
    NodeFlags, NodeId, NodeKey, Protocol, RouterId, Ted,
};

fn ted_of(events: impl IntoIterator<Item = Event>) -> Ted {
    let mut ted = Ted::default();
    apply(&mut ted, events);
    ted
}

fn apply(ted: &mut Ted, events: impl IntoIterator<Item = Event>) {
    let mut tally = Tally::default();
    events.into_iter().for_each(|event| ted.apply(event, &mut tally));
}

fn plan(nodes: usize, links: &[(usize, usize, u32)]) -> Plan {
    Plan { nodes, links: links.to_vec() }
}

fn id(ted: &Ted, node: usize) -> NodeId {
    ted.node_id(&key(node)).expect("a node")
}

fn neighbors(hops: &[FirstHop]) -> BTreeSet<NodeId> {
    hops.iter().map(|hop| hop.node).collect()
}

#[test]
fn a_square_has_two_ways_across() {
    let ted = ted_of(plan(4, &[(0, 1, 10), (1, 2, 10), (2, 3, 10), (3, 0, 10)]).events());
    let spf = Spf::new(&ted, key(0), 0);
    let route = spf.route(&locator(2).into()).expect("a route across");
    assert_eq!(route.metric, 20);
    assert_eq!(neighbors(&route.hops), BTreeSet::from([id(&ted, 1), id(&ted, 3)]));
    assert_eq!(spf.route(&locator(1).into()).expect("a route").hops.len(), 1);
    // What is our own needs no route.
    assert_eq!(spf.route(&locator(0).into()), None);
}

#[test]
fn parallel_links_are_used_as_far_as_they_cost_the_same() {
    let ted = ted_of(plan(2, &[(0, 1, 10), (0, 1, 10), (0, 1, 20)]).events());
    let spf = Spf::new(&ted, key(0), 0);
    let route = spf.route(&locator(1).into()).expect("a route");
    let addresses: BTreeSet<_> = route.hops.iter().map(|hop| hop.ipv6).collect();
    let of = |number| link_descriptor(number, 0, 1).ipv6_remote;
    assert_eq!(addresses, BTreeSet::from([of(0), of(1)]));
}

#[test]
fn a_link_that_only_one_end_announces_is_not_used() {
    let mut ted = ted_of(plan(3, &[(0, 1, 10), (1, 2, 10), (0, 2, 100)]).events());
    let descriptor = link_descriptor(1, 2, 1);
    apply(&mut ted, [Event::Withdraw(Nlri::Link { from: key(2), to: key(1), descriptor })]);
    let spf = Spf::new(&ted, key(0), 0);
    assert_eq!(spf.distance(id(&ted, 2)), Some(100));
}

#[test]
fn an_overloaded_node_is_reached_and_not_passed() {
    let mut ted = ted_of(plan(3, &[(0, 1, 10), (1, 2, 10)]).events());
    let mut spf = Spf::new(&ted, key(0), 0);
    assert_eq!(spf.distance(id(&ted, 2)), Some(20));
    ted.take_changes();
    apply(&mut ted, [overload(1)]);
    let update = spf.update(&ted, &ted.clone().take_changes());
    assert_eq!((update.run, update.nodes, update.routes.len()), (Run::Incremental, 1, 2));
    assert_eq!(spf.distance(id(&ted, 1)), Some(10));
    assert_eq!(spf.distance(id(&ted, 2)), None);
    // Our own overload is for others to mind.
    let spf = Spf::new(&ted, key(1), 0);
    assert_eq!(spf.distance(id(&ted, 2)), Some(10));
}

fn overload(node: usize) -> Event {
    let flags = NodeFlags(NodeFlags::OVERLOAD);
    Event::Node(key(node), NodeAttributes { flags, ..Default::default() }.into())
}

#[test]
fn a_link_of_the_largest_metric_is_not_used() {
    for (metric, distance) in [(0xff_fffe, Some(0xff_fffe)), (0xff_ffff, None)] {
        let ted = ted_of(plan(2, &[(0, 1, metric)]).events());
        assert_eq!(Spf::new(&ted, key(0), 0).distance(id(&ted, 1)), distance);
    }
}

#[test]
fn paths_end_where_they_are_too_long() {
    let links: Vec<_> = (0..300).map(|node| (node, node + 1, 0xff_fffe)).collect();
    let ted = ted_of(plan(301, &links).events());
    let spf = Spf::new(&ted, key(0), 0);
    let reached = (0..301).filter(|&node| spf.distance(id(&ted, node)).is_some()).count();
    assert_eq!(reached, 1 + 0xfe00_0000 / 0xff_fffe);
}

/// Three routers on a LAN, in the middle of which is a pseudonode.
fn lan(metric: u32) -> (Vec<Event>, NodeKey) {
    let descriptor = NodeDescriptor {
        asn: Some(65000),
        igp_router_id: RouterId::new(&[0, 0, 0, 0, 0, 1, 1]),
        ..NodeDescriptor::default()
    };
    let instance = Instance { protocol: Protocol::ISIS_L2, identifier: 0 };
    let pseudonode = NodeKey { instance, descriptor };
    let mut events = Vec::new();
    for node in 0..3 {
        events.push(node_event(node));
        events.push(sidewinder_linkstate::generate::locator_event(node));
        let descriptor = LinkDescriptor {
            ipv6_local: link_descriptor(9, node, 0).ipv6_local,
            ..LinkDescriptor::default()
        };
        let cost = |metric| LinkAttributes { igp_metric: Some(metric), ..Default::default() };
        events.push(Event::Link {
            from: key(node),
            to: pseudonode.clone(),
            descriptor: descriptor.into(),
            attributes: cost(metric).into(),
        });
        events.push(Event::Link {
            from: pseudonode.clone(),
            to: key(node),
            descriptor: Arc::default(),
            attributes: cost(0).into(),
        });
    }
    (events, pseudonode)
}

#[test]
fn across_a_lan_the_first_hop_is_a_router() {
    let (events, _) = lan(10);
    let ted = ted_of(events);
    let spf = Spf::new(&ted, key(0), 0);
    for node in [1, 2] {
        let route = spf.route(&locator(node).into()).expect("a route across the LAN");
        assert_eq!(route.metric, 10);
        let [hop] = route.hops[..] else { panic!("one first hop: {:?}", route.hops) };
        assert_eq!(hop.node, id(&ted, node));
        assert_eq!(hop.ipv6, link_descriptor(9, node, 0).ipv6_local);
        assert_eq!(hop.ipv6_local, link_descriptor(9, 0, 0).ipv6_local);
    }
}

#[test]
fn routes_of_a_triangle_change_with_its_link() {
    let messages = common::messages(common::TRIANGLE);
    let (mut ted, mut decoder) = common::feed(&messages[..12]);
    let root = ted.find("0000.0000.0001").expect("the first router");
    assert_eq!(Spf::ipv6_topology(&ted, root), IPV6_TOPOLOGY);
    let mut spf = Spf::new(&ted, ted.node(root).expect("a node").key().clone(), IPV6_TOPOLOGY);
    let text = |spf: &Spf| -> BTreeMap<String, (u32, Vec<String>)> {
        let hops = |hops: &[FirstHop]| {
            hops.iter().map(|hop| hop.ipv6.expect("an address").to_string()).collect()
        };
        spf.routes().map(|(net, r)| (net.to_string(), (r.metric, hops(&r.hops)))).collect()
    };
    let route = |metric, hops: &[&str]| (metric, hops.iter().map(|&hop| hop.to_owned()).collect());
    let whole = BTreeMap::from([
        ("fc00:0:2::1/128".to_owned(), route(20, &["fc00:12::2"])),
        ("fc00:0:3::1/128".to_owned(), route(20, &["fc00:13::3"])),
        ("fc00:23::/64".to_owned(), route(20, &["fc00:13::3", "fc00:12::2"])),
        ("fcbb:bbbb:2::/48".to_owned(), route(10, &["fc00:12::2"])),
        ("fcbb:bbbb:3::/48".to_owned(), route(10, &["fc00:13::3"])),
    ]);
    assert_eq!(text(&spf), whole);
    ted.take_changes();
    for (message, metric) in messages[12..].iter().zip([20, 20, 20, 10, 10]) {
        let (events, _) = common::read(&mut decoder, message);
        apply(&mut ted, events);
        spf.update(&ted, &ted.clone().take_changes());
        ted.take_changes();
        assert_eq!(text(&spf)["fcbb:bbbb:2::/48"].0, metric);
    }
    assert_eq!(text(&spf), whole);
}

fn all_routes(spf: &Spf) -> BTreeMap<String, (u32, BTreeSet<FirstHop>)> {
    spf.routes()
        .map(|(net, r)| (net.to_string(), (r.metric, r.hops.iter().copied().collect())))
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    /// One direction of a link has this metric.
    Is(u32, usize, usize, u32),
    /// It is gone.
    Gone(u32, usize, usize),
    Overload(usize),
    Node(usize),
    NodeGone(usize),
    LocatorGone(usize),
    Locator(usize),
}

impl Step {
    fn event(&self) -> Event {
        match *self {
            Self::Is(number, from, to, metric) => link_event(number, from, to, metric),
            Self::Gone(number, from, to) => {
                let descriptor = link_descriptor(number, from, to);
                Event::Withdraw(Nlri::Link { from: key(from), to: key(to), descriptor })
            }
            Self::Overload(node) => overload(node),
            Self::Node(node) => node_event(node),
            Self::NodeGone(node) => Event::Withdraw(Nlri::Node(key(node))),
            Self::Locator(node) => sidewinder_linkstate::generate::locator_event(node),
            Self::LocatorGone(node) => match sidewinder_linkstate::generate::locator_event(node) {
                Event::Prefix { node, descriptor, .. } => {
                    Event::Withdraw(Nlri::Prefix { node, descriptor })
                }
                _ => unreachable!("a locator is a prefix"),
            },
        }
    }
}

const NODES: usize = 12;

fn step(least: u32) -> impl Strategy<Value = Step> {
    let node = || 0..NODES;
    // Few metrics, so that there are many paths of the same length.
    prop_oneof![
        6 => (0..3u32, node(), node(), least..4u32).prop_map(|(n, f, t, m)| Step::Is(n, f, t, m)),
        6 => (0..3u32, node(), node()).prop_map(|(n, f, t)| Step::Gone(n, f, t)),
        1 => node().prop_map(Step::Overload),
        2 => node().prop_map(Step::Node),
        1 => node().prop_map(Step::NodeGone),
        1 => node().prop_map(Step::Locator),
        1 => node().prop_map(Step::LocatorGone),
    ]
}

fn graph(least: u32) -> impl Strategy<Value = Vec<(usize, usize, u32)>> {
    prop::collection::vec((0..NODES, 0..NODES, least..4u32), 8..40)
}

/// After each batch, what was followed is what a slow computation, and one anew, have.
fn check(links: &[(usize, usize, u32)], batches: &[Vec<Step>]) -> Result<(), TestCaseError> {
    let mut ted = ted_of(plan(NODES, links).events());
    let mut spf = Spf::new(&ted, key(0), 0);
    ted.take_changes();
    for batch in batches {
        apply(&mut ted, batch.iter().map(Step::event));
        let before = all_routes(&spf);
        let changes = ted.take_changes();
        let update = spf.update(&ted, &changes);
        let anew = Spf::new(&ted, key(0), 0);
        prop_assert_eq!(quickly(&ted, &spf), quickly(&ted, &anew));
        prop_assert_eq!(all_routes(&spf), all_routes(&anew));
        // What is said to have changed is all that has.
        let mut told = before;
        for (net, route) in update.routes {
            match route {
                Some(r) => {
                    told.insert(net.to_string(), (r.metric, r.hops.iter().copied().collect()))
                }
                None => told.remove(&net.to_string()),
            };
        }
        prop_assert_eq!(told, all_routes(&spf));
        if let Some(root) = ted.node_id(&key(0)) {
            prop_assert_eq!(quickly(&ted, &spf), slowly(&ted, root));
        }
    }
    Ok(())
}

/// The way to the start of a link becomes longer by more than the link becomes shorter.
#[test]
fn a_shorter_link_behind_a_longer_way_is_followed() {
    let links = [(0, 8, 1), (5, 8, 1), (1, 0, 1), (2, 0, 2), (5, 3, 3)];
    let batches = [vec![Step::Is(0, 5, 3, 2), Step::Is(0, 0, 8, 3)]];
    check(&links, &batches).expect("the same as anew");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn following_a_change_is_as_good_as_computing_anew(
        links in graph(1),
        batches in prop::collection::vec(prop::collection::vec(step(1), 1..4), 1..12),
    ) {
        check(&links, &batches)?;
    }

    /// Circles at no cost included.
    #[test]
    fn metrics_of_nothing_are_followed_too(
        links in graph(0),
        batches in prop::collection::vec(prop::collection::vec(step(0), 1..4), 1..12),
    ) {
        check(&links, &batches)?;
    }
}

/// The same with LANs: a router in each of three, of two of which we are part.
#[derive(Debug, Clone)]
struct LanStep {
    lan: u8,
    node: usize,
    /// `None`: the router leaves the LAN.
    metric: Option<u32>,
    /// Only one of the two directions.
    half: bool,
}

fn lan_events(step: &LanStep) -> Vec<Event> {
    let descriptor = NodeDescriptor {
        asn: Some(65000),
        igp_router_id: RouterId::new(&[0, 0, 0, 0, 0, 1, 1 + step.lan]),
        ..NodeDescriptor::default()
    };
    let pseudonode = NodeKey { instance: key(0).instance, descriptor };
    let one = |from: NodeKey, to: NodeKey, metric: u32| {
        let descriptor = Arc::new(LinkDescriptor::default());
        if step.metric.is_none() {
            return Event::Withdraw(Nlri::Link { from, to, descriptor });
        }
        let attributes = LinkAttributes { igp_metric: Some(metric), ..Default::default() };
        Event::Link { from, to, descriptor, attributes: attributes.into() }
    };
    let there = one(key(step.node), pseudonode.clone(), step.metric.unwrap_or_default());
    let back = one(pseudonode, key(step.node), 0);
    if step.half { vec![there] } else { vec![there, back] }
}

fn lan_step() -> impl Strategy<Value = LanStep> {
    (0..3u8, 0..NODES, prop::option::of(1..4u32), prop::bool::weighted(0.2))
        .prop_map(|(lan, node, metric, half)| LanStep { lan, node, metric, half })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn lans_are_followed_too(
        links in graph(1),
        lans in prop::collection::vec(lan_step(), 8..30),
        batches in prop::collection::vec(prop::collection::vec(lan_step(), 1..3), 1..10),
    ) {
        let mut ted = ted_of(plan(NODES, &links[..8]).events());
        apply(&mut ted, lans.iter().flat_map(lan_events));
        let mut spf = Spf::new(&ted, key(0), 0);
        ted.take_changes();
        for batch in batches {
            apply(&mut ted, batch.iter().flat_map(lan_events));
            let changes = ted.take_changes();
            spf.update(&ted, &changes);
            let anew = Spf::new(&ted, key(0), 0);
            prop_assert_eq!(quickly(&ted, &spf), quickly(&ted, &anew));
            prop_assert_eq!(all_routes(&spf), all_routes(&anew));
            prop_assert_eq!(quickly(&ted, &spf), slowly(&ted, id(&ted, 0)));
        }
    }
}
