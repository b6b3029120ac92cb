//! A TUN device: the door through which packets for the host itself enter the kernel.
//!
//! What is written to the device, the kernel takes as received on an interface of that name: it
//! delivers it to a local socket, or forwards it, or resolves the neighbour that it is for. Nothing
//! is ever read from the device.

#![allow(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use super::Punt;
use super::xdp::Error;
use super::xdp::error::Permission;
use super::xdp::link;

/// A TUN device. It disappears with the last clone of this handle, and so when the process ends.
#[derive(Debug, Clone)]
pub struct Tun {
    device: Arc<File>,
    name: String,
    index: u32,
}

impl Tun {
    /// Creates the device `name` in this thread's network namespace and brings it up, without
    /// addresses.
    ///
    /// So that the kernel takes packets of any source on it and forwards them, the device's
    /// forwarding is turned on and its reverse path filter off; where /proc/sys cannot be written,
    /// they stay as they are. (The filter in `net.ipv4.conf.all` counts as well, and is left to the
    /// administrator.)
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`] without CAP_NET_ADMIN, [`Error::System`] where there is a device of
    /// this name already, or no /dev/net/tun.
    pub fn open(name: &str) -> Result<Self, Error> {
        let failed = |source: io::Error| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                Error::NotPermitted(Permission::device(format!("creating the TUN device {name}")))
            }
            Some(libc::EBUSY | libc::EINVAL | libc::EEXIST) => Error::System {
                doing: format!(
                    "creating the TUN device {name}: there is an interface of this name already \
                     (perhaps another sidewinder's; `ip link del {name}` removes one that was left)"
                ),
                source,
            },
            Some(libc::ENOENT | libc::ENXIO) => Error::System {
                doing: "opening /dev/net/tun: load the kernel's module with `modprobe tun`".into(),
                source,
            },
            _ => Error::System { doing: format!("creating the TUN device {name}"), source },
        };
        let device = create(name).map_err(failed)?;
        // Before it is up: then the kernel would already have given it a link-local address, and
        // would send router solicitations and multicast reports from it.
        set(&format!("ipv6/conf/{name}/addr_gen_mode"), "1");
        set(&format!("ipv6/conf/{name}/forwarding"), "1");
        set(&format!("ipv4/conf/{name}/forwarding"), "1");
        set(&format!("ipv4/conf/{name}/rp_filter"), "0");
        link::set_up(name).map_err(failed)?;
        let index = link::index(name).map_err(failed)?;
        Ok(Self { device: Arc::new(device), name: name.into(), index })
    }

    /// Name of the device.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Index of the device in its network namespace.
    pub fn index(&self) -> u32 {
        self.index
    }
}

impl Punt for Tun {
    fn punt(&mut self, packet: &[u8]) -> bool {
        // The first half-byte tells the kernel whether it is IPv4 or IPv6. The device is
        // non-blocking: what the kernel has no memory for is not taken.
        (&*self.device).write(packet).is_ok_and(|written| written == packet.len())
    }
}

fn create(name: &str) -> io::Result<File> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    let mut request = link::request(name)?;
    // TUN_EXCL: somebody else's device of this name is not taken over.
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_TUN_EXCL;
    request.ifr_ifru.ifru_flags = flags as i16;
    // SAFETY: the descriptor is open, and TUNSETIFF reads name and flags of a valid request.
    match unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &mut request) } {
        0 => Ok(device),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Writes a setting below /proc/sys/net, which shows those of the thread's network namespace.
/// Containers often have it read-only.
fn set(setting: &str, value: &str) {
    let _ = fs::write(format!("/proc/sys/net/{setting}"), value);
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use nix::sched::{CloneFlags, unshare};
    use sidewinder_tests::skip::announce;

    use super::*;

    /// An IPv6 packet with a UDP datagram from 2001:db8::1 to 2001:db8::2.
    fn datagram(port: u16) -> Vec<u8> {
        let builder = etherparse::PacketBuilder::ipv6(
            "2001:db8::1".parse::<std::net::Ipv6Addr>().expect("address").octets(),
            "2001:db8::2".parse::<std::net::Ipv6Addr>().expect("address").octets(),
            64,
        )
        .udp(1000, port);
        let mut packet = Vec::new();
        builder.write(&mut packet, b"through the door").expect("a Vec takes everything");
        packet
    }

    /// In a network namespace of its own, which ends with the thread.
    #[test]
    fn a_punted_packet_reaches_a_local_socket() {
        let in_namespace = || {
            if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
                announce("port::tun", &format!("no network namespace: {error}"));
                return;
            }
            let mut tun = match Tun::open("swtest") {
                Ok(tun) => tun,
                Err(error) => {
                    announce("port::tun", &error.to_string());
                    return;
                }
            };
            assert_eq!((tun.name(), tun.index()), ("swtest", link::index("swtest").expect("up")));
            let setting = |path: &str| fs::read_to_string(format!("/proc/sys/net/{path}"));
            if let Ok(mode) = setting("ipv6/conf/swtest/addr_gen_mode") {
                assert_eq!(mode.trim(), "1", "no link-local address");
                let forwarding = setting("ipv6/conf/swtest/forwarding").expect("as the other");
                assert_eq!(forwarding.trim(), "1");
            }
            let taken = Tun::open("swtest").expect_err("the name is taken").to_string();
            assert!(taken.contains("there is an interface of this name already"), "{taken}");

            for arguments in [
                ["-6", "addr", "add", "2001:db8::2/128", "dev", "lo"],
                ["link", "set", "dev", "lo", "up", ""],
            ] {
                let arguments = arguments.into_iter().filter(|argument| !argument.is_empty());
                let ip = std::process::Command::new("ip").args(arguments).status();
                assert!(ip.expect("iproute2 is there").success());
            }
            let socket = UdpSocket::bind("[::]:0").expect("an ephemeral port");
            socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
            let port = socket.local_addr().expect("it is bound").port();
            assert!(tun.clone().punt(&datagram(port)));
            let mut buffer = [0; 64];
            let (length, from) = socket.recv_from(&mut buffer).expect("the datagram arrives");
            assert_eq!(&buffer[..length], b"through the door");
            assert_eq!(from.ip(), "2001:db8::1".parse::<std::net::IpAddr>().expect("address"));

            assert!(!tun.punt(&[]), "no packet at all");
            assert!(!tun.punt(&[0xff; 40]), "neither IPv4 nor IPv6");

            drop(tun);
            assert!(link::index("swtest").is_err(), "the device goes with its handle");
        };
        std::thread::spawn(in_namespace).join().expect("the test in the namespace");
    }
}
