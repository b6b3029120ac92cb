//! Segments packed into containers of compressed SIDs: RFC 9800, sections 4.1 and 6.

use std::net::Ipv6Addr;

use crate::model::Structure;

/// The segment list with consecutive segments in one container, where they have a structure, which
/// says that they take NEXT-CSID.
///
/// A container begins with the whole of its first segment. Behind it, in the argument, are node and
/// function of those that follow, as long as they are of the same SID block and there is room. Each
/// node moves what is behind its own to the front; the last segment of a container, behind which there
/// is nothing but zeros, goes on to the next entry of the list.
pub fn pack(segs: &[Ipv6Addr], structures: &[Option<Structure>]) -> Vec<Ipv6Addr> {
    let mut packed: Vec<Ipv6Addr> = Vec::with_capacity(segs.len());
    // The block and its length, and the bits in use, of the container that has room.
    let mut open: Option<(u128, u8, u8)> = None;
    for (index, seg) in segs.iter().enumerate() {
        let address = u128::from(*seg);
        let structure = structures.get(index).copied().flatten();
        let Some(structure) = structure.filter(|structure| structure.is_whole(*seg)) else {
            packed.push(*seg);
            open = None;
            continue;
        };
        let Structure { block_bits, .. } = structure;
        let block = address >> (128 - block_bits);
        let (csid_bits, csid) = (structure.csid_bits(), structure.csid(*seg));
        match (&mut open, packed.last_mut()) {
            (Some((same, bits, used)), Some(container))
                if *same == block && *bits == block_bits && *used + csid_bits <= 128 =>
            {
                *used += csid_bits;
                *container = (u128::from(*container) | csid << (128 - *used)).into();
            }
            _ => {
                packed.push(*seg);
                open = Some((block, block_bits, block_bits + csid_bits));
            }
        }
    }
    packed
}

impl Structure {
    /// Node and function of a SID.
    fn csid(self, sid: Ipv6Addr) -> u128 {
        let without_block = u128::from(sid) << self.block_bits;
        without_block >> (128 - self.csid_bits())
    }

    /// Whether a SID of this structure can be in a container: it has a block, a compressed SID that is
    /// not 0, and no argument.
    pub fn is_whole(self, sid: Ipv6Addr) -> bool {
        let used = u16::from(self.block_bits) + u16::from(self.node_bits);
        let used = used + u16::from(self.function_bits);
        self.block_bits > 0
            && used < 128
            && self.csid_bits() > 0
            && u128::from(sid) << used == 0
            && self.csid(sid) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &[&str]) -> Vec<Ipv6Addr> {
        text.iter().map(|sid| sid.parse().unwrap()).collect()
    }

    fn structure(block_bits: u8, node_bits: u8, function_bits: u8) -> Option<Structure> {
        Some(Structure { block_bits, node_bits, function_bits })
    }

    const UN: fn() -> Option<Structure> = || structure(32, 16, 0);

    /// What the nodes on the way make of a container (RFC 9800, 4.1.1, S02 to S08): the segments.
    fn unpack(packed: &[Ipv6Addr], segs: &[Ipv6Addr], of: &[Option<Structure>]) -> Vec<Ipv6Addr> {
        let mut visited = Vec::new();
        for entry in packed {
            let mut destination = u128::from(*entry);
            while let Some(seg) = segs.get(visited.len()) {
                let Some(structure) = of[visited.len()] else {
                    assert_eq!(destination, u128::from(*seg));
                    visited.push(*seg);
                    break;
                };
                let (block, csid) = (structure.block_bits, structure.csid_bits());
                let prefix = 128 - block - csid;
                assert_eq!(destination >> prefix, u128::from(*seg) >> prefix, "at {seg}");
                visited.push(*seg);
                let argument = destination << (block + csid) >> block;
                if argument == 0 {
                    break;
                }
                destination = destination >> (128 - block) << (128 - block) | argument;
            }
        }
        visited
    }

    #[test]
    fn six_nodes_of_16_bits_are_one_container() {
        let segs: Vec<_> =
            (1..=7).map(|node: u32| format!("fcbb:bbbb:{node}::").parse().unwrap()).collect();
        let packed = pack(&segs, &[UN(); 7]);
        assert_eq!(packed, addresses(&["fcbb:bbbb:1:2:3:4:5:6", "fcbb:bbbb:7::"]));
    }

    #[test]
    fn node_and_function_together() {
        let segs = addresses(&["fcbb:bbbb:1::", "fcbb:bbbb:2:e001::", "fcbb:bbbb:3:d6::"]);
        let of = [UN(), structure(32, 16, 16), structure(32, 16, 16)];
        assert_eq!(pack(&segs, &of), addresses(&["fcbb:bbbb:1:2:e001:3:d6:0"]));
    }

    /// C-139: other blocks, SIDs without a structure, and SIDs with an argument are entries of their own.
    #[test]
    fn what_does_not_go_together() {
        let segs = addresses(&["fcbb:bbbb:1::", "fcbb:cccc:2::", "fcbb:cccc:3::", "2001:db8::1"]);
        let of = [UN(), UN(), UN(), None];
        let expected = addresses(&["fcbb:bbbb:1::", "fcbb:cccc:2:3::", "2001:db8::1"]);
        assert_eq!(pack(&segs, &of), expected);
        // The same bits with a block of another length are another block.
        let of = [structure(32, 16, 0), structure(16, 32, 0)];
        let two = addresses(&["fcbb:bbbb:1::", "fcbb:bbbb:2::"]);
        assert_eq!(pack(&two, &of), two);
        let argument = addresses(&["fcbb:bbbb:1::", "fcbb:bbbb:2:7::"]);
        assert_eq!(pack(&argument, &[UN(), UN()]), argument);
        assert_eq!(pack(&two, &[]), two);
    }

    /// C-130, C-139: whatever is packed, the nodes on the way see the same segments.
    #[test]
    fn nodes_see_the_same_segments() {
        let mut state = 1_u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..2000 {
            let count = draw(14) as usize;
            let (mut segs, mut of) = (Vec::new(), Vec::new());
            for _ in 0..count {
                let block_bits = [16, 32, 48][draw(3) as usize];
                let (node_bits, function_bits) =
                    [(16, 0), (0, 16), (16, 16), (12, 4), (8, 24), (32, 0)][draw(6) as usize];
                let csid_bits = node_bits + function_bits;
                let csid = 1 + u128::from(draw((1 << csid_bits) - 1));
                let block = [0xfcbb_u128 << 112, 0xfcbb_bbbb << 96][draw(2) as usize];
                let sid = block >> (128 - block_bits) << (128 - block_bits)
                    | csid << (128 - block_bits - csid_bits);
                segs.push(Ipv6Addr::from(sid));
                of.push(structure(block_bits, node_bits, function_bits).filter(|_| draw(5) > 0));
            }
            let packed = pack(&segs, &of);
            assert!(packed.len() <= segs.len());
            assert_eq!(unpack(&packed, &segs, &of), segs, "{packed:?}");
        }
    }
}
