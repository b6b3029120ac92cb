//! Policies as routes and links come and go: which candidate path is active, and whose flows move.

use sidewinder_dataplane::fib::Policy;

use super::*;
use crate::control::validity::Validity;

const POLICY: &str = r#"
    [router]
    encap-source = "fc00:0:1::1"
    [[interface]]
    name = "eth0"
    [[interface]]
    name = "eth1"
    [[neighbor]]
    address = "fe80::2"
    interface = "eth0"
    mac = "02:00:00:00:00:12"
    [[neighbor]]
    address = "fe80::3"
    interface = "eth1"
    mac = "02:00:00:00:00:13"
    [[policy]]
    name = "far"
    behavior = "H.Encaps"
    color = 100
    endpoint = "fc00:0:9::1"
    bsid = "fc00:0:1:b::"
    candidate-paths = [
        { preference = 50, segs = ["fc00:0:4:e::"] },
        { name = "north", preference = 200, lists = [
            { segs = ["fc00:0:2:e::", "fc00:0:9:d6::"], weight = 1 },
            { segs = ["fc00:0:3:e::", "fc00:0:9:d6::"], weight = 3 },
        ] },
    ]
    [[route]]
    prefix = "2001:db8::/32"
    policy = "far"
    [[route]]
    prefix = "2001:db8:7::/48"
    color = 100
    nh6 = "fc00:0:9::1"
    [[route]]
    prefix = "fc00:0:9::/48"
    nh6 = "fe80::2"
    interface = "eth0"
    [[route]]
    prefix = "::/0"
    nh6 = "fe80::2"
    interface = "eth0"
    "#;

fn via(prefix: &str, hop: &str, interface: &str) -> String {
    format!("[[route]]\nprefix = \"{prefix}\"\nnh6 = \"{hop}\"\ninterface = \"{interface}\"\n")
}

fn toml(routes: &[(&str, &str, &str)]) -> String {
    let routes = routes.iter().map(|(prefix, hop, interface)| via(prefix, hop, interface));
    POLICY.to_owned() + &routes.collect::<String>()
}

const R2: (&str, &str, &str) = ("fc00:0:2::/48", "fe80::2", "eth0");
const R3: (&str, &str, &str) = ("fc00:0:3::/48", "fe80::3", "eth1");
const R4: (&str, &str, &str) = ("fc00:0:4::/48", "fe80::3", "eth1");

fn reload(control: &mut Control, routes: &[(&str, &str, &str)], view: &View) {
    control.configure(config(&toml(routes)), view);
    assert!(control.publish());
}

fn states(control: &Control) -> Vec<&'static str> {
    let validities = control.validities(&control.config.policies[0]);
    let states = validities.iter().map(|validity| match validity {
        Validity::Active => "active",
        Validity::Standby => "standby",
        Validity::Invalid(_) => "invalid",
    });
    states.collect()
}

/// The policy that workers know, by a route into it.
fn live<'a>(control: &'a Control, address: &str) -> Option<&'a Policy> {
    match lookup(control, 254, address) {
        Action::Encap(id) => control.writer.live().policies[id as usize].as_ref(),
        _ => None,
    }
}

/// RFC 9256, 2.9 and 2.10: the valid path with the highest preference is the active one, and a path is
/// valid with one list that is.
#[test]
fn the_best_valid_path_is_active() {
    let view = view(&[]);
    let mut control = control(&toml(&[R2, R3, R4]), &view);
    assert_eq!(states(&control), ["standby", "active", "active"]);
    assert_eq!(live(&control, "2001:db8::1").unwrap().lists.len(), 2);
    // One list of the path is left.
    reload(&mut control, &[R2, R4], &view);
    assert_eq!(states(&control), ["standby", "active", "invalid"]);
    assert_eq!(live(&control, "2001:db8::1").unwrap().lists.len(), 1);
    let why = control.validities(&control.config.policies[0]);
    let expected = "no route leads to its first segment".to_owned();
    assert_eq!(why[2], Validity::Invalid(expected));
    // None is, and the other path takes over.
    reload(&mut control, &[R4], &view);
    assert_eq!(states(&control), ["active", "invalid", "invalid"]);
    assert!(live(&control, "2001:db8::1").is_some());
    assert!(matches!(lookup(&control, 254, "fc00:0:1:b::"), Action::Local(_)));
    // And back.
    reload(&mut control, &[R2, R3, R4], &view);
    assert_eq!(states(&control), ["standby", "active", "active"]);
}

/// RFC 9256, 8.4: a route by color takes the policy while it is valid, and its next hop otherwise; a
/// route into the policy alone is no route then.
#[test]
fn without_a_valid_path() {
    let view = view(&[]);
    let mut control = control(&toml(&[R2]), &view);
    assert!(live(&control, "2001:db8:7::1").is_some());
    reload(&mut control, &[], &view);
    assert_eq!(states(&control), ["invalid"; 3]);
    assert!(matches!(lookup(&control, 254, "2001:db8:7::1"), Action::Forward(_)));
    assert!(
        matches!(lookup(&control, 254, "2001:db8::1"), Action::Forward(_)),
        "the default route"
    );
    reload(&mut control, &[R2], &view);
    assert!(live(&control, "2001:db8:7::1").is_some());
    assert!(live(&control, "2001:db8::1").is_some());
}

/// A next hop whose link is down invalidates the lists that begin there, and no longer than it is.
#[test]
fn a_link_that_is_down() {
    let mut view = view(&[]);
    let mut control = control(&toml(&[R2, R3, R4]), &view);
    view.links.get_mut(&2).unwrap().up = false;
    control.observe(&view);
    assert!(control.publish());
    assert_eq!(states(&control), ["invalid", "active", "invalid"]);
    assert_eq!(live(&control, "2001:db8::1").unwrap().lists.len(), 1);
    view.links.get_mut(&2).unwrap().up = true;
    control.observe(&view);
    assert!(control.publish());
    assert_eq!(states(&control), ["standby", "active", "active"]);
}

/// C-089: whose flows move when lists come and go, in what workers read.
#[test]
fn a_list_that_goes_moves_only_its_own_flows() {
    let lists = |count: usize| {
        let all: Vec<_> = ["fc00:0:2:e::", "fc00:0:3:e::", "fc00:0:4:e::"]
            .iter()
            .zip([1, 2, 2])
            .map(|(seg, weight)| format!("{{ segs = [\"{seg}\"], weight = {weight} }}"))
            .collect();
        format!(
            "[router]\nencap-source = \"fc00:0:1::1\"\n{TWO_INTERFACES}\n[[policy]]\nname = \"p\"\n\
             behavior = \"H.Encaps\"\nlists = [{}]\n[[route]]\nprefix = \"2001:db8::/32\"\n\
             policy = \"p\"\n{}",
            all[..count].join(","),
            [R2, R3, R4].map(|(prefix, hop, interface)| via(prefix, hop, interface)).concat()
        )
    };
    let view = view(&[]);
    let mut control = control(&lists(3), &view);
    let buckets = |control: &Control| live(control, "2001:db8::1").unwrap().buckets.clone();
    let three = buckets(&control);
    control.configure(config(&lists(2)), &view);
    assert!(control.publish());
    let two = buckets(&control);
    assert_eq!(three.len(), two.len());
    for (before, after) in three.iter().zip(&two) {
        assert!(*before == 2 || before == after, "{before} {after}");
    }
    let share = two.iter().filter(|list| **list == 0).count();
    assert_eq!(share * 3, two.len(), "the others share its flows by weight");
}

/// C-139: segments are packed as far as it is known how they are divided, and anew when that changes.
#[test]
fn segments_of_nodes_are_packed() {
    let text = format!(
        "[router]\nencap-source = \"fc00:0:1::1\"\n{TWO_INTERFACES}\n[[policy]]\nname = \"p\"\n\
         behavior = \"H.Encaps.Red\"\ncompress = true\nvia = [\"r2\", \"r3\"]\n\
         [[node]]\nname = \"sidewinder\"\n[[node]]\nname = \"r2\"\n[[node]]\nname = \"r3\"\n"
    );
    let mut control = control(&text, &view(&[]));
    let sids: Vec<std::net::Ipv6Addr> =
        ["fcbb:bbbb:2::", "fcbb:bbbb:3::"].iter().map(|sid| sid.parse().unwrap()).collect();
    let via = vec!["r2".to_owned(), "r3".to_owned()];
    let found = || [(via.clone(), Ok(sids.clone()))].into();
    let un = sidewinder_config::Structure { block_bits: 32, node_bits: 16, function_bits: 0 };
    control.resolve_via(found(), sids.iter().map(|sid| (*sid, un)).collect());
    let container = vec!["fcbb:bbbb:2:3::".parse::<std::net::Ipv6Addr>().unwrap()];
    assert_eq!(control.policies["p"].written, [container]);
    assert_eq!(control.policies["p"].said.lists[0].segs, sids);
    // One of them alone is no container.
    control.resolve_via(found(), [(sids[0], un)].into());
    assert_eq!(control.policies["p"].written, std::slice::from_ref(&sids));
}
