//! Frames put on the wire and taken off it by hand, on every link of one namespace.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvfrom, sendto,
    setsockopt, socket, sockopt,
};

use super::Netns;

/// Receive buffer: room for a few hundred thousand small frames, so that a slow reader loses none.
const BUFFER: usize = 256 << 20;

/// `sll_pkttype` of a frame that this machine sent itself.
const OUTGOING: u8 = 4;

/// A frame that came in, and the interface that it came in on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Kernel's number of the interface; [`Wire::name`] tells its name.
    pub link: usize,
    /// When it was read.
    pub at: Instant,
    /// The whole frame, Ethernet header included.
    pub frame: Vec<u8>,
}

/// A raw socket over all links of a namespace. Frames come in one sequence, in the order in which
/// they arrived, whichever link they came from.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
    links: BTreeMap<String, LinkAddr>,
}

impl Wire {
    /// Opens the socket. All links must be there already.
    pub fn open(netns: &Netns) -> Result<Self> {
        let opened = netns.enter(|| -> nix::Result<Self> {
            let socket = socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
                SockProtocol::EthAll,
            )?;
            setsockopt(&socket, sockopt::RcvBufForce, &BUFFER)?;
            let addresses = getifaddrs()?.filter_map(|interface| {
                let link = *interface.address?.as_link_addr()?;
                Some((interface.interface_name, link))
            });
            Ok(Self { socket, links: addresses.collect() })
        })?;
        opened.with_context(|| format!("raw socket in {}", netns.name()))
    }

    /// The number of the interface `name`. A name that is not there is a mistake in the test.
    pub fn link(&self, name: &str) -> usize {
        self.address(name).ifindex()
    }

    /// The name of the interface with this number.
    pub fn name(&self, link: usize) -> &str {
        let found = self.links.iter().find(|(_, address)| address.ifindex() == link);
        found.map_or("?", |(name, _)| name.as_str())
    }

    /// Sends a frame on the interface `name`.
    pub fn send(&self, name: &str, frame: &[u8]) -> Result<()> {
        let address = self.address(name);
        loop {
            match sendto(self.socket.as_raw_fd(), frame, address, MsgFlags::empty()) {
                Ok(sent) if sent == frame.len() => return Ok(()),
                Ok(sent) => bail!("only {sent} of {} bytes were sent on {name}", frame.len()),
                // The send buffer is full: the frames before this one are still on their way.
                Err(Errno::ENOBUFS | Errno::EAGAIN | Errno::EINTR) => std::thread::yield_now(),
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("sending {} bytes on {name}", frame.len()));
                }
            }
        }
    }

    /// The next frame that came in from outside; `None` if none comes before `deadline`.
    pub fn receive(&self, deadline: Instant) -> Result<Option<Received>> {
        // Larger than any frame of the lab: its MTUs stay below 4000.
        let mut buffer = [0; 4096];
        loop {
            match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut buffer) {
                Ok((_, None)) => bail!("a frame without a link"),
                Ok((_, Some(address))) if address.pkttype() == OUTGOING => {}
                Ok((length, Some(address))) => {
                    let frame = buffer[..length].to_vec();
                    let (link, at) = (address.ifindex(), Instant::now());
                    return Ok(Some(Received { link, at, frame }));
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                        return Ok(None);
                    };
                    self.wait(left)?;
                }
                Err(error) => return Err(error).context("receiving"),
            }
        }
    }

    /// Throws away what comes in until nothing has come for `quiet`.
    pub fn drain(&self, quiet: Duration) -> Result<()> {
        while self.receive(Instant::now() + quiet)?.is_some() {}
        Ok(())
    }

    fn address(&self, name: &str) -> &LinkAddr {
        self.links.get(name).unwrap_or_else(|| panic!("the wire has no link {name}"))
    }

    fn wait(&self, limit: Duration) -> Result<()> {
        // Rounded up: a wait of zero would turn the last millisecond into a busy loop.
        let millis = u16::try_from(limit.as_millis() + 1).unwrap_or(u16::MAX);
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(millis)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error).context("waiting for a frame"),
        }
    }
}
