//! AF_XDP ports on virtual Ethernet pairs.
//!
//! ```text
//!        network namespace of the test's own thread
//!     ┌─────────────────────────────────────────────────┐
//!     │  XdpPort ── near ════ veth ════ far ── Wire     │   Wire: an AF_PACKET socket that
//!     │             steer.bpf.c                         │   sends and sees whole frames
//!     └─────────────────────────────────────────────────┘
//! ```
//!
//! Each test has a thread in a namespace of its own, so tests run at the same time with the same
//! names, nothing outside is touched, and everything is gone with the thread, also after a panic.
//! Without the privilege to make a namespace a test prints that it is skipped.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io, mem};

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{MsgFlags, recv, send};
use sidewinder_dataplane::frame::{BURST, Burst, FreeList, HEADROOM};
use sidewinder_dataplane::port::Port;
use sidewinder_dataplane::port::xdp::{
    AttachMode, BusyPoll, Error, FRAMES_PER_SOCKET, Opened, PortConfig, RING_SIZE, Steer,
    SteerMode, XdpPort, ZeroCopy, link, open,
};
use sidewinder_tests::skip::announce;

/// What a test waits for at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of Ethernet and IPv6 header.
const HEADERS: usize = 54;

// ===== the tests =====

/// 100 000 packets of all sizes come in, get 40 bytes pushed in front, and go out again: all of them,
/// with the right bytes, and with every frame accounted for at every step.
#[test]
fn packets_go_there_and_back_with_a_moved_head() {
    in_namespace(|| {
        const COUNT: u32 = 100_000;
        veth("near", "far", 1);
        let (mut port, mut free, mut umem, steer) = port("near", &[0]);
        assert_eq!(steer.mode(), AttachMode::Driver);
        assert!(!port.zero_copy(), "veth has none");
        let wire = Wire::new("far");

        let mut burst = Burst::new();
        let (mut sent, mut back) = (0, 0);
        let start = Instant::now();
        while back < COUNT {
            assert!(start.elapsed() < PATIENCE, "{back} of {sent} came back");
            while sent < COUNT && sent - back < 500 {
                assert!(wire.send(&packet(sent)));
                sent += 1;
            }

            let waiting = burst.len();
            port.receive(&mut burst);
            for packet in &mut burst[waiting..] {
                assert_eq!(usize::from(packet.head), HEADROOM);
                packet.head -= 40;
                packet.len += 40;
                let head = usize::from(packet.head);
                umem.bytes(&packet.frame)[head..head + HEADERS].copy_from_slice(&outer());
            }
            port.transmit(&mut burst);
            port.service(&mut free);
            assert_eq!(free.len() + port.held() + burst.len(), umem.frames() as usize);

            while let Some(frame) = wire.receive() {
                let expected = [&outer()[..], &packet(back)[14..]].concat();
                assert!(frame == expected, "packet {back} has other bytes, or another's place");
                back += 1;
            }
        }

        port.service(&mut free);
        assert_eq!(port.held(), RING_SIZE as usize, "at rest, only the fill ring has frames");
        let statistics = port.statistics().expect("the kernel counts");
        assert_eq!(statistics.rx_dropped + statistics.rx_ring_full, 0, "{statistics:?}");
        assert_eq!(
            statistics.rx_invalid_descriptors + statistics.tx_invalid_descriptors,
            0,
            "{statistics:?}"
        );
    });
}

/// Packets move from one interface to another as descriptors of the memory that both share.
#[test]
fn a_packet_is_forwarded_between_two_ports() {
    in_namespace(|| {
        const COUNT: u32 = 5_000;
        veth("near", "far", 1);
        veth("near2", "far2", 1);
        let configs = [config("near", &[0]), config("near2", &[0])];
        let opened = open(&configs, 2 * FRAMES_PER_SOCKET, true).expect("both ports");
        let Opened { mut ports, frames, umem } = opened;
        let mut free = FreeList::new(frames);
        let _steer = [steer("near", &ports[0]), steer("near2", &ports[1])];
        let (wire, wire2) = (Wire::new("far"), Wire::new("far2"));
        ports.iter_mut().for_each(|port| port.service(&mut free));

        let (mut there, mut back) = (Burst::new(), Burst::new());
        let (mut sent, mut seen, mut seen_back) = (0, 0, 0);
        let start = Instant::now();
        while seen < COUNT || seen_back < COUNT {
            assert!(start.elapsed() < PATIENCE, "{seen} and {seen_back} of {sent}");
            while sent < COUNT && sent - seen.min(seen_back) < 200 {
                assert!(wire.send(&packet(sent)) && wire2.send(&packet(sent)));
                sent += 1;
            }
            let [port, port2] = &mut ports[..] else { unreachable!("there are two") };
            port.receive(&mut there);
            port2.receive(&mut back);
            port2.transmit(&mut there);
            port.transmit(&mut back);
            ports.iter_mut().for_each(|port| port.service(&mut free));
            let held: usize = ports.iter().map(Port::held).sum();
            let all = free.len() + held + there.len() + back.len();
            assert_eq!(all, umem.frames() as usize);
            while let Some(frame) = wire2.receive() {
                assert!(frame == packet(seen), "packet {seen}");
                seen += 1;
            }
            while let Some(frame) = wire.receive() {
                assert!(frame == packet(seen_back), "packet {seen_back} on the way back");
                seen_back += 1;
            }
        }
    });
}

/// One port receives from all queues of an interface.
#[test]
fn a_port_with_two_queues_receives_from_both() {
    in_namespace(|| {
        const COUNT: u32 = 2_000;
        veth("near", "far", 2);
        assert_eq!(link::queues("near").expect("near is there"), 2);
        let (mut port, mut free, umem, _steer) = port("near", &[0, 1]);
        let wire = Wire::new("far");
        let mut received = vec![false; COUNT as usize];
        let (mut sent, mut count) = (0, 0);
        let mut per_queue = [0; 2];
        let start = Instant::now();
        while count < COUNT {
            assert!(start.elapsed() < PATIENCE, "{count} of {sent}");
            while sent < COUNT && sent - count < 200 {
                // The queue is chosen by the flow label.
                assert!(wire.send(&packet(sent)));
                sent += 1;
            }
            let mut burst = Burst::new();
            port.receive(&mut burst);
            for packet in burst {
                let number = number(&umem.bytes_ref(&packet.frame)[HEADROOM..]);
                assert!(!mem::replace(&mut received[number as usize], true), "twice");
                count += 1;
                free.push(packet.frame);
            }
            port.service(&mut free);
            assert_eq!(free.len() + port.held(), umem.frames() as usize);
        }
        // Which queue a packet took is known from what the interface counts.
        let statistics = Command::new("ethtool").args(["-S", "near"]).output();
        if let Ok(output) = statistics {
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                for (queue, count) in per_queue.iter_mut().enumerate() {
                    let name = format!("rx_queue_{queue}_xdp_packets:");
                    if let Some(number) = line.trim().strip_prefix(&name) {
                        *count = number.trim().parse().expect("a number");
                    }
                }
            }
            assert!(per_queue.iter().all(|&count| count > 0u32), "{per_queue:?}");
        }
    });
}

/// With busy polling the driver is asked in every round.
#[test]
fn busy_polling_receives_and_sends() {
    in_namespace(|| {
        veth("near", "far", 1);
        let polled = PortConfig { busy_poll: Some(BusyPoll::default()), ..config("near", &[0]) };
        let opened = open(&[polled], FRAMES_PER_SOCKET, false).expect("a port");
        let Opened { mut ports, frames, umem } = opened;
        let mut free = FreeList::new(frames);
        let _steer = steer("near", &ports[0]);
        let wire = Wire::new("far");
        ports[0].service(&mut free);
        assert!(wire.send(&packet(0)));
        let start = Instant::now();
        let frame = loop {
            assert!(start.elapsed() < PATIENCE);
            let mut burst = Burst::new();
            ports[0].receive(&mut burst);
            ports[0].transmit(&mut burst);
            ports[0].service(&mut free);
            assert_eq!(free.len() + ports[0].held(), umem.frames() as usize);
            if let Some(frame) = wire.receive() {
                break frame;
            }
        };
        assert!(frame == packet(0));
    });
}

/// A packet longer than a frame has room is dropped and counted; it never comes truncated (C-102).
#[test]
fn a_packet_too_long_is_dropped_whole() {
    in_namespace(|| {
        veth("near", "far", 1);
        ip("link set dev near mtu 3000");
        ip("link set dev far mtu 3000");
        let (mut port, mut free, umem, _steer) = port("near", &[0]);
        let wire = Wire::new("far");
        let mut long = packet(0);
        long.resize(2500, 0);
        assert!(wire.send(&long));
        assert!(wire.send(&packet(1)));
        let mut burst = Burst::new();
        let start = Instant::now();
        while burst.is_empty() && start.elapsed() < PATIENCE {
            port.receive(&mut burst);
        }
        assert_eq!(burst.len(), 1);
        assert_eq!(number(&umem.bytes_ref(&burst[0].frame)[HEADROOM..]), 1);
        let monitor = port.monitor().expect("a descriptor");
        assert_eq!(monitor.statistics().expect("the kernel counts").rx_dropped, 1);
        for packet in burst {
            free.push(packet.frame);
        }
        port.service(&mut free);
        assert_eq!(free.len() + port.held(), umem.frames() as usize, "no frame is lost by it");
    });
}

/// A packet that no interface could send gives its frame back.
#[test]
fn a_packet_without_a_header_is_not_lost() {
    in_namespace(|| {
        veth("near", "far", 1);
        let (mut port, mut free, umem, _steer) = port("near", &[0]);
        let frame = free.pop().expect("there are more than the fill ring takes");
        let mut burst = Burst::new();
        burst.push(sidewinder_dataplane::frame::PacketBuf { frame, head: 256, len: 3 });
        port.transmit(&mut burst);
        assert!(burst.is_empty());
        assert_eq!(free.len() + port.held(), umem.frames() as usize);
        port.service(&mut free);
        assert_eq!(free.len() + port.held(), umem.frames() as usize);
        assert_eq!(port.held(), RING_SIZE as usize);
        assert_eq!(port.statistics().expect("the kernel counts").tx_invalid_descriptors, 0);
    });
}

/// While the link is down, packets stay in the ring until it is full and then in the burst; when it
/// is up again, they are sent.
#[test]
fn a_link_that_goes_down_and_up_loses_no_frame() {
    in_namespace(|| {
        veth("near", "far", 1);
        let (mut port, mut free, umem, _steer) = port("near", &[0]);
        let mut umem = umem;
        let wire = Wire::new("far");
        ip("link set dev near down");
        for index in 0..100 {
            let frame = free.pop().expect("there are more than the fill ring takes");
            let bytes = packet(index);
            umem.bytes(&frame)[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(&bytes);
            let (head, len) = (HEADROOM as u16, bytes.len() as u16);
            let mut burst = Burst::new();
            burst.push(sidewinder_dataplane::frame::PacketBuf { frame, head, len });
            port.transmit(&mut burst);
            assert!(burst.is_empty());
            port.service(&mut free);
        }
        assert_eq!(free.len() + port.held(), umem.frames() as usize);
        ip("link set dev near up");
        let start = Instant::now();
        let mut seen = 0;
        while seen < 100 {
            assert!(start.elapsed() < PATIENCE, "{seen}");
            port.service(&mut free);
            while wire.receive().is_some() {
                seen += 1;
            }
        }
        port.service(&mut free);
        assert_eq!(port.held(), RING_SIZE as usize);
        assert_eq!(free.len() + port.held(), umem.frames() as usize);
    });
}

/// `wait` returns for a packet, for the wake descriptor, and after the timeout.
#[test]
fn waiting_ends_with_a_packet_a_wake_or_a_timeout() {
    in_namespace(|| {
        veth("near", "far", 1);
        let (port, _free, _umem, _steer) = port("near", &[0]);
        let mut ports = [port];
        let wire = Wire::new("far");
        let (wake, waker) = nix::unistd::pipe().expect("a pipe");
        let wait = |ports: &mut [XdpPort], timeout| {
            let start = Instant::now();
            XdpPort::wait(ports, Some(wake.as_fd()), timeout);
            start.elapsed()
        };

        let short = Duration::from_millis(20);
        assert!(wait(&mut ports, short) >= short);
        assert!(wire.send(&packet(0)));
        assert!(wait(&mut ports, PATIENCE) < PATIENCE / 2);
        let mut burst = Burst::new();
        ports[0].receive(&mut burst);
        assert_eq!(burst.len(), 1);
        nix::unistd::write(&waker, b"!").expect("the pipe has room");
        assert!(wait(&mut ports, PATIENCE) < PATIENCE / 2);
    });
}

/// The program goes with its handle, a second one is refused in words, and without a socket packets
/// are the kernel's.
#[test]
fn the_program_is_detached_on_drop() {
    in_namespace(|| {
        veth("near", "far", 1);
        let attached = || {
            let output = Command::new("ip").args(["-d", "link", "show", "dev", "near"]).output();
            let output = output.expect("iproute2 is there");
            String::from_utf8_lossy(&output.stdout).contains("prog/xdp")
        };
        assert!(!attached());
        let steer = Steer::attach("near", SteerMode::Sids).expect("nothing is attached");
        assert!(attached());

        let error = Steer::attach("near", SteerMode::All).expect_err("one is attached");
        assert!(matches!(error, Error::ProgramAttached { .. }), "{error}");
        assert!(error.to_string().contains("ip link set dev near xdp off"), "{error}");

        drop(steer);
        assert!(!attached());
        Steer::attach("near", SteerMode::All).expect("nothing is attached any more");
    });
}

/// What cannot be had is refused with a sentence that says what to do.
#[test]
fn refusals_say_what_to_do() {
    in_namespace(|| {
        veth("near", "far", 1);
        veth("near2", "far2", 1);
        let frames = FRAMES_PER_SOCKET;
        let refusal = |configs: &[PortConfig]| {
            open(configs, frames, false).expect_err("it is refused").to_string()
        };

        let first = open(&[config("near", &[0])], frames, false).expect("the first socket");
        let busy = refusal(&[config("near", &[0])]);
        assert!(busy.starts_with("queue 0 of near is in use by another AF_XDP socket"), "{busy}");
        drop(first);
        drop(open(&[config("near", &[0])], frames, false).expect("the queue is free again"));

        let require = PortConfig { zero_copy: ZeroCopy::Require, ..config("near", &[0]) };
        let refused = refusal(std::slice::from_ref(&require));
        assert!(
            refused.starts_with("near does not grant zero-copy (driver veth: ")
                && refused.contains("zero-copy = \"prefer\""),
            "{refused}"
        );

        let never = PortConfig { zero_copy: ZeroCopy::Never, ..config("near2", &[0]) };
        let mixed = refusal(&[require, never.clone()]);
        assert!(mixed.starts_with("near requires zero-copy and near2 forbids it"), "{mixed}");
        let copies = open(&[config("near", &[0]), never], 2 * frames, false).expect("copies");
        assert!(copies.ports.iter().all(|port| !port.zero_copy()));
        drop(copies);

        let queue = refusal(&[config("near", &[3])]);
        assert!(queue.starts_with("near has no queue 3: it has 1, counted from 0"), "{queue}");
        let nowhere = refusal(&[config("nowhere", &[0])]);
        assert!(nowhere.starts_with("there is no interface \"nowhere\" here"), "{nowhere}");
        assert_eq!(link::driver("near"), "veth");
    });
}

// ===== a port and its packets =====

fn config(interface: &str, queues: &[u32]) -> PortConfig {
    PortConfig {
        interface: interface.into(),
        queues: queues.to_vec(),
        zero_copy: ZeroCopy::Prefer,
        busy_poll: None,
    }
}

/// A port that has its frames to receive into, and gets all packets.
fn port(
    interface: &str,
    queues: &[u32],
) -> (XdpPort, FreeList, sidewinder_dataplane::port::Umem, Steer) {
    let frames = FRAMES_PER_SOCKET * queues.len() as u32;
    let opened = open(&[config(interface, queues)], frames, true).expect("a port");
    let Opened { mut ports, frames, umem } = opened;
    let mut port = ports.pop().expect("one port was asked for");
    let steer = steer(interface, &port);
    let mut free = FreeList::new(frames);
    port.service(&mut free);
    (port, free, umem, steer)
}

fn steer(interface: &str, port: &XdpPort) -> Steer {
    let mut steer = Steer::attach(interface, SteerMode::All).expect("nothing else is attached");
    for socket in port.sockets() {
        steer.register(socket.queue(), socket).expect("the queue is there");
    }
    steer
}

/// The packet of this number: IPv6 to 2001:db8::1, all lengths that an MTU of 1500 allows, with a
/// flow label and contents that depend on the number.
fn packet(number: u32) -> Vec<u8> {
    let payload = 8 + number as usize * 7 % (1500 - 40 - 40 - 8);
    let mut packet = vec![0; HEADERS + payload];
    packet[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd]);
    packet[14..18].copy_from_slice(&(0x6000_0000 | number & 0xf_ffff).to_be_bytes());
    packet[18..20].copy_from_slice(&(payload as u16).to_be_bytes());
    packet[20..22].copy_from_slice(&[59, 64]);
    packet[22..38].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    packet[38..54].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet[54..58].copy_from_slice(&number.to_be_bytes());
    for (i, byte) in packet[58..].iter_mut().enumerate() {
        *byte = (i as u32 ^ number) as u8;
    }
    packet
}

fn number(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[54..58].try_into().expect("four bytes"))
}

/// What is put in front of a packet instead of its Ethernet header.
fn outer() -> [u8; HEADERS] {
    let mut outer = [0x5a; HEADERS];
    outer[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd]);
    outer[14] = 0x60;
    outer
}

// ===== the namespace =====

/// Runs a test in a thread with a network namespace of its own.
fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            announce("xdp_veth", &format!("no network namespace can be made: {error}"));
            return;
        }
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.expect("iproute2 is there").success(), "ip {arguments}");
}

/// A pair of interfaces that are up and silent.
fn veth(near: &str, far: &str, queues: u32) {
    let queues = format!("numtxqueues {queues} numrxqueues {queues}");
    ip(&format!("link add {near} {queues} type veth peer name {far} {queues}"));
    for interface in [near, far] {
        let path = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
        fs::write(path, "1").expect("sysctl");
        ip(&format!("link set dev {interface} up"));
    }
    // Both ends report their carrier in the background.
    let start = Instant::now();
    while !Wire::new(far).send(&[0; 60]) && start.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(20));
}

/// Sends and sees whole frames at the far end.
struct Wire(OwnedFd);

impl Wire {
    fn new(interface: &str) -> Self {
        let index = link::index(interface).expect("the interface is there");
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        let flags = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: socket(2) touches no memory of ours.
        let fd = unsafe { libc::socket(libc::AF_PACKET, flags, 0) };
        assert!(fd >= 0, "AF_PACKET: {}", io::Error::last_os_error());
        // SAFETY: the descriptor was just opened, and belongs to nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let buffer = 32 << 20i32;
        // SAFETY: a value of the length that is passed with it.
        unsafe {
            libc::setsockopt(
                fd,
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const buffer).cast(),
                mem::size_of::<i32>() as u32,
            )
        };
        // SAFETY: a structure of integers: all zeros is a value of it.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = index as i32;
        // SAFETY: an address of the length that is passed with it.
        let bound = unsafe {
            libc::bind(fd, (&raw const address).cast(), mem::size_of::<libc::sockaddr_ll>() as u32)
        };
        assert_eq!(bound, 0, "{}", io::Error::last_os_error());
        Self(socket)
    }

    fn send(&self, frame: &[u8]) -> bool {
        send(self.0.as_raw_fd(), frame, MsgFlags::empty()) == Ok(frame.len())
    }

    fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 4096];
        let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()).ok()?;
        Some(buffer[..length].to_vec())
    }
}

const _: () = assert!(BURST as u32 <= RING_SIZE);
