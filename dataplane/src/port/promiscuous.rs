//! An interface that takes frames to every address.
//!
//! A NIC keeps to itself what is sent to other hosts. An interface that is a wire, its frames cargo for
//! the other end, has to let them in. The kernel counts who wants that and ends it with the socket, so
//! nothing is left behind when the process is killed.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};
use std::{io, mem};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// An interface that lets everything in, for as long as this lives.
#[derive(Debug)]
pub struct Promiscuous {
    _socket: OwnedFd,
}

impl Promiscuous {
    /// Has the interface let everything in.
    ///
    /// # Errors
    ///
    /// EPERM without CAP_NET_RAW, ENODEV without such an interface, EAFNOSUPPORT where packet sockets
    /// are forbidden to the process or not in the kernel.
    pub fn new(interface: &str) -> io::Result<Self> {
        // Without a protocol it receives nothing.
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
        let membership = libc::packet_mreq {
            mr_ifindex: if_nametoindex(interface)?.cast_signed(),
            mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        // SAFETY: the option is a struct packet_mreq, as long as is said, and only read.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                (&raw const membership).cast(),
                mem::size_of::<libc::packet_mreq>() as libc::socklen_t,
            )
        };
        if result == 0 { Ok(Self { _socket: socket }) } else { Err(io::Error::last_os_error()) }
    }
}
