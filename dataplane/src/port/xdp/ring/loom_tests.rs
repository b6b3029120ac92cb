//! The rings under every interleaving.

use super::memory::Heap;
use super::{Consumer, Producer};

/// In every interleaving, entries come out once, in order, and no slot is read while it is
/// written (loom's cells panic on that).
#[test]
fn one_producer_and_one_consumer() {
    const COUNT: u32 = 4;
    loom::model(|| {
        // Two slots and an index that overflows: every slot is used twice.
        let (a, b) = Heap::pair(2, u32::MAX - 1, 0u32);
        let producing = loom::thread::spawn(move || {
            let mut producer = Producer::new(a);
            let mut next = 0;
            while next < COUNT {
                let want = COUNT - next;
                let n = producer.produce(want, || {
                    next += 1;
                    Some(next)
                });
                if n == 0 {
                    loom::thread::yield_now();
                }
            }
        });
        let mut consumer = Consumer::new(b);
        let mut expected = 0;
        while expected < COUNT {
            let n = consumer.consume(2, |item| {
                expected += 1;
                assert_eq!(item, expected);
            });
            if n == 0 {
                loom::thread::yield_now();
            }
        }
        producing.join().expect("the producer does not panic");
    });
}
