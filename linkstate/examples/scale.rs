//! How long a large topology takes: `cargo run --release -p sidewinder-linkstate --example scale`,
//! with the number of nodes and of links as arguments.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use sidewinder_linkstate::bgp::attribute::Session;
use sidewinder_linkstate::bgp::frame::{self, HEADER};
use sidewinder_linkstate::bgp_ls::{Decoder, encode};
use sidewinder_linkstate::generate::{Chance, Plan, key, link_descriptor, link_event};
use sidewinder_linkstate::reason::Tally;
use sidewinder_linkstate::spf::{Run, Spf};
use sidewinder_linkstate::ted::{Event, Nlri, Ted};

/// Shortest paths from one node.
const TARGET: Duration = Duration::from_millis(10);

fn main() {
    let mut arguments = std::env::args().skip(1).map_while(|argument| argument.parse().ok());
    let nodes: usize = arguments.next().unwrap_or(10_000);
    let links: usize = arguments.next().unwrap_or(50_000);
    let plan = Plan::provider(nodes, links, 1);
    let stream: Vec<u8> =
        plan.events().filter_map(|event| encode::update(&event, 65000)).flatten().collect();
    println!(
        "{nodes} nodes, {} links in both directions; as UPDATEs: {} bytes",
        plan.links.len(),
        stream.len()
    );

    let memory = resident();
    let begin = Instant::now();
    let session = Session { four_octet_as: true, own_as: None };
    let mut decoder = Decoder { session, ..Decoder::default() };
    let mut ted = Ted::default();
    let mut tally = Tally::default();
    let mut rest = &stream[..];
    while let Ok(Some(message)) = frame::first(rest, frame::MAX) {
        let _ = decoder.update(message.body, |event| ted.apply(event, &mut tally));
        rest = &rest[HEADER + message.body.len()..];
    }
    println!("decoded into the TED: {:?}", begin.elapsed());
    println!("memory of the TED: {} MB", (resident().saturating_sub(memory)) / 1024);
    println!("counted: {:?}", decoder.tally.iter().chain(tally.iter()).collect::<Vec<_>>());
    ted.take_changes();

    let root = key(nodes - 1);
    let begin = Instant::now();
    let mut spf = Spf::new(&ted, root.clone(), 0);
    println!("graph, SPF and all routes, from nothing: {:?}", begin.elapsed());
    let times: Vec<_> = (0..50).map(|_| time(|| assert!(spf.tree_anew() > 0))).collect();
    let median = report("SPF alone", times);
    let verdict = if median < TARGET { "held" } else { "MISSED" };
    println!("  {verdict}: median, target {TARGET:?} with 10 000 nodes");
    report(
        "graph, SPF and all routes, anew",
        (0..20).map(|_| time(|| drop(spf.full(&ted)))).collect(),
    );
    println!("{} routes", spf.routes().count());

    // The ring of the core, over which the most paths lead, and any others.
    let mut chance = Chance::new(2);
    let core: Vec<_> = (0..nodes / 10).collect();
    let any: Vec<_> = (0..1000).map(|_| chance.below(plan.links.len())).collect();
    for (which, numbers) in [("of the core's ring", core), ("anywhere", any)] {
        let mut changes: Vec<(Duration, Run, usize, usize)> = Vec::new();
        for number in numbers {
            let (from, to, metric) = plan.links[number];
            for event in [withdraw(number, from, to), link_event(number as u32, from, to, metric)] {
                ted.apply(event, &mut tally);
                let begin = Instant::now();
                let change = ted.take_changes();
                let update = spf.update(&ted, &change);
                changes.push((begin.elapsed(), update.run, update.nodes, update.routes.len()));
            }
        }
        let what = format!("a link {which} goes or comes, to new routes");
        report(&what, changes.iter().map(|change| change.0).collect());
        changes.sort_unstable_by_key(|change| std::cmp::Reverse(change.0));
        let (longest, run, nodes, routes) = changes[0];
        println!("  the longest: {longest:?}, {run:?}, {nodes} nodes, {routes} routes");
    }

    // Our own links: first hops are others, so everything is computed.
    let ours: Vec<_> = plan.links.iter().enumerate().filter(|(_, l)| key(l.0) == root).collect();
    let mut times = Vec::new();
    for &(number, &(from, to, metric)) in ours.iter().cycle().take(20) {
        for event in [withdraw(number, from, to), link_event(number as u32, from, to, metric)] {
            ted.apply(event, &mut tally);
            let change = ted.take_changes();
            times.push(time(|| drop(spf.update(&ted, &change))));
        }
    }
    report("one of our own links goes or comes", times);
}

fn withdraw(number: usize, from: usize, to: usize) -> Event {
    let descriptor = link_descriptor(number as u32, from, to);
    Event::Withdraw(Nlri::Link { from: key(from), to: key(to), descriptor })
}

fn time(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

/// Says how long something took, and returns the median.
fn report(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    if let [first, .., last] = times[..] {
        println!("{what}: median {middle:?}, from {first:?} to {last:?}");
    }
    middle
}

/// Kilobytes that the process has in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
