//! Look-up and change of the longest-prefix match.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidewinder_benches::numbers;
use sidewinder_dataplane::fib::entry::Entry;
use sidewinder_dataplane::fib::lpm::Lpm;

fn table(routes: usize) -> (Lpm, Vec<u128>) {
    let mut next = numbers(1);
    let mut lpm = Lpm::new();
    let mut keys = Vec::new();
    for route in 0..routes {
        let len = [29, 32, 36, 40, 44, 48, 48, 48][next() as usize % 8];
        let key = (0x2 << 124 | u128::from(next() >> 4) << 64) & (u128::MAX << (128 - len));
        lpm.insert(key, len as u8, Entry::forward(route as u32));
        keys.push(key | u128::from(next()) & (u128::MAX >> len));
    }
    // Visited in an order that has nothing to do with the keys.
    for place in (1..keys.len()).rev() {
        keys.swap(place, next() as usize % (place + 1));
    }
    (lpm, keys)
}

fn lookup(criterion: &mut Criterion) {
    for routes in [10, 1_000, 200_000] {
        let (lpm, keys) = table(routes);
        let keys: Vec<u128> = keys.iter().cycle().take(routes.max(4096)).copied().collect();
        let mut group = criterion.benchmark_group(format!("lookup/{routes}"));
        group.throughput(Throughput::Elements(keys.len() as u64));
        group.bench_function("single", |bencher| {
            bencher.iter(|| {
                for key in &keys {
                    black_box(lpm.lookup(*key));
                }
            });
        });
        let mut entries = [Entry::NONE; 64];
        group.bench_function("batch", |bencher| {
            bencher.iter(|| {
                for keys in keys.chunks(64) {
                    lpm.lookup_batch(keys, &mut entries[..keys.len()]);
                    black_box(&entries);
                }
            });
        });
        group.finish();
    }
}

/// SIDs of a whole network: a few /64, each with some hundred /128.
fn sids(criterion: &mut Criterion) {
    let mut next = numbers(1);
    let mut lpm = Lpm::new();
    let mut keys = Vec::new();
    for sid in 0..4096u32 {
        let key = 0xfc << 120 | u128::from(next() % 16) << 64 | u128::from(next() >> 48) << 48;
        lpm.insert(key, 128, Entry::local(sid));
        keys.push(key);
    }
    let mut group = criterion.benchmark_group("lookup/sids");
    group.throughput(Throughput::Elements(keys.len() as u64));
    let mut entries = [Entry::NONE; 64];
    group.bench_function("batch", |bencher| {
        bencher.iter(|| {
            for keys in keys.chunks(64) {
                lpm.lookup_batch(keys, &mut entries[..keys.len()]);
                black_box(&entries);
            }
        });
    });
    group.finish();
}

fn change(criterion: &mut Criterion) {
    let (mut lpm, keys) = table(200_000);
    let mut place = 0;
    criterion.bench_function("change/200000", |bencher| {
        bencher.iter(|| {
            place = (place + 1) % keys.len();
            let key = keys[place] & (u128::MAX << 80);
            lpm.insert(key, 48, Entry::forward(7));
            lpm.remove(key, 48, None);
        });
    });
}

criterion_group!(benches, lookup, sids, change);
criterion_main!(benches);
