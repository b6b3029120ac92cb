//! An AF_XDP socket: one queue of one interface.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};
use std::{io, mem, thread};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{MsgFlags, recv, send};
use xsk_rs::config::{BindFlags, Interface, LibxdpFlags, QueueSize, SocketConfig};
use xsk_rs::{CompQueue, FillQueue, RxQueue, TxQueue};

use super::error::{Error, Permission, io_cause};
use super::link;
use super::ring::{CompRing, FillRing, Mapped, RxRing, TxRing};
use super::umem::{RING_SIZE, Umem};
use crate::frame::{Burst, Frame, FreeList};

/// Packets that one `sendto` may send in copy mode. The kernel's default of 32 would take two
/// calls for a burst.
const TX_BUDGET: i32 = 256;

/// XDP_MAX_TX_SKB_BUDGET of linux/if_xdp.h (since Linux 6.17), which libc does not have.
const XDP_MAX_TX_SKB_BUDGET: i32 = 9;

/// Bytes of sk_buffs that may be on their way in copy mode. The usual 208 KiB are not one hundred
/// full-sized packets.
const SEND_BUFFER: i32 = 8 << 20;

/// How long to wait for a queue whose socket was closed: the kernel lets go of it in the
/// background, so a router that restarts at once finds it busy for a moment.
const BUSY_PATIENCE: Duration = Duration::from_millis(500);

/// Calls in a row that send nothing before busy polling is taken for the reason. A driver that polls
/// its TX queue sends with the first; a link that is held up for a while may take some.
const STALLED: u32 = 1024;

/// Whether the driver is to read and write packets in the UMEM itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZeroCopy {
    /// Opening fails where the driver does not grant it.
    Require,
    /// Where the driver grants it, else with a copy by the kernel.
    #[default]
    Prefer,
    /// With a copy by the kernel, even where the driver would grant it.
    Never,
}

/// Polling of the driver out of system calls instead of interrupts. For an idle interface it costs,
/// for a busy one it saves the switch between the worker and the softirq on the same core. To
/// take effect, the interface also needs `napi_defer_hard_irqs` and `gro_flush_timeout` in
/// /sys/class/net (Documentation/networking/napi.rst). Needs CAP_NET_ADMIN. A driver that does not
/// send when it is polled is woken up to send all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusyPoll {
    /// How long a system call may poll at most, in microseconds: SO_BUSY_POLL.
    pub microseconds: u16,
    /// Packets per poll at most: SO_BUSY_POLL_BUDGET.
    pub budget: u16,
}

impl Default for BusyPoll {
    fn default() -> Self {
        Self { microseconds: 20, budget: 64 }
    }
}

/// What the kernel counts per socket, from getsockopt XDP_STATISTICS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Received packets dropped by the kernel for other reasons than the following: they were
    /// longer than a frame has room.
    pub rx_dropped: u64,
    /// Addresses in the fill ring that were not in the UMEM. A bug in this program if not 0.
    pub rx_invalid_descriptors: u64,
    /// Packets dropped because the RX ring was full: the worker was too slow.
    pub rx_ring_full: u64,
    /// Times that the kernel found no frame to receive into. In copy mode a packet was dropped
    /// each time.
    pub rx_fill_ring_empty: u64,
    /// Descriptors in the TX ring that the kernel refused. A bug in this program if not 0.
    pub tx_invalid_descriptors: u64,
    /// Times that the kernel found nothing to send.
    pub tx_ring_empty: u64,
}

impl std::ops::AddAssign for Statistics {
    fn add_assign(&mut self, other: Self) {
        self.rx_dropped += other.rx_dropped;
        self.rx_invalid_descriptors += other.rx_invalid_descriptors;
        self.rx_ring_full += other.rx_ring_full;
        self.rx_fill_ring_empty += other.rx_fill_ring_empty;
        self.tx_invalid_descriptors += other.tx_invalid_descriptors;
        self.tx_ring_empty += other.tx_ring_empty;
    }
}

/// An AF_XDP socket, bound to one queue of one interface, with its four rings.
///
/// The fields' order is the order of their end: our mappings of the rings hold the socket open,
/// so they go first, and xsk-rs' queues, which own the socket, last.
#[derive(Debug)]
pub struct Socket {
    rx: RxRing,
    tx: TxRing,
    fill: FillRing,
    comp: CompRing,
    /// Frames in the rings: given to the kernel and not come back.
    held: u32,
    /// Frames of packets that could not be sent, until the next `service`.
    refused: Vec<Frame>,
    busy_poll: bool,
    /// Calls in a row that sent nothing though they should have.
    stalled: u32,
    zero_copy: bool,
    queue: u32,
    fd: RawFd,
    /// Never asked to produce or consume anything: that is what our own rings do.
    _owners: (TxQueue, RxQueue, FillQueue, CompQueue),
}

impl Socket {
    /// Opens a socket on a queue (counted from 0) of an interface, with packets in `umem`.
    ///
    /// The first socket on a `umem` decides for all of them between zero-copy and copy. A UMEM that
    /// was refused zero-copy on a later interface cannot be used for copies, see
    /// [`open`](super::open), which takes care of that.
    ///
    /// # Errors
    ///
    /// See the variants of [`Error`].
    pub fn open(
        umem: &Umem,
        interface: &str,
        queue: u32,
        zero_copy: ZeroCopy,
        busy_poll: Option<BusyPoll>,
    ) -> Result<Self, Error> {
        let registered = umem.registered().ok_or(Error::NoFrames)?;
        check_queue(interface, queue)?;
        let bind = |flags: BindFlags| bind(registered, interface, queue, flags);
        let bound = match zero_copy {
            ZeroCopy::Never => bind(BindFlags::XDP_COPY),
            ZeroCopy::Require => bind(BindFlags::XDP_ZEROCOPY),
            // Drivers refuse with many codes, so any other may be a refusal; if it is not, the
            // second attempt fails for the same reason.
            ZeroCopy::Prefer => match bind(BindFlags::XDP_ZEROCOPY) {
                Err(error) if error.raw_os_error() != Some(libc::EBUSY) => {
                    bind(BindFlags::XDP_COPY)
                }
                result => result,
            },
        };
        let owners = bound.map_err(|source| explain(source, interface, queue, zero_copy))?;
        let mut socket = Self::map(queue, owners, busy_poll.is_some())?;
        socket.tune(busy_poll)?;
        socket.zero_copy = socket.read_zero_copy()?;
        if zero_copy == ZeroCopy::Require && !socket.zero_copy {
            return Err(refused(interface, "the memory is shared with an interface that copies"));
        }
        Ok(socket)
    }

    /// Maps the rings of a bound socket for ourselves.
    fn map(
        queue: u32,
        owners: (TxQueue, RxQueue, FillQueue, CompQueue),
        busy_poll: bool,
    ) -> Result<Self, Error> {
        let raw = owners.0.fd().as_raw_fd();
        // SAFETY: `owners` keep the socket open, and are still there when this function returns.
        let fd = unsafe { BorrowedFd::borrow_raw(raw) };
        // libxdp leaves that out. A child process would hold the queue beyond our end.
        let _ = fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
        let mapping = |source| Error::System { doing: "mapping the rings".into(), source };
        let offsets: libc::xdp_mmap_offsets =
            get_option(fd, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS).map_err(mapping)?;
        let rx = Mapped::new(fd, libc::XDP_PGOFF_RX_RING, &offsets.rx, RING_SIZE);
        let tx = Mapped::new(fd, libc::XDP_PGOFF_TX_RING, &offsets.tx, RING_SIZE);
        let fill = Mapped::new(fd, libc::XDP_UMEM_PGOFF_FILL_RING as i64, &offsets.fr, RING_SIZE);
        let comp =
            Mapped::new(fd, libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64, &offsets.cr, RING_SIZE);
        Ok(Self {
            rx: RxRing::new(rx.map_err(mapping)?),
            tx: TxRing::new(tx.map_err(mapping)?),
            fill: FillRing::new(fill.map_err(mapping)?),
            comp: CompRing::new(comp.map_err(mapping)?),
            held: 0,
            refused: Vec::with_capacity(crate::frame::BURST),
            busy_poll,
            stalled: 0,
            zero_copy: false,
            queue,
            fd: raw,
            _owners: owners,
        })
    }

    fn tune(&self, busy_poll: Option<BusyPoll>) -> Result<(), Error> {
        // Without these two it works all the same, only slower, and only in copy mode.
        let _ = self.set_option(libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, TX_BUDGET);
        let _ = self.set_option(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, SEND_BUFFER);
        let Some(BusyPoll { microseconds, budget }) = busy_poll else { return Ok(()) };
        self.set_option(libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, 1)
            .and_then(|()| {
                self.set_option(libc::SOL_SOCKET, libc::SO_BUSY_POLL, i32::from(microseconds))
            })
            .and_then(|()| {
                self.set_option(libc::SOL_SOCKET, libc::SO_BUSY_POLL_BUDGET, i32::from(budget))
            })
            .map_err(|source| match source.raw_os_error() {
                Some(libc::EPERM) => Error::NotPermitted(Permission::socket("busy polling")),
                _ => Error::System { doing: "turning on busy polling".into(), source },
            })
    }

    fn set_option(&self, level: i32, option: i32, value: i32) -> io::Result<()> {
        // SAFETY: the value is an integer of the length that is passed with it.
        let result = unsafe {
            libc::setsockopt(
                self.fd,
                level,
                option,
                (&raw const value).cast(),
                mem::size_of::<i32>() as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn read_zero_copy(&self) -> Result<bool, Error> {
        let options: libc::xdp_options = get_option(self.as_fd(), libc::SOL_XDP, libc::XDP_OPTIONS)
            .map_err(|source| Error::System { doing: "asking for the mode".into(), source })?;
        Ok(options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
    }

    /// Whether the kernel really works without a copy, by its own word (XDP_OPTIONS).
    pub fn zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// The queue that it is bound to, counted from 0.
    pub fn queue(&self) -> u32 {
        self.queue
    }

    /// What the kernel has counted since the socket was opened.
    ///
    /// # Errors
    ///
    /// Those of getsockopt, of which none is expected.
    pub fn statistics(&self) -> io::Result<Statistics> {
        statistics(self.as_fd())
    }

    /// A second descriptor of the socket.
    pub(super) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.as_fd().try_clone_to_owned()
    }

    /// Frames in the rings, and those that wait to be returned by `service`.
    pub(super) fn held(&self) -> usize {
        self.held as usize + self.refused.len()
    }

    #[inline]
    pub(super) fn receive(&mut self, burst: &mut Burst) {
        self.held -= self.rx.receive(burst);
    }

    /// Packets that `transmit` takes now; never more than a few bursts.
    #[inline]
    pub(super) fn room(&mut self) -> usize {
        self.tx.room()
    }

    #[inline]
    pub(super) fn transmit(&mut self, burst: &mut Burst) {
        self.held += self.tx.send(burst, &mut self.refused);
    }

    /// Whether so many packets wait to be sent that there may soon be no room.
    pub(super) fn congested(&self) -> bool {
        self.tx.pending() > RING_SIZE / 2
    }

    #[inline]
    pub(super) fn service(&mut self, free: &mut FreeList) {
        // First what comes back: it makes room for what is to be sent, and in copy mode the kernel
        // sends only as much as the completion ring has room for.
        self.held -= self.comp.reclaim(free);
        while let Some(frame) = self.refused.pop() {
            free.push(frame);
        }
        self.held += self.fill.fill(RING_SIZE, free);
        if self.busy_poll || self.fill.needs_wakeup() {
            self.wake_receiver();
        }
        if self.tx.needs_wakeup() && self.tx.pending() != 0 {
            self.wake_sender();
        }
    }

    /// Lets the driver look at the fill ring.
    #[cold]
    #[inline(never)]
    fn wake_receiver(&self) {
        // The result says nothing that the next round would not find out by itself: EAGAIN is
        // the usual one, ENETDOWN is a link that is down.
        let _ = recv(self.fd, &mut [], MsgFlags::MSG_DONTWAIT);
    }

    /// Lets the driver look at the TX ring; in copy mode, sends packets.
    #[inline(never)]
    fn wake_sender(&mut self) {
        let before = self.tx.pending();
        // Whatever is not sent stays in the ring and is tried again in the next round:
        // EAGAIN: more packets than one call may send, or no room in the completion ring;
        // ENOBUFS, EBUSY: the driver's queue is full; ENETDOWN: the link is down;
        // ENXIO: the interface is gone.
        match send(self.fd, &[], MsgFlags::MSG_DONTWAIT) {
            Ok(_) if self.busy_poll && self.zero_copy && self.tx.pending() == before => {
                self.note_stall();
            }
            Ok(_) => self.stalled = 0,
            Err(
                Errno::EAGAIN
                | Errno::ENOBUFS
                | Errno::EBUSY
                | Errno::ENETDOWN
                | Errno::ENXIO
                | Errno::EINTR,
            ) => {}
            Err(error) => debug_assert!(false, "sendto on an AF_XDP socket: {error}"),
        }
    }

    /// Preferred busy polling replaces the wake-up of the sender by a poll of the queue's NAPI
    /// context (net/xdp/xsk.c, xsk_no_wakeup). Drivers whose TX queues have contexts of their own,
    /// such as virtio_net, never send then: they get their wake-ups back.
    #[cold]
    fn note_stall(&mut self) {
        self.stalled = self.stalled.saturating_add(1);
        if self.stalled == STALLED {
            // Turning it off needs no capability, so it does not fail.
            let _ = self.set_option(libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, 0);
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `_owners` keep the descriptor open for as long as `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

/// What the kernel has counted on this AF_XDP socket.
pub(super) fn statistics(fd: BorrowedFd<'_>) -> io::Result<Statistics> {
    let counted: libc::xdp_statistics = get_option(fd, libc::SOL_XDP, libc::XDP_STATISTICS)?;
    Ok(Statistics {
        rx_dropped: counted.rx_dropped,
        rx_invalid_descriptors: counted.rx_invalid_descs,
        rx_ring_full: counted.rx_ring_full,
        rx_fill_ring_empty: counted.rx_fill_ring_empty_descs,
        tx_invalid_descriptors: counted.tx_invalid_descs,
        tx_ring_empty: counted.tx_ring_empty_descs,
    })
}

/// Whether preferred busy polling is on.
pub(super) fn busy_polls(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(get_option::<i32>(fd, libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL)? != 0)
}

/// Integers, or structures of integers, that socket options consist of.
///
/// # Safety
///
/// All zeros and everything that the kernel may write must be values of the type.
unsafe trait XdpOption {}
// SAFETY: integers only, as the others.
unsafe impl XdpOption for libc::xdp_mmap_offsets {}
// SAFETY: see above.
unsafe impl XdpOption for i32 {}
// SAFETY: see above.
unsafe impl XdpOption for libc::xdp_options {}
// SAFETY: see above.
unsafe impl XdpOption for libc::xdp_statistics {}

fn get_option<T: XdpOption>(fd: BorrowedFd<'_>, level: i32, option: i32) -> io::Result<T> {
    // SAFETY: `XdpOption` promises that zeros are a value.
    let mut value: T = unsafe { mem::zeroed() };
    let mut length = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `value`, which has them.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), level, option, (&raw mut value).cast(), &mut length)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // A kernel before 5.4 knows shorter structures, without the flags that tell about wake-ups.
    if (length as usize) < mem::size_of::<T>() {
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    }
    Ok(value)
}

fn check_queue(interface: &str, queue: u32) -> Result<(), Error> {
    let queues = link::queues(interface).map_err(|source| match source.raw_os_error() {
        Some(libc::ENODEV) => Error::NoSuchInterface { interface: interface.into() },
        _ => Error::System { doing: format!("counting the queues of {interface}"), source },
    })?;
    if queue < queues {
        Ok(())
    } else {
        Err(Error::NoSuchQueue { interface: interface.into(), queue, queues })
    }
}

/// Creates a socket and binds it, through xsk-rs.
fn bind(
    umem: &xsk_rs::Umem,
    interface: &str,
    queue: u32,
    mode: BindFlags,
) -> io::Result<(TxQueue, RxQueue, FillQueue, CompQueue)> {
    let size = QueueSize::new(RING_SIZE).map_err(io::Error::other)?;
    let name: Interface = interface.parse().map_err(io::Error::other)?;
    let config = SocketConfig::builder()
        .rx_queue_size(size)
        .tx_queue_size(size)
        // Its program would redirect everything, ARP and SSH included.
        .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
        // Without XDP_USE_SG the kernel drops a packet that does not fit into one frame: there
        // are no truncated packets and no fragments of packets.
        .bind_flags(mode | BindFlags::XDP_USE_NEED_WAKEUP)
        .build();
    let start = Instant::now();
    loop {
        // SAFETY: no program is loaded by libxdp, which is what sharing a UMEM asks for.
        match unsafe { xsk_rs::Socket::new(config, umem, &name, queue) } {
            Ok((tx, rx, Some((fill, comp)))) => return Ok((tx, rx, fill, comp)),
            // It shares the rings of a socket that this UMEM has on the same queue already.
            Ok((_, _, None)) => return Err(io::Error::from_raw_os_error(libc::EBUSY)),
            Err(error) => {
                let cause = io_cause(&error);
                if cause.raw_os_error() != Some(libc::EBUSY) || start.elapsed() > BUSY_PATIENCE {
                    return Err(cause);
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// A sentence for what `bind` returned.
fn explain(source: io::Error, interface: &str, queue: u32, zero_copy: ZeroCopy) -> Error {
    let name = || interface.to_owned();
    match source.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => Error::NoSuchInterface { interface: name() },
        Some(libc::ENETDOWN) => Error::InterfaceDown { interface: name() },
        Some(libc::EBUSY) => Error::QueueBusy { interface: name(), queue },
        Some(libc::EAFNOSUPPORT) => Error::NoAfXdp,
        Some(libc::ENOMEM | libc::ENOBUFS) => {
            let bytes = 4 * RING_SIZE as usize * mem::size_of::<libc::xdp_desc>();
            Error::LockedMemory { bytes, source }
        }
        Some(libc::EPERM | libc::EACCES) if zero_copy != ZeroCopy::Require => {
            Error::NotPermitted(Permission::socket(format!("an AF_XDP socket on {interface}")))
        }
        _ if zero_copy == ZeroCopy::Require => refused(interface, &source.to_string()),
        _ => {
            let doing = format!("opening an AF_XDP socket on queue {queue} of {interface}");
            Error::System { doing, source }
        }
    }
}

fn refused(interface: &str, reason: &str) -> Error {
    Error::ZeroCopyRefused {
        interface: interface.into(),
        driver: link::driver(interface),
        reason: reason.into(),
    }
}
