//! Neighbours that are not resolved: routes that move to one, and ones that are forgotten.

use super::*;

const PREFIX: &str = "2001:db8:a::/48";
const ADDRESS: &str = "2001:db8:a::1";

/// A route by eth0, whose neighbour is known; that on eth1 is not.
fn one_known() -> (View, Control) {
    let mut view = view(&[(1, "2001:db8:1::1/64"), (2, "2001:db8:2::1/64")]);
    neighbour(&mut view, 1, "2001:db8:1::9");
    let mut control = control(TWO_INTERFACES, &view);
    announce(&mut control, PREFIX, via(&[("2001:db8:1::9", 1)]));
    (view, control)
}

fn observe(control: &mut Control, view: &View) {
    control.observe(view);
    assert!(control.publish());
}

fn state(control: &Control, address: &str) -> Option<State> {
    let address: IpAddr = address.parse().unwrap();
    control.nexthops.iter().find(|(_, other, _)| *other == address).map(|(_, _, state)| state)
}

/// What becomes of packets of the route.
fn leads_to(control: &Control) -> State {
    let Action::Forward(group) = lookup(control, 254, ADDRESS) else { return State::Down };
    control.nexthops.state(group)
}

fn long_ago() -> Instant {
    Instant::now().checked_sub(std::time::Duration::from_secs(10)).unwrap()
}

#[test]
fn a_route_moves_when_its_neighbour_is_there() {
    let (mut view, mut control) = one_known();
    announce(&mut control, PREFIX, via(&[("2001:db8:2::9", 1)]));
    assert_eq!(neighbours_of(&control, ADDRESS), [(0, 1)]);
    assert_eq!(standing(&control, PREFIX), Standing::NeighborAwaited);
    assert!(control.wanted_neighbours().contains(&(2, "2001:db8:2::9".parse().unwrap())));
    assert!(!control.end_of_patience(), "it has just begun to wait");
    // Once more another, while it waits.
    announce(&mut control, PREFIX, via(&[("2001:db8:2::8", 1)]));
    assert_eq!(neighbours_of(&control, ADDRESS), [(0, 1)]);
    assert_eq!(state(&control, "2001:db8:2::9"), None, "nobody needs it any more");
    neighbour(&mut view, 2, "2001:db8:2::8");
    observe(&mut control, &view);
    assert_eq!(neighbours_of(&control, ADDRESS), [(1, 1)]);
    assert_eq!(standing(&control, PREFIX), Standing::Best);
    assert!(control.awaiting.is_empty());
}

#[test]
fn one_of_several_that_is_there_is_enough() {
    let (_, mut control) = one_known();
    announce(&mut control, PREFIX, via(&[("2001:db8:1::9", 1), ("2001:db8:2::9", 1)]));
    assert_eq!(standing(&control, PREFIX), Standing::Best);
}

#[test]
fn what_leads_nowhere_is_not_kept() {
    let (mut view, mut control) = one_known();
    announce(&mut control, PREFIX, via(&[("2001:db8:2::9", 1)]));
    view.links.get_mut(&1).unwrap().up = false;
    observe(&mut control, &view);
    assert_eq!(leads_to(&control), State::Unresolved);
    assert_eq!(standing(&control, PREFIX), Standing::Best);
    // Nor is it waited for where there was nothing.
    announce(&mut control, "2001:db8:b::/48", via(&[("2001:db8:2::9", 1)]));
    assert_eq!(standing(&control, "2001:db8:b::/48"), Standing::Best);
    assert!(control.awaiting.is_empty());
}

/// What a policy of its own has done it goes on to do; a SID is one or is none.
#[test]
fn a_policy_is_kept_and_a_sid_is_not() {
    let list = sidewinder_config::SegmentList {
        segs: vec!["2001:db8:1::9".parse().unwrap()],
        structures: Vec::new(),
        via: Vec::new(),
        weight: 1,
        path: 0,
    };
    let source = "fc00::1".parse().unwrap();
    let headend = sidewinder_config::Headend::HEncaps;
    let policy = inline(sidewinder_config::Policy::new(headend, vec![list], source));
    let sid = Arc::new(sidewinder_config::LocalSid {
        sid: PREFIX.parse().unwrap(),
        behavior: sidewinder_config::Behavior::EndB6Encaps { policy: policy.name.clone() },
        flavors: sidewinder_config::Flavors::default(),
        structure: None,
        hmac: sidewinder_config::Hmac::Ignore,
    });
    let (_, mut control) = one_known();
    announce(&mut control, PREFIX, Target::Encap(Arc::clone(&policy)));
    announce(&mut control, PREFIX, via(&[("2001:db8:2::9", 1)]));
    assert_eq!(standing(&control, PREFIX), Standing::NeighborAwaited);
    assert!(matches!(lookup(&control, 254, ADDRESS), Action::Encap(_)));
    assert_eq!(control.inline_policies().count(), 1);
    announce(&mut control, PREFIX, Target::Binding(sid, policy));
    assert!(matches!(lookup(&control, 254, ADDRESS), Action::Local(_)));
    announce(&mut control, PREFIX, via(&[("2001:db8:2::9", 1)]));
    assert_eq!(standing(&control, PREFIX), Standing::Best);
    assert!(control.sids.is_empty() && control.inline_policies().count() == 0);
}

#[test]
fn a_route_goes_while_it_waits() {
    let (_, mut control) = one_known();
    announce(&mut control, PREFIX, via(&[("2001:db8:2::9", 1)]));
    withdraw(&mut control, PREFIX);
    assert_eq!(lookup(&control, 254, ADDRESS), Action::NoRoute);
    assert_eq!(state(&control, "2001:db8:2::9"), None);
    assert!(control.awaiting.is_empty());
}

#[test]
fn nobody_is_waited_for_for_ever() {
    let (_, mut control) = one_known();
    announce(&mut control, PREFIX, via(&[("2001:db8:2::9", 1)]));
    control.awaiting.values_mut().for_each(|since| *since = long_ago());
    assert!(control.end_of_patience());
    assert!(control.publish());
    assert_eq!(leads_to(&control), State::Unresolved);
    assert_eq!(standing(&control, PREFIX), Standing::Best);
    assert!(!control.end_of_patience());
}

/// A flushed table says nothing of the neighbours in it; one that does not answer is gone.
#[test]
fn a_neighbour_is_forgotten_or_fails() {
    let (mut view, mut control) = one_known();
    let place = (1, "2001:db8:1::9".parse().unwrap());
    let entry = view.neighbours[&place];
    // As the kernel tells it: first without its address, and no longer kept, then gone.
    let flushed = Neighbour { mac: None, usable: false, managed: false, ..entry };
    view.neighbours.insert(place, flushed);
    observe(&mut control, &view);
    assert_eq!(state(&control, "2001:db8:1::9"), Some(State::Up));
    view.neighbours.remove(&place);
    observe(&mut control, &view);
    assert_eq!(state(&control, "2001:db8:1::9"), Some(State::Up));
    assert!(!control.end_of_patience());
    // It is not found again, though nobody says so.
    control.nexthops.forgotten.values_mut().for_each(|since| *since = long_ago());
    assert!(control.end_of_patience());
    assert_eq!(state(&control, "2001:db8:1::9"), Some(State::Unresolved));
    assert!(!control.end_of_patience());
    // Or it is said.
    view.neighbours.insert(place, entry);
    observe(&mut control, &view);
    view.neighbours.remove(&place);
    observe(&mut control, &view);
    assert_eq!(state(&control, "2001:db8:1::9"), Some(State::Up));
    view.neighbours.insert(place, Neighbour { managed: true, ..flushed });
    observe(&mut control, &view);
    assert_eq!(state(&control, "2001:db8:1::9"), Some(State::Unresolved));
    // What is not known is not remembered.
    view.neighbours.remove(&place);
    observe(&mut control, &view);
    assert_eq!(state(&control, "2001:db8:1::9"), Some(State::Unresolved));
    // Nor is it after the link was down.
    view.neighbours.insert(place, entry);
    observe(&mut control, &view);
    assert_eq!(state(&control, "2001:db8:1::9"), Some(State::Up));
    view.links.get_mut(&1).unwrap().up = false;
    view.neighbours.remove(&place);
    observe(&mut control, &view);
    view.links.get_mut(&1).unwrap().up = true;
    observe(&mut control, &view);
    assert_eq!(state(&control, "2001:db8:1::9"), Some(State::Unresolved));
}
