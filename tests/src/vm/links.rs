//! The guest's links: QEMU carries each Ethernet frame as one UDP datagram on the loopback.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use crate::differential::side::Ends;

/// Receive buffer: as much as an ordinary user may have is enough for what is under way at a time.
const BUFFER: usize = 8 << 20;

/// Our end of every link.
#[derive(Debug)]
pub struct Links {
    sockets: Vec<UdpSocket>,
}

/// The addresses of a link's two ends.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Where QEMU receives.
    pub guest: SocketAddrV4,
    /// Where we do.
    pub host: SocketAddrV4,
}

impl Links {
    /// So many links on free ports, and their addresses for QEMU. Nothing keeps QEMU's ports free
    /// until it takes them.
    pub fn new(count: usize) -> Result<(Self, Vec<Addresses>)> {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("a UDP port on 127.0.0.1");
        let (mut sockets, mut addresses, mut placeholders) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            let (ours, theirs) = (bind()?, bind()?);
            let (host, guest) = (port(&ours)?, port(&theirs)?);
            ours.connect(guest).context("connecting to QEMU's port")?;
            ours.set_nonblocking(true)?;
            // Refused beyond the limit of an ordinary user, and then that limit has to do.
            if setsockopt(&ours, sockopt::RcvBufForce, &BUFFER).is_err() {
                let _ = setsockopt(&ours, sockopt::RcvBuf, &BUFFER);
            }
            addresses.push(Addresses { guest, host });
            sockets.push(ours);
            // All are held until the last is found, or one could be found twice.
            placeholders.push(theirs);
        }
        Ok((Self { sockets }, addresses))
    }
}

impl Ends for Links {
    fn put(&self, link: usize, frame: &[u8]) -> Result<()> {
        loop {
            match self.sockets[link].send(frame) {
                Ok(_) => return Ok(()),
                Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                    Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS => std::thread::yield_now(),
                    _ => return Err(error).context("sending a frame to QEMU"),
                },
            }
        }
    }

    fn take(&self, deadline: Instant) -> Result<Option<(usize, Vec<u8>)>> {
        let mut buffer = [0; 4096];
        loop {
            for (link, socket) in self.sockets.iter().enumerate() {
                if let Ok(length) = socket.recv(&mut buffer) {
                    return Ok(Some((link, buffer[..length].to_vec())));
                }
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Ok(None);
            };
            wait(&self.sockets, left)?;
        }
    }
}

fn port(socket: &UdpSocket) -> Result<SocketAddrV4> {
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, socket.local_addr()?.port()))
}

fn wait(sockets: &[UdpSocket], limit: Duration) -> Result<()> {
    let millis = u16::try_from(limit.as_millis() + 1).unwrap_or(u16::MAX);
    let mut fds: Vec<_> =
        sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut fds, PollTimeout::from(millis)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error).context("waiting for a frame"),
    }
}
