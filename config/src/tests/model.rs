//! What good files become.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{BASE, good};
use crate::*;

#[test]
fn defaults() {
    let config = good("").config;
    let source = "fc00:0:1::1".parse().ok();
    assert_eq!(
        config.router,
        Router { encap_source: source, icmp_source: source, ..Router::default() }
    );
    assert_eq!(config.interfaces, [Interface::new("eth0"), Interface::new("eth1")]);
    let locator = &config.locators[0];
    assert_eq!((locator.block_bits, locator.node_bits, locator.function_bits), (32, 16, 16));
    assert_eq!(config.sources, Sources::default());
}

#[test]
fn every_setting_of_router_and_interface() {
    let text = r#"
        [router]
        name = "r1"
        cores = [2, 3]
        encap-source = "fc00:0:1::1"
        encap-hop-limit = 255
        encap-flow-label = "copy"
        encap-traffic-class = 0xb8
        sid-sources = ["fc00::/16"]
        icmp-source = "fc00:0:1::2"
        icmp-rate = 0
        o-flag = "copy"
        poll = "busy"
        socket = "/run/r1.sock"
        metrics = "[::1]:9117"
        [[interface]]
        name = "eth0"
        zero-copy = "require"
        queues = 2
        steer = "sids"
        domain = "external"
        let-sids-out = true
        source-check = "strict"
        table = 100
    "#;
    let config = check(text, "r1.toml").unwrap().config;
    assert_eq!(
        config.router,
        Router {
            name: "r1".to_owned(),
            cores: vec![2, 3],
            encap_source: "fc00:0:1::1".parse().ok(),
            encap_hop_limit: 255,
            encap_flow_label: FlowLabel::Copy,
            encap_traffic_class: Some(0xb8),
            sid_sources: vec!["fc00::/16".parse().unwrap()],
            icmp_source: "fc00:0:1::2".parse().ok(),
            icmp_rate: 0,
            o_flag: OFlag::Copy,
            poll: Poll::Busy,
            socket: "/run/r1.sock".into(),
            metrics: "[::1]:9117".parse().ok(),
            hmac_keys: None,
        }
    );
    assert_eq!(
        config.interface("eth0"),
        Some(&Interface {
            name: "eth0".to_owned(),
            zero_copy: ZeroCopy::Require,
            queues: Queues::Count(2),
            steer: Steer::Sids,
            domain: Domain::External,
            let_sids_out: true,
            source_check: SourceCheck::Strict,
            table: Table(100),
            policy: None,
        })
    );
}

#[test]
fn sids() {
    let config = good(
        r#"
        [[sid]]
        sid = "fc00:0:1:e::"
        behavior = "End"
        flavors = ["PSP", "USD"]
        [[sid]]
        sid = "fc00:0:1:e001::/64"
        behavior = "End.X"
        nh6 = "fe80::2"
        interface = "eth1"
        [[sid]]
        sid = "fc00:0:1:d4::"
        behavior = "End.DX4"
        nh4 = "192.0.2.2"
        [[sid]]
        sid = "fc00:0:1:46::"
        behavior = "End.DT46"
        table = 100
        "#,
    )
    .config;
    let [end, x, dx4, dt46] = &config.sids[..] else { panic!("{:?}", config.sids) };
    assert_eq!((end.sid.prefix_len(), end.flavors.to_string()), (128, "PSP, USD".to_owned()));
    assert_eq!(x.sid.to_string(), "fc00:0:1:e001::/64");
    let fe80_2 = NextHop::new("fe80::2".parse::<Ipv6Addr>().unwrap(), Some("eth1".to_owned()));
    assert_eq!(x.behavior, Behavior::EndX { next_hops: vec![fe80_2] });
    assert_eq!(x.flavors, Flavors::default());
    let nh4 = NextHop::new("192.0.2.2".parse::<Ipv4Addr>().unwrap(), None);
    assert_eq!(dx4.behavior, Behavior::EndDx4 { next_hops: vec![nh4] });
    assert_eq!(dt46.behavior, Behavior::EndDt46 { table: Table(100) });
}

/// C-133, C-135: with NEXT-CSID a SID is a prefix of block, node and function; what of them it has
/// follows from where it lies, or is said.
#[test]
fn compressed_sids() {
    let config = good(
        r#"
        [[sid]]
        sid = "fc00:0:1::/48"
        behavior = "End"
        flavors = ["NEXT-CSID", "PSP"]
        [[sid]]
        sid = "fc00:0:1:e000::/64"
        behavior = "End.X"
        nh6 = "fc00:12::2"
        flavors = ["NEXT-CSID"]
        [[sid]]
        sid = "fc00:0:e000::/48"
        behavior = "End.X"
        nh6 = "fc00:12::2"
        flavors = ["NEXT-CSID"]
        [[sid]]
        sid = "fc00:0:1:d6::"
        behavior = "End.DT6"
        table = 100
        flavors = ["NEXT-CSID"]
        [[sid]]
        sid = "fd00:1:2:3::"
        behavior = "End"
        flavors = ["NEXT-CSID"]
        block-bits = 48
        node-bits = 12
        function-bits = 4
        "#,
    )
    .config;
    let divided = config.sids.iter().map(|sid| {
        let structure = sid.structure.unwrap();
        let Structure { block_bits, node_bits, function_bits } = structure;
        assert_eq!(structure.argument_bits(), 128 - sid.sid.prefix_len());
        assert!(sid.flavors.next_csid);
        (sid.sid.to_string(), [block_bits, node_bits, function_bits])
    });
    assert_eq!(
        divided.collect::<Vec<_>>(),
        [
            ("fc00:0:1::/48".to_owned(), [32, 16, 0]),
            ("fc00:0:1:e000::/64".to_owned(), [32, 16, 16]),
            ("fc00:0:e000::/48".to_owned(), [32, 0, 16]),
            ("fc00:0:1:d6::/64".to_owned(), [32, 16, 16]),
            ("fd00:1:2:3::/64".to_owned(), [48, 12, 4]),
        ]
    );
    assert_eq!(config.sids[0].flavors.to_string(), "PSP, NEXT-CSID");
}

#[test]
fn policies() {
    let config = good(
        r#"
        [[policy]]
        name = "one"
        behavior = "H.Encaps"
        segs = ["fc00:0:2:e::", "fc00:0:3:d6::"]
        [[policy]]
        name = "two"
        behavior = "H.Encaps.Red"
        source = "fc00:0:1::9"
        lists = [{ segs = ["fc00:0:2:e::"], weight = 3 }, { segs = ["fc00:0:4:e::"] }]
        "#,
    )
    .config;
    let one = config.policy("one").unwrap();
    assert_eq!((one.behavior, Some(one.source)), (Headend::HEncaps, config.router.encap_source));
    assert_eq!((one.lists.len(), one.lists[0].segs.len(), one.lists[0].weight), (1, 2, 1));
    let two = config.policy("two").unwrap();
    assert_eq!((two.behavior, two.source), (Headend::HEncapsRed, "fc00:0:1::9".parse().unwrap()));
    assert_eq!(two.lists.iter().map(|list| list.weight).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn a_policy_with_its_own_source_needs_no_other() {
    let text = r#"
        [[interface]]
        name = "eth0"
        [[policy]]
        name = "one"
        behavior = "H.Encaps"
        segs = ["fc00:0:2:e::"]
        source = "fc00:0:1::9"
    "#;
    check(text, "r1.toml").unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn routes_and_neighbors() {
    let config = good(
        r#"
        [[policy]]
        name = "one"
        behavior = "H.Encaps"
        segs = ["fc00:0:2:e::"]
        [[route]]
        prefix = "2001:db8::/32"
        policy = "one"
        [[route]]
        prefix = "192.0.2.0/24"
        table = "default"
        nh6 = "fe80::1"
        interface = "eth0"
        [[route]]
        prefix = "fc00:12::/64"
        interface = "eth1"
        [[route]]
        prefix = "::/0"
        next-hops = [{ nh6 = "fc00:12::2", weight = 3 }, { nh6 = "fe80::3", interface = "eth0" }]
        [[route]]
        prefix = "0.0.0.0/0"
        action = "prohibit"
        [[neighbor]]
        address = "fe80::3"
        interface = "eth0"
        mac = "02:00:00:00:02:02"
        "#,
    )
    .config;
    let next_hop = |address: &str, interface: Option<&str>, weight| NextHop {
        address: address.parse().unwrap(),
        interface: interface.map(str::to_owned),
        weight,
        backup: false,
    };
    let actions: Vec<_> = config.routes.iter().map(|route| route.action.clone()).collect();
    assert_eq!(
        actions,
        [
            RouteAction::Policy("one".to_owned()),
            RouteAction::Via(vec![next_hop("fe80::1", Some("eth0"), 1)]),
            RouteAction::OnLink("eth1".to_owned()),
            RouteAction::Via(vec![
                next_hop("fc00:12::2", None, 3),
                next_hop("fe80::3", Some("eth0"), 1)
            ]),
            RouteAction::Prohibit,
        ]
    );
    assert_eq!(config.routes[1].table, Table::DEFAULT);
    assert_eq!(config.neighbors[0].mac, MacAddr([2, 0, 0, 0, 2, 2]));
}

#[test]
fn sources() {
    let text = r#"
        [source.kernel]
        tables = ["main", 100]
        [source.bgp-ls]
        peer = "fc00::9"
        local-as = 65000
        router-id = "0000.0000.0a01"
    "#;
    let checked = check(&format!("{BASE}{text}"), "r1.toml").unwrap();
    let bgp_ls = checked.config.sources.bgp_ls.unwrap();
    let address = "[fc00::9]:179".parse().unwrap();
    assert_eq!(bgp_ls.session, BgpSession::Peer { address, local: None });
    assert_eq!(bgp_ls.identifier, Ipv4Addr::new(0, 0, 10, 1));
    assert_eq!((bgp_ls.hold_time, bgp_ls.grace, bgp_ls.instance), (90, 120, None));
    assert_eq!((bgp_ls.local_as, bgp_ls.peer_as), (65000, 65000));
    assert_eq!(bgp_ls.router_id, RouterId::Isis([0, 0, 0, 0, 0x0a, 1]));
    assert_eq!(bgp_ls.router_id.to_string(), "0000.0000.0a01");
    let kernel = checked.config.sources.kernel.unwrap();
    assert_eq!(kernel.tables, [Table::MAIN, Table(100)]);
}

#[test]
fn waiting_for_a_peer() {
    let text = r#"
        [source.bgp-ls]
        listen = "[::]:1790"
        from = "fc00::/64"
        local-as = 65000
        peer-as = 65001
        router-id = "192.0.2.1"
        hold-time = 0
        grace = 0
        instance-id = 7
        password-file = "/key"
    "#;
    let bgp_ls = good(text).config.sources.bgp_ls.unwrap();
    let (address, from) = ("[::]:1790".parse().unwrap(), "fc00::/64".parse().ok());
    assert_eq!(bgp_ls.session, BgpSession::Listen { address, from });
    assert_eq!(bgp_ls.identifier, Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!((bgp_ls.hold_time, bgp_ls.grace, bgp_ls.instance), (0, 0, Some(7)));
    assert_eq!(bgp_ls.password_file.as_deref(), Some(std::path::Path::new("/key")));
}

#[test]
fn a_topology_and_policies_by_it() {
    let text = r#"
        [[policy]]
        name = "p"
        behavior = "H.Encaps"
        lists = [{ via = ["r2"], weight = 3 }, { segs = ["fc00:0:2::"] }]
        [[node]]
        name = "sidewinder"
        locators = ["fc00:0:1::/48"]
        [[node]]
        name = "r2"
        router-id = "10.0.0.2"
        overload = true
        prefixes = ["10.2.0.0/16"]
        [[link]]
        from = "sidewinder"
        to = "r2"
        metric = 10
        bandwidth = 1_250_000_000
    "#;
    let config = good(text).config;
    assert_eq!(config.policies[0].lists[0].via, ["r2"]);
    assert_eq!(config.policies[0].lists[0].len(), 1);
    assert_eq!(config.nodes[1].router_id, Some(RouterId::Ospf(Ipv4Addr::new(10, 0, 0, 2))));
    assert!(config.nodes[1].overload);
    let link = &config.links[0];
    assert_eq!((link.metric, link.metric_back), (10, 10));
    assert_eq!(link.bandwidth, Some(1_250_000_000));
}

#[test]
fn names_display_as_the_file_spells_them() {
    assert_eq!(Table::MAIN.to_string(), "main");
    assert_eq!(Table(7).to_string(), "7");
    assert_eq!(Queues::All.to_string(), "all");
    assert_eq!(Headend::HEncapsRed.to_string(), "H.Encaps.Red");
    assert_eq!(format!("{:>8}|{:<8}|", ZeroCopy::Prefer, Behavior::End), "  prefer|End     |");
}

#[test]
fn a_file_equals_itself_and_nothing_else() {
    assert_eq!(good("").config, good("\n# comment\n").config);
    assert_ne!(good("").config, good("[[interface]]\nname = \"eth2\"\n").config);
}

#[test]
fn load_reads_a_file() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../sidewinder.sample.toml");
    assert_eq!(load(sample).unwrap().config, check(SAMPLE, "sample").unwrap().config);
}

/// As many compressed SIDs as containers have room for.
#[test]
fn compressed_segments() {
    let segs = (1..=20)
        .map(|node| {
            format!("{{ sid = \"fcbb:bbbb:{node:x}::\", block-bits = 32, node-bits = 16 }}")
        })
        .collect::<Vec<_>>();
    let config = good(&format!(
        "[[policy]]\nname = \"one\"\nbehavior = \"H.Encaps\"\ncompress = true\nsegs = [{}]",
        segs.join(",")
    ))
    .config;
    let list = &config.policies[0].lists[0];
    assert!(config.policies[0].compress);
    assert_eq!((list.segs.len(), list.structures.len()), (20, 20));
    assert_eq!(crate::pack(&list.segs, &list.structures).len(), 4);
}
