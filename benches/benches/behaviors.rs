//! Each behavior, through the whole pipeline: the scenarios of `sidewinder bench core`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidewinder::cli::bench::rig::{Rig, VECTOR};
use sidewinder::cli::bench::routes::{Routes, destinations};
use sidewinder::cli::bench::scenario::Scenario;

fn behaviors(criterion: &mut Criterion) {
    for count in [10, 100_000] {
        let routes = Routes::Made(count).load().expect("made routes");
        let addresses = destinations(&routes, count.max(4096)).expect("made routes are forwarded");
        let mut group = criterion.benchmark_group(format!("behavior/{count}"));
        group.throughput(Throughput::Elements(VECTOR as u64));
        for scenario in Scenario::ALL {
            let mut writer = scenario.fib(&routes, 1);
            let mut rig = Rig::new(0, writer.reader(), scenario.template(), addresses.clone())
                .expect("a rig");
            // Only the processing of a vector is timed, not how it is laid out.
            group.bench_function(scenario.name(), |bencher| {
                bencher.iter_custom(|vectors| rig.run(vectors as usize).expect("all are sent"));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, behaviors);
criterion_main!(benches);
