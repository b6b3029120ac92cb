//! The XDP program that decides which packets of an interface come here, and its maps.
//!
//! What it decides is drawn in `steer.bpf.c`. The program is attached by a link that lives no longer
//! than this process: whatever becomes of the router, the interface is the kernel's again.

use std::error::Error as StdError;
use std::fmt::{self, Write};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, Map, MapData, MapError, XskMap};
use aya::programs::{Xdp, XdpMode};
use aya::{Ebpf, EbpfError, EbpfLoader};

use super::error::{Error, Permission, io_cause};
use super::link;

/// The compiled program.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/steer.bpf.o"));

/// Bits of the program's setting.
const REDIRECT_IPV4: u32 = 1;
const ONLY_STEERED: u32 = 2;
const SOME_LEFT: u32 = 4;
const ALL_FRAMES: u32 = 8;
const ENCAPSULATES: u32 = 16;

/// Which packets come to us, apart from what is always the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SteerMode {
    /// All.
    #[default]
    All,
    /// Only those to steered prefixes: local SIDs, and what policies steer.
    Sids,
    /// Every frame, those that would always be the kernel's included.
    Frames,
}

/// Whose a prefix is, whatever the mode says of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The kernel's: its packets are left to it.
    Kernel = 0,
    /// Ours.
    Ours = 1,
}

/// Where on its way in the program meets a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachMode {
    /// In the driver, before the kernel makes an sk_buff of the packet.
    Driver,
    /// After that: several times slower, but with any driver. No zero-copy.
    Generic,
}

/// The program on one interface, and its maps. Dropping it detaches the program.
#[derive(Debug)]
pub struct Steer {
    interface: String,
    mode: AttachMode,
    loaded: Loaded,
}

/// The program in the kernel, attached or not.
#[derive(Debug)]
struct Loaded {
    setting: u32,
    settings: Opaque<Array<MapData, u32>>,
    sockets: Opaque<XskMap<MapData>>,
    hosts: HashMap<MapData, [u8; 16], u8>,
    steered6: LpmTrie<MapData, [u8; 16], u8>,
    steered4: LpmTrie<MapData, [u8; 4], u8>,
    /// Owns the program and its link.
    ebpf: Ebpf,
}

/// A map of a kind that aya has no `Debug` for.
pub(super) struct Opaque<T>(pub(super) T);

impl<T> fmt::Debug for Opaque<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<T>())
    }
}

impl Steer {
    /// Loads the program and attaches it to the interface: in the driver if that can, else to the
    /// kernel's generic hook.
    ///
    /// From here on packets still take their usual way, until sockets are
    /// [registered](Self::register). So that none of the host's own packets is lost, set the hosts'
    /// addresses first.
    ///
    /// # Errors
    ///
    /// [`Error::ProgramAttached`] where there is another XDP program, [`Error::NotPermitted`]
    /// without CAP_NET_ADMIN and CAP_BPF, [`Error::NoSuchInterface`], [`Error::Program`].
    pub fn attach(interface: &str, mode: SteerMode) -> Result<Self, Error> {
        let no_interface = |source: io::Error| match source.raw_os_error() {
            Some(libc::ENODEV) => Error::NoSuchInterface { interface: interface.into() },
            _ => Error::System { doing: format!("asking for {interface}"), source },
        };
        let index = link::index(interface).map_err(no_interface)?;
        let queues = link::queues(interface).map_err(no_interface)?;
        let mut loaded = Loaded::new(interface, queues, mode)?;
        let mode = loaded.attach(interface, index)?;
        Ok(Self { interface: interface.into(), mode, loaded })
    }

    /// Name of the interface.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// How the program is attached.
    pub fn mode(&self) -> AttachMode {
        self.mode
    }

    /// Sends the packets of a queue (counted from 0) to a socket that is bound to it. The kernel
    /// removes the entry when the socket is closed; then the packets are its own again.
    ///
    /// # Errors
    ///
    /// [`Error::Map`] for a queue that the interface did not have when the program was attached.
    pub fn register(&mut self, queue: u32, socket: &impl AsFd) -> Result<(), Error> {
        self.loaded.register(queue, socket)
    }

    /// Says whether `address` is one of the host's own: packets to it are the kernel's. Not for
    /// local SIDs. An IPv4 subnet's broadcast address counts as one of the host's own, too.
    ///
    /// # Errors
    ///
    /// [`Error::Map`] where there are too many (65536).
    pub fn set_host(&mut self, address: IpAddr, own: bool) -> Result<(), Error> {
        self.loaded.set_host(address, own)
    }

    /// Says whose packets to this prefix (`length` in bits) are; `None`: those of the shorter prefix
    /// that covers it, and without one as the mode says. Of several prefixes the longest counts.
    ///
    /// # Errors
    ///
    /// [`Error::Map`] where there are too many (2²² of each family), or for an invalid length.
    pub fn set_owner(
        &mut self,
        prefix: IpAddr,
        length: u8,
        owner: Option<Owner>,
    ) -> Result<(), Error> {
        self.loaded.set_owner(prefix, length, owner)
    }

    /// Says whether any prefix is the [kernel's](Owner::Kernel): where none is, packets are not
    /// looked up for it.
    ///
    /// # Errors
    ///
    /// [`Error::Map`], which is not expected.
    pub fn set_some_left(&mut self, some: bool) -> Result<(), Error> {
        let setting = self.loaded.setting & !SOME_LEFT;
        self.loaded.set(if some { setting | SOME_LEFT } else { setting })
    }

    /// Says whether packets are encapsulated here: where they are, ICMPv6 errors about packets with a
    /// packet inside come to us.
    ///
    /// # Errors
    ///
    /// [`Error::Map`], which is not expected.
    pub fn set_encapsulates(&mut self, some: bool) -> Result<(), Error> {
        let setting = self.loaded.setting & !ENCAPSULATES;
        self.loaded.set(if some { setting | ENCAPSULATES } else { setting })
    }

    /// Says whether IPv4 packets come to us. At first they do not.
    ///
    /// # Errors
    ///
    /// [`Error::Map`], which is not expected.
    pub fn set_ipv4(&mut self, ours: bool) -> Result<(), Error> {
        let setting = self.loaded.setting & !REDIRECT_IPV4;
        self.loaded.set(if ours { setting | REDIRECT_IPV4 } else { setting })
    }
}

impl Loaded {
    fn new(interface: &str, queues: u32, mode: SteerMode) -> Result<Self, Error> {
        let refused =
            |error: &(dyn StdError + 'static)| program_error("loaded for", interface, error);
        let mut ebpf = EbpfLoader::new()
            // The program looks into no structure of the kernel, so there is nothing to relocate.
            .btf(None)
            .map_max_entries("sockets", queues)
            .load(OBJECT)
            .map_err(|error| refused(&error))?;
        program(&mut ebpf).and_then(|xdp| Ok(xdp.load()?)).map_err(|error| refused(&error))?;
        let mut loaded = Self {
            setting: 0,
            settings: Opaque(take(&mut ebpf, "settings").map_err(|error| refused(&error))?),
            sockets: Opaque(take(&mut ebpf, "sockets").map_err(|error| refused(&error))?),
            hosts: take(&mut ebpf, "hosts").map_err(|error| refused(&error))?,
            steered6: take(&mut ebpf, "steered6").map_err(|error| refused(&error))?,
            steered4: take(&mut ebpf, "steered4").map_err(|error| refused(&error))?,
            ebpf,
        };
        loaded.set(match mode {
            SteerMode::All => 0,
            SteerMode::Sids => ONLY_STEERED,
            SteerMode::Frames => ALL_FRAMES,
        })?;
        Ok(loaded)
    }

    fn attach(&mut self, interface: &str, index: u32) -> Result<AttachMode, Error> {
        let refused = |error: &(dyn StdError + 'static)| {
            match io_cause(error).raw_os_error() {
                // The first for a program attached by a link, the second for one attached to the
                // other hook.
                Some(libc::EBUSY | libc::EEXIST) => {
                    Error::ProgramAttached { interface: interface.into() }
                }
                Some(libc::ENODEV) => Error::NoSuchInterface { interface: interface.into() },
                _ => program_error("attached to", interface, error),
            }
        };
        let xdp = program(&mut self.ebpf).map_err(|error| refused(&error))?;
        match xdp.attach_to_if_index(index, XdpMode::Driver).map_err(|error| refused(&error)) {
            Ok(_) => return Ok(AttachMode::Driver),
            // The driver cannot; the generic hook can with any interface.
            Err(Error::Program { .. }) => {}
            Err(error) => return Err(error),
        }
        xdp.attach_to_if_index(index, XdpMode::Skb).map_err(|error| refused(&error))?;
        Ok(AttachMode::Generic)
    }

    fn set(&mut self, setting: u32) -> Result<(), Error> {
        self.settings.0.set(0, setting, 0).map_err(map_error("settings"))?;
        self.setting = setting;
        Ok(())
    }

    fn register(&mut self, queue: u32, socket: &impl AsFd) -> Result<(), Error> {
        let fd = socket.as_fd().as_raw_fd();
        self.sockets.0.set(queue, fd, 0).map_err(map_error("sockets"))
    }

    fn set_host(&mut self, address: IpAddr, own: bool) -> Result<(), Error> {
        let key = match address {
            IpAddr::V6(address) => address.octets(),
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        };
        let result = if own { self.hosts.insert(key, 1, 0) } else { self.hosts.remove(&key) };
        absent_is_fine(result).map_err(map_error("hosts"))
    }

    fn set_owner(&mut self, prefix: IpAddr, length: u8, owner: Option<Owner>) -> Result<(), Error> {
        fn set<K: aya::Pod>(
            trie: &mut LpmTrie<MapData, K, u8>,
            key: Key<K>,
            owner: Option<Owner>,
        ) -> Result<(), MapError> {
            absent_is_fine(match owner {
                Some(owner) => trie.insert(&key, owner as u8, 0),
                None => trie.remove(&key),
            })
        }
        let length = u32::from(length);
        match prefix {
            IpAddr::V6(address) => {
                set(&mut self.steered6, Key::new(length, address.octets()), owner)
                    .map_err(map_error("steered6"))
            }
            IpAddr::V4(address) => {
                set(&mut self.steered4, Key::new(length, address.octets()), owner)
                    .map_err(map_error("steered4"))
            }
        }
    }
}

fn program(ebpf: &mut Ebpf) -> Result<&mut Xdp, EbpfError> {
    let missing = || MapError::InvalidName { name: "steer".into() };
    Ok(ebpf.program_mut("steer").ok_or_else(missing)?.try_into()?)
}

pub(super) fn take<T: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<T, MapError> {
    ebpf.take_map(name).ok_or_else(|| MapError::InvalidName { name: name.into() })?.try_into()
}

/// Removing what is not there is what was wanted.
fn absent_is_fine(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(libc::ENOENT) =>
        {
            Ok(())
        }
        result => result,
    }
}

pub(super) fn map_error(map: &'static str) -> impl Fn(MapError) -> Error {
    move |source| Error::Map { map, source: Box::new(source) }
}

#[cold]
pub(super) fn program_error(
    doing: &'static str,
    interface: &str,
    error: &(dyn StdError + 'static),
) -> Error {
    if let Some(libc::EPERM | libc::EACCES) = io_cause(error).raw_os_error()
        && let permission = Permission::program(format!("an XDP program on {interface}"))
        && permission.is_missing()
    {
        return Error::NotPermitted(permission);
    }
    // Errors of aya are chains, whose last link says what the kernel said.
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !reason.contains(&text) {
            let _ = write!(reason, ": {text}");
        }
        cause = error.source();
    }
    Error::Program { interface: interface.into(), doing, reason }
}

#[cfg(test)]
mod tests {
    #![allow(unsafe_code)]

    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::os::fd::{FromRawFd, OwnedFd};

    use aya::programs::{TestRun, TestRunOptions};
    use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6Header};
    use sidewinder_tests::skip::announce;

    use super::*;

    const XDP_PASS: u32 = 2;
    const XDP_REDIRECT: u32 = 4;
    const UNICAST: [u8; 6] = [0x02, 0, 0, 0, 0, 1];

    /// The program, not attached to anything, with a socket for queue 0: that is where a test run
    /// pretends that packets come from. `None`, with the reason printed, without the privilege.
    fn program_to_test(mode: SteerMode) -> Option<(Loaded, OwnedFd)> {
        let mut loaded = match Loaded::new("test", 1, mode) {
            Ok(loaded) => loaded,
            Err(Error::NotPermitted(permission)) => {
                announce("port::xdp::steer", &permission.to_string());
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        // SAFETY: socket(2) touches no memory of ours.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        assert!(fd >= 0, "an AF_XDP socket: {}", io::Error::last_os_error());
        // SAFETY: the descriptor was just opened, and belongs to nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        loaded.register(0, &socket).expect("queue 0");
        Some((loaded, socket))
    }

    fn run(loaded: &mut Loaded, frame: &[u8]) -> u32 {
        let options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() };
        let xdp = program(&mut loaded.ebpf).expect("the program");
        xdp.test_run(options).expect("BPF_PROG_TEST_RUN").return_value
    }

    fn ethernet(destination: [u8; 6], ether_type: u16, payload: &[u8]) -> Vec<u8> {
        let header = Ethernet2Header {
            source: [0x02, 0, 0, 0, 0, 2],
            destination,
            ether_type: EtherType(ether_type),
        };
        [&header.to_bytes()[..], payload].concat()
    }

    fn ipv6_with(destination: &str, next_header: IpNumber) -> Vec<u8> {
        let destination: Ipv6Addr = destination.parse().expect("an address");
        let header = Ipv6Header {
            next_header,
            hop_limit: 64,
            source: [0x20; 16],
            destination: destination.octets(),
            ..Ipv6Header::default()
        };
        ethernet(UNICAST, 0x86dd, &[&header.to_bytes()[..], &[0; 24]].concat())
    }

    fn ipv6(destination: &str) -> Vec<u8> {
        ipv6_with(destination, IpNumber::UDP)
    }

    fn ipv4(destination: &str) -> Vec<u8> {
        let destination: Ipv4Addr = destination.parse().expect("an address");
        let header = Ipv4Header::new(20, 64, IpNumber::UDP, [192, 0, 2, 1], destination.octets())
            .expect("short enough");
        ethernet(UNICAST, 0x0800, &[&header.to_bytes()[..], &[0; 20]].concat())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn ipv6_is_ours_except_what_is_the_hosts() {
        let Some((mut steer, _socket)) = program_to_test(SteerMode::All) else { return };
        assert_eq!(run(&mut steer, &ipv6("2001:db8::1")), XDP_REDIRECT);
        assert_eq!(run(&mut steer, &ipv6("fc00:0:1:e::")), XDP_REDIRECT);
        for kernels in ["ff02::1", "ff05::2", "fe80::1", "fea0::1", "febf:ffff::1"] {
            assert_eq!(run(&mut steer, &ipv6(kernels)), XDP_PASS, "{kernels}");
        }
        assert_eq!(run(&mut steer, &ipv6("fec0::1")), XDP_REDIRECT, "no longer link-local");

        steer.set_host(ip("2001:db8::1"), true).expect("an address");
        assert_eq!(run(&mut steer, &ipv6("2001:db8::1")), XDP_PASS);
        assert_eq!(run(&mut steer, &ipv6("2001:db8::2")), XDP_REDIRECT);
        steer.set_host(ip("2001:db8::1"), false).expect("an address");
        steer.set_host(ip("2001:db8::1"), false).expect("twice is once");
        assert_eq!(run(&mut steer, &ipv6("2001:db8::1")), XDP_REDIRECT);
    }

    #[test]
    fn a_routing_header_to_the_host_is_ours_to_answer() {
        let Some((mut steer, _socket)) = program_to_test(SteerMode::All) else { return };
        steer.set_host(ip("2001:db8::1"), true).expect("an address");
        // And what may stand before one.
        for header in [
            IpNumber::IPV6_ROUTE_HEADER,
            IpNumber::IPV6_HEADER_HOP_BY_HOP,
            IpNumber::IPV6_DESTINATION_OPTIONS,
        ] {
            let packet = ipv6_with("2001:db8::1", header);
            assert_eq!(run(&mut steer, &packet), XDP_REDIRECT, "{header:?}");
        }
    }

    #[test]
    fn ipv4_is_the_kernels_until_it_is_turned_on() {
        let Some((mut steer, _socket)) = program_to_test(SteerMode::All) else { return };
        assert_eq!(run(&mut steer, &ipv4("198.51.100.1")), XDP_PASS);
        steer.set(REDIRECT_IPV4).expect("a setting");
        assert_eq!(run(&mut steer, &ipv4("198.51.100.1")), XDP_REDIRECT);
        for kernels in ["224.0.0.5", "239.1.2.3", "255.255.255.255", "169.254.1.1"] {
            assert_eq!(run(&mut steer, &ipv4(kernels)), XDP_PASS, "{kernels}");
        }
        steer.set_host(ip("198.51.100.1"), true).expect("an address");
        assert_eq!(run(&mut steer, &ipv4("198.51.100.1")), XDP_PASS);
        assert_eq!(run(&mut steer, &ipv4("198.51.100.2")), XDP_REDIRECT);
    }

    #[test]
    fn what_is_not_ip_or_not_unicast_is_the_kernels() {
        let Some((mut steer, _socket)) = program_to_test(SteerMode::All) else { return };
        let packet = &ipv6("2001:db8::1")[14..];
        let vlan = [&[0, 7, 0x86, 0xdd], packet].concat();
        for (name, frame) in [
            ("ARP", ethernet(UNICAST, 0x0806, &[0; 46])),
            ("VLAN", ethernet(UNICAST, 0x8100, &vlan)),
            ("QinQ", ethernet(UNICAST, 0x88a8, &vlan)),
            ("LLC (IS-IS)", ethernet(UNICAST, 0x0040, &[0; 64])),
            ("broadcast", ethernet([0xff; 6], 0x86dd, packet)),
            ("IPv6 multicast MAC", ethernet([0x33, 0x33, 0, 0, 0, 1], 0x86dd, packet)),
            ("short IPv6", ethernet(UNICAST, 0x86dd, &packet[..39])),
            ("Ethernet only", ethernet(UNICAST, 0x86dd, &[])),
        ] {
            assert_eq!(run(&mut steer, &frame), XDP_PASS, "{name}");
        }
    }

    #[test]
    fn with_sids_only_what_is_steered_is_ours() {
        let Some((mut steer, _socket)) = program_to_test(SteerMode::Sids) else { return };
        steer.set(steer.setting | REDIRECT_IPV4).expect("a setting");
        assert_eq!(run(&mut steer, &ipv6("fc00:0:1:e::")), XDP_PASS);
        steer.set_owner(ip("fc00:0:1::"), 48, Some(Owner::Ours)).expect("a prefix");
        steer.set_owner(ip("203.0.113.0"), 25, Some(Owner::Ours)).expect("a prefix");
        for (frame, verdict) in [
            (ipv6("fc00:0:1:e::"), XDP_REDIRECT),
            (ipv6("fc00:0:1:ffff::"), XDP_REDIRECT),
            (ipv6("fc00:0:2::"), XDP_PASS),
            (ipv4("203.0.113.127"), XDP_REDIRECT),
            (ipv4("203.0.113.128"), XDP_PASS),
        ] {
            assert_eq!(run(&mut steer, &frame), verdict);
        }
        // The host's own address in a steered prefix stays the host's.
        steer.set_host(ip("fc00:0:1::1"), true).expect("an address");
        assert_eq!(run(&mut steer, &ipv6("fc00:0:1::1")), XDP_PASS);

        // An IPv6 default does not catch IPv4.
        steer.set_owner(ip("::"), 0, Some(Owner::Ours)).expect("a prefix");
        assert_eq!(run(&mut steer, &ipv6("2001:db8::1")), XDP_REDIRECT);
        assert_eq!(run(&mut steer, &ipv4("198.51.100.1")), XDP_PASS);

        steer.set_owner(ip("::"), 0, None).expect("a prefix");
        steer.set_owner(ip("fc00:0:1::"), 48, None).expect("a prefix");
        steer.set_owner(ip("fc00:0:1::"), 48, None).expect("twice is once");
        assert_eq!(run(&mut steer, &ipv6("fc00:0:1:e::")), XDP_PASS);
        assert!(steer.set_owner(ip("203.0.113.0"), 33, Some(Owner::Ours)).is_err());
    }

    #[test]
    fn what_is_left_to_the_kernel_is_the_kernels() {
        for mode in [SteerMode::All, SteerMode::Sids] {
            let Some((mut steer, _socket)) = program_to_test(mode) else { return };
            steer.set(steer.setting | REDIRECT_IPV4 | SOME_LEFT).expect("a setting");
            steer.set_owner(ip("fc00:0:1::"), 48, Some(Owner::Ours)).expect("a prefix");
            steer.set_owner(ip("fc00:0:1:b::"), 64, Some(Owner::Kernel)).expect("a prefix");
            steer.set_owner(ip("fc00:0:1:b::7"), 128, Some(Owner::Ours)).expect("a prefix");
            steer.set_owner(ip("198.51.100.0"), 24, Some(Owner::Kernel)).expect("a prefix");
            let rest = if mode == SteerMode::All { XDP_REDIRECT } else { XDP_PASS };
            for (frame, verdict) in [
                (ipv6("fc00:0:1:e::"), XDP_REDIRECT),
                (ipv6("fc00:0:1:b::1"), XDP_PASS),
                (ipv6("fc00:0:1:b::7"), XDP_REDIRECT),
                (ipv6("2001:db8::1"), rest),
                (ipv4("198.51.100.7"), XDP_PASS),
                (ipv4("203.0.113.1"), rest),
            ] {
                assert_eq!(run(&mut steer, &frame), verdict, "{mode:?}");
            }
        }
    }

    #[test]
    fn without_a_socket_all_is_the_kernels() {
        let Some((mut steer, socket)) = program_to_test(SteerMode::All) else { return };
        assert_eq!(run(&mut steer, &ipv6("2001:db8::1")), XDP_REDIRECT);
        drop(socket);
        assert_eq!(run(&mut steer, &ipv6("2001:db8::1")), XDP_PASS);
    }

    #[test]
    fn a_queue_beyond_the_interface_is_an_error() {
        let Some((mut steer, socket)) = program_to_test(SteerMode::All) else { return };
        let error = steer.register(1, &socket).expect_err("there is only queue 0").to_string();
        assert!(error.contains("map `sockets`"), "{error}");
    }

    #[test]
    fn attaching_to_an_interface_that_is_not_there() {
        let error = Steer::attach("no-such-if", SteerMode::All).expect_err("not there");
        assert!(matches!(error, Error::NoSuchInterface { .. }), "{error}");
    }
}
