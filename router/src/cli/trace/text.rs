//! A packet's way as text: one block a packet, each step with what it changed.

use std::fmt::Write;

use sidewinder_dataplane::wire::protocol;

use crate::api::trace::{Header, LookUp, Packet, Policy, Step, Traced};

/// Where the second column begins.
const INDENT: usize = 13;

/// A block of text about a packet.
pub fn packet(traced: &Traced) -> String {
    let Traced { number, interface, worker, received, steps, .. } = traced;
    let mut text = Text(String::new());
    let _ = writeln!(
        text.0,
        "packet {number}: {interface}, worker {worker}, {}, {} bytes",
        time(traced.time),
        received.length
    );
    text.headers("received", received);
    let mut before = received;
    for step in steps {
        text.step(step, before);
        before = &step.after;
    }
    text.line("verdict", &verdict(traced));
    text.0.push('\n');
    text.0
}

/// What became of the packet.
pub fn verdict(traced: &Traced) -> String {
    let said = &traced.verdict;
    let mut text = said.fate.clone();
    if let Some(reason) = &said.reason {
        let _ = write!(text, " {}{reason}", if said.fate == "replied" { "for " } else { "" });
    }
    match &said.interface {
        Some(interface) => {
            let _ = write!(text, " by {interface}");
        }
        None if said.fate == "replied" => text.push_str(" by way of the host"),
        None => {}
    }
    if let Some(sent) = &traced.sent {
        let _ = write!(text, ", {} bytes with the Ethernet header", sent.len() / 2);
    }
    text
}

/// Lines of two columns.
struct Text(String);

impl Text {
    fn line(&mut self, label: &str, text: &str) {
        let _ = writeln!(self.0, "  {label:width$}{text}", width = INDENT - 2);
    }

    fn headers(&mut self, label: &str, packet: &Packet) {
        for (index, header) in packet.headers.iter().enumerate() {
            self.line(if index == 0 { label } else { "" }, &describe(header));
        }
        if packet.headers.is_empty() {
            self.line(label, "no IP header that makes sense");
        }
    }

    fn step(&mut self, step: &Step, before: &Packet) {
        if let Some(look_up) = &step.look_up {
            self.line("look-up", &found(look_up, step.sid.is_some()));
        }
        if let Some(sid) = &step.sid {
            let flavors: String = sid.flavors.iter().map(|flavor| format!(", {flavor}")).collect();
            let hmac = sid.hmac.as_ref().map(|hmac| format!(", HMAC {hmac}")).unwrap_or_default();
            self.line("SID", &format!("{}  {}{flavors}{hmac}", sid.sid, sid.behavior));
        }
        if let Some(policy) = &step.policy {
            self.line("policy", &steered(policy));
        }
        if step.outcome.starts_with("answer ") {
            self.headers("answer", &step.after);
            return;
        }
        self.changes(before, &step.after);
        if let Some(adjacency) = &step.adjacency {
            let address =
                adjacency.address.map_or_else(String::new, |address| format!("{address} "));
            let (interface, mac) = (&adjacency.interface, &adjacency.mac);
            self.line("adjacency", &format!("{address}dev {interface} lladdr {mac}"));
        } else if !step.outcome.starts_with("look-up") {
            self.line("", &step.outcome);
        }
    }

    /// What a step changed.
    fn changes(&mut self, before: &Packet, after: &Packet) {
        for change in align(&before.headers, &after.headers) {
            match change {
                (Some(old), Some(new)) => {
                    let (old, new) = (fields(old), fields(new));
                    for ((name, old), (_, new)) in old.iter().zip(&new) {
                        if old != new {
                            self.line("", &format!("{name} {old} -> {new}"));
                        }
                    }
                }
                (Some(old), None) => self.line("", &format!("- {}", describe(old))),
                (None, Some(new)) => self.line("", &format!("+ {}", describe(new))),
                (None, None) => {}
            }
        }
    }
}

/// What a look-up found. A SID is told by itself.
fn found(look_up: &LookUp, is_sid: bool) -> String {
    let LookUp { destination, table, prefix, target, source } = look_up;
    let mut text = format!("{destination} in {table}: ");
    match prefix {
        None => text.push_str("no route"),
        Some(prefix) => {
            let _ = write!(text, "{prefix}");
            match (target, source) {
                (_, Some(source)) if is_sid => {
                    let _ = write!(text, " ({source})");
                }
                (Some(target), Some(source)) => {
                    let _ = write!(text, " {target} ({source})");
                }
                _ => text.push_str(" (has changed since)"),
            }
        }
    }
    text
}

fn steered(policy: &Policy) -> String {
    let Policy { name, behavior, list, segs } = policy;
    let mut text = name.clone().unwrap_or_else(|| "(gone since)".into());
    if let Some(behavior) = behavior {
        let _ = write!(text, "  {behavior}");
    }
    if let Some(list) = list {
        let _ = write!(text, ", list {list}");
    }
    if !segs.is_empty() {
        let _ = write!(text, ": {}", segs.join(" "));
    }
    text
}

/// The headers of both, those that are the same one beside each other: as many as possible.
fn align<'a>(
    old: &'a [Header],
    new: &'a [Header],
) -> Vec<(Option<&'a Header>, Option<&'a Header>)> {
    // best[i][j]: how well old[i..] and new[j..] fit.
    let mut best = vec![vec![0; new.len() + 1]; old.len() + 1];
    for (i, before) in old.iter().enumerate().rev() {
        for (j, after) in new.iter().enumerate().rev() {
            let same = match likeness(before, after) {
                0 => 0,
                likeness => likeness + best[i + 1][j + 1],
            };
            best[i][j] = same.max(best[i + 1][j]).max(best[i][j + 1]);
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < old.len() || j < new.len() {
        let likeness = match (old.get(i), new.get(j)) {
            (Some(before), Some(after)) => likeness(before, after),
            _ => 0,
        };
        if likeness > 0 && best[i][j] == likeness + best[i + 1][j + 1] {
            pairs.push((Some(&old[i]), Some(&new[j])));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || best[i][j] == best[i + 1][j]) {
            pairs.push((Some(&old[i]), None));
            i += 1;
        } else {
            pairs.push((None, Some(&new[j])));
            j += 1;
        }
    }
    pairs
}

/// How much two headers look like the same one; 0: they are not. No behavior changes a source.
fn likeness(old: &Header, new: &Header) -> u32 {
    match (old, new) {
        (Header::Ipv6 { source: a, .. }, Header::Ipv6 { source: b, .. }) if a != b => 0,
        (Header::Ipv4 { source: a, .. }, Header::Ipv4 { source: b, .. }) if a != b => 0,
        (Header::Srh { segs: a, .. }, Header::Srh { segs: b, .. }) if a != b => 0,
        _ if old == new => 3,
        _ if std::mem::discriminant(old) == std::mem::discriminant(new) => 2,
        _ => 0,
    }
}

/// The fields of a header that may change on the way, with their values.
fn fields(header: &Header) -> Vec<(&'static str, String)> {
    match header {
        Header::Ipv6 {
            destination,
            hop_limit,
            traffic_class,
            flow_label,
            payload_length,
            next_header,
            ..
        } => vec![
            ("destination", destination.to_string()),
            ("hop limit", hop_limit.to_string()),
            ("traffic class", format!("{traffic_class:#04x}")),
            ("flow label", format!("{flow_label:#07x}")),
            ("payload length", payload_length.to_string()),
            ("next header", name(*next_header)),
        ],
        Header::Ipv4 { destination, ttl, tos, total_length, .. } => vec![
            ("destination", destination.to_string()),
            ("TTL", ttl.to_string()),
            ("TOS", format!("{tos:#04x}")),
            ("total length", total_length.to_string()),
        ],
        Header::Srh { segments_left, flags, tag, next_header, .. } => vec![
            ("segments left", segments_left.to_string()),
            ("flags", format!("{flags:#04x}")),
            ("tag", tag.to_string()),
            ("next header", name(*next_header)),
        ],
        _ => Vec::new(),
    }
}

/// A header in one line.
fn describe(header: &Header) -> String {
    match header {
        Header::Ipv6 { source, destination, hop_limit, traffic_class, flow_label, .. } => {
            let mut text = format!("IPv6 {source} > {destination}, hop limit {hop_limit}");
            if *traffic_class != 0 {
                let _ = write!(text, ", class {traffic_class:#04x}");
            }
            if *flow_label != 0 {
                let _ = write!(text, ", flow label {flow_label:#07x}");
            }
            text
        }
        Header::Srh { segments_left, flags, tag, segs, tlv_length, .. } => {
            let mut text = format!("SRH segments left {segments_left}");
            if *flags != 0 {
                let _ = write!(text, ", flags {flags:#04x}");
            }
            if *tag != 0 {
                let _ = write!(text, ", tag {tag}");
            }
            if *tlv_length != 0 {
                let _ = write!(text, ", {tlv_length} bytes of TLVs");
            }
            let segs: Vec<String> = segs.iter().map(ToString::to_string).collect();
            let _ = write!(text, ", segs {}", segs.join(" "));
            text
        }
        Header::Extension { protocol, length } => format!("{}, {length} bytes", name(*protocol)),
        Header::Ipv4 { source, destination, ttl, tos, .. } => {
            let mut text = format!("IPv4 {source} > {destination}, TTL {ttl}");
            if *tos != 0 {
                let _ = write!(text, ", TOS {tos:#04x}");
            }
            text
        }
        Header::Ports { protocol, source_port, destination_port } => {
            format!("{} {source_port} > {destination_port}", name(*protocol))
        }
        Header::Icmp { v6, kind, code, parameter } => {
            let version = if *v6 { "ICMPv6" } else { "ICMP" };
            format!("{version} type {kind} code {code}{}", parameter_of(*v6, *kind, *parameter))
        }
        Header::Other { protocol } => name(*protocol),
    }
}

/// What an ICMP message carries besides type and code.
fn parameter_of(v6: bool, kind: u8, parameter: u32) -> String {
    use sidewinder_dataplane::wire::{icmpv4, icmpv6};
    let [identifier, sequence] = [parameter >> 16, parameter & 0xffff];
    match (v6, kind) {
        (true, icmpv6::kind::PACKET_TOO_BIG) => format!(", MTU {parameter}"),
        (true, icmpv6::kind::PARAMETER_PROBLEM) => format!(", pointer {parameter}"),
        (false, icmpv4::kind::DESTINATION_UNREACHABLE) if parameter != 0 => {
            format!(", MTU {sequence}")
        }
        (true, icmpv6::kind::ECHO_REQUEST | icmpv6::kind::ECHO_REPLY) | (false, 0 | 8) => {
            format!(", id {identifier} seq {sequence}")
        }
        _ => String::new(),
    }
}

/// A protocol's name.
fn name(number: u8) -> String {
    match number {
        protocol::HOP_BY_HOP => "hop-by-hop options",
        protocol::ICMP => "ICMP",
        protocol::IPV4 => "IPv4",
        protocol::TCP => "TCP",
        protocol::UDP => "UDP",
        protocol::IPV6 => "IPv6",
        protocol::ROUTING => "routing header",
        protocol::FRAGMENT => "fragment header",
        protocol::ICMPV6 => "ICMPv6",
        protocol::NO_NEXT_HEADER => "no next header",
        protocol::DESTINATION_OPTIONS => "destination options",
        protocol::SCTP => "SCTP",
        protocol::ETHERNET => "Ethernet",
        other => return format!("protocol {other}"),
    }
    .to_owned()
}

/// Nanoseconds since 1970 as a time of day in UTC, to the microsecond.
fn time(nanoseconds: u64) -> String {
    let (seconds, micros) = (nanoseconds / 1_000_000_000, nanoseconds / 1000 % 1_000_000);
    let day = seconds % 86_400;
    format!("{:02}:{:02}:{:02}.{micros:06} UTC", day / 3600, day / 60 % 60, day % 60)
}
