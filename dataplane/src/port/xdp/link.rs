//! Facts about an interface that only the kernel knows: its driver, its queues, its MTU.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};
use std::{io, mem};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Commands of linux/ethtool.h.
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GCHANNELS: u32 = 0x3c;

/// The index of the interface in this thread's network namespace.
///
/// # Errors
///
/// ENODEV where there is none of this name.
pub fn index(interface: &str) -> io::Result<u32> {
    Ok(nix::net::if_::if_nametoindex(interface)?)
}

/// Name of the interface's driver, such as `ice` or `veth`, as `ethtool -i` shows it; `unknown`
/// where it does not tell.
pub fn driver(interface: &str) -> String {
    let mut info = DriverInfo { command: ETHTOOL_GDRVINFO, ..DriverInfo::default() };
    if Ioctl::new(interface).and_then(|mut ioctl| ioctl.ethtool(&mut info)).is_err() {
        return "unknown".into();
    }
    let end = info.driver.iter().position(|&byte| byte == 0).unwrap_or(info.driver.len());
    String::from_utf8_lossy(&info.driver[..end]).into_owned()
}

/// Receive queues of the interface, as `ethtool -l` shows them: those of their own and those
/// combined with a transmit queue. 1 for a driver that does not tell.
///
/// # Errors
///
/// ENODEV where there is no such interface.
pub fn queues(interface: &str) -> io::Result<u32> {
    let mut channels = Channels { command: ETHTOOL_GCHANNELS, ..Channels::default() };
    match Ioctl::new(interface)?.ethtool(&mut channels) {
        Ok(()) => Ok((channels.rx + channels.combined).max(1)),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(1),
        Err(error) => Err(error),
    }
}

/// The interface's MTU in bytes.
///
/// # Errors
///
/// ENODEV where there is no such interface.
pub fn mtu(interface: &str) -> io::Result<u32> {
    let mut ioctl = Ioctl::new(interface)?;
    // SAFETY: SIOCGIFMTU writes the integer of the request.
    unsafe { ioctl.call(libc::SIOCGIFMTU) }?;
    // SAFETY: the member that the call above has set.
    let mtu = unsafe { ioctl.request.ifr_ifru.ifru_mtu };
    Ok(mtu.try_into().unwrap_or(0))
}

/// Brings the interface up.
pub(crate) fn set_up(interface: &str) -> io::Result<()> {
    let mut ioctl = Ioctl::new(interface)?;
    // SAFETY: SIOCGIFFLAGS writes the flags of the request.
    unsafe { ioctl.call(libc::SIOCGIFFLAGS) }?;
    // SAFETY: the member that the call above has set.
    unsafe { ioctl.request.ifr_ifru.ifru_flags |= libc::IFF_UP as i16 };
    // SAFETY: SIOCSIFFLAGS reads the flags of the request.
    unsafe { ioctl.call(libc::SIOCSIFFLAGS) }
}

/// The request that ioctls on interfaces take, with only the name filled in.
///
/// # Errors
///
/// ENODEV for a name that no interface can have.
pub(crate) fn request(interface: &str) -> io::Result<libc::ifreq> {
    // SAFETY: a structure of integers, arrays of them and pointers: all zeros is a value of it.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // One byte is for the zero at the end.
    if interface.is_empty() || interface.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

/// Any socket of the network namespace will do to ask for its interfaces. (The files in
/// /sys/class/net are those of the namespace that /sys was mounted in, which may be another.)
struct Ioctl {
    socket: OwnedFd,
    request: libc::ifreq,
}

impl Ioctl {
    fn new(interface: &str) -> io::Result<Self> {
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Self { socket, request: request(interface)? })
    }

    fn ethtool<T: Command>(&mut self, command: &mut T) -> io::Result<()> {
        self.request.ifr_ifru.ifru_data = (command as *mut T).cast();
        // SAFETY: SIOCETHTOOL takes a pointer to the command's structure, which is what the request
        // has: `Command` promises that it is the one that its first field says.
        unsafe { self.call(libc::SIOCETHTOOL) }
    }

    /// # Safety
    ///
    /// The request has to have what `ioctl` reads or writes.
    unsafe fn call(&mut self, ioctl: libc::c_ulong) -> io::Result<()> {
        // SAFETY: the descriptor is open, the request a valid `ifreq`; the rest by the caller.
        match unsafe { libc::ioctl(self.socket.as_raw_fd(), ioctl as _, &mut self.request) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// A structure of linux/ethtool.h.
///
/// # Safety
///
/// The layout must be the one that the kernel expects for the number in the first field.
unsafe trait Command {}

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

impl Default for DriverInfo {
    fn default() -> Self {
        Self { command: 0, driver: [0; 32], rest: [0; 160] }
    }
}

// SAFETY: as in linux/ethtool.h, 196 bytes; only used with ETHTOOL_GDRVINFO.
unsafe impl Command for DriverInfo {}
const _: () = assert!(mem::size_of::<DriverInfo>() == 196);

/// `struct ethtool_channels`.
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    max: [u32; 4],
    rx: u32,
    tx: u32,
    other: u32,
    combined: u32,
}

// SAFETY: as in linux/ethtool.h, 36 bytes; only used with ETHTOOL_GCHANNELS.
unsafe impl Command for Channels {}
const _: () = assert!(mem::size_of::<Channels>() == 36);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_known() {
        assert_eq!(queues("lo").expect("lo is there"), 1);
        assert_eq!(index("lo").expect("lo is there"), 1);
        assert!(mtu("lo").expect("lo is there") >= 1280);
        assert!(!driver("lo").is_empty());
    }

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        for name in ["", "no-such-if", "a-name-that-is-too-long"] {
            assert_eq!(queues(name).expect_err(name).raw_os_error(), Some(libc::ENODEV));
            assert_eq!(index(name).expect_err(name).raw_os_error(), Some(libc::ENODEV));
            assert_eq!(driver(name), "unknown");
        }
    }
}
