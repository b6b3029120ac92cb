use std::{sync::Arc, time::Duration};

use super::{
    record::{Bytes, Outcome, Record, Step},
    *,
};
use crate::{
    behavior::{Behavior, Flavors, hmac},
    fib::{
        entry::{Entry, Punted},
        table::left_aligned,
    },
};

const SID: u128 = 0xfc00_0000_0001_000e << 64;

/// A packet that came in by port 1 and was for [`SID`].
fn record(fate: Fate) -> Record {
    let found = Found::Sid {
        address: SID,
        prefix_len: 128,
        behavior: Behavior::End,
        flavors: Flavors::NONE,
        hmac: hmac::Policy::Ignore,
    };
    let entry = Entry::local(7);
    let look_up = LookUp { table: 254, v6: true, key: SID, prefix_len: 128, entry, found };
    let mut record = Record::default();
    record.begin(0, Duration::ZERO, 1, &[0; 14], &[0; 60]);
    record.steps.push(Step {
        event: Event::LookUp(look_up),
        outcome: Some(Outcome::Verdict(crate::verdict::Verdict::Punt(Punted::Host))),
        after: Bytes::default(),
    });
    record.fate = Some(fate);
    record
}

#[test]
fn a_filter_asks_for_all_that_it_says() {
    let forwarded = record(Fate::Forwarded);
    let dropped = record(Fate::Dropped(Reason::UpperLayer));
    let prefix = |v6, key, len| Some(Prefix { v6, key, len });
    let any = Filter::default();
    for (filter, of_forwarded, of_dropped) in [
        (any, true, true),
        (Filter { ingress: Some(1), ..any }, true, true),
        (Filter { ingress: Some(0), ..any }, false, false),
        (Filter { sid: Some(SID), ..any }, true, true),
        (Filter { sid: Some(SID + 1), ..any }, false, false),
        (Filter { reason: Some(Reason::UpperLayer), ..any }, false, true),
        (Filter { reason: Some(Reason::NoRoute), ..any }, false, false),
        (Filter { prefix: prefix(true, SID, 48), ..any }, true, true),
        (Filter { prefix: prefix(true, 0, 0), ..any }, true, true),
        (Filter { prefix: prefix(true, SID + 1, 128), ..any }, false, false),
        (Filter { prefix: prefix(false, 0, 0), ..any }, false, false),
        (Filter { sid: Some(SID), reason: Some(Reason::UpperLayer), ..any }, false, true),
    ] {
        assert_eq!(filter.matches(&forwarded), of_forwarded, "{filter:?}");
        assert_eq!(filter.matches(&dropped), of_dropped, "{filter:?}");
    }
    let replied = record(Fate::Replied(Reason::UpperLayer));
    assert!(Filter { reason: Some(Reason::UpperLayer), ..any }.matches(&replied));
    let v4 = Prefix { v6: false, key: left_aligned(0xc000_0200), len: 24 };
    assert!(v4.contains(false, left_aligned(0xc000_02ff)));
    assert!(!v4.contains(false, left_aligned(0xc000_03ff)));
}

/// A burst of `packets`, all of which match.
fn burst(session: &mut Session, packets: usize) {
    if session.begin(0, 0) {
        (0..packets).for_each(|index| session.record(index, &[0; 14], &[0; 60]));
    }
    session.commit();
}

fn taken(ring: &Ring) -> usize {
    std::iter::from_fn(|| ring.take(|_| ())).count()
}

/// Two workers together give what was wanted, and no more.
#[test]
fn no_more_than_were_wanted() {
    let ring = Ring::new(16, 5);
    let [mut one, mut other] = [0, 1].map(|_| Session::new(Filter::default(), Arc::clone(&ring)));
    burst(&mut one, 3);
    assert!(!ring.is_done());
    burst(&mut other, 3);
    assert!(!one.begin(0, 0) && ring.is_done());
    assert_eq!((taken(&ring), ring.missed()), (5, 0));
}

/// What there is no empty record for is counted, and is still wanted of later packets.
#[test]
fn what_does_not_fit_is_counted() {
    let ring = Ring::new(4, 10);
    let mut session = Session::new(Filter::default(), Arc::clone(&ring));
    burst(&mut session, 6);
    assert_eq!((taken(&ring), ring.missed()), (4, 2));
    burst(&mut session, 4);
    assert_eq!((taken(&ring), ring.missed()), (4, 2));
    burst(&mut session, 4);
    assert_eq!((taken(&ring), ring.missed(), ring.is_done()), (2, 2, true));
    let ring = Ring::new(1, u64::MAX);
    let mut session = Session::new(Filter::default(), Arc::clone(&ring));
    burst(&mut session, 2);
    ring.close();
    burst(&mut session, 2);
    assert_eq!((taken(&ring), ring.missed()), (1, 1));
}

/// The worker takes what was handed over in order, and what it gives back is freed by the other end.
#[test]
fn sessions_go_there_and_back() {
    let tap = Tap::default();
    let ring = Ring::new(1, 1);
    let session = || Session::new(Filter::default(), Arc::clone(&ring));
    assert!(tap.begin(Kind::Trace, session()));
    tap.end(Kind::Trace);
    assert_eq!(tap.version(), 2);
    let first = tap.take().and_then(|order| order.session);
    assert!(tap.take().is_some_and(|order| order.session.is_none()) && tap.take().is_none());
    assert_eq!(Arc::strong_count(&ring), 2);
    tap.give_back(first.unwrap());
    assert!(tap.begin(Kind::Marked, session()));
    assert_eq!(Arc::strong_count(&ring), 2, "the first is freed");
    // A worker that takes nothing is not given more and more, and always the end of what it has.
    let begun = (0..10).filter(|_| tap.begin(Kind::Trace, session())).count();
    assert!((1..5).contains(&begun), "{begun}");
    tap.end(Kind::Trace);
    let orders = std::iter::from_fn(|| tap.take()).count();
    assert_eq!(orders, begun + 2);
}

/// C-152: copies beyond the rate are not made, and counted; of those that are made the last are kept.
#[test]
fn the_last_copies_are_kept() {
    let ring = Ring::new(4, u64::MAX);
    let mut session = Session::of_marked(Arc::clone(&ring));
    let mut made = 0;
    for worker in 0..100 {
        assert!(!session.begin(worker, 0) && session.is_idle());
        for index in 0..3 {
            if session.allows_marked(index) {
                session.record(index, &[0; 14], &[0; 60]);
                assert!(!session.allows_marked(index), "once for each packet");
                made += 1;
            }
        }
        session.commit();
    }
    // A burst of ten, and what 100 a second allow for as long as this takes.
    assert!((10..60).contains(&made), "{made}");
    let kept: Vec<usize> = std::iter::from_fn(|| ring.take(|record| record.worker)).collect();
    assert_eq!(kept.len(), 4);
    assert_eq!(ring.missed(), 300 - made + made - 4);
}
