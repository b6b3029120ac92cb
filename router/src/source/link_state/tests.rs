//! From a topology, of the file or of a peer's, to the RIB.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};

use sidewinder_linkstate::bgp::{Notification, Open, keepalive};
use sidewinder_linkstate::bgp_ls::encode;
use sidewinder_linkstate::generate::{self, Plan};

use super::*;
use crate::kernel::{Address, AddressKey, Link, Neighbour};

const FILE: &str = r#"
    [router]
    name = "r1"
    encap-source = "fc00:0:1::1"
    [[interface]]
    name = "eth0"
    [[interface]]
    name = "eth1"
"#;

const TRIANGLE: &str = r#"
    [[policy]]
    name = "to-r3"
    behavior = "H.Encaps"
    via = ["r2", "r3", "fc00:0:3:d6::"]
    [[route]]
    prefix = "2001:db8:b::/48"
    policy = "to-r3"
    [[node]]
    name = "r1"
    locators = ["fc00:0:1::/48"]
    end-sids = ["fc00:0:1:e::"]
    [[node]]
    name = "r2"
    locators = ["fc00:0:2::/48"]
    [[node]]
    name = "r3"
    locators = ["fc00:0:3::/48"]
    prefixes = ["10.3.0.0/16"]
    [[link]]
    from = "r1"
    to = "r2"
    metric = 10
    local = "fc00:12::1"
    remote = "fc00:12::2"
    adjacency-sids = ["fc00:0:1:e012::"]
    [[link]]
    from = "r1"
    to = "r3"
    metric = 20
    local = "fc00:13::1"
    remote = "fc00:13::3"
    [[link]]
    from = "r2"
    to = "r3"
    metric = 10
"#;

fn config(text: &str) -> Config {
    match sidewinder_config::check(text, "r1.toml") {
        Ok(checked) => checked.config,
        Err(failure) => panic!("{failure}"),
    }
}

/// A kernel with eth0 (index 1) and eth1 (index 2), both up, and these addresses.
fn view(addresses: &[(u32, &str)]) -> View {
    let mut view = View::default();
    for index in [1, 2] {
        let link = Link {
            index,
            name: format!("eth{}", index - 1),
            mac: Some([2, 0, 0, 0, 0, index as u8]),
            mtu: 1500,
            up: true,
            kind: None,
        };
        view.links.insert(index, link);
    }
    for (link, prefix) in addresses {
        let prefix: IpNet = prefix.parse().unwrap();
        let (ip, prefix_len) = (prefix.addr(), prefix.prefix_len());
        let key = AddressKey { link: *link, ip, prefix_len, peer: None };
        view.addresses.insert(key, Address { key, tentative: false });
    }
    view
}

/// The control thread's part that is about routes.
pub(super) struct Test {
    pub(super) control: Control,
    pub(super) link_state: LinkState,
}

impl Test {
    pub(super) async fn new(text: &str, addresses: &[(u32, &str)]) -> Self {
        let (config, view) = (config(&format!("{FILE}{text}")), view(addresses));
        let control = Control::new(config, &view, 1);
        let mut test = Self { control, link_state: LinkState::default() };
        test.link_state.configure(&test.control.config).await.unwrap();
        test.see(&view);
        test
    }

    /// The kernel has become another.
    fn see(&mut self, view: &View) {
        self.control.observe(view);
        self.link_state.observe(view, &self.control);
        self.run();
    }

    async fn reload(&mut self, text: &str, view: &View) {
        let config = config(&format!("{FILE}{text}"));
        self.link_state.configure(&config).await.unwrap();
        self.control.configure(config, view);
        self.run();
    }

    fn run(&mut self) {
        self.link_state.run(&mut self.control);
        self.control.reconcile();
        assert!(self.control.publish());
    }

    /// Goes on until something is as it is to be.
    pub(super) async fn until(&mut self, what: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !what(self) {
                // What is waited for need not be a change of routes.
                let due = self.link_state.due();
                if tokio::time::timeout(Duration::from_millis(50), due).await.is_ok() {
                    self.run();
                }
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(5), waiting).await;
        assert!(came.is_ok(), "{:?} {:#?}", self.count(), self.link_state.details(&self.control));
    }

    fn said(&self, prefix: &str) -> Option<&Opinion> {
        let key = key(prefix.parse().unwrap());
        self.control.rib.of(Source::LinkState, &key).next().map(|route| &route.opinion)
    }

    fn to(&self, prefix: &str) -> String {
        self.said(prefix).map_or("nothing".into(), |opinion| {
            format!("{}, metric {}", opinion.target, opinion.metric)
        })
    }

    /// How many sessions there were.
    pub(super) fn sessions(&self) -> u64 {
        self.link_state.details(&self.control)["session"]["established"].as_u64().unwrap()
    }

    /// How many of them have ended, as far as we have taken notice.
    pub(super) fn ended(&self) -> u64 {
        self.link_state.ended
    }

    /// Routes, and stale ones.
    pub(super) fn count(&self) -> (usize, usize) {
        self.control.rib.count(Source::LinkState)
    }
}

const ADDRESSES: [(u32, &str); 2] = [(1, "fc00:12::1/64"), (2, "fc00:13::1/64")];

#[tokio::test]
async fn a_topology_of_the_file_has_routes_sids_and_segments() {
    let test = Test::new(TRIANGLE, &ADDRESSES).await;
    assert_eq!(test.to("fc00:0:2::/48"), "via fc00:12::2 dev eth0, metric 10");
    let both = "via fc00:12::2 dev eth0 weight 1, via fc00:13::3 dev eth1 weight 1, metric 20";
    assert_eq!(test.to("fc00:0:3::/48"), both);
    // No IPv4 addresses on the links: by the IPv6 ones.
    assert_eq!(test.to("10.3.0.0/16"), both);
    assert_eq!(test.said("fc00:0:3::/48").unwrap().distance, 115);
    assert_eq!(test.to("fc00:0:1::/48"), "nothing");
    assert_eq!(test.to("fc00:0:1:e::/128"), "sid End, metric 0");
    let key = key("fc00:0:1:e012::/128".parse().unwrap());
    let sid = &test.control.sids[&key];
    assert_eq!(sid.source, Source::LinkState);
    let nh6: std::net::Ipv6Addr = "fc00:12::2".parse().unwrap();
    let next_hops = vec![sidewinder_config::NextHop::new(nh6, Some("eth0".into()))];
    assert_eq!(sid.said.behavior, sidewinder_config::Behavior::EndX { next_hops });
    let segs: Vec<_> =
        test.control.policies["to-r3"].said.lists[0].segs.iter().map(ToString::to_string).collect();
    assert_eq!(segs, ["fc00:0:2::", "fc00:0:3::", "fc00:0:3:d6::"]);
}

/// Whatever is told of it, and also where the kernel takes away the addresses that it is found by.
#[tokio::test]
async fn paths_lead_round_a_link_whose_interface_is_down() {
    let mut test = Test::new(TRIANGLE, &ADDRESSES).await;
    let direct = "via fc00:12::2 dev eth0, metric 10";
    for kept in [&ADDRESSES[..], &ADDRESSES[1..]] {
        assert_eq!(test.to("fc00:0:2::/48"), direct);
        let mut down = view(kept);
        down.links.get_mut(&1).unwrap().up = false;
        test.see(&down);
        assert_eq!(test.to("fc00:0:2::/48"), "via fc00:13::3 dev eth1, metric 30");
        assert_eq!(test.to("fc00:0:3::/48"), "via fc00:13::3 dev eth1, metric 20");
        let links = test.link_state.topology().links;
        let marked: Vec<_> = links.iter().filter(|link| link.down).map(|link| &link.to).collect();
        assert_eq!(marked, ["r2"]);
        test.see(&view(&ADDRESSES));
    }
    assert_eq!(test.to("fc00:0:2::/48"), direct);
    assert!(test.control.sids.contains_key(&key("fc00:0:1:e012::/128".parse().unwrap())));
}

#[tokio::test]
async fn what_is_reloaded_is_what_is_there() {
    let mut test = Test::new(TRIANGLE, &ADDRESSES).await;
    let view = view(&ADDRESSES);
    let longer = TRIANGLE.replacen("metric = 10", "metric = 100", 1);
    test.reload(&longer, &view).await;
    assert_eq!(test.to("fc00:0:2::/48"), "via fc00:13::3 dev eth1, metric 30");
    let other = TRIANGLE.replace("fc00:0:2::/48", "fc00:0:22::/48");
    test.reload(&other, &view).await;
    assert_eq!(test.to("fc00:0:2::/48"), "nothing");
    assert_eq!(test.to("fc00:0:22::/48"), "via fc00:12::2 dev eth0, metric 10");
    assert_eq!(test.control.policies["to-r3"].said.lists[0].segs[0].to_string(), "fc00:0:22::");
    test.reload("", &view).await;
    assert_eq!(test.count(), (0, 0));
    assert!(test.control.sids.is_empty());
}

#[tokio::test]
async fn a_policy_waits_for_its_nodes() {
    use crate::control::rib::Standing;
    let session = "[source.bgp-ls]\nlisten = \"[::1]:0\"\nlocal-as = 1\nrouter-id = \"1.1.1.1\"\n";
    let text = format!("{TRIANGLE}{session}")
        .replace("\"r2\", \"r3\", \"fc00:0:3:d6::\"", "\"r2\", \"r9\"");
    let mut test = Test::new(&text, &ADDRESSES).await;
    let standing = |test: &Test| {
        let key = key("2001:db8:b::/48".parse().unwrap());
        let best = test.control.rib.best(&key).unwrap();
        test.control.standing(&key, 0, best, best)
    };
    assert_eq!(standing(&test), Standing::PolicyUnresolved);
    let via = ["r2".to_owned(), "r9".to_owned()];
    assert!(test.control.unresolved(&via).unwrap().starts_with("no node is called `r9`"));
    test.reload(&text.replace("\"r3\"", "\"r9\""), &view(&ADDRESSES)).await;
    assert_eq!(standing(&test), Standing::Best);
    assert_eq!(test.control.unresolved(&via), None);
}

#[tokio::test]
async fn links_are_found_by_what_is_known_of_them() {
    // By our address, or by the prefix that the neighbour's is in.
    let half = TRIANGLE.replace("local = \"fc00:12::1\"\n", "");
    let test = Test::new(&half, &ADDRESSES).await;
    assert_eq!(test.to("fc00:0:2::/48"), "via fc00:12::2 dev eth0, metric 10");
    // By link-local addresses, and the neighbour by being the only one.
    let link_local = TRIANGLE
        .replace("local = \"fc00:12::1\"", "local = \"fe80::12\"")
        .replace("remote = \"fc00:12::2\"\n", "");
    let mut test = Test::new(&link_local, &[(1, "fe80::12/64"), (2, "fe80::13/64")]).await;
    assert_eq!(test.to("fc00:0:2::/48"), "nothing");
    assert_eq!(test.link_state.details(&test.control)["routes-without-next-hop"], 3);
    assert_eq!(test.link_state.sids.skipped.values().next().unwrap().1, Skipped::NextHopUnknown);
    let mut there = view(&[(1, "fe80::12/64"), (2, "fe80::13/64")]);
    let ip: IpAddr = "fe80::2".parse().unwrap();
    let mac = Some([2, 0, 0, 0, 9, 9]);
    let neighbour = Neighbour { link: 1, ip, mac, usable: true, fixed: false, managed: false };
    there.neighbours.insert((1, ip), neighbour);
    test.see(&there);
    assert_eq!(test.to("fc00:0:2::/48"), "via fe80::2 dev eth0, metric 10");
    assert!(test.link_state.sids.skipped.is_empty());
    // What is on no interface of ours is left to other routes.
    let mut test = Test::new(TRIANGLE, &[]).await;
    test.run();
    assert_eq!(test.to("fc00:0:2::/48"), "via fc00:12::2, metric 10");
    let without =
        |test: &Test| test.link_state.details(&test.control)["routes-without-next-hop"].clone();
    assert_eq!(without(&test), 3);
    test.see(&view(&ADDRESSES));
    assert_eq!(without(&test), 0);
    assert_eq!(test.to("fc00:0:2::/48"), "via fc00:12::2 dev eth0, metric 10");
}

/// A feed of our own, as the peer sees it.
pub(super) struct Peer(TcpStream);

impl Drop for Peer {
    fn drop(&mut self) {
        // Its reader has the connection, too.
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

impl Peer {
    fn accept(listener: &TcpListener) -> Self {
        Self::new(listener.accept().unwrap().0)
    }

    fn new(stream: TcpStream) -> Self {
        let mut peer = Self(stream);
        let open = Open::link_state(65000, 30, Ipv4Addr::new(2, 2, 2, 2)).encode().unwrap();
        peer.says(&[&open[..], &keepalive()].concat());
        // What it is told is of no interest, but it has to be read.
        let mut stream = peer.0.try_clone().unwrap();
        std::thread::spawn(move || while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {});
        peer
    }

    pub(super) fn says(&mut self, bytes: &[u8]) {
        // A session that has ended takes no more.
        let _ = self.0.write_all(bytes);
    }

    /// Has the session end, when all that was said has been read.
    pub(super) fn says_goodbye(&mut self) {
        let _ = self.0.shutdown(std::net::Shutdown::Write);
    }

    fn tells<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) {
        let updates = events.into_iter().map(|event| encode::update(event, 65001).unwrap());
        let bytes: Vec<u8> = updates.flatten().collect();
        self.says(&bytes);
    }
}

fn feed(grace: u32) -> (TcpListener, String) {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let text = format!(
        "[source.bgp-ls]\npeer = \"{}\"\nlocal-as = 65000\nrouter-id = \"0000.0000.0001\"\n\
         grace = {grace}\n",
        listener.local_addr().unwrap()
    );
    (listener, text)
}

/// Five nodes in a row, and we are the first; its link to the second is on eth0.
fn row() -> (Plan, Vec<Event>) {
    events_of(5)
}

/// A row of so many nodes.
pub(super) fn events_of(nodes: usize) -> (Plan, Vec<Event>) {
    let plan = Plan { nodes, links: (0..nodes - 1).map(|node| (node, node + 1, 10)).collect() };
    let events = plan.events().collect();
    (plan, events)
}

/// Where peers connect to.
pub(super) struct Door(std::net::SocketAddr);

impl Door {
    pub(super) async fn connect(&self) -> Peer {
        let address = self.0;
        let connected = tokio::task::spawn_blocking(move || TcpStream::connect(address)).await;
        Peer::new(connected.unwrap().unwrap())
    }
}

/// A file that has us wait for peers.
pub(super) fn listening() -> (Door, String) {
    // It is free now, and taken at once.
    let address = TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap();
    let text = format!(
        "[source.bgp-ls]\nlisten = \"{address}\"\nlocal-as = 65000\n\
         router-id = \"0000.0000.0001\"\ngrace = 3600\n"
    );
    (Door(address), text)
}

pub(super) const ROW: [(u32, &str); 1] = [(1, "fc00:0:1:ffff::/64")];

#[tokio::test]
async fn a_session_fills_the_rib_and_what_it_told_stays_for_a_while() {
    let (listener, text) = feed(3600);
    let mut test = Test::new(&text, &ROW).await;
    let accept = std::thread::spawn(move || (Peer::accept(&listener), listener));
    let (_, events) = row();
    test.link_state.due = None;
    let (mut peer, listener) =
        tokio::task::spawn_blocking(|| accept.join().unwrap()).await.unwrap();
    peer.tells(&events);
    peer.tells([&Event::EndOfRib]);
    // Locators and loopbacks of the four others, our SID, and that of our link.
    test.until(|test| test.count() == (10, 0)).await;
    let hop = "via fc00:0:2:ffff:: dev eth0";
    assert_eq!(test.to("fc00:0:5::/48"), format!("{hop}, metric 40"));
    assert_eq!(test.to("fc00:0:1:1::/128"), "sid End, metric 0");
    assert_eq!(test.link_state.state(), "Established");
    // The session ends: all is stale, and as good as before.
    drop(peer);
    let accept = std::thread::spawn(move || Peer::accept(&listener));
    test.until(|test| test.count() == (10, 10)).await;
    let mut peer = tokio::task::spawn_blocking(|| accept.join().unwrap()).await.unwrap();
    // The last node is told no more.
    let gone: Vec<_> = events.iter().filter(|event| !about(event, 4)).collect();
    peer.tells(gone);
    peer.tells([&Event::EndOfRib]);
    test.until(|test| test.count() == (8, 0)).await;
    assert_eq!(test.to("fc00:0:5::/48"), "nothing");
    assert_eq!(test.to("fc00:0:4::/48"), format!("{hop}, metric 30"));
    // It says that it will not come back.
    peer.says(&Notification::cease(3).encode());
    test.until(|test| test.count() == (0, 0)).await;
    assert_eq!(test.link_state.details(&test.control)["nodes"], 0);
}

#[tokio::test]
async fn a_reload_that_fails_changes_nothing() {
    let (door, text) = listening();
    let mut test = Test::new(&text, &ROW).await;
    let mut peer = door.connect().await;
    peer.tells(&row().1);
    peer.tells([&Event::EndOfRib]);
    test.until(|test| test.count() == (10, 0)).await;
    // An address that no host has (RFC 6666), another grace, another own node, and a topology.
    let wrong = text
        .replace("[::1]", "[100::1]")
        .replace("grace = 3600", "grace = 0")
        .replace("0000.0000.0001", "0000.0000.0002");
    let wrong = config(&format!("{FILE}{wrong}{TRIANGLE}"));
    let error = test.link_state.configure(&wrong).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot listen for BGP on [100::1]"), "{error}");
    test.run();
    assert_eq!((test.count(), test.ended(), test.sessions()), ((10, 0), 0, 1));
    assert_eq!(test.link_state.state(), "Established");
    assert_eq!(test.link_state.grace, Duration::from_secs(3600));
    // Nor may it listen where somebody else does.
    let other = TcpListener::bind("[::1]:0").unwrap();
    let taken = text.replace(&door.0.to_string(), &other.local_addr().unwrap().to_string());
    let taken = config(&format!("{FILE}{taken}"));
    assert!(test.link_state.configure(&taken).await.is_err());
    assert_eq!(test.link_state.state(), "Established");
    // Where we listen already, a session with other settings takes the place of the old one.
    test.reload(&text.replace("grace", "hold-time = 30\ngrace"), &view(&ROW)).await;
    test.until(|test| test.count() == (10, 10)).await;
    let mut peer = door.connect().await;
    peer.tells(&row().1);
    peer.tells([&Event::EndOfRib]);
    test.until(|test| test.count() == (10, 0)).await;
    assert!(TcpListener::bind(door.0).is_err());
}

#[tokio::test]
async fn a_refresh_has_its_own_time() {
    use sidewinder_linkstate::bgp::route_refresh::RouteRefresh;
    let (door, text) = listening();
    let mut test = Test::new(&text.replace("3600", "0"), &ROW).await;
    let mut peer = door.connect().await;
    let (_, events) = row();
    peer.tells(&events);
    peer.tells([&Event::EndOfRib]);
    test.until(|test| test.count() == (10, 0)).await;
    // RFC 7313, section 4: all stays until it has been told again, or the time for that is over.
    let says = |subtype| RouteRefresh { subtype, ..RouteRefresh::LINK_STATE }.encode();
    peer.says(&says(1));
    test.until(|test| test.count() == (10, 10)).await;
    assert!(test.link_state.sweep_at.unwrap() > Instant::now() + Duration::from_secs(120));
    peer.tells(events.iter().filter(|event| !about(event, 4)));
    peer.says(&says(2));
    test.until(|test| test.count() == (8, 0)).await;
    // Without a session, nothing stays.
    peer.says(&says(1));
    test.until(|test| test.count() == (8, 8)).await;
    drop(peer);
    test.until(|test| test.count() == (0, 0)).await;
}

/// Whether an event is about a node, or a link of it.
fn about(event: &Event, node: usize) -> bool {
    let key = generate::key(node);
    match event.nlri() {
        Some(Nlri::Node(node) | Nlri::Prefix { node, .. } | Nlri::Sid { node, .. }) => node == key,
        Some(Nlri::Link { from, to, .. }) => from == key || to == key,
        None => false,
    }
}

#[tokio::test]
async fn what_is_stale_goes_after_its_time() {
    let (listener, text) = feed(1);
    let mut test = Test::new(&format!("{text}{TRIANGLE}"), &ROW).await;
    let (_, events) = row();
    std::thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        peer.tells(&events);
        std::thread::sleep(Duration::from_millis(300));
    });
    test.until(|test| test.said("fc00:0:5::/48").is_some()).await;
    let with_feed = test.count().0;
    test.until(|test| test.count().1 > 0).await;
    let began = Instant::now();
    test.until(|test| test.count().1 == 0).await;
    assert!(began.elapsed() > Duration::from_millis(700), "{:?}", began.elapsed());
    assert_eq!(test.to("fc00:0:5::/48"), "nothing");
    // What the file tells is not the session's.
    assert_eq!(
        test.to("fc00:0:3::/48"),
        "via fc00:12::2 weight 1, via fc00:13::3 weight 1, metric 20"
    );
    assert!(test.count().0 < with_feed);
}

#[tokio::test]
async fn a_change_is_followed_at_once_and_a_storm_is_not() {
    let (listener, text) = feed(10);
    let mut test = Test::new(&text, &ROW).await;
    let (_, events) = row();
    let (sender, orders) = std::sync::mpsc::channel::<Vec<Event>>();
    std::thread::spawn(move || {
        let mut peer = Peer::accept(&listener);
        while let Ok(order) = orders.recv() {
            peer.tells(&order);
        }
    });
    sender.send(events).unwrap();
    test.until(|test| test.said("fc00:0:5::/48").is_some()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let metric = |test: &Test| test.said("fc00:0:5::/48").map(|said| said.metric);
    let began = Instant::now();
    sender.send(vec![generate::link_event(0, 0, 1, 20)]).unwrap();
    test.until(|test| metric(test) == Some(50)).await;
    assert!(began.elapsed() < Duration::from_millis(40), "{:?}", began.elapsed());
    // A change per millisecond, for half a second.
    let storm = std::thread::spawn(move || {
        for number in 1..=500 {
            sender.send(vec![generate::link_event(0, 0, 1, 20 + number)]).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        sender
    });
    let runs = |test: &Test| {
        let Runs { full, incremental, nothing } = test.link_state.trees.runs;
        full + incremental + nothing
    };
    let before = runs(&test);
    let began = Instant::now();
    test.until(|test| metric(test) == Some(550)).await;
    let most = began.elapsed().as_millis() as u64 / 50 + 2;
    assert!(runs(&test) - before <= most, "{} of {most}", runs(&test) - before);
    drop(storm.join().unwrap());
}
