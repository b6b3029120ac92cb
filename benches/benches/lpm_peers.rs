//! Sidewinder's look-up beside that of other crates: the same table, the same addresses.
//!
//! The table is the file that `SIDEWINDER_ROUTES` names (an IPv6 prefix a line, gzip accepted), or
//! the one in `../shared`, or else a made one. All give the same answers before they are measured.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::read::GzDecoder;
use ip_network_table_deps_treebitmap::IpLookupTable;
use poptrie::Poptrie;
use prefix_trie::PrefixMap;
use sidewinder_benches::numbers;
use sidewinder_dataplane::fib::entry::{Action, Entry};
use sidewinder_dataplane::fib::lpm::Lpm;

/// A prefix: its bits, left-aligned, and how many there are.
type Prefix = (u128, u8);

/// Addresses that are looked up, in an order that has nothing to do with the table's.
const ADDRESSES: usize = 1 << 20;

/// Routes of the made table.
const MADE: usize = 246_000;

fn mask(len: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0)
}

fn file() -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data/fib/ris-as3333-2026-05-11-ipv6.txt.gz");
    let named = std::env::var_os("SIDEWINDER_ROUTES").map(PathBuf::from);
    named.or_else(|| Some(shared).filter(|path| path.exists()))
}

fn read(path: &Path) -> Vec<Prefix> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> =
        if packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    let parse = |line: String| {
        let (address, len) = line.trim().split_once('/')?;
        let (address, len): (Ipv6Addr, u8) = (address.parse().ok()?, len.parse().ok()?);
        Some((u128::from(address) & mask(len), len))
    };
    BufReader::new(reader)
        .lines()
        .map(|line| line.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| parse(line.clone()).unwrap_or_else(|| panic!("not a prefix: {line}")))
        .collect()
}

/// The lengths of the global table: half of them /48, the others /29 to /47.
fn made() -> Vec<Prefix> {
    let mut next = numbers(1);
    let mut prefix = || {
        let len = [29, 32, 36, 40, 44, 46, 48, 48, 48, 48][next() as usize % 10];
        ((0x2 << 124 | u128::from(next() >> 4) << 64) & mask(len), len)
    };
    let mut routes: Vec<Prefix> = (0..MADE).map(|_| prefix()).collect();
    routes.sort_unstable();
    routes.dedup();
    routes
}

/// Random addresses of random prefixes.
fn addresses(routes: &[Prefix]) -> Vec<u128> {
    let mut next = numbers(3);
    let mut address = || {
        let (key, len) = routes[next() as usize % routes.len()];
        key | (u128::from(next()) << 64 | u128::from(next())) & !mask(len)
    };
    (0..ADDRESSES).map(|_| address()).collect()
}

fn value(place: usize) -> u32 {
    place as u32 & 0xff
}

fn peers(criterion: &mut Criterion) {
    let routes = match file() {
        Some(path) => {
            eprintln!("table: {}", path.display());
            read(&path)
        }
        None => made(),
    };
    let keys = addresses(&routes);
    eprintln!("{} routes, {} addresses; every crate holds all of them", routes.len(), keys.len());

    let mut sidewinder = Lpm::new();
    let mut trie = PrefixMap::<Prefix, u32>::new();
    let mut bitmap = IpLookupTable::<Ipv6Addr, u32>::new();
    for (place, (key, len)) in routes.iter().enumerate() {
        sidewinder.insert(*key, *len, Entry::forward(value(place)));
        trie.insert((*key, *len), value(place));
        bitmap.insert(Ipv6Addr::from(*key), u32::from(*len), value(place));
    }
    let poptrie: Poptrie<Prefix, u32> =
        routes.iter().enumerate().map(|(place, prefix)| (*prefix, value(place))).collect();

    let found = |key: u128| match sidewinder.lookup(key).action() {
        Action::Forward(group) => Some(group),
        _ => None,
    };
    for key in &keys {
        let expected = found(*key);
        let address = Ipv6Addr::from(*key);
        assert_eq!(poptrie.lookup(*key).copied(), expected, "poptrie: {address}");
        let longest = trie.get_lpm(&(*key, 128)).map(|(_, value)| *value);
        assert_eq!(longest, expected, "prefix-trie: {address}");
        let longest = bitmap.longest_match(address).map(|(_, _, value)| *value);
        assert_eq!(longest, expected, "treebitmap: {address}");
    }

    let mut group = criterion.benchmark_group("peers");
    group.throughput(Throughput::Elements(keys.len() as u64)).sample_size(20);
    let mut entries = [Entry::NONE; 64];
    group.bench_function("sidewinder-batch", |bencher| {
        bencher.iter(|| {
            for keys in keys.chunks(64) {
                sidewinder.lookup_batch(keys, &mut entries[..keys.len()]);
                black_box(&entries);
            }
        });
    });
    let mut each = |name: &str, look_up: &dyn Fn(&[u128])| {
        group.bench_function(name, |bencher| bencher.iter(|| look_up(&keys)));
    };
    each("sidewinder-single", &|keys| {
        for key in keys {
            black_box(sidewinder.lookup(*key));
        }
    });
    each("poptrie", &|keys| {
        for key in keys {
            black_box(poptrie.lookup(*key));
        }
    });
    each("prefix-trie", &|keys| {
        for key in keys {
            black_box(trie.get_lpm(&(*key, 128)));
        }
    });
    each("treebitmap", &|keys| {
        for key in keys {
            black_box(bitmap.longest_match(Ipv6Addr::from(*key)));
        }
    });
    group.finish();
}

criterion_group!(benches, peers);
criterion_main!(benches);
