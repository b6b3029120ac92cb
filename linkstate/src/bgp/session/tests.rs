//! A session against a peer that is written out, message by message.

use super::*;
use crate::bgp::notification::{cease, header, update};
use crate::generate::node_event;

fn settings() -> Settings {
    let identifier = Ipv4Addr::new(1, 1, 1, 1);
    Settings { local_as: 65001, peer_as: 65000, identifier, hold_time: 90 }
}

/// What the peer opens with.
fn theirs() -> Open {
    Open::link_state(65000, 30, Ipv4Addr::new(2, 2, 2, 2))
}

struct Test {
    session: Session,
    now: Instant,
    news: Vec<News>,
}

impl Test {
    fn new() -> Self {
        let now = Instant::now();
        let session = Session::new(settings(), Counters::default(), Tally::default(), now);
        Self { session, now, news: Vec::new() }
    }

    fn established() -> Self {
        let mut test = Self::new();
        test.opens_with(&theirs()).unwrap();
        test.says(&keepalive()).unwrap();
        assert_eq!(test.news, [News::Established]);
        test.news.clear();
        test.sent();
        test
    }

    fn says(&mut self, bytes: &[u8]) -> Result<(), End> {
        let Self { session, now, news } = self;
        session.received(bytes, *now, |one| news.push(one))
    }

    fn opens_with(&mut self, open: &Open) -> Result<(), End> {
        self.says(&open.encode().unwrap())
    }

    /// Messages that were sent since this was called before.
    fn sent(&mut self) -> Vec<(Kind, Vec<u8>)> {
        let mut messages = Vec::new();
        let mut rest = self.session.pending();
        while let Some(frame) = frame::first(rest, frame::MAX).unwrap() {
            messages.push((frame.kind, frame.body.to_vec()));
            rest = &rest[frame.length()..];
        }
        assert!(rest.is_empty());
        let count = self.session.pending().len();
        self.session.sent(count, self.now);
        messages
    }

    fn kinds(&mut self) -> Vec<Kind> {
        self.sent().into_iter().map(|(kind, _)| kind).collect()
    }

    fn wait(&mut self, seconds: u64) -> Result<(), End> {
        self.now += Duration::from_secs(seconds);
        self.session.tick(self.now)
    }
}

fn code_of<T>(end: Result<T, End>) -> (u8, u8) {
    match end {
        Err(End::Sent(n) | End::Received(n)) => (n.code, n.subcode),
        _ => panic!("it goes on, or ended without a word"),
    }
}

#[test]
fn opens_confirms_and_is_told() {
    let mut test = Test::new();
    let sent = test.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(Open::decode(&sent[0].1), Ok(Open::link_state(65001, 90, [1, 1, 1, 1].into())));
    test.opens_with(&theirs()).unwrap();
    assert_eq!(test.session.state(), State::OpenConfirm);
    assert_eq!(test.kinds(), [Kind::Keepalive]);
    assert_eq!(test.session.hold_time(), Duration::from_secs(30));
    test.says(&keepalive()).unwrap();
    // There is nothing that we announce: End-of-RIB, and that is all.
    assert_eq!(test.kinds(), [Kind::Update]);
    let update = encode::update(&node_event(3), 65000).unwrap();
    test.says(&[update, encode::withdraw(&[]).unwrap()].concat()).unwrap();
    let events = [News::Event(node_event(3)), News::Event(Event::EndOfRib)];
    assert_eq!(test.news[1..], events);
    let counters = test.session.counters();
    assert_eq!(counters.received(Kind::Update), 2);
    assert_eq!((counters.announced, counters.sent(Kind::Keepalive)), (1, 1));
}

#[test]
fn it_is_the_same_byte_by_byte() {
    let mut test = Test::new();
    let update = encode::update(&node_event(3), 65000).unwrap();
    for byte in [&theirs().encode().unwrap(), &keepalive()[..], &update].concat() {
        test.says(&[byte]).unwrap();
    }
    assert_eq!(test.news, [News::Established, News::Event(node_event(3))]);
}

#[test]
fn an_open_that_does_not_fit_is_answered() {
    let refused = |change: &dyn Fn(&mut Open)| {
        let (mut test, mut open) = (Test::new(), theirs());
        change(&mut open);
        let code = code_of(test.opens_with(&open));
        assert_eq!(test.kinds(), [Kind::Open, Kind::Notification]);
        code
    };
    assert_eq!(refused(&|open| *open = Open::link_state(7, 30, open.identifier)), (2, 2));
    assert_eq!(refused(&|open| open.hold_time = 2), (2, 6));
    assert_eq!(refused(&|open| open.capabilities.retain(|c| *c != Capability::LINK_STATE)), (2, 7));
    // RFC 6286: inside of an AS, both sides must differ.
    let settings = Settings { peer_as: 65001, ..settings() };
    let now = Instant::now();
    let mut session = Session::new(settings, Counters::default(), Tally::default(), now);
    let same = Open::link_state(65001, 30, Ipv4Addr::new(1, 1, 1, 1)).encode().unwrap();
    assert_eq!(code_of(session.received(&same, now, drop)), (2, 3));
}

#[test]
fn messages_out_of_turn_end_it() {
    let mut test = Test::new();
    assert_eq!(code_of(test.says(&keepalive())), (5, 1));
    let mut test = Test::new();
    test.opens_with(&theirs()).unwrap();
    assert_eq!(code_of(test.opens_with(&theirs())), (5, 2));
    let mut test = Test::established();
    assert_eq!(code_of(test.opens_with(&theirs())), (5, 3));
}

#[test]
fn a_peer_without_a_word_is_given_up() {
    let mut test = Test::established();
    for _ in 0..2 {
        test.wait(10).unwrap();
        assert_eq!(test.kinds(), [Kind::Keepalive]);
    }
    assert_eq!(code_of(test.wait(10)), (4, 0));
    assert_eq!(test.kinds(), [Kind::Notification]);
    // With each message it may take as long again.
    let mut test = Test::established();
    for _ in 0..20 {
        test.wait(29).unwrap();
        test.sent();
        test.says(&keepalive()).unwrap();
    }
    let mut test = Test::new();
    assert_eq!(code_of(test.wait(60)), (4, 0));
}

#[test]
fn without_a_hold_time_nothing_is_due() {
    let mut test = Test::new();
    test.opens_with(&Open { hold_time: 0, ..theirs() }).unwrap();
    test.says(&keepalive()).unwrap();
    test.sent();
    assert_eq!(test.session.deadline(), None);
    test.wait(100_000).unwrap();
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let mut test = Test::new();
    test.opens_with(&theirs()).unwrap();
    test.says(&keepalive()).unwrap();
    let pending = test.session.pending().len();
    for _ in 0..47 {
        test.wait(10).unwrap();
        test.says(&keepalive()).unwrap();
    }
    assert_eq!(test.session.pending().len(), pending, "what is not read does not pile up");
    assert_eq!(test.wait(10), Err(End::NotRead));
}

#[test]
fn what_the_peer_says_at_last_is_told() {
    let mut test = Test::established();
    let shutdown = Notification::new(6, cease::SHUTDOWN, b"\x03bye");
    assert_eq!(test.says(&shutdown.encode()), Err(End::Received(shutdown)));
    assert!(Notification::cease(cease::DECONFIGURED).is_final());
    assert!(!Notification::cease(cease::SHUTDOWN).is_final());
}

#[test]
fn no_more_than_a_message_is_kept() {
    let mut test = Test::established();
    // 65535 bytes long, and it never ends.
    let header = [&[0xff; 16][..], &[0xff, 0xff, 2]].concat();
    test.says(&header).unwrap();
    for _ in 0..63 {
        test.says(&[0; 1024]).unwrap();
    }
    assert!(test.session.input.capacity() <= 2 * frame::MAX_EXTENDED);
    assert_eq!(code_of(test.says(&[0; 65536])), (1, header::NOT_SYNCHRONIZED));
    // Without the capability, it is too long.
    let mut test = Test::new();
    let mut open = theirs();
    open.capabilities.retain(|c| *c != Capability::ExtendedMessage);
    test.opens_with(&open).unwrap();
    assert_eq!(code_of(test.says(&header)), (1, header::BAD_LENGTH));
}

#[test]
fn what_cannot_be_told_apart_ends_it_and_the_rest_does_not() {
    let good = encode::update(&node_event(3), 65000).unwrap();
    // MP_REACH, whose NLRI says it is longer.
    let mut wrong = good.clone();
    wrong[23 + 4 + 9 + 2] = 0xff;
    assert_eq!(code_of(Test::established().says(&wrong)), (3, update::OPTIONAL_ATTRIBUTE));
    // ORIGIN that is none: what is announced is withdrawn, and asked for again.
    let mut test = Test::established();
    let mut wrong = good.clone();
    let origin = wrong.windows(5).position(|w| w == [0x50, 1, 0, 1, 0]).unwrap();
    wrong[origin + 4] = 9;
    for wait in [1, 2, 4, 8] {
        test.says(&wrong).unwrap();
        test.says(&wrong).unwrap();
        assert!(matches!(&test.news[..], [News::Event(Event::Withdraw(_)), _]));
        test.news.clear();
        assert_eq!(test.sent(), []);
        test.wait(wait).unwrap();
        assert!(test.kinds().contains(&Kind::RouteRefresh));
        test.says(&keepalive()).unwrap();
    }
}

#[test]
fn a_refresh_has_a_begin_and_an_end() {
    let mut test = Test::established();
    for subtype in [0, 1, 2, 3] {
        let refresh = RouteRefresh { subtype, ..RouteRefresh::LINK_STATE };
        test.says(&refresh.encode()).unwrap();
        test.says(&RouteRefresh { afi: 1, ..refresh }.encode()).unwrap();
    }
    assert_eq!(test.news, [News::RefreshBegins, News::RefreshEnds]);
}

#[test]
fn retries_come_later_and_later() {
    let delays: Vec<_> = (0..12).map(|failures| retry_delay(failures, 0).as_secs()).collect();
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 120, 120, 120, 120, 120]);
    for chance in 0..1000 {
        let delay = retry_delay(3, chance).as_secs_f64();
        assert!((6.0..=8.0).contains(&delay));
    }
}
