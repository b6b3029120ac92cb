//! Inputs for the data plane's targets, from what they are to say: the opposite of `input`, `change`
//! and `packet`.

/// An IPv6 address.
pub fn address(address: u128) -> Vec<u8> {
    [&[0xf0][..], &address.to_be_bytes()].concat()
}

/// A local SID.
#[derive(Debug, Clone, Copy)]
pub struct LocalSid {
    /// Row of the table of behaviors.
    pub behavior: u8,
    /// PSP 1, USP 2, USD 4, NEXT-CSID 8.
    pub flavors: u8,
    /// Its address.
    pub address: u128,
    /// Bits of it that are matched.
    pub prefix_len: u8,
    /// Bits of its block, with NEXT-CSID.
    pub block_bits: u8,
    /// Next-hop group, table, port and policy.
    pub refers_to: [u8; 4],
}

impl LocalSid {
    /// As the target `behaviors` has it.
    pub fn bytes(&self) -> Vec<u8> {
        [&[self.behavior][..], &self.said()].concat()
    }

    /// As a change, in this table.
    pub fn change(&self, id: u8, table: u8) -> Vec<u8> {
        [&[0, id, self.behavior, table][..], &self.said()].concat()
    }

    fn said(&self) -> Vec<u8> {
        // A number from 1 on, where 0 stands for the default.
        let number = |number: u8, count: u8| if number == 1 { count } else { number - 1 };
        let (how, block, csid) = if self.flavors & 8 != 0 {
            let csid = number(self.prefix_len - self.block_bits, 127 - self.block_bits);
            (self.flavors, number(self.block_bits, 126), csid)
        } else {
            (self.flavors | 16, self.prefix_len - 1, 0)
        };
        [&[how, block, csid][..], &self.refers_to, &address(self.address)].concat()
    }
}

/// A policy, of lists with their segments and weights.
pub fn policy(id: u8, reduced: bool, hop_limit: u8, lists: &[(Vec<u128>, u8)]) -> Vec<u8> {
    let lists = &lists[..lists.len().min(3)];
    let mut bytes = vec![1, id, lists.len() as u8];
    for (segs, weight) in lists {
        bytes.push(u8::from(reduced) | hop_limit.saturating_sub(1) << 1);
        bytes.push(segs.len().saturating_sub(1) as u8);
        segs.iter().for_each(|segment| bytes.extend(address(*segment)));
        bytes.push(*weight);
    }
    bytes.push(0);
    bytes
}

/// What a route leads to, with an index: see `change::entry`.
pub mod entry {
    /// To a next-hop group.
    pub const FORWARD: u8 = 0;
    /// Into a policy.
    pub const ENCAP: u8 = 3;
    /// To the host.
    pub const HOST: u8 = 6;
    /// To a link whose neighbours the kernel finds.
    pub const ON_LINK: u8 = 7;
    /// To nobody: blackhole, unreachable, prohibit.
    pub const DISCARD: u8 = 9;
}

/// An IPv6 route.
pub fn route(table: u8, prefix: u128, len: u8, entry: [u8; 2]) -> Vec<u8> {
    let len = if len == 0 { 129 } else { len % 128 };
    [&[2, table & 1][..], &address(prefix), &[len], &entry].concat()
}

/// An IPv4 route.
pub fn route_v4(table: u8, prefix: u32, len: u8, entry: [u8; 2]) -> Vec<u8> {
    let len = if len == 0 { 33 } else { len % 32 };
    [&[2, table & 1 | 2, 0xf0][..], &prefix.to_be_bytes(), &[len], &entry].concat()
}

/// The settings of a port. `check` is which sources its packets may have, 0 to 3.
pub fn port(
    port: u8,
    table: u8,
    policy: Option<u8>,
    external: bool,
    check: u8,
    watched: bool,
) -> Vec<u8> {
    let domain = u8::from(external) << 3 | (check & 3) << 4 | u8::from(watched) << 6;
    let how = table & 1 | u8::from(policy.is_some()) << 2 | domain;
    [&[4, port, how][..], policy.as_slice()].concat()
}

/// The SR domain: blocks and sources.
pub fn domain(blocks: &[(u128, u8)], sources: &[(u128, u8)]) -> Vec<u8> {
    let (blocks, sources) = (&blocks[..blocks.len().min(2)], &sources[..sources.len().min(2)]);
    let mut bytes = vec![6, blocks.len() as u8 | (sources.len() as u8) << 4];
    for (prefix, len) in blocks.iter().chain(sources) {
        bytes.extend(address(*prefix));
        bytes.push(len.saturating_sub(1));
    }
    bytes
}

/// A packet as it is.
pub fn packet(bytes: &[u8]) -> Vec<u8> {
    [&[0xf0][..], &(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// The step that a packet comes in by a port.
pub fn offer(port: u8, bytes: &[u8]) -> Vec<u8> {
    [&[9, port, 0][..], &packet(bytes)].concat()
}

/// The step that a frame comes in by a port, Ethernet header and all.
pub fn offer_frame(port: u8, frame: &[u8]) -> Vec<u8> {
    [&[9, port, 0xff][..], &packet(frame)].concat()
}

/// A round of the worker.
pub const ROUND: [u8; 1] = [8];
