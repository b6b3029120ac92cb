//! Where a route is in its source's map.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Key;

/// A prefix of a table, and a metric: as numbers, which are compared ten times as fast as addresses
/// are. Places are in order of table, family, address, length and metric, as keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The table's number, and whether the prefix is of IPv6.
    table: u64,
    address: [u64; 2],
    /// The prefix's length, and the metric.
    rest: u64,
}

impl Place {
    pub(super) fn new(key: &Key, metric: u32) -> Self {
        let (v6, address) = match key.prefix.addr() {
            IpAddr::V4(address) => (false, u128::from(u32::from(address))),
            IpAddr::V6(address) => (true, u128::from(address)),
        };
        Self {
            table: u64::from(key.table) << 1 | u64::from(v6),
            address: [(address >> 64) as u64, address as u64],
            rest: u64::from(key.prefix.prefix_len()) << 32 | u64::from(metric),
        }
    }

    /// All places of a prefix.
    pub(super) fn all(key: &Key) -> std::ops::RangeInclusive<Self> {
        Self::new(key, 0)..=Self::new(key, u32::MAX)
    }

    pub(super) fn key(self) -> Key {
        let address = u128::from(self.address[0]) << 64 | u128::from(self.address[1]);
        let address = match self.table & 1 {
            0 => IpAddr::V4((address as u32).into()),
            _ => IpAddr::V6(address.into()),
        };
        let len = (self.rest >> 32) as u8;
        let prefix = IpNet::new(address, len).unwrap_or_else(|_| address.into());
        Key { table: (self.table >> 1) as u32, prefix }
    }

    /// Whether both are of the same prefix.
    pub(super) fn is_of(self, other: Self) -> bool {
        (self.table, self.address, self.rest >> 32)
            == (other.table, other.address, other.rest >> 32)
    }

    pub(super) fn metric(self) -> u32 {
        self.rest as u32
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        Place::new(self, 0).cmp(&Place::new(other, 0))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Key> {
        let address = prop_oneof![
            any::<u32>().prop_map(|address| IpAddr::V4(address.into())),
            any::<u128>().prop_map(|address| IpAddr::V6(address.into())),
        ];
        (any::<u32>(), address, any::<u8>()).prop_map(|(table, address, len)| {
            let full = IpNet::from(address).max_prefix_len();
            Key { table, prefix: IpNet::new(address, len % (full + 1)).unwrap() }
        })
    }

    proptest! {
        #[test]
        fn says_what_it_was_made_of(key in key(), metric: u32) {
            let place = Place::new(&key, metric);
            prop_assert_eq!((place.key(), place.metric()), (key, metric));
        }

        #[test]
        fn order_is_that_of_table_prefix_and_metric(
            one in key(), other in key(), metrics: (u32, u32),
        ) {
            let other = Key { table: if other.table % 2 == 0 { one.table } else { other.table }, ..other };
            let places = Place::new(&one, metrics.0).cmp(&Place::new(&other, metrics.1));
            let said = (one.table, one.prefix, metrics.0).cmp(&(other.table, other.prefix, metrics.1));
            prop_assert_eq!(places, said);
            prop_assert_eq!(one.cmp(&other), (one.table, one.prefix).cmp(&(other.table, other.prefix)));
        }
    }
}
