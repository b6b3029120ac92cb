use sidewinder_dataplane::fib::entry::Discard;

use super::*;

fn key(prefix: &str) -> Key {
    Key { table: Key::MAIN, prefix: prefix.parse().unwrap() }
}

fn opinion(distance: u8, metric: u32, target: Target) -> Opinion {
    Opinion { distance, metric, target }
}

fn routes(source: Source, entries: &[(&str, Target)]) -> Routes {
    entries
        .iter()
        .map(|(prefix, target)| (key(prefix), Opinion::of(source, target.clone())))
        .collect()
}

fn best(rib: &Rib, prefix: &str) -> Option<(Source, Target)> {
    rib.best(&key(prefix)).map(|(source, route)| (source, route.opinion.target.clone()))
}

const BLACKHOLE: Target = Target::Discard(Discard::Blackhole);

#[test]
fn the_lowest_distance_wins() {
    let mut rib = Rib::default();
    let now = Instant::now();
    rib.replace(Source::Static, &routes(Source::Static, &[("fc00::/48", BLACKHOLE)]), now);
    rib.replace(Source::Connected, &routes(Source::Connected, &[("fc00::/48", Target::Host)]), now);
    assert_eq!(best(&rib, "fc00::/48"), Some((Source::Connected, Target::Host)));
    assert_eq!(rib.take_dirty().len(), 1);
    rib.replace(Source::Connected, &Routes::new(), now);
    assert_eq!(best(&rib, "fc00::/48"), Some((Source::Static, BLACKHOLE)));
    rib.replace(Source::Static, &Routes::new(), now);
    assert_eq!(best(&rib, "fc00::/48"), None);
    assert_eq!(rib.take_dirty().len(), 1);
}

#[test]
fn what_stays_the_same_is_not_touched() {
    let mut rib = Rib::default();
    let before = Instant::now();
    let said = routes(Source::Static, &[("fc00::/48", Target::Host), ("fc01::/48", Target::Host)]);
    rib.replace(Source::Static, &said, before);
    rib.take_dirty();
    rib.replace(Source::Static, &said, Instant::now());
    assert!(!rib.is_dirty());
    assert_eq!(rib.best(&key("fc00::/48")).unwrap().1.since, before);
}

/// The distance decides first, even against a better metric; then the metric; then the source.
#[test]
fn distance_then_metric_then_source() {
    let mut rib = Rib::default();
    let now = Instant::now();
    let place = key("fc00::/48");
    rib.announce(Source::LinkState, place, opinion(115, 10, Target::Host), now);
    rib.announce(Source::Kernel, place, opinion(110, 999, BLACKHOLE), now);
    assert_eq!(best(&rib, "fc00::/48"), Some((Source::Kernel, BLACKHOLE)));
    rib.announce(Source::Kernel, place, opinion(115, 11, BLACKHOLE), now);
    assert_eq!(best(&rib, "fc00::/48"), Some((Source::LinkState, Target::Host)));
    rib.announce(Source::Kernel, place, opinion(115, 10, BLACKHOLE), now);
    assert_eq!(best(&rib, "fc00::/48"), Some((Source::Kernel, BLACKHOLE)));
    assert_eq!(rib.count(Source::Kernel), (1, 0), "an opinion replaces the one before");
}

/// The kernel uses the route with the lowest metric, whoever made it.
#[test]
fn within_a_source_the_metric_decides() {
    let mut rib = Rib::default();
    let now = Instant::now();
    let place = key("fc00::/48");
    rib.announce_beside(Source::Kernel, place, opinion(0, 1024, BLACKHOLE), now);
    rib.announce_beside(Source::Kernel, place, opinion(115, 20, Target::Host), now);
    assert_eq!(best(&rib, "fc00::/48"), Some((Source::Kernel, Target::Host)));
    let all: Vec<_> = rib.iter().collect();
    assert_eq!(all.len(), 1);
    let metrics: Vec<_> = all[0].1.iter().map(|(_, route)| route.opinion.metric).collect();
    assert_eq!(metrics, [20, 1024]);
    assert!(rib.withdraw_metric(Source::Kernel, place, 20));
    assert!(!rib.withdraw_metric(Source::Kernel, place, 20));
    assert_eq!(best(&rib, "fc00::/48"), Some((Source::Kernel, BLACKHOLE)));
}

#[test]
fn stale_routes_stay_until_they_are_swept() {
    let mut rib = Rib::default();
    let before = Instant::now();
    for prefix in ["fc00::/48", "fc01::/48", "fc02::/48"] {
        rib.announce(Source::LinkState, key(prefix), opinion(115, 7, Target::Host), before);
    }
    rib.announce(Source::Static, key("fc03::/48"), opinion(1, 0, Target::Host), before);
    rib.take_dirty();
    rib.mark_stale(Source::LinkState);
    assert!(!rib.is_dirty(), "a stale route is used as before");
    assert_eq!(rib.count(Source::LinkState), (3, 3));
    assert_eq!(rib.count(Source::Static), (1, 0));
    // One is said again, one has changed, one is not heard of any more.
    let now = Instant::now();
    rib.announce(Source::LinkState, key("fc00::/48"), opinion(115, 7, Target::Host), now);
    rib.announce(Source::LinkState, key("fc01::/48"), opinion(115, 8, Target::Host), now);
    assert_eq!(rib.count(Source::LinkState), (3, 1));
    assert_eq!(rib.sweep_stale(Source::LinkState), [(key("fc02::/48"), 7)]);
    assert_eq!(rib.count(Source::LinkState), (2, 0));
    assert_eq!(rib.best(&key("fc00::/48")).unwrap().1.since, before);
    assert_eq!(rib.take_dirty(), [key("fc01::/48"), key("fc02::/48")]);
}

#[test]
fn what_covers_and_what_is_covered() {
    let mut rib = Rib::default();
    let now = Instant::now();
    for prefix in ["::/0", "fc00::/16", "fc00:0:1::/48", "fc00:0:1:2::/64", "fd00::/8"] {
        rib.announce(Source::Static, key(prefix), Opinion::of(Source::Static, Target::Host), now);
    }
    let elsewhere = Key { table: 7, prefix: "fc00:0:1:2::/127".parse().unwrap() };
    rib.announce(Source::Static, elsewhere, Opinion::of(Source::Static, Target::Host), now);
    let longest = |address: &str, max: u8| {
        rib.longest(Key::MAIN, address.parse().unwrap(), |key| key.prefix.prefix_len() <= max)
            .map(|(key, ..)| key.prefix.to_string())
    };
    assert_eq!(longest("fc00:0:1:2::9", 128).as_deref(), Some("fc00:0:1:2::/64"));
    assert_eq!(longest("fc00:0:1:2::9", 63).as_deref(), Some("fc00:0:1::/48"));
    assert_eq!(longest("2001:db8::1", 128).as_deref(), Some("::/0"));
    assert_eq!(longest("192.0.2.1", 128), None);
    let beneath: Vec<_> = rib.beneath(key("fc00::/16")).map(|key| key.prefix.to_string()).collect();
    assert_eq!(beneath, ["fc00:0:1::/48", "fc00:0:1:2::/64"]);
    let covering: Vec<_> = rib
        .covering(key("fc00:0:1:2::/64"))
        .filter(|key| rib.best(key).is_some())
        .map(|key| key.prefix.to_string())
        .collect();
    assert_eq!(covering, ["fc00:0:1::/48", "fc00::/16", "::/0"]);
}

/// Against a list that is gone through: whatever is announced and withdrawn, the best is the best.
#[test]
fn the_best_is_the_best_of_all() {
    let mut rib = Rib::default();
    let mut model: Vec<(Source, Key, Opinion)> = Vec::new();
    let now = Instant::now();
    let mut random = 1_u64;
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    for _ in 0..20_000 {
        let source = Source::ALL[draw(6) as usize];
        let len = 16 + 16 * draw(4) as u8;
        let prefix = IpNet::new(std::net::Ipv6Addr::from(u128::from(draw(3)) << 110).into(), len);
        let place = Key { table: 1 + draw(2) as u32, prefix: prefix.unwrap().trunc() };
        model.retain(|(other, key, _)| (*other, *key) != (source, place));
        if draw(3) == 0 {
            rib.withdraw(source, place);
        } else {
            let said = opinion(draw(3) as u8, draw(3) as u32, Target::Host);
            rib.announce(source, place, said.clone(), now);
            model.push((source, place, said));
        }
        let expected = model
            .iter()
            .filter(|(_, key, _)| *key == place)
            .min_by_key(|(source, _, said)| (said.distance, said.metric, *source));
        let found = rib.best(&place).map(|(source, route)| (source, route.opinion.clone()));
        assert_eq!(found, expected.map(|(source, _, said)| (*source, said.clone())));
    }
    let count: usize = rib.iter().map(|(_, opinions)| opinions.len()).sum();
    assert_eq!(count, model.len());
}
