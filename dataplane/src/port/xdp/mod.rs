//! AF_XDP ports: packets straight between a queue of a network interface and a worker's memory.
//!
//! ```text
//!                 ┌─────────── XdpPort (one interface of one worker) ──────────┐
//!   NIC queue ─ steer.bpf.c ─▶ RX ring ─▶ receive                              │
//!       ▲         │   │        FILL ring ◀── service ──▶ free list             │
//!       │         ▼   └─────────── XSKMAP ── Socket (one queue) ───────────────┤
//!       │     the kernel       COMP ring ─▶ service                            │
//!       └───────────────────── TX ring ◀── transmit                            │
//!                 └────────────────────────────────────────────────────────────┘
//! ```
//!
//! [`umem`] is the packet memory, `ring` the rings, [`socket`] a socket on one queue, [`steer`] the
//! XDP program that decides what comes here, [`link`] what there is to know about an interface.
//! [`generator`] and [`sink`] are no ports: measurements begin and end there.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use arrayvec::ArrayVec;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

pub mod error;
pub mod generator;
pub mod link;
mod ring;
pub mod sink;
pub mod socket;
pub mod steer;
pub mod umem;

pub use error::Error;
pub use socket::{BusyPoll, Socket, Statistics, ZeroCopy};
pub use steer::{AttachMode, Steer, SteerMode};
pub use umem::{RING_SIZE, Umem};

use super::Port;
use crate::frame::{Burst, Frame, FreeList};

/// Sockets that one call of [`Port::wait`] can sleep on.
const MAX_WAIT: usize = 128;

/// Frames that a worker needs for each of its sockets: a full fill ring, and as many packets in
/// the hands of the NIC and of the pipeline. A power of two.
pub const FRAMES_PER_SOCKET: u32 = 2 * RING_SIZE;

/// An interface as a worker is to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortConfig {
    /// Name of the interface.
    pub interface: String,
    /// The queues to receive from, counted from 0. Packets are sent on the first.
    pub queues: Vec<u32>,
    /// Whether without copies.
    pub zero_copy: ZeroCopy,
    /// Whether to poll the driver out of system calls.
    pub busy_poll: Option<BusyPoll>,
}

/// One interface of one worker.
#[derive(Debug)]
pub struct XdpPort {
    /// At least one. The first is the one to send on.
    sockets: Vec<Socket>,
    /// The socket to receive from first, so that one busy queue does not starve the others.
    next: usize,
}

/// What a worker needs to run.
#[derive(Debug)]
pub struct Opened {
    /// One port per configuration, in their order.
    pub ports: Vec<XdpPort>,
    /// The frames, none of them in a ring yet.
    pub frames: Vec<Frame>,
    /// The memory that all the ports share.
    pub umem: Umem,
}

/// Opens all interfaces of one worker on packet memory of `frames` frames, if possible on `huge`
/// pages.
///
/// The kernel lets sockets share memory only if they are all with zero-copy or all without. So: if
/// one interface requires it, all get it, or it is an error; if one forbids it, none gets it; if all
/// prefer it, all get it where all drivers grant it, else none.
///
/// # Errors
///
/// [`Error::MixedZeroCopy`] if one interface requires and another forbids zero-copy, and those of
/// [`Umem::new`] and [`XdpPort::open`].
pub fn open(configs: &[PortConfig], frames: u32, huge: bool) -> Result<Opened, Error> {
    let first = |mode| configs.iter().find(|config| config.zero_copy == mode);
    match (first(ZeroCopy::Require), first(ZeroCopy::Never)) {
        (Some(with), Some(without)) => Err(Error::MixedZeroCopy {
            with: with.interface.clone(),
            without: without.interface.clone(),
        }),
        (Some(_), None) => open_all(configs, frames, huge, ZeroCopy::Require),
        (None, Some(_)) => open_all(configs, frames, huge, ZeroCopy::Never),
        // A second attempt needs new memory: the kernel remembers the UMEM's mode.
        (None, None) => match open_all(configs, frames, huge, ZeroCopy::Require) {
            Err(
                Error::ZeroCopyRefused { .. } | Error::LockedMemory { .. } | Error::System { .. },
            ) => open_all(configs, frames, huge, ZeroCopy::Never),
            result => result,
        },
    }
}

fn open_all(
    configs: &[PortConfig],
    frames: u32,
    huge: bool,
    zero_copy: ZeroCopy,
) -> Result<Opened, Error> {
    let (umem, frames) = Umem::new(frames, huge)?;
    let ports = configs
        .iter()
        .map(|config| XdpPort::open(&umem, &PortConfig { zero_copy, ..config.clone() }))
        .collect::<Result<_, _>>()?;
    Ok(Opened { ports, frames, umem })
}

impl XdpPort {
    /// Opens a socket on each of the queues. Packets come as soon as the sockets are registered
    /// with the interface's [`Steer`].
    ///
    /// # Errors
    ///
    /// See [`Socket::open`]; [`Error::NoSuchQueue`] also without any queue.
    pub fn open(umem: &Umem, config: &PortConfig) -> Result<Self, Error> {
        let PortConfig { interface, queues, zero_copy, busy_poll } = config;
        let sockets = queues
            .iter()
            .map(|&queue| Socket::open(umem, interface, queue, *zero_copy, *busy_poll))
            .collect::<Result<Vec<_>, _>>()?;
        if sockets.is_empty() {
            let interface = interface.clone();
            return Err(Error::NoSuchQueue { interface, queue: 0, queues: 0 });
        }
        Ok(Self { sockets, next: 0 })
    }

    /// The sockets, one per queue.
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    /// Whether the kernel works without copies on all queues, by its own word.
    pub fn zero_copy(&self) -> bool {
        self.sockets.iter().all(Socket::zero_copy)
    }

    /// What the kernel has counted, all queues together.
    ///
    /// # Errors
    ///
    /// Those of getsockopt, of which none is expected.
    pub fn statistics(&self) -> io::Result<Statistics> {
        total(self.sockets.iter().map(AsFd::as_fd))
    }

    /// Something to read the statistics with from another thread.
    ///
    /// # Errors
    ///
    /// Those of dup(2): too many open files.
    pub fn monitor(&self) -> io::Result<Monitor> {
        let sockets = self.sockets.iter().map(Socket::duplicate).collect::<io::Result<_>>()?;
        Ok(Monitor { sockets })
    }
}

impl Port for XdpPort {
    #[inline]
    fn receive(&mut self, burst: &mut Burst) {
        let (before, from) = self.sockets.split_at_mut(self.next);
        for socket in from.iter_mut().chain(before) {
            if burst.is_full() {
                break;
            }
            socket.receive(burst);
        }
        self.next += 1;
        if self.next == self.sockets.len() {
            self.next = 0;
        }
    }

    #[inline]
    fn room(&mut self) -> usize {
        self.sockets[0].room()
    }

    #[inline]
    fn transmit(&mut self, burst: &mut Burst) {
        self.sockets[0].transmit(burst);
    }

    #[inline]
    fn service(&mut self, free: &mut FreeList) {
        for socket in &mut self.sockets {
            socket.service(free);
        }
    }

    fn wait(ports: &mut [Self], wake: Option<BorrowedFd<'_>>, timeout: Duration) {
        let mut fds = ArrayVec::<PollFd<'_>, MAX_WAIT>::new();
        fds.extend(wake.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let sockets = ports.iter().flat_map(|port| &port.sockets);
        for socket in sockets.take(MAX_WAIT - fds.len()) {
            let mut events = PollFlags::POLLIN;
            // Otherwise there is room all the time, and poll would never sleep.
            events.set(PollFlags::POLLOUT, socket.congested());
            fds.push(PollFd::new(socket.as_fd(), events));
        }
        // A signal, the only error there can be, is as good a reason to wake up as any.
        let _ = ppoll(&mut fds, Some(TimeSpec::from_duration(timeout)), None);
    }

    fn held(&self) -> usize {
        self.sockets.iter().map(Socket::held).sum()
    }
}

/// Reads a port's statistics from outside of its worker. As long as it lives, the port's queues
/// stay bound.
#[derive(Debug)]
pub struct Monitor {
    sockets: Vec<OwnedFd>,
}

impl Monitor {
    /// What the kernel has counted, all queues together.
    ///
    /// # Errors
    ///
    /// Those of getsockopt, of which none is expected.
    pub fn statistics(&self) -> io::Result<Statistics> {
        total(self.sockets.iter().map(AsFd::as_fd))
    }

    /// Whether the kernel leaves the queues to their worker (preferred busy polling). It ends where
    /// a driver does not send without being woken.
    ///
    /// # Errors
    ///
    /// Those of getsockopt, of which none is expected.
    pub fn busy_polls(&self) -> io::Result<bool> {
        let mut all = !self.sockets.is_empty();
        for socket in &self.sockets {
            all &= socket::busy_polls(socket.as_fd())?;
        }
        Ok(all)
    }
}

fn total<'a>(sockets: impl Iterator<Item = BorrowedFd<'a>>) -> io::Result<Statistics> {
    let mut total = Statistics::default();
    for socket in sockets {
        total += socket::statistics(socket)?;
    }
    Ok(total)
}
