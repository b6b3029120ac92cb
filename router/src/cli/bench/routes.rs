//! The routes of a measurement: a file's, or so many made ones.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use flate2::read::GzDecoder;
use ipnet::Ipv6Net;

/// A prefix: its bits, left-aligned, and how many there are.
pub type Prefix = (u128, u8);

/// A change of a table: whether the prefix is announced or withdrawn.
pub type Update = (bool, Prefix);

/// Made routes at most.
const MOST: usize = 10_000_000;

/// What `--routes` takes: a number, or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routes {
    /// So many.
    Made(usize),
    /// Those of a file: one prefix a line, gzip accepted.
    File(std::path::PathBuf),
}

impl std::str::FromStr for Routes {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.parse() {
            Ok(count) => Self::Made(count),
            Err(_) => Self::File(text.into()),
        })
    }
}

impl Routes {
    /// The prefixes.
    pub fn load(&self) -> anyhow::Result<Vec<Prefix>> {
        match self {
            Self::Made(0) => bail!("a table without routes forwards nothing: --routes 1 at least"),
            Self::Made(count) if *count > MOST => {
                bail!(
                    "{count} routes are more than there are prefixes for: --routes {MOST} at most"
                )
            }
            Self::Made(count) => Ok(made(*count)),
            Self::File(path) => {
                let routes = read(path, prefix)?;
                ensure!(!routes.is_empty(), "{}: no prefix in it", path.display());
                Ok(routes)
            }
        }
    }
}

/// The updates in a file: `A` or `W`, and a prefix, one a line; gzip accepted.
pub fn updates(path: &Path) -> anyhow::Result<Vec<Update>> {
    read(path, |line| match line.split_once(' ') {
        Some(("A", rest)) => Some((true, prefix(rest)?)),
        Some(("W", rest)) => Some((false, prefix(rest)?)),
        _ => None,
    })
}

fn prefix(text: &str) -> Option<Prefix> {
    let prefix: Ipv6Net = text.trim().parse().ok()?;
    Some((u128::from(prefix.network()), prefix.prefix_len()))
}

fn read<T>(path: &Path, parse: impl Fn(&str) -> Option<T>) -> anyhow::Result<Vec<T>> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut magic = [0; 2];
    let packed = file.read(&mut magic)? == 2 && magic == [0x1f, 0x8b];
    file.rewind()?;
    let reader: Box<dyn Read> =
        if packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    let mut items = Vec::new();
    for (number, line) in BufReader::new(reader).lines().enumerate() {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match parse(&line) {
            Some(item) => items.push(item),
            None => bail!("{}:{}: cannot make sense of `{line}`", path.display(), number + 1),
        }
    }
    Ok(items)
}

/// A generator of numbers that look random, the same in every run (splitmix64).
#[derive(Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A random address of a random prefix.
    pub fn address(&mut self, prefixes: &[Prefix]) -> u128 {
        let (key, len) = prefixes[self.draw() as usize % prefixes.len()];
        let host = u128::from(self.draw()) << 64 | u128::from(self.draw());
        key | host.checked_shr(u32::from(len)).unwrap_or(0)
    }
}

/// Whether an address is sure to be one that routers forward: the others begin with 00, fe or ff.
const fn is_forwarded(address: u128) -> bool {
    !matches!((address >> 120) as u8, 0 | 0xfe | 0xff)
}

/// So many destinations, a random address in a prefix each: all prefixes in random order, again
/// and again where there are fewer than destinations. Addresses that routers do not forward, as a
/// default route has some, are left out, and so are prefixes of nothing else.
pub fn destinations(prefixes: &[Prefix], count: usize) -> anyhow::Result<Arc<[u128]>> {
    let mut numbers = Numbers(2);
    let mut order: Vec<usize> = (0..prefixes.len())
        .filter(|place| {
            let (key, len) = prefixes[*place];
            len < 8 || is_forwarded(key)
        })
        .collect();
    ensure!(!order.is_empty(), "no prefix of the table has addresses that routers forward");
    for place in (1..order.len()).rev() {
        order.swap(place, numbers.draw() as usize % (place + 1));
    }
    let mut draw = |place: usize| loop {
        let address = numbers.address(&prefixes[place..=place]);
        if is_forwarded(address) {
            return address;
        }
    };
    Ok(order.iter().cycle().take(count).map(|&place| draw(place)).collect())
}

/// Prefixes in 2000::/4 with lengths as in the global table: half of them /48, the others /29 to
/// /47.
fn made(count: usize) -> Vec<Prefix> {
    let mut numbers = Numbers(1);
    (0..count)
        .map(|_| {
            let bits = numbers.draw();
            let len = match numbers.draw() % 100 {
                0..48 => 48,
                48..60 => 32,
                60..70 => 44,
                70..80 => 40,
                80..88 => 36,
                88..94 => 46,
                _ => 29,
            };
            let key = (u128::from(bits) << 64 | 0x2 << 124) & !(0xd << 124);
            (key & (u128::MAX << (128 - len)), len as u8)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn reads_plain_and_packed_files() {
        let folder = tempfile::tempdir().unwrap();
        let text = "2001:db8::/32\n\n# a comment\nfc00::/8\n";
        let plain = folder.path().join("plain");
        std::fs::write(&plain, text).unwrap();
        let packed = folder.path().join("packed.gz");
        let mut encoder = GzEncoder::new(File::create(&packed).unwrap(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();
        let expected = vec![(0x2001_0db8 << 96, 32), (0xfc << 120, 8)];
        assert_eq!(Routes::File(plain).load().unwrap(), expected);
        assert_eq!(Routes::File(packed).load().unwrap(), expected);
    }

    /// A dump with a default route and multicast is a table like others.
    #[test]
    fn destinations_are_forwarded() {
        let table: Vec<Prefix> = ["::/0", "ff00::/8", "fe80::/10", "2001:db8::/32"]
            .map(|text| prefix(text).unwrap())
            .into();
        let drawn = destinations(&table, 1000).unwrap();
        assert_eq!(drawn.len(), 1000);
        assert!(drawn.iter().all(|address| is_forwarded(*address)));
        assert!(destinations(&table[1..3], 1000).is_err());
    }

    #[test]
    fn says_which_line_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("updates");
        std::fs::write(&path, "A fc00::/8\nW fc00::/8\nfc00::/8\n").unwrap();
        let error = updates(&path).unwrap_err().to_string();
        assert!(error.ends_with("updates:3: cannot make sense of `fc00::/8`"), "{error}");
    }
}
