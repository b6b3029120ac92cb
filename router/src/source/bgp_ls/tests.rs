//! Sessions over loopback, with a peer that follows a script.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Instant;

use sidewinder_linkstate::bgp::frame::{self, Kind};
use sidewinder_linkstate::bgp::{Notification, Open, keepalive};
use sidewinder_linkstate::bgp_ls::encode;
use sidewinder_linkstate::generate::{Plan, node_event};
use sidewinder_linkstate::ted::Event;

use super::*;

/// The peer: it blocks, on a thread of its own.
struct Peer {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream, input: Vec::new() }
    }

    fn says(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next message; `None` at the end of the connection.
    fn hears(&mut self) -> Option<(Kind, Vec<u8>)> {
        loop {
            if let Some(message) = frame::first(&self.input, frame::MAX).unwrap() {
                let (kind, body, length) = (message.kind, message.body.to_vec(), message.length());
                self.input.drain(..length);
                return Some((kind, body));
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.input.extend(&bytes[..count]),
            }
        }
    }

    fn hears_of(&mut self, kind: Kind) -> Vec<u8> {
        loop {
            let (heard, body) = self.hears().expect("it goes on");
            if heard == kind {
                return body;
            }
        }
    }

    /// Says hello, as far as Established.
    fn greets(&mut self, hold_time: u16) {
        self.says(&theirs(hold_time).encode().unwrap());
        Open::decode(&self.hears_of(Kind::Open)).unwrap();
        self.hears_of(Kind::Keepalive);
        self.says(&keepalive());
        self.hears_of(Kind::Update);
    }
}

fn theirs(hold_time: u16) -> Open {
    Open::link_state(65000, hold_time, Ipv4Addr::new(2, 2, 2, 2))
}

fn settings(side: Side) -> Settings {
    let identifier = Ipv4Addr::new(1, 1, 1, 1);
    let session = session::Settings { local_as: 65001, peer_as: 65000, identifier, hold_time: 90 };
    Settings { session, side, password_file: None }
}

/// A feed from a peer that does what `script` says, connection by connection.
fn active(script: impl FnOnce(&TcpListener) + Send + 'static) -> Settings {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let peer = listener.local_addr().unwrap();
    std::thread::spawn(move || script(&listener));
    settings(Side::Active { peer, from: None })
}

fn accept(listener: &TcpListener) -> Peer {
    Peer::new(listener.accept().unwrap().0)
}

/// Everything up to and with the first message that is one of `last`.
async fn until(feed: &mut Feed, last: impl Fn(&Message) -> bool) -> Vec<Message> {
    let mut messages = Vec::new();
    let all = async {
        loop {
            messages.push(feed.next().await);
            if messages.last().is_some_and(&last) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("it comes");
    messages
}

fn events(messages: &[Message]) -> Vec<Event> {
    let news = messages.iter().filter_map(|message| match message {
        Message::News(news) => Some(news),
        Message::Down { .. } => None,
    });
    news.flatten()
        .filter_map(|one| match one {
            News::Event(event) => Some(event.clone()),
            _ => None,
        })
        .collect()
}

fn tells(message: &Message, wanted: &Event) -> bool {
    matches!(message, Message::News(news) if news.contains(&News::Event(wanted.clone())))
}

fn is_down(message: &Message) -> bool {
    matches!(message, Message::Down { .. })
}

#[tokio::test]
async fn a_session_is_opened_told_and_opened_again() {
    let updates: Vec<u8> = (0..100)
        .filter_map(|node| encode::update(&node_event(node), 65000))
        .flatten()
        .chain(encode::withdraw(&[]).unwrap())
        .collect();
    let mut feed = Feed::start(active(move |listener| {
        for _ in 0..2 {
            let mut peer = accept(listener);
            peer.greets(30);
            peer.says(&updates);
            // One of each way to end: by a word, and without.
            peer.says(&Notification::new(6, 2, b"\x03bye").encode());
            assert_eq!(peer.hears(), None);
        }
        let mut peer = accept(listener);
        peer.greets(30);
        drop(peer);
        let mut peer = accept(listener);
        peer.greets(30);
        let goodbye = peer.hears_of(Kind::Notification);
        assert_eq!(goodbye, [6, 2]);
    }))
    .unwrap();
    for _ in 0..2 {
        let messages = until(&mut feed, is_down).await;
        let events = events(&messages);
        assert_eq!(events[..100], (0..100).map(node_event).collect::<Vec<_>>());
        assert_eq!(events[100..], [Event::EndOfRib]);
        assert_eq!(messages.last(), Some(&Message::Down { resumes: true }));
    }
    until(&mut feed, is_down).await;
    let established = |message: &Message| *message == Message::News(vec![News::Established]);
    until(&mut feed, established).await;
    let status = feed.status();
    assert!(status.phase.is_established());
    assert_eq!(status.established, 4);
    assert_eq!(status.counters.announced, 200);
    assert_eq!(status.ends[Ended::Received as usize], 2);
    assert_eq!(status.ends[Ended::Closed as usize], 1);
    assert_eq!(status.identifier, Some(Ipv4Addr::new(2, 2, 2, 2)));
    feed.stop().await;
}

#[tokio::test]
async fn who_is_not_there_is_tried_again() {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let peer = listener.local_addr().unwrap();
    drop(listener);
    let mut feed = Feed::start(settings(Side::Active { peer, from: None })).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(feed.status().ends[Ended::Connect as usize], 1);
    assert_eq!(feed.status().last.unwrap().1, "cannot connect: connection refused");
    std::thread::spawn(move || {
        let listener = TcpListener::bind(peer).unwrap();
        accept(&listener).greets(30);
    });
    until(&mut feed, is_down).await;
}

#[tokio::test]
async fn we_wait_where_we_are_to() {
    let from = "::1/128".parse().ok();
    let (address, mut feed) = loop {
        // A port that is free now may not be so any more.
        let address = TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap();
        if let Ok(feed) = Feed::start(settings(Side::Passive { listen: address, from })) {
            break (address, feed);
        }
    };
    assert_eq!(feed.status().phase.name(), "Idle");
    let connect = move || Peer::new(TcpStream::connect(address).unwrap());
    let script = std::thread::spawn(move || {
        let mut peer = connect();
        peer.greets(30);
        peer.says(&encode::update(&node_event(1), 65000).unwrap());
        // It has restarted, and the old connection is of no use.
        let mut again = connect();
        again.greets(30);
        again.says(&encode::update(&node_event(2), 65000).unwrap());
        // RFC 4724, section 5: it ends without a word.
        assert_eq!(peer.hears(), None);
        again.hears_of(Kind::Notification);
    });
    until(&mut feed, |message| tells(message, &node_event(1))).await;
    until(&mut feed, is_down).await;
    until(&mut feed, |message| tells(message, &node_event(2))).await;
    feed.stop().await;
    script.join().unwrap();
}

#[tokio::test]
async fn others_may_not_connect() {
    let from = "10.9.9.0/24".parse().ok();
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let feed = Feed::start(settings(Side::Passive { listen, from })).unwrap();
    let peer =
        tokio::task::spawn_blocking(move || Peer::new(TcpStream::connect(listen).unwrap()).hears());
    assert_eq!(peer.await.unwrap(), None);
    assert_eq!(feed.status().ends[Ended::Rejected as usize], 1);
}

#[tokio::test]
async fn a_second_connection_of_a_peer_that_does_not_restart_is_refused() {
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut feed = Feed::start(settings(Side::Passive { listen, from: None })).unwrap();
    let script = std::thread::spawn(move || {
        let mut open = theirs(30);
        open.capabilities
            .retain(|c| !matches!(c, sidewinder_linkstate::bgp::Capability::GracefulRestart(_)));
        let mut peer = Peer::new(TcpStream::connect(listen).unwrap());
        peer.says(&open.encode().unwrap());
        peer.hears_of(Kind::Keepalive);
        peer.says(&keepalive());
        peer.hears_of(Kind::Update);
        let mut another = Peer::new(TcpStream::connect(listen).unwrap());
        assert_eq!(another.hears(), Some((Kind::Notification, vec![6, 7])));
        peer.says(&encode::update(&node_event(1), 65000).unwrap());
        peer
    });
    until(&mut feed, |message| tells(message, &node_event(1))).await;
    assert_eq!(feed.status().ends[Ended::Rejected as usize], 1);
    drop(script.join().unwrap());
}

#[tokio::test]
async fn a_peer_that_stalls_is_given_up() {
    let mut feed = Feed::start(active(|listener| {
        let mut peer = accept(listener);
        peer.greets(3);
        // In the middle of a message.
        peer.says(&encode::update(&node_event(1), 65000).unwrap()[..50]);
        assert_eq!(peer.hears_of(Kind::Notification), [4, 0]);
        // One that does not even say hello does no harm either.
        accept(listener).hears_of(Kind::Open);
    }))
    .unwrap();
    let began = Instant::now();
    until(&mut feed, is_down).await;
    assert!(began.elapsed() > Duration::from_secs(2));
    assert_eq!(feed.status().ends[Ended::HoldTimer as usize], 1);
}

#[tokio::test]
async fn a_flood_waits_at_the_door() {
    let mut feed = Feed::start(active(|listener| {
        let mut peer = accept(listener);
        peer.greets(30);
        let flood: Vec<u8> = Plan::provider(500, 1500, 1)
            .events()
            .filter_map(|event| encode::update(&event, 65000))
            .flatten()
            .collect();
        // Until nobody listens any more.
        while peer.stream.write_all(&flood).is_ok() {}
    }))
    .unwrap();
    // Nobody takes the news: no more is read than fits the channel.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let read = feed.status().counters.bytes;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(feed.status().counters.bytes, read);
    assert!(read <= (WAITING as u64 + 2) * 64 * 1024, "{read} bytes");
    let mut taken = 0;
    while taken < 20_000 {
        taken += events(&[feed.next().await]).len();
    }
}

#[tokio::test]
async fn sessions_are_signed() {
    use sidewinder_dataplane::port::tcp_md5;
    let listener = TcpListener::bind("[::1]:0").unwrap();
    if let Err(error) = tcp_md5::sign(&listener, "::1".parse().unwrap(), 128, b"secret") {
        return println!("SKIPPED: no TCP MD5 signatures: {error}");
    }
    let peer = listener.local_addr().unwrap();
    std::thread::spawn(move || accept(&listener).greets(30));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let mut settings = settings(Side::Active { peer, from: None });
    settings.password_file = Some(file.clone());
    let error = Feed::start(settings.clone()).unwrap_err().to_string();
    assert!(error.starts_with("cannot read password-file"), "{error}");
    std::fs::write(&file, "\n").unwrap();
    let error = Feed::start(settings.clone()).unwrap_err().to_string();
    assert!(error.contains("1 to 80 bytes"), "{error}");
    std::fs::write(&file, "secret\n").unwrap();
    let mut feed = Feed::start(settings).unwrap();
    until(&mut feed, is_down).await;
    assert_eq!(feed.status().established, 1);
}

#[tokio::test]
async fn who_connects_by_ipv4_signs_too() {
    let listen = TcpListener::bind("[::]:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "secret\n").unwrap();
    let from = "127.0.0.0/8".parse().ok();
    let mut settings = settings(Side::Passive { listen, from });
    settings.password_file = Some(file);
    let mut feed = match Feed::start(settings) {
        Ok(feed) => feed,
        Err(error) if format!("{error:#}").contains("not available") => {
            return println!("SKIPPED: no TCP MD5 signatures: {error:#}");
        }
        Err(error) => panic!("{error:#}"),
    };
    let address = std::net::SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port());
    let connection = transport::connect(address, None, Some(b"secret")).await.unwrap();
    let stream = connection.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let script = tokio::task::spawn_blocking(move || Peer::new(stream).greets(30));
    until(&mut feed, is_down).await;
    script.await.unwrap();
    assert_eq!(feed.status().established, 1);
}
