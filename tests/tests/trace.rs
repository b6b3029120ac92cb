//! `sidewinder trace`, as an operator types it, on the chain of `src/chain.rs` with Sidewinder in all
//! places:
//!
//! ```text
//!  h1 ------- r1 ======== r2 ======== r3 ------- h2
//! ```
//!
//! `every_router_tells_its_part`: a ping from h1 to h2 is traced on each router: r1 tells the policy
//! and what it pushes, r2 the SID and what it changes, r3 the SID and what it takes off; with the entry
//! that matched, the adjacency and the verdict. In JSON it is the same.
//!
//! `answers_and_drops_by_reason`: `--drop` shows the packets of that reason alone, and the answer.
//!
//! `wireshark_has_the_decision`: `--write` makes a pcapng file with each packet as it came and as it
//! left, the decision as a comment.
//!
//! `ends_as_it_should`: by the count, by the time-out, by Ctrl-C, and when the client dies; the next
//! trace begins each time, and a second one at once is refused.
//!
//! `o_flag_is_copied`: packets with the O-flag in their SRH come out of r2's End as without it, and
//! `trace --o-flag` then has those that were there before it was asked.
//!
//! `ping_and_traceroute_through_sids`: from the kernel of h1, which puts a segment list into its
//! packets: ping of a SID of r3 by way of r2's End, and without a list; and traceroute along the list,
//! in which each router, that of the SID on the way included, answers.
//!
//! `what_does_not_fit_is_said`: a flood is traced; what the client was told and what it is said to have
//! missed is all that there was, and nothing is lost by it.

use std::fs;
use std::net::Ipv6Addr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use sidewinder_tests::chain::{self, Chain, H1, H2, Kind, Way};
use sidewinder_tests::command::Finished;
use sidewinder_tests::lab::netns::Background;
use sidewinder_tests::lab::{Sidewinder as Daemon, Wire, serial, traffic};
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::packet::build::{self, Ipv6, Layer, Srh};
use sidewinder_tests::packet::mac;
use sidewinder_tests::skip::Need::{AfXdp, LinuxSeg6, Root, Sidewinder, Tool};
use sidewinder_tests::skip::announce;
use tempfile::NamedTempFile;

/// The chain, and a ping from h1 to h2 that goes on for longer than any test.
fn pinging() -> anyhow::Result<(Chain, Background)> {
    let chain = Chain::new([Kind::Sidewinder; 3], Way::End)?;
    // So that all neighbours are known.
    traffic::ping(chain.lab.node("h1"), H2, 3)?;
    let ping = chain.lab.node("h1").spawn(&format!("ping -i 0.05 {H2}"), Stdio::null())?;
    Ok((chain, ping))
}

fn router(chain: &Chain, number: u8) -> &Daemon {
    let (_, daemon) = chain.daemons.iter().find(|(other, _)| *other == number).expect("r1 to r3");
    daemon
}

/// A trace on r2 with these options, which has begun, and the file that its JSON goes to.
fn begin(chain: &Chain, options: &str) -> anyhow::Result<(Background, NamedTempFile)> {
    let daemon = router(chain, 2);
    let (binary, socket) = (daemon.binary().display(), daemon.socket());
    let line = format!("{binary} trace {options} --json --socket {}", socket.display());
    let file = NamedTempFile::new()?;
    let client = chain.lab.node("r2").spawn(&line, Stdio::from(file.reopen()?))?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while !fs::read_to_string(file.path())?.contains("begun") {
        anyhow::ensure!(Instant::now() < deadline, "the trace does not begin");
        thread::sleep(Duration::from_millis(10));
    }
    Ok((client, file))
}

/// The text has these, one after the other.
fn has_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => panic!("`{part}` is not there, or not in its place:\n{text}"),
        }
    }
}

fn traced(finished: Finished) -> String {
    assert!(finished.status.success(), "{finished:?}");
    println!("{}{}", finished.stdout, finished.stderr);
    finished.stdout
}

#[test]
fn every_router_tells_its_part() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    let (chain, _ping) = pinging()?;
    let text = traced(router(&chain, 1).ask("trace --count 1 --prefix 2001:db8:2::/64")?);
    has_in_order(
        &text,
        &[
            "packet 1: west, worker 0, ",
            "received   IPv6 2001:db8:1::2 > 2001:db8:2::2, hop limit 64",
            "ICMPv6 type 128 code 0",
            "look-up    2001:db8:2::2 in main: 2001:db8:2::/64 policy ",
            "(static)",
            "policy     ",
            "H.Encaps, list 1: fc00:0:2:e:: fc00:0:3:d6::",
            "+ IPv6 fc00:0:1::1 > fc00:0:2:e::, hop limit 64",
            "+ SRH segments left 1, segs fc00:0:2:e:: fc00:0:3:d6::",
            "hop limit 64 -> 63",
            "look-up    fc00:0:2:e:: in main: fc00:0:2::/48 via ",
            "adjacency  ",
            "dev east lladdr 02:00:00:00:02:0a",
            "verdict    forwarded by east",
        ],
    );
    let text =
        traced(router(&chain, 2).ask("trace --count 1 --sid fc00:0:2:e:: --interface west")?);
    has_in_order(
        &text,
        &[
            "look-up    fc00:0:2:e:: in main: fc00:0:2:e::/128 ",
            "(sid)",
            "SID        fc00:0:2:e::  End",
            "destination fc00:0:2:e:: -> fc00:0:3:d6::",
            "hop limit 64 -> 63",
            "segments left 1 -> 0",
            "look-up    fc00:0:3:d6:: in main: fc00:0:3::/48 via ",
            "verdict    forwarded by east",
        ],
    );
    let text = traced(router(&chain, 3).ask("trace --count 1 --sid fc00:0:3:d6::/128")?);
    has_in_order(
        &text,
        &[
            "SID        fc00:0:3:d6::  End.DT6",
            "- IPv6 fc00:0:1::1 > fc00:0:3:d6::",
            "- SRH segments left 0",
            "look-up    2001:db8:2::2 in main: 2001:db8:2::",
            "hop limit 63 -> 62",
            "verdict    forwarded by east",
        ],
    );
    let text = traced(router(&chain, 3).ask("trace --count 2 --sid fc00:0:3:d6:: --json")?);
    let messages: Vec<Value> = text.lines().map(|line| line.parse().expect("JSON")).collect();
    let [begun, first, second, end] = &messages[..] else { panic!("{text}") };
    assert_eq!(begun["begun"]["workers"], 1);
    for (packet, number) in [(first, 1), (second, 2)] {
        let packet = &packet["packet"];
        assert_eq!(packet["number"], number);
        assert_eq!(packet["steps"][0]["sid"]["behavior"], "End.DT6");
        assert_eq!(packet["received"]["headers"][1]["segments-left"], 0);
        assert_eq!(packet["steps"][1]["after"]["headers"][0]["hop-limit"], 62);
        assert_eq!(packet["verdict"]["fate"], "forwarded");
    }
    assert_eq!(end["end"], serde_json::json!({"why": "count", "packets": 2, "missed": 0}));
    Ok(())
}

#[test]
fn answers_and_drops_by_reason() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    let (chain, _ping) = pinging()?;
    let short = format!("ping -i 0.2 -t 1 {H2}");
    let _short = chain.lab.node("h1").spawn(&short, Stdio::null())?;
    let text = traced(router(&chain, 1).ask("trace --count 1 --drop hop-limit-exceeded")?);
    has_in_order(
        &text,
        &[
            "IPv6 2001:db8:1::2 > 2001:db8:2::2, hop limit 1",
            "refuse hop-limit-exceeded",
            "answer     IPv6 fc00:0:1::1 > 2001:db8:1::2",
            "ICMPv6 type 3 code 0",
            "verdict    replied for hop-limit-exceeded by west",
        ],
    );
    let none = router(&chain, 1).ask("trace --timeout 1 --drop blackhole")?;
    assert_eq!((none.status.code(), &*none.stdout), (Some(0), ""), "{none:?}");
    assert!(none.stderr.contains("0 packets, then the time was up"), "{none:?}");
    for (line, word) in [
        ("trace --drop no-such", "no-such"),
        ("trace --interface eth9", "eth9 is no interface of this router"),
        ("trace --sid fc00:9::", "fc00:9:: is no SID of ours"),
        ("trace --prefix fc00::/200", "not an address or a prefix"),
    ] {
        let refused = router(&chain, 1).ask(line)?;
        assert!(!refused.status.success() && refused.stderr.contains(word), "{refused:?}");
    }
    Ok(())
}

#[test]
fn wireshark_has_the_decision() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    let (chain, _ping) = pinging()?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("way.pcapng");
    let line =
        format!("trace --count 3 --sid fc00:0:2:e:: --interface west --write {}", file.display());
    let finished = router(&chain, 2).ask(&line)?;
    assert!(finished.status.success() && finished.stdout.is_empty(), "{finished:?}");
    assert!(finished.stderr.contains("3 packets written to"), "{finished:?}");
    // What Wireshark makes of it, where it is there.
    let filter = "frame.comment contains \"SID        fc00:0:2:e::  End\"";
    match Command::new("tshark").arg("-r").arg(&file).args(["-Y", filter]).output() {
        Ok(shown) => {
            let text = String::from_utf8_lossy(&shown.stdout);
            assert!(shown.status.success(), "{shown:?}");
            assert_eq!(text.lines().filter(|line| line.contains("ICMPv6")).count(), 3, "{text}");
        }
        Err(_) => announce("wireshark_has_the_decision, with Wireshark", "needs `tshark`"),
    }
    let capture = Pcapng::read(&fs::read(&file)?);
    assert_eq!(capture.interfaces.len(), 2, "{capture:?}");
    assert_eq!(capture.packets.len(), 6, "{capture:?}");
    for pair in capture.packets.chunks(2) {
        let [came, left] = pair else { panic!("{capture:?}") };
        assert_eq!((came.direction, left.direction), (1, 2));
        assert_ne!(came.interface, left.interface);
        assert_eq!(came.frame.len(), left.frame.len());
        // The next segment is where r2 sent it.
        assert_eq!(left.frame[14 + 24..14 + 30], [0xfc, 0, 0, 0, 0, 3]);
        assert_eq!(came.frame[14 + 24..14 + 30], [0xfc, 0, 0, 0, 0, 2]);
        has_in_order(&came.comment, &["received", "SID        fc00:0:2:e::  End", "verdict"]);
        assert!(left.comment.contains("forwarded by"), "{}", left.comment);
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_nanos();
        assert!(now - u128::from(came.time) < 60_000_000_000, "{}", came.time);
    }
    Ok(())
}

#[test]
fn ends_as_it_should() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    let (chain, _ping) = pinging()?;
    let daemon = router(&chain, 2);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let (mut client, _) = begin(&chain, "--count 0 --timeout 0")?;
        let second = daemon.ask("trace --count 1")?;
        assert!(second.stderr.contains("another trace is on"), "{second:?}");
        client.signal(signal)?;
        let status = client.wait(Duration::from_secs(5))?;
        if signal != Signal::SIGKILL {
            assert_eq!(status.and_then(|status| status.code()), Some(0), "{signal}");
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while !daemon.ask("trace --count 1 --timeout 5")?.status.success() {
            assert!(Instant::now() < deadline, "nothing can be traced after {signal}");
            thread::sleep(Duration::from_millis(20));
        }
    }
    let started = Instant::now();
    let timed = daemon.ask("trace --count 100000 --timeout 1")?;
    assert!(timed.stderr.contains("the time was up"), "{timed:?}");
    assert!(started.elapsed() < Duration::from_secs(4));
    assert!(timed.stdout.contains("packet 1: "), "{timed:?}");
    Ok(())
}

/// C-150: from the wire to the operator. C-151: nothing comes back to who sent them.
#[test]
fn o_flag_is_copied() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    let chain = Chain::new([Kind::Sidewinder; 3], Way::Plain)?;
    traffic::ping(chain.lab.node("h1"), H2, 3)?;
    let daemon = router(&chain, 2);
    let refused = daemon.ask("trace --o-flag --timeout 1")?;
    assert!(refused.stderr.contains("o-flag = \"copy\""), "{refused:?}");
    let toml = chain::toml(2, Way::Plain);
    daemon.reload(&toml.replace("[router]", "[router]\no-flag = \"copy\""))?;
    let (h1, h2) = (Wire::open(chain.lab.node("h1"))?, Wire::open(chain.lab.node("h2"))?);
    let way: [Ipv6Addr; 2] = ["fc00:0:2:e::".parse()?, H2.parse()?];
    let mut arrived = Vec::new();
    for flags in [0, 0x20, 0x20, 0x20] {
        let srh = Srh { flags, ..Srh::starting(&way) };
        let layers = [
            Layer::Ipv6(Ipv6::new(H1.parse()?, way[0])),
            Layer::Srh(srh),
            Layer::Udp(4000, 4001, b"is it marked?".to_vec()),
        ];
        let frame = build::frame(mac("02:00:00:00:01:0a"), mac("02:00:00:00:00:01"), &layers);
        h1.send("eth0", &frame)?;
        let deadline = Instant::now() + Duration::from_secs(5);
        let ours = loop {
            let received = h2.receive(deadline)?.expect("the packet arrives");
            if received.frame.ends_with(b"is it marked?") {
                break received.frame;
            }
        };
        assert_eq!(ours[14 + 40 + 5], flags);
        arrived.push([&ours[..14 + 40 + 5], &ours[14 + 40 + 6..]].concat());
    }
    assert!(arrived.windows(2).all(|pair| pair[0] == pair[1]), "{arrived:x?}");
    while let Some(received) = h1.receive(Instant::now() + Duration::from_millis(200))? {
        // The neighbours' kernels have their own to say; r2, by its address or a SID, has nothing.
        let source = received.frame.get(14 + 8..14 + 8 + 6);
        assert_ne!(source, Some(&[0xfc, 0, 0, 0, 0, 2][..]), "{received:x?}");
    }
    let text = traced(daemon.ask("trace --o-flag --count 3 --timeout 5")?);
    assert_eq!(text.matches("verdict    forwarded by east").count(), 3, "{text}");
    has_in_order(
        &text,
        &["SRH segments left 1, flags 0x20", "SID        fc00:0:2:e::  End", "packet 3: "],
    );
    Ok(())
}

/// C-031, C-033, C-153: ping and traceroute as RFC 9259, sections 3.1 and 3.2, have them.
#[test]
fn ping_and_traceroute_through_sids() -> Outcome {
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ping"), Tool("traceroute"), Tool("ethtool"));
    let _turn = serial();
    let chain = Chain::new([Kind::Sidewinder; 3], Way::Plain)?;
    let h1 = chain.lab.node("h1");
    let sid = "fc00:0:3:d6::";
    let count = |sid: &str| -> anyhow::Result<u64> {
        let sids: Value = router(&chain, 2).command("show sids --json")?.parse()?;
        let found = sids.as_array().and_then(|sids| sids.iter().find(|it| it["sid"] == sid));
        Ok(found.and_then(|sid| sid["packets"].as_u64()).unwrap_or_default())
    };
    traffic::ping(h1, sid, 3)?;
    traffic::ping(h1, "fc00:0:2:e::", 3)?;
    let before = count("fc00:0:2:e::")?;
    h1.ip(&format!(
        "-6 route add {sid}/128 encap seg6 mode inline segs fc00:0:2:e:: via 2001:db8:1::1 dev eth0"
    ))?;
    let said = h1.run(&format!("ping -c 3 -i 0.2 -W 2 {sid}"))?;
    assert_eq!(said.matches(&format!("from {sid}")).count(), 3, "{said}");
    assert_eq!(count("fc00:0:2:e::")?, before + 3, "not by way of r2's SID");
    // The last one is no host's: it says that it does not take UDP.
    let text = h1.run(&format!("traceroute -6 -n -q 1 -w 2 -m 5 {sid}"))?;
    let hops: Vec<&str> =
        text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(hops, ["fc00:0:1::1", "fc00:0:2::1", "fc00:0:3::1"], "{text}");
    assert!(text.contains("!<4-4>"), "{text}");
    Ok(())
}

#[test]
fn what_does_not_fit_is_said() -> Outcome {
    needs!(Root, AfXdp, Sidewinder, Tool("ping"), Tool("ethtool"));
    let _turn = serial();
    let chain = Chain::new([Kind::Sidewinder; 3], Way::End)?;
    let daemon = router(&chain, 2);
    let wanted = "--count 0 --timeout 60 --sid fc00:0:2:e:: --interface west";
    let (mut client, file) = begin(&chain, wanted)?;
    // 20 000 packets as fast as they can be sent.
    let flood = format!("ping -q -f -c 20000 -l 1000 {H2}");
    let said = chain.lab.node("h1").run(&flood)?;
    println!("{said}");
    client.signal(Signal::SIGINT)?;
    assert!(client.wait(Duration::from_secs(10))?.is_some_and(|status| status.success()));
    let text = fs::read_to_string(file.path())?;
    let end: Value = text.lines().last().unwrap_or_default().parse()?;
    println!("{end}");
    let (packets, missed) = (&end["end"]["packets"], &end["end"]["missed"]);
    let interfaces: Value = daemon.command("show interfaces --json")?.parse()?;
    let west = interfaces.as_array().and_then(|all| all.iter().find(|it| it["name"] == "west"));
    let came = west.and_then(|west| west["received"]["packets"].as_u64()).unwrap_or_default();
    let told = packets.as_u64().unwrap_or_default() + missed.as_u64().unwrap_or_default();
    assert_eq!(told, came, "{end}");
    assert!(missed.as_u64() > Some(0), "{end}: no flood");
    let workers: Value = daemon.command("show workers --json")?.parse()?;
    assert_eq!(workers[0]["dropped"], 0, "{workers}");
    assert_eq!(text.lines().count() as u64, packets.as_u64().unwrap_or_default() + 2);
    Ok(())
}

/// A pcapng file, as its specification says it is read.
#[derive(Debug, Default)]
struct Pcapng {
    interfaces: Vec<String>,
    packets: Vec<Captured>,
}

#[derive(Debug)]
struct Captured {
    interface: u32,
    time: u64,
    frame: Vec<u8>,
    comment: String,
    direction: u32,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn half(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes")))
}

/// The options in these bytes, to the last.
fn options(mut bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut options = Vec::new();
    loop {
        let (code, len) = (half(bytes, 0), half(bytes, 2));
        if code == 0 {
            assert_eq!((len, bytes.len()), (0, 4), "the end of options is the end");
            return options;
        }
        options.push((code, &bytes[4..4 + len]));
        bytes = &bytes[4 + len.next_multiple_of(4)..];
    }
}

impl Pcapng {
    fn read(mut bytes: &[u8]) -> Self {
        let mut read = Self::default();
        assert_eq!((word(bytes, 0), word(bytes, 8)), (0x0a0d_0d0a, 0x1a2b_3c4d));
        while !bytes.is_empty() {
            let (kind, len) = (word(bytes, 0), word(bytes, 4) as usize);
            assert_eq!(len % 4, 0);
            assert_eq!(word(bytes, len - 4) as usize, len, "the length stands at both ends");
            let body = &bytes[8..len - 4];
            match kind {
                0x0a0d_0d0a => assert_eq!((half(body, 4), half(body, 6)), (1, 0), "version"),
                1 => read.interface(body),
                6 => read.packet(body),
                other => panic!("a block of kind {other}"),
            }
            bytes = &bytes[len..];
        }
        read
    }

    fn interface(&mut self, body: &[u8]) {
        assert_eq!(half(body, 0), 1, "Ethernet");
        let options = options(&body[8..]);
        assert!(options.contains(&(9, &[9])), "nanoseconds");
        let name = options.iter().find(|(code, _)| *code == 2).expect("its name").1;
        self.interfaces.push(String::from_utf8_lossy(name).into());
    }

    fn packet(&mut self, body: &[u8]) {
        let (captured, original) = (word(body, 12) as usize, word(body, 16) as usize);
        assert_eq!(captured, original);
        let options = options(&body[20 + captured.next_multiple_of(4)..]);
        let option = |code| options.iter().find(|(other, _)| *other == code).expect("is there").1;
        let interface = word(body, 0);
        assert!((interface as usize) < self.interfaces.len(), "it was described before");
        self.packets.push(Captured {
            interface,
            time: u64::from(word(body, 4)) << 32 | u64::from(word(body, 8)),
            frame: body[20..20 + captured].to_vec(),
            comment: String::from_utf8(option(1).to_vec()).expect("UTF-8"),
            direction: word(option(2), 0),
        });
    }
}
