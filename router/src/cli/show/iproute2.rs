//! SIDs as `ip -6 route` lines.

use crate::api::show::Sid;

/// The `ip -6 route` lines that set the same SIDs up in Linux. What Linux cannot do is a comment.
pub fn iproute2(sids: &[Sid]) -> String {
    sids.iter().map(|sid| iproute2_line(sid) + "\n").collect()
}

fn iproute2_line(sid: &Sid) -> String {
    let Sid { sid: address, behavior, flavors, .. } = sid;
    let Some(flavors) = linux_flavors(sid) else {
        let flavors = flavors.join(",");
        return format!("# {address}: Linux has no {behavior} with flavors {flavors}");
    };
    if behavior == "End.B6.Encaps.Red" || (behavior == "End.B6.Encaps" && sid.segs.is_empty()) {
        return format!("# {address}: Linux has no {behavior} with reduced or several lists");
    }
    if !sid.next_hops.is_empty() {
        return format!("# {address}: Linux has no {behavior} with several next hops");
    }
    let number = |name: &Option<String>| match name.as_deref() {
        Some("main") | None => "254".to_owned(),
        Some("local") => "255".to_owned(),
        Some("default") => "253".to_owned(),
        Some(number) => number.to_owned(),
    };
    let mut line = format!("ip -6 route add {address} encap seg6local action {behavior}");
    match (behavior.as_str(), &sid.next_hop) {
        ("End.DX2", _) => {
            line += &format!(" oif {}", sid.interface.as_deref().unwrap_or_default());
        }
        ("End.DX4", Some(hop)) => line += &format!(" nh4 {hop}"),
        (_, Some(hop)) => line += &format!(" nh6 {hop}"),
        ("End.T" | "End.DT6", _) => line += &format!(" table {}", number(&sid.table)),
        ("End.B6.Encaps", _) => line += &format!(" srh segs {}", sid.segs.join(",")),
        ("End.DT4" | "End.DT46", _) => line += &format!(" vrftable {}", number(&sid.table)),
        _ => {}
    }
    line += &flavors;
    // The device only says whose route it is; a link-local next hop is looked for on it.
    line + &format!(" dev {}", sid.interface.as_deref().unwrap_or("lo"))
}

/// The flavors of a SID in the words of `ip -6 route`; `None` if Linux has not all of them.
fn linux_flavors(sid: &Sid) -> Option<String> {
    let flavors: Vec<_> = sid.flavors.iter().map(String::as_str).collect();
    let multiple_of_8 = |bits: u8| bits.is_multiple_of(8);
    match (sid.behavior.as_str(), &*flavors, sid.structure) {
        (_, [], _) => Some(String::new()),
        ("End", ["PSP"], _) => Some(" flavors psp".into()),
        ("End" | "End.X", ["NEXT-CSID"], Some(structure)) => {
            let block = structure.block_bits;
            let csid = structure.node_bits + structure.function_bits;
            (multiple_of_8(block) && multiple_of_8(csid))
                .then(|| format!(" flavors next-csid lblen {block} nflen {csid}"))
        }
        // A decapsulation under a prefix is all that the flavor is.
        (behavior, ["NEXT-CSID"], _) if behavior.starts_with("End.D") => Some(String::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::show::Structure;

    fn sid(behavior: &str, flavors: &[&str]) -> Sid {
        Sid {
            sid: "fc00:0:1:e::".into(),
            source: "sid".into(),
            behavior: behavior.into(),
            flavors: flavors.iter().map(ToString::to_string).collect(),
            code_point: 0,
            structure: None,
            hmac: None,
            next_hops: Vec::new(),
            next_hop: None,
            interface: None,
            table: None,
            policy: None,
            segs: Vec::new(),
            packets: 0,
            bytes: 0,
        }
    }

    #[test]
    fn iproute2_lines() {
        let line = |sid: &Sid| iproute2_line(sid);
        assert_eq!(
            line(&sid("End", &["PSP"])),
            "ip -6 route add fc00:0:1:e:: encap seg6local action End flavors psp dev lo"
        );
        let end_x = Sid {
            next_hop: Some("fe80::2".parse().unwrap()),
            interface: Some("eth1".into()),
            ..sid("End.X", &[])
        };
        assert_eq!(
            line(&end_x),
            "ip -6 route add fc00:0:1:e:: encap seg6local action End.X nh6 fe80::2 dev eth1"
        );
        let end_dt6 = Sid { table: Some("main".into()), ..sid("End.DT6", &[]) };
        assert_eq!(
            line(&end_dt6),
            "ip -6 route add fc00:0:1:e:: encap seg6local action End.DT6 table 254 dev lo"
        );
        let structure = |node_bits, function_bits| {
            let argument_bits = 128 - 32 - node_bits - function_bits;
            Some(Structure { block_bits: 32, node_bits, function_bits, argument_bits })
        };
        let un = Sid {
            sid: "fc00:0:1::/48".into(),
            structure: structure(16, 0),
            ..sid("End", &["NEXT-CSID"])
        };
        assert_eq!(
            line(&un),
            "ip -6 route add fc00:0:1::/48 encap seg6local action End \
             flavors next-csid lblen 32 nflen 16 dev lo"
        );
        let ua = Sid {
            sid: "fc00:0:1:e001::/64".into(),
            structure: structure(16, 16),
            flavors: un.flavors.clone(),
            ..end_x.clone()
        };
        assert_eq!(
            line(&ua),
            "ip -6 route add fc00:0:1:e001::/64 encap seg6local action End.X nh6 fe80::2 \
             flavors next-csid lblen 32 nflen 32 dev eth1"
        );
        let udt6 = Sid { flavors: un.flavors.clone(), structure: structure(16, 16), ..end_dt6 };
        assert_eq!(
            line(&udt6),
            "ip -6 route add fc00:0:1:e:: encap seg6local action End.DT6 table 254 dev lo"
        );
        let bound = Sid {
            policy: Some("to-r3".into()),
            segs: vec!["fc00:0:2:e::".into(), "fc00:0:3:e::".into()],
            ..sid("End.B6.Encaps", &[])
        };
        assert_eq!(
            line(&bound),
            "ip -6 route add fc00:0:1:e:: encap seg6local action End.B6.Encaps \
             srh segs fc00:0:2:e::,fc00:0:3:e:: dev lo"
        );
        let several = Sid { next_hops: vec!["fe80::2".into(); 2], ..sid("End.X", &[]) };
        assert_eq!(line(&several), "# fc00:0:1:e::: Linux has no End.X with several next hops");
        let odd = Sid { structure: structure(12, 0), ..un };
        assert!(line(&odd).starts_with("# fc00:0:1::/48: Linux has no End"), "{}", line(&odd));
        assert_eq!(
            line(&sid("End", &["USD"])),
            "# fc00:0:1:e::: Linux has no End with flavors USD"
        );
    }
}
