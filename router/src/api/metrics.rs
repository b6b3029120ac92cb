//! The metrics page: OpenMetrics text over HTTP, for Prometheus and its like.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::{Command, Request, What};

/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(5);

/// The metrics page.
#[derive(Debug)]
pub struct Metrics;

impl Metrics {
    /// Serves the page on an address. The numbers are asked of the control thread.
    pub async fn serve(address: SocketAddr, commands: mpsc::Sender<Command>) -> anyhow::Result<()> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot serve metrics on {address}"))?;
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(super::ACCEPT_RETRY).await;
                    continue;
                };
                let commands = commands.clone();
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(PATIENCE, respond(stream, commands)).await;
                });
            }
        });
        Ok(())
    }
}

async fn respond(mut stream: TcpStream, commands: mpsc::Sender<Command>) {
    let mut request = [0; 1024];
    let Ok(count) = stream.read(&mut request).await else { return };
    let asked = String::from_utf8_lossy(&request[..count]);
    let path = asked.split_whitespace().nth(1).unwrap_or_default();
    let (status, body) = match path {
        "/metrics" | "/" => match page(&commands).await {
            Some(body) => ("200 OK", body),
            None => ("503 Service Unavailable", String::new()),
        },
        _ => ("404 Not Found", String::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/openmetrics-text; version=1.0.0; \
         charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body.as_bytes()).await;
}

async fn ask(commands: &mpsc::Sender<Command>, what: What) -> Option<Vec<Value>> {
    let (reply, answer) = oneshot::channel();
    commands.send(Command { request: Request::Show { what }, reply, listener: None }).await.ok()?;
    match answer.await.ok()?.ok()? {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// What a metric's numbers do.
#[derive(Clone, Copy, PartialEq)]
enum Type {
    /// They only grow.
    Counter,
    /// They come and go.
    Gauge,
}

/// One metric: its name and help, and the rows it is read from.
struct Metric<'a> {
    kind: Type,
    name: &'a str,
    help: &'a str,
    rows: &'a [Value],
    /// Fields that become labels.
    labels: &'a [&'a str],
    /// JSON pointer to the number.
    value: &'a str,
}

async fn page(commands: &mpsc::Sender<Command>) -> Option<String> {
    let interfaces = ask(commands, What::Interfaces).await?;
    let workers = ask(commands, What::Workers).await?;
    let sids = ask(commands, What::Sids).await?;
    let drops = ask(commands, What::Drops).await?;
    let lists: Vec<Value> =
        ask(commands, What::Policies).await?.iter().flat_map(lists_of).collect();
    let sources = ask(commands, What::Sources).await?;
    let feed = Feed::of(&sources);
    let counter = |name, help, rows, labels, value| {
        let kind = Type::Counter;
        Metric { kind, name, help, rows, labels, value }
    };
    let gauge = |name, help, rows, labels, value| {
        let kind = Type::Gauge;
        Metric { kind, name, help, rows, labels, value }
    };
    let on_port = |name, help, value| counter(name, help, &interfaces[..], &["name"][..], value);
    let of_worker = |name, help, value| counter(name, help, &workers[..], &["worker"][..], value);
    let of_sid =
        |name, help, value| counter(name, help, &sids[..], &["sid", "behavior"][..], value);
    let of_reason = |name, help, value| counter(name, help, &drops[..], &["reason"][..], value);
    let of_list =
        |name, help, value| counter(name, help, &lists[..], &["policy", "segs"][..], value);
    let of_source = |name, help, value| gauge(name, help, &sources[..], &["source"][..], value);
    let metrics = [
        on_port("srv6_received_packets", "Packets received", "/received/packets"),
        on_port("srv6_received_bytes", "Bytes received", "/received/bytes"),
        on_port("srv6_sent_packets", "Packets sent", "/sent/packets"),
        on_port("srv6_sent_bytes", "Bytes sent", "/sent/bytes"),
        on_port(
            "srv6_kernel_dropped_packets",
            "Packets the kernel dropped, longer than a frame",
            "/kernel-dropped",
        ),
        on_port(
            "srv6_ring_full_packets",
            "Packets the kernel dropped, the worker being too slow",
            "/ring-full",
        ),
        on_port("srv6_no_frame", "Times the kernel had no frame to receive into", "/no-frame"),
        of_worker("srv6_forwarded_packets", "Packets forwarded", "/forwarded"),
        of_worker("srv6_fragments", "Fragments sent beside the first of a packet", "/fragments"),
        of_worker("srv6_punted_packets", "Packets given to the host", "/punted"),
        of_worker("srv6_replied_packets", "Packets answered", "/replied"),
        of_worker("srv6_dropped_packets", "Packets dropped", "/dropped"),
        of_sid("srv6_sid_packets", "Packets to a local SID", "/packets"),
        of_sid("srv6_sid_bytes", "Bytes to a local SID", "/bytes"),
        of_list("srv6_policy_packets", "Packets encapsulated by a segment list", "/packets"),
        of_list("srv6_policy_bytes", "Bytes encapsulated by a segment list", "/bytes"),
        of_reason("srv6_drops", "Packets dropped, by reason", "/dropped"),
        of_reason("srv6_replies", "Packets answered, by reason", "/replied"),
        of_source("srv6_source_routes", "Routes of a source", "/routes"),
        of_source("srv6_source_best_routes", "Routes of a source that are the best", "/best"),
        of_source("srv6_source_stale_routes", "Routes of a source that has gone", "/stale"),
        gauge(
            "srv6_topology_objects",
            "Objects in the topology",
            &feed.objects,
            &["kind"],
            "/value",
        ),
        counter("srv6_spf_runs", "Computations of paths", &feed.runs, &["run"], "/value"),
        counter(
            "srv6_topology_errors",
            "Parts of a topology that were not taken as they were told, by reason",
            &feed.errors,
            &["reason"],
            "/value",
        ),
        gauge("srv6_bgp_ls_up", "Whether the session is established", &feed.up, &[], "/value"),
        counter(
            "srv6_bgp_ls_messages",
            "Messages of the session",
            &feed.messages,
            &["direction", "message"],
            "/value",
        ),
        counter(
            "srv6_bgp_ls_ends",
            "Ends of sessions and connections, by reason",
            &feed.ends,
            &["reason"],
            "/value",
        ),
        counter("srv6_bgp_ls_nlri", "NLRI of the session", &feed.nlri, &["kind"], "/value"),
    ];
    let mut text = String::new();
    for metric in &metrics {
        render(&mut text, metric);
    }
    text.push_str("# EOF\n");
    Some(text)
}

/// What the link-state source has to say of itself, in rows.
#[derive(Default)]
struct Feed {
    objects: Vec<Value>,
    runs: Vec<Value>,
    errors: Vec<Value>,
    up: Vec<Value>,
    messages: Vec<Value>,
    ends: Vec<Value>,
    nlri: Vec<Value>,
}

impl Feed {
    fn of(sources: &[Value]) -> Self {
        let source = sources.iter().find(|source| source["source"] == "link-state");
        let Some(details) = source.map(|source| &source["details"]) else { return Self::default() };
        let row = |label: &str, name: &str, value: &Value| serde_json::json!({ label: name, "value": value });
        let rows = |label: &str, values: &Value| -> Vec<Value> {
            let values = values.as_object().into_iter().flatten();
            values.map(|(name, value)| row(label, name, value)).collect()
        };
        let chosen = |label: &str, values: &Value, names: &[&str]| -> Vec<Value> {
            names.iter().map(|name| row(label, name, &values[*name])).collect()
        };
        let session = &details["session"];
        let mut feed = Self {
            objects: chosen("kind", details, &["nodes", "links", "prefixes", "sids", "stale"]),
            runs: chosen("run", &details["spf"], &["full", "incremental", "nothing"]),
            errors: rows("reason", &details["topology-errors"]),
            ..Self::default()
        };
        if session.is_object() {
            feed.errors.extend(rows("reason", &session["errors"]));
            let up = u8::from(session["state"] == "Established");
            feed.up = vec![serde_json::json!({ "value": up })];
            for direction in ["received", "sent"] {
                feed.messages.extend(rows("message", &session[direction]).into_iter().map(
                    |mut row| {
                        row["direction"] = direction.into();
                        row
                    },
                ));
            }
            feed.ends = rows("reason", &session["ends"]);
            feed.nlri = ["announced", "withdrawn"]
                .map(|kind| row("kind", kind, &session[format!("nlri-{kind}")]))
                .into();
        }
        feed
    }
}

/// A policy's segment lists, each with the policy's name and its segments as one word.
fn lists_of(policy: &Value) -> Vec<Value> {
    let lists = policy["lists"].as_array().cloned().unwrap_or_default();
    lists
        .into_iter()
        .map(|mut list| {
            let segs: Vec<&str> =
                list["segs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let segs = segs.join(",");
            list["segs"] = Value::String(segs);
            list["policy"] = policy["name"].clone();
            list
        })
        .collect()
}

fn render(text: &mut String, metric: &Metric<'_>) {
    let (kind, suffix) = match metric.kind {
        Type::Counter => ("counter", "_total"),
        Type::Gauge => ("gauge", ""),
    };
    let _ = writeln!(text, "# TYPE {} {kind}", metric.name);
    let _ = writeln!(text, "# HELP {} {}.", metric.name, metric.help);
    for row in metric.rows {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| {
                let name = if *label == "name" { "interface" } else { label };
                match &row[*label] {
                    Value::String(value) => format!("{name}=\"{value}\""),
                    value => format!("{name}=\"{value}\""),
                }
            })
            .collect();
        let value = row.pointer(metric.value).and_then(Value::as_u64).unwrap_or_default();
        let labels = labels.join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let _ = writeln!(text, "{}{suffix}{labels} {value}", metric.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_becomes_rows() {
        let sources = [serde_json::json!({ "source": "link-state", "details": {
            "nodes": 3, "spf": { "full": 1 }, "topology-errors": { "ted-full": 2 },
            "session": { "state": "Established", "sent": { "open": 4 }, "errors": { "as-loop": 5 } },
        }})];
        let feed = Feed::of(&sources);
        assert_eq!(feed.up, [serde_json::json!({ "value": 1 })]);
        assert_eq!(feed.errors.len(), 2);
        let sent = serde_json::json!({ "message": "open", "direction": "sent", "value": 4 });
        assert_eq!(feed.messages, [sent]);
        let mut text = String::new();
        let (name, help) = ("up", "Up");
        let (rows, labels, value) = (&feed.up[..], &[][..], "/value");
        render(&mut text, &Metric { kind: Type::Gauge, name, help, rows, labels, value });
        assert_eq!(text, "# TYPE up gauge\n# HELP up Up.\nup 1\n");
    }

    #[test]
    fn renders_openmetrics() {
        let rows = [serde_json::json!({"reason": "no-route", "dropped": 7})];
        let mut text = String::new();
        let metric = Metric {
            kind: Type::Counter,
            name: "srv6_drops",
            help: "Packets dropped, by reason",
            rows: &rows,
            labels: &["reason"],
            value: "/dropped",
        };
        render(&mut text, &metric);
        assert_eq!(
            text,
            "# TYPE srv6_drops counter\n# HELP srv6_drops Packets dropped, by reason.\n\
             srv6_drops_total{reason=\"no-route\"} 7\n"
        );
    }
}
