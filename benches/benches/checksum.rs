//! The Internet checksum, over what is summed when packets are answered: a pseudo-header, an IPv4
//! header, an error that quotes a packet.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sidewinder_dataplane::wire::checksum::{fold, pseudo_header, sum};

fn checksum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum");
    for len in [20, 64, 166, 1232, 1500] {
        let bytes: Vec<u8> = (0..len).map(|place| place as u8).collect();
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_with_input(BenchmarkId::from_parameter(len), &bytes, |bencher, bytes| {
            bencher.iter(|| fold(sum(black_box(bytes))));
        });
    }
    group.finish();
    criterion.bench_function("checksum/pseudo-header", |bencher| {
        bencher.iter(|| {
            let (source, destination) = black_box((0xfc00 << 112, 0x2001 << 112));
            fold(pseudo_header(source, destination, 58, black_box(1240)))
        });
    });
}

criterion_group!(benches, checksum);
criterion_main!(benches);
