//! Ordinary traffic between hosts: ping, iperf3, and numbered datagrams at a steady pace.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{setsockopt, sockopt};

use super::Netns;
use crate::command;

/// Pings `address` until the first answer, so that neighbours are known, then `count` times without
/// losing one.
pub fn ping(from: &Netns, address: &str, count: u32) -> Result<()> {
    from.run(&format!("ping -6 -n -c 1 -w 5 -i 0.2 {address}"))?;
    let text = from.run(&format!("ping -6 -n -c {count} -i 0.01 -W 2 {address}"))?;
    ensure!(text.contains(" 0% packet loss"), "ping {address} lost packets:\n{text}");
    Ok(())
}

/// Which way an iperf3 transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Forth,
    /// From the server to the client.
    Back,
}

/// Most that TCP may have on its way at the end of a transfer.
const WINDOW: u64 = 16 << 20;

/// Moves `megabytes` by TCP from one host to the other and returns the rate in Mbit/s.
pub fn tcp(client: &Netns, server: &Netns, address: &str, megabytes: u32, way: Way) -> Result<f64> {
    let listening = server.spawn("iperf3 -s -1 -p 5201", Stdio::null())?;
    wait_for_listener(server, 5201)?;
    let reverse = if way == Way::Back { "-R" } else { "" };
    let mut command = client.command(&format!(
        "iperf3 -6 -c {address} -p 5201 -n {megabytes}M -J --connect-timeout 3000 {reverse}"
    ));
    let text = command::run(&mut command, Duration::from_secs(90))?;
    drop(listening);
    let report: serde_json::Value = serde_json::from_str(&text).context("iperf3's report")?;
    let count = |direction: &str| {
        let bytes = report["end"][direction]["bytes"].as_u64();
        bytes.with_context(|| format!("no {direction} in iperf3's report"))
    };
    let (sent, received) = (count("sum_sent")?, count("sum_received")?);
    // iperf3 stops counting what arrives when the sender is through: a window is on its way then.
    let whole = sent >= u64::from(megabytes) << 20 && received + WINDOW >= sent;
    ensure!(whole, "{sent} bytes were sent, {received} arrived:\n{text}");
    let rate = report["end"]["sum_received"]["bits_per_second"].as_f64();
    let rate = rate.context("no rate in iperf3's report")?;
    Ok(rate / 1e6)
}

/// Sends `bytes` by TCP to `address`, which belongs to `server`, and checks that the same bytes come
/// back: what a login over SSH needs, with content that can be compared.
pub fn echo(client: &Netns, server: &Netns, address: Ipv6Addr, bytes: &[u8]) -> Result<()> {
    let limit = Some(Duration::from_secs(10));
    let listener = server.enter(|| TcpListener::bind((address, 0)))??;
    let port = listener.local_addr()?.port();
    thread::scope(|scope| {
        let answering = scope.spawn(move || -> std::io::Result<u64> {
            let (stream, _) = listener.accept()?;
            stream.set_read_timeout(limit)?;
            std::io::copy(&mut &stream, &mut &stream)
        });
        let target = SocketAddr::from((address, port));
        let stream = client.enter(|| TcpStream::connect_timeout(&target, Duration::from_secs(5)));
        let stream = match stream? {
            Ok(stream) => stream,
            Err(error) => {
                // Nobody came: a connection from the server itself lets the other thread go.
                let _ = server.enter(|| TcpStream::connect(target));
                return Err(error).with_context(|| format!("connecting to {target}"));
            }
        };
        stream.set_read_timeout(limit)?;
        let mut writer = stream.try_clone()?;
        let writing = scope.spawn(move || -> std::io::Result<()> {
            writer.write_all(bytes)?;
            writer.shutdown(Shutdown::Write)
        });
        let mut back = Vec::new();
        (&stream).read_to_end(&mut back).context("reading what comes back")?;
        writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        answering.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        ensure!(back == bytes, "{} bytes went, {} others came back", bytes.len(), back.len());
        Ok(())
    })
}

/// Waits until something in `netns` listens on a TCP port.
pub fn wait_for_listener(netns: &Netns, port: u16) -> Result<()> {
    for _ in 0..200 {
        if !netns.run(&format!("ss -Hltn sport = :{port}"))?.is_empty() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    bail!("nothing listens on port {port} in {}", netns.name())
}

/// Packets that a host threw away for a wrong checksum, of any protocol.
pub fn checksum_errors(host: &Netns) -> Result<u64> {
    let v4 = host.run("cat /proc/net/snmp")?;
    let v6 = host.run("cat /proc/net/snmp6")?;
    let mut sum = 0;
    let lines: Vec<&str> = v4.lines().collect();
    for pair in lines.chunks_exact(2) {
        // A line of names, then a line of values.
        let named = pair[0].split_whitespace().zip(pair[1].split_whitespace());
        for (_, value) in named.filter(|(name, _)| name.contains("CsumErrors")) {
            sum += value.parse::<u64>()?;
        }
    }
    for line in v6.lines().filter(|line| line.contains("CsumErrors")) {
        sum += line.split_whitespace().nth(1).context("snmp6")?.parse::<u64>()?;
    }
    Ok(sum)
}

/// A plan of numbered UDP datagrams: `flows` source ports take turns.
#[derive(Clone, Copy, Debug)]
pub struct Datagrams {
    /// Where they come from.
    pub source: Ipv6Addr,
    /// Where they go.
    pub destination: Ipv6Addr,
    /// Number of flows.
    pub flows: u16,
    /// Datagrams in each flow.
    pub per_flow: u32,
    /// Datagrams per second, over all flows.
    pub rate: u32,
}

/// What came of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Sent.
    pub sent: u64,
    /// Arrived, with the content that was sent.
    pub received: u64,
    /// Arrived after a later one of the same flow.
    pub reordered: u64,
}

/// Bytes of a datagram: flow, number, and a pattern that depends on both.
const DATAGRAM: usize = 512;
const PORT: u16 = 7001;

impl Datagrams {
    /// Sends the plan from one host to the other.
    pub fn run(self, from: &Netns, to: &Netns) -> Result<Delivery> {
        let receiver =
            to.enter(|| UdpSocket::bind(SocketAddrV6::new(self.destination, PORT, 0, 0)))??;
        receiver.set_read_timeout(Some(Duration::from_millis(500)))?;
        // A reader that gets no turn for a while is not the router's fault.
        setsockopt(&receiver, sockopt::RcvBufForce, &(64 << 20))?;
        let senders = from.enter(|| {
            let bind = |flow| UdpSocket::bind(SocketAddrV6::new(self.source, 20_000 + flow, 0, 0));
            (0..self.flows).map(bind).collect::<std::io::Result<Vec<_>>>()
        })??;
        thread::scope(|scope| {
            let reader = scope.spawn(|| self.read(&receiver));
            self.write(&senders)?;
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn write(self, senders: &[UdpSocket]) -> Result<()> {
        let to = SocketAddrV6::new(self.destination, PORT, 0, 0);
        let mut pace = Pace::new(self.rate);
        for number in 0..self.per_flow {
            for (flow, socket) in (0..).zip(senders) {
                pace.wait();
                socket.send_to(&content(flow, number), to)?;
            }
        }
        Ok(())
    }

    fn read(self, socket: &UdpSocket) -> Result<Delivery> {
        let sent = u64::from(self.flows) * u64::from(self.per_flow);
        let mut delivery = Delivery { sent, ..Delivery::default() };
        let mut next = vec![0; usize::from(self.flows)];
        let mut buffer = [0; DATAGRAM + 1];
        while delivery.received < sent {
            // A pause much longer than the sender's: the rest is lost.
            let Ok(length) = socket.recv(&mut buffer) else { break };
            let (flow, number) =
                numbers(&buffer[..length]).context("a datagram came in changed")?;
            let next = next.get_mut(usize::from(flow)).context("a flow that was not sent")?;
            delivery.received += 1;
            delivery.reordered += u64::from(number < *next);
            *next = (*next).max(number + 1);
        }
        Ok(delivery)
    }
}

fn content(flow: u16, number: u32) -> [u8; DATAGRAM] {
    let mut bytes = [0; DATAGRAM];
    bytes[..2].copy_from_slice(&flow.to_be_bytes());
    bytes[2..6].copy_from_slice(&number.to_be_bytes());
    let start = number.wrapping_mul(31).wrapping_add(u32::from(flow));
    for (offset, byte) in (start..).zip(&mut bytes[6..]) {
        *byte = offset.to_be_bytes()[3];
    }
    bytes
}

fn numbers(bytes: &[u8]) -> Option<(u16, u32)> {
    let (flow, rest) = bytes.split_first_chunk()?;
    let (number, _) = rest.split_first_chunk()?;
    let (flow, number) = (u16::from_be_bytes(*flow), u32::from_be_bytes(*number));
    (bytes == content(flow, number)).then_some((flow, number))
}

/// A steady pace: each wait ends one interval after the one before, however late that was.
#[derive(Debug)]
pub struct Pace {
    start: Instant,
    count: u64,
    rate: u32,
}

impl Pace {
    /// `rate` steps per second, from now on.
    pub fn new(rate: u32) -> Self {
        Self { start: Instant::now(), count: 0, rate }
    }

    /// Waits for the next step.
    pub fn wait(&mut self) {
        let due = Duration::from_nanos(self.count * 1_000_000_000 / u64::from(self.rate));
        self.count += 1;
        // Sleeps are coarse on a busy machine; a burst of what is overdue keeps the average.
        if let Some(early) = due.checked_sub(self.start.elapsed()) {
            thread::sleep(early);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_a_changed_byte() {
        let mut bytes = content(3, 70_000);
        assert_eq!(numbers(&bytes), Some((3, 70_000)));
        bytes[500] ^= 1;
        assert_eq!(numbers(&bytes), None);
    }
}
