//! How long a large topology takes from a peer to the FIB, over a real session on the loopback:
//! `cargo run --release -p sidewinder --example topology_scale`, with the number of nodes and of
//! links as arguments. What of it is computation alone, `--example scale` of the crate
//! sidewinder-linkstate tells.
//!
//! With `flood` as its argument: a peer that sends 1 GB of NLRI without end, each of them another.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sidewinder::control::Control;
use sidewinder::control::rib::Source;
use sidewinder::kernel::{Address, AddressKey, Link, View};
use sidewinder::source::link_state::LinkState;
use sidewinder_linkstate::bgp::{Open, keepalive};
use sidewinder_linkstate::bgp_ls::encode;
use sidewinder_linkstate::generate::{
    Chance, Plan, link_descriptor, link_event, locator_event, node_event,
};
use sidewinder_linkstate::ted::{Event, Nlri};

/// Longer than what follows a computation.
const PAUSE: Duration = Duration::from_millis(300);

/// Changes of each kind that are measured.
const CHANGES: usize = 40;

/// What is asked for with 10 000 nodes and 50 000 links.
const TARGET_LOADED: Duration = Duration::from_secs(5);
/// From a change that is told to the FIB.
const TARGET_CHANGE: Duration = Duration::from_millis(20);

/// A target beside what was measured.
fn judge(what: &str, target: Duration, measured: Duration) {
    let verdict = if measured < target { "held" } else { "MISSED" };
    println!("  {verdict}: {what} {measured:.1?}, target {target:?}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == "flood") {
        return flood().await;
    }
    let mut arguments = std::env::args().skip(1).map_while(|argument| argument.parse().ok());
    let nodes: usize = arguments.next().unwrap_or(10_000);
    let links: usize = arguments.next().unwrap_or(50_000);
    let plan = Plan::provider(nodes, links, 1);
    let own = nodes - 1;
    let events = plan.events().chain([Event::EndOfRib]);
    let stream: Vec<u8> =
        events.filter_map(|event| encode::update(&event, 65000)).flatten().collect();
    println!(
        "{nodes} nodes, {} links in both directions; as UPDATEs: {} bytes",
        plan.links.len(),
        stream.len()
    );

    let listener = TcpListener::bind("[::1]:0")?;
    let peer = listener.local_addr()?;
    let (orders, ordered) = mpsc::channel::<Vec<u8>>();
    let (begun, begin) = mpsc::channel();
    std::thread::spawn(move || speak(&listener, &stream, &begun, &ordered));

    let (text, view) = world(&plan, own, &peer.to_string())?;
    let checked = sidewinder_config::check(&text, "scale.toml")?;
    let before = resident();
    let mut control = Control::new(checked.config, &view, 1);
    let mut link_state = LinkState::default();
    link_state.configure(&control.config).await?;
    link_state.observe(&view, &control);
    let (mut runs, mut longest) = (0, Duration::ZERO);
    let mut end = Instant::now();
    // All that there is to tell, and two prefixes for each of the others.
    let told = plan.events().count();
    while link_state.announced() < told as u64
        || control.rib.count(Source::LinkState).0 < 2 * (nodes - 1)
    {
        link_state.due().await;
        let began = Instant::now();
        publish(&mut link_state, &mut control);
        end = Instant::now();
        (runs, longest) = (runs + 1, longest.max(end - began));
    }
    let took = end - begin.recv().context("the peer")?;
    println!(
        "loaded over the session, to the FIB published: {took:?}, {} routes; {runs} computations \
         meanwhile, the longest {longest:?}",
        control.rib.count(Source::LinkState).0
    );
    judge("loaded", TARGET_LOADED, took);
    println!("memory: {} MB more than before", resident().saturating_sub(before) / 1024);

    let mut chance = Chance::new(2);
    let ring: Vec<usize> = (0..CHANGES / 2).collect();
    let any: Vec<usize> = (0..CHANGES / 2).map(|_| chance.below(plan.links.len())).collect();
    let ours = |number: &usize| [plan.links[*number].0, plan.links[*number].1].contains(&own);
    let ours: Vec<usize> = (0..plan.links.len()).filter(ours).cycle().take(CHANGES / 2).collect();
    for (which, numbers) in [("of the core's ring", ring), ("anywhere", any), ("of our own", ours)]
    {
        let mut times = Vec::new();
        let mut longest: (Duration, [Duration; 3]) = Default::default();
        let told_so_far = link_state.announced() + link_state.withdrawn();
        for number in numbers {
            let (from, to, metric) = plan.links[number];
            let descriptor = link_descriptor(number as u32, from, to);
            let (a, b) = (
                sidewinder_linkstate::generate::key(from),
                sidewinder_linkstate::generate::key(to),
            );
            let gone = Event::Withdraw(Nlri::Link { from: a, to: b, descriptor });
            for event in [gone, link_event(number as u32, from, to, metric)] {
                // So that none has to wait for the one before.
                while tokio::time::timeout(PAUSE, link_state.due()).await.is_ok() {
                    publish(&mut link_state, &mut control);
                }
                control.catch_up();
                let told = Instant::now();
                orders.send(encode::update(&event, 65000).context("an UPDATE")?)?;
                link_state.due().await;
                let parts = publish(&mut link_state, &mut control);
                longest = longest.max((parts.iter().sum(), parts));
                times.push(told.elapsed());
                let counted = link_state.announced() + link_state.withdrawn();
                assert_eq!(counted, told_so_far + times.len() as u64, "one change at a time");
            }
        }
        times.sort_unstable();
        if let [first, .., last] = times[..] {
            let (median, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
            println!(
                "a link {which} goes or comes, told to published: median {median:?}, from {first:?} \
                 to {last:?}, 99 %: {most:?}"
            );
            let (_, [run, reconcile, publish]) = longest;
            println!("  the longest: paths {run:?}, FIB's changes {reconcile:?}, FIB {publish:?}");
            judge("median", TARGET_CHANGE, median);
            judge("longest", TARGET_CHANGE, last);
        }
    }
    Ok(())
}

/// How much a peer sends that does not stop.
const FLOOD: usize = 1 << 30;

async fn flood() -> Result<()> {
    let listener = TcpListener::bind("[::1]:0")?;
    let peer = listener.local_addr()?;
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().ok()?;
        let open = Open::link_state(65000, 0, Ipv4Addr::new(2, 2, 2, 2)).encode()?;
        connection.write_all(&[&open[..], &keepalive()].concat()).ok()?;
        let reader = connection.try_clone().ok()?;
        std::thread::spawn(move || drain(reader));
        let mut bytes = 0;
        for node in 0.. {
            let more: Vec<u8> = [node_event(node), locator_event(node)]
                .into_iter()
                .chain([link_event(node as u32, node, node + 1, 10)])
                .filter_map(|event| encode::update(&event, 65000))
                .flatten()
                .collect();
            bytes += more.len();
            connection.write_all(&more).ok()?;
            if bytes > FLOOD {
                break;
            }
        }
        Some(connection)
    });
    let nobody = Plan { nodes: 2, links: vec![(0, 1, 10)] };
    let (text, view) = world(&nobody, 0, &peer.to_string())?;
    let checked = sidewinder_config::check(&text, "flood.toml")?;
    let mut control = Control::new(checked.config, &view, 1);
    let mut link_state = LinkState::default();
    link_state.configure(&control.config).await?;
    link_state.observe(&view, &control);
    let (before, began) = (resident(), Instant::now());
    let (mut most, mut longest) = (0, Duration::ZERO);
    while link_state.received() < FLOOD as u64 {
        if tokio::time::timeout(PAUSE, link_state.due()).await.is_ok() {
            let parts = publish(&mut link_state, &mut control);
            longest = longest.max(parts.iter().sum());
        }
        most = most.max(resident());
    }
    println!(
        "1 GB in {:?}: at most {} MB more memory than before, no computation longer than {longest:?}",
        began.elapsed(),
        most.saturating_sub(before) / 1024
    );
    let details = link_state.details(&control);
    for name in ["nodes", "links", "prefixes", "topology-errors"] {
        println!("{name}: {}", details[name]);
    }
    println!("session: {}", link_state.state());
    Ok(())
}

/// As the daemon does; and how long each step takes.
fn publish(link_state: &mut LinkState, control: &mut Control) -> [Duration; 3] {
    let began = Instant::now();
    link_state.run(control);
    let ran = Instant::now();
    control.reconcile();
    let reconciled = Instant::now();
    while !control.publish() {}
    [ran - began, reconciled - ran, reconciled.elapsed()]
}

/// The peer: everything at once, and then what is ordered.
fn speak(
    listener: &TcpListener,
    stream: &[u8],
    begun: &mpsc::Sender<Instant>,
    ordered: &mpsc::Receiver<Vec<u8>>,
) -> Option<()> {
    let (mut connection, _) = listener.accept().ok()?;
    connection.set_nodelay(true).ok()?;
    let open = Open::link_state(65000, 0, Ipv4Addr::new(2, 2, 2, 2)).encode()?;
    begun.send(Instant::now()).ok()?;
    connection.write_all(&[&open[..], &keepalive()].concat()).ok()?;
    let reader = connection.try_clone().ok()?;
    std::thread::spawn(move || drain(reader));
    connection.write_all(stream).ok()?;
    while let Ok(order) = ordered.recv() {
        connection.write_all(&order).ok()?;
    }
    Some(())
}

fn drain(mut stream: TcpStream) {
    while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
}

/// A configuration with an interface for each link of our node, and a kernel that has them.
fn world(plan: &Plan, own: usize, peer: &str) -> Result<(String, View)> {
    let mut view = View::default();
    let system_id = own + 1;
    let mut text = format!(
        "[source.bgp-ls]\npeer = \"{peer}\"\nlocal-as = 65001\npeer-as = 65000\n\
         router-id = \"0000.{:04x}.{:04x}\"\nhold-time = 0\n",
        system_id >> 16,
        system_id & 0xffff
    );
    let ours = plan.links.iter().enumerate().filter(|(_, (a, b, _))| [*a, *b].contains(&own));
    for (index, (number, &(a, b, _))) in (1..).zip(ours) {
        let other = if a == own { b } else { a };
        let local = link_descriptor(number as u32, own, other).ipv6_local.context("an address")?;
        let name = format!("eth{index}");
        text += &format!("[[interface]]\nname = \"{name}\"\n");
        let mac = Some([2, 0, 0, 0, 0, index as u8]);
        view.links.insert(index, Link { index, name, mac, mtu: 1500, up: true, kind: None });
        let key = AddressKey { link: index, ip: local.into(), prefix_len: 128, peer: None };
        view.addresses.insert(key, Address { key, tentative: false });
    }
    Ok((text, view))
}

/// Kilobytes that the process has in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
