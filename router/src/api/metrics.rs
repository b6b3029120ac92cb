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

/// One metric: its name and help, and the rows it is read from.
struct Metric<'a> {
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
    let on_port =
        |name, help, value| Metric { name, help, rows: &interfaces, labels: &["name"], value };
    let of_worker =
        |name, help, value| Metric { name, help, rows: &workers, labels: &["worker"], value };
    let of_sid =
        |name, help, value| Metric { name, help, rows: &sids, labels: &["sid", "behavior"], value };
    let of_reason =
        |name, help, value| Metric { name, help, rows: &drops, labels: &["reason"], value };
    let of_list =
        |name, help, value| Metric { name, help, rows: &lists, labels: &["policy", "segs"], value };
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
        of_worker("srv6_punted_packets", "Packets given to the host", "/punted"),
        of_worker("srv6_replied_packets", "Packets answered", "/replied"),
        of_worker("srv6_dropped_packets", "Packets dropped", "/dropped"),
        of_sid("srv6_sid_packets", "Packets to a local SID", "/packets"),
        of_sid("srv6_sid_bytes", "Bytes to a local SID", "/bytes"),
        of_list("srv6_policy_packets", "Packets encapsulated by a segment list", "/packets"),
        of_list("srv6_policy_bytes", "Bytes encapsulated by a segment list", "/bytes"),
        of_reason("srv6_drops", "Packets dropped, by reason", "/dropped"),
        of_reason("srv6_replies", "Packets answered, by reason", "/replied"),
    ];
    let mut text = String::new();
    for metric in &metrics {
        render(&mut text, metric);
    }
    text.push_str("# EOF\n");
    Some(text)
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
    let _ = writeln!(text, "# TYPE {} counter", metric.name);
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
        let _ = writeln!(text, "{}_total{{{}}} {value}", metric.name, labels.join(","));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_openmetrics() {
        let rows = [serde_json::json!({"reason": "no-route", "dropped": 7})];
        let mut text = String::new();
        let metric = Metric {
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
