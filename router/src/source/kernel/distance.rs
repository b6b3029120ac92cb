//! Administrative distances of the kernel's routes, by who made them.

/// The distance of a route with this `proto` (`RTPROT_…`), as FRR's zebra has it: daemons of FRR
/// have numbers of their own, and what is not a routing protocol has 0. Routes of BGP count as
/// external ones: the kernel does not tell.
pub const fn of(protocol: u8) -> u8 {
    match protocol {
        RTPROT_STATIC | RTPROT_ZSTATIC => 1,
        RTPROT_NHRP => 10,
        RTPROT_BGP => 20,
        RTPROT_EIGRP => 90,
        RTPROT_BABEL => 100,
        RTPROT_OSPF => 110,
        RTPROT_ISIS | RTPROT_OPENFABRIC => 115,
        RTPROT_RIP | RTPROT_RIPNG => 120,
        RTPROT_LDP | RTPROT_SHARP => 150,
        _ => 0,
    }
}

const RTPROT_STATIC: u8 = 4;
const RTPROT_BABEL: u8 = 42;
const RTPROT_BGP: u8 = 186;
const RTPROT_ISIS: u8 = 187;
const RTPROT_OSPF: u8 = 188;
const RTPROT_RIP: u8 = 189;
const RTPROT_RIPNG: u8 = 190;
const RTPROT_NHRP: u8 = 191;
const RTPROT_EIGRP: u8 = 192;
const RTPROT_LDP: u8 = 193;
const RTPROT_SHARP: u8 = 194;
const RTPROT_ZSTATIC: u8 = 196;
const RTPROT_OPENFABRIC: u8 = 197;

#[cfg(test)]
mod tests {
    #[test]
    fn as_frr_has_them() {
        // kernel, boot, ra, dhcp; isis, ospf, bgp; static by hand and by staticd.
        let distances = [2, 3, 9, 16, 187, 188, 186, 4, 196].map(super::of);
        assert_eq!(distances, [0, 0, 0, 0, 115, 110, 20, 1, 1]);
    }
}
