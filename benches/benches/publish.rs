//! The hand-over of the FIB: what a worker pays to look whether there is a new version, and what
//! the control thread pays for a change.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use sidewinder::cli::bench::routes::{Prefix, Routes};
use sidewinder::cli::bench::scenario::Scenario;
use sidewinder_dataplane::fib::Change;
use sidewinder_dataplane::fib::entry::Entry;

const ROUTES: usize = 100_000;

/// A change of a route to one of two groups, in turn: never the one it leads to already.
fn change(route: Prefix, version: u64) -> Change {
    let (key, len) = route;
    let entry = Entry::forward((version & 1) as u32);
    Change::Route { table: 0, v4: false, key, len, entry }
}

fn publish(criterion: &mut Criterion) {
    let routes = Routes::Made(ROUTES).load().expect("made routes");
    let mut writer = Scenario::Ipv6.fib(&routes, 1);
    let mut reader = writer.reader();
    let mut group = criterion.benchmark_group("publish");
    // Once per burst.
    group.bench_function("reader, nothing new", |bencher| {
        bencher.iter(|| {
            black_box(reader.current());
        });
    });
    let mut version = 0;
    group.bench_function("reader, a new version", |bencher| {
        bencher.iter_batched(
            || {
                version += 1;
                writer.stage(change(routes[0], version));
                writer.publish()
            },
            |published| {
                black_box(reader.current());
                assert!(published, "the worker had let go of the spare copy");
            },
            BatchSize::PerIteration,
        );
    });
    // With the worker's part, without which the next version would have to wait.
    for changes in [1, 64, 1024] {
        let id = BenchmarkId::new("stage and publish", changes);
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                version += 1;
                for route in &routes[..changes] {
                    writer.stage(change(*route, version));
                }
                assert!(writer.publish(), "the worker had let go of the spare copy");
                black_box(reader.current());
            });
        });
    }
    group.finish();
}

criterion_group!(benches, publish);
criterion_main!(benches);
