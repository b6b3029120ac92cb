//! The rings, with the test at the other end.

use super::memory::Heap;
use super::*;
use crate::frame::HEADROOM;

const NO_DESC: Desc = Desc { addr: 0, len: 0, options: 0 };

#[test]
fn entries_come_out_in_order_across_the_index_overflow() {
    let (a, b) = Heap::pair(8, u32::MAX - 20, 0u64);
    let (mut producer, mut consumer) = (Producer::new(a), Consumer::new(b));
    let mut next = 0;
    let mut expected = 0;
    for round in 0..1000 {
        producer.produce(round % 9, || {
            next += 1;
            Some(next)
        });
        consumer.consume(round % 7, |item| {
            expected += 1;
            assert_eq!(item, expected);
        });
    }
}

#[test]
fn a_full_ring_takes_no_more_and_an_empty_one_gives_nothing() {
    let (a, b) = Heap::pair(4, 0, 0u64);
    let (mut producer, mut consumer) = (Producer::new(a), Consumer::new(b));
    assert_eq!(consumer.consume(4, |_| unreachable!("the ring is empty")), 0);
    assert_eq!(producer.produce(5, || Some(7)), 4);
    assert_eq!(producer.pending(), 4);
    assert_eq!(producer.produce(1, || Some(7)), 0);
    assert_eq!(consumer.consume(3, |item| assert_eq!(item, 7)), 3);
    assert_eq!(producer.pending(), 1);
    assert_eq!(producer.room(10), 3);
    assert_eq!(producer.room(2), 2);
}

#[test]
fn items_may_end_before_the_room() {
    let (a, b) = Heap::pair(8, 0, 0u64);
    let (mut producer, mut consumer) = (Producer::new(a), Consumer::new(b));
    let mut items = [1, 2, 3].into_iter();
    assert_eq!(producer.produce(8, || items.next()), 3);
    let mut read = Vec::new();
    consumer.consume(8, |item| read.push(item));
    assert_eq!(read, [1, 2, 3]);
}

#[test]
fn indices_beyond_reason_are_contained() {
    let (a, b) = Heap::pair(4, 0, 0u64);
    b.producer().release(1_000);
    let mut consumer = Consumer::new(b);
    assert_eq!(consumer.consume(u32::MAX, |_| ()), 4);
    a.consumer().release(2_000);
    a.producer().release(0);
    let mut producer = Producer::new(a);
    assert_eq!(producer.room(4), 0);
}

/// The four rings of a socket, with a kernel that loops every sent packet back.
#[test]
fn frames_are_conserved_through_the_four_rings() {
    const FRAMES: u32 = 64;
    let (fill, kernel_fill) = Heap::pair(32, 5, 0u64);
    let (comp, kernel_comp) = Heap::pair(32, u32::MAX - 100, 0u64);
    let (rx, kernel_rx) = Heap::pair(16, 0, NO_DESC);
    let (tx, kernel_tx) = Heap::pair(16, 77, NO_DESC);
    let (mut fill, mut comp) = (FillRing::new(fill), CompRing::new(comp));
    let (mut rx, mut tx) = (RxRing::new(rx), TxRing::new(tx));
    let mut kernel_fill = Consumer::new(kernel_fill);
    let mut kernel_comp = Producer::new(kernel_comp);
    let mut kernel_rx = Producer::new(kernel_rx);
    let mut kernel_tx = Consumer::new(kernel_tx);

    let mut free = FreeList::new((0..FRAMES).map(Frame::new).collect());
    let mut burst = Burst::new();
    let mut refused = Vec::new();
    let (mut held, mut received, mut sent) = (0, 0, 0);
    for round in 0..10_000u32 {
        held -= comp.reclaim(&mut free);
        held += fill.fill(32, &mut free);

        let room = kernel_rx.room(round % 5);
        kernel_fill.consume(room, |address| {
            let desc = Desc { addr: address + HEADROOM as u64, len: 100, options: 0 };
            assert_eq!(kernel_rx.produce(1, || Some(desc)), 1);
        });
        let n = rx.receive(&mut burst);
        held -= n;
        received += n;

        for packet in &mut burst {
            assert_eq!((packet.head, packet.len), (256, 100));
            packet.head -= 40;
            packet.len += 40;
        }
        let n = tx.send(&mut burst, &mut refused);
        held += n;
        sent += n;
        // What was left is dropped, as a worker would.
        for mut packet in burst.drain(..) {
            packet.head = 0;
            free.push(packet.frame);
        }
        kernel_tx.consume(round % 7, |desc| {
            assert_eq!((desc.addr % 2048, desc.len), (216, 140));
            assert_eq!(kernel_comp.produce(1, || Some(desc.addr)), 1);
        });
        assert_eq!(free.len() as u32 + held, FRAMES);
    }
    assert!(received > 10_000, "{received}");
    assert_eq!(received, sent);
    assert!(refused.is_empty());
}

#[test]
fn a_packet_that_the_kernel_would_refuse_is_handed_back() {
    let (tx, kernel) = Heap::pair(8, 0, NO_DESC);
    let (mut tx, mut kernel) = (TxRing::new(tx), Consumer::new(kernel));
    let mut burst = Burst::new();
    for (index, (head, len)) in
        [(256, 60), (256, 13), (256, 1793), (2047, 60), (256, 1792)].into_iter().enumerate()
    {
        burst.push(PacketBuf { frame: Frame::new(index as u32), head, len });
    }
    let mut refused = Vec::new();
    assert_eq!(tx.send(&mut burst, &mut refused), 2);
    assert!(burst.is_empty());
    assert_eq!(refused, [Frame::new(1), Frame::new(2), Frame::new(3)]);
    let mut sent = Vec::new();
    kernel.consume(8, |desc| sent.push(desc.len));
    assert_eq!(sent, [60, 1792]);
}

#[test]
fn what_has_no_room_stays_in_the_burst() {
    let (tx, _kernel) = Heap::pair(2, 0, NO_DESC);
    let mut tx = TxRing::new(tx);
    let mut burst: Burst =
        (0..5).map(|i| PacketBuf { frame: Frame::new(i), head: 256, len: 60 }).collect();
    assert_eq!(tx.send(&mut burst, &mut Vec::new()), 2);
    let left: Vec<_> = burst.iter().map(|packet| packet.frame.index()).collect();
    assert_eq!(left, [2, 3, 4]);
}

#[test]
fn two_threads() {
    const COUNT: u64 = 200_000;
    let (a, b) = Heap::pair(64, 0, 0u64);
    let (mut producer, mut consumer) = (Producer::new(a), Consumer::new(b));
    let thread = std::thread::spawn(move || {
        let mut next = 0;
        while next < COUNT {
            let n = producer.produce(16, || {
                next += 1;
                (next <= COUNT).then_some(next)
            });
            if n == 0 {
                std::thread::yield_now();
            }
        }
    });
    let mut expected = 0;
    while expected < COUNT {
        let n = consumer.consume(32, |item| {
            expected += 1;
            assert_eq!(item, expected);
        });
        if n == 0 {
            std::thread::yield_now();
        }
    }
    thread.join().expect("the producer does not panic");
}
