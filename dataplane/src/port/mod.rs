//! Ports: where packets come from and go to.
//!
//! A port is an interface as one worker sees it. [`memory`] has rings in memory, for tests and
//! benches; [`xdp`] has AF_XDP sockets. The pipeline knows neither.

use std::time::Duration;

use crate::fib::entry::PortIndex;
use crate::frame::{Burst, FreeList};

pub mod memory;
pub mod promiscuous;
pub mod tcp_md5;
pub mod tun;
pub mod xdp;

pub use xdp::umem::Umem;

/// An interface as one worker sees it: packets in, packets out, frames conserved.
pub trait Port: Sized {
    /// Appends received packets to `burst`, at most as many as it has room for.
    fn receive(&mut self, burst: &mut Burst);

    /// How many packets [`transmit`](Self::transmit) takes now.
    fn room(&mut self) -> usize;

    /// Hands packets to the interface, oldest first. What the interface has no room for stays in
    /// `burst`.
    fn transmit(&mut self, burst: &mut Burst);

    /// Does the rings' housekeeping, once per round of the poll loop: moves the frames of sent
    /// packets to `free`, gives the interface frames to receive into, and wakes the kernel where
    /// it asks for it.
    fn service(&mut self, free: &mut FreeList);

    /// Sleeps until a port has a packet or room, `wake` is written to, or `timeout` has passed.
    fn wait(ports: &mut [Self], wake: Option<std::os::fd::BorrowedFd<'_>>, timeout: Duration);

    /// Frames that the port holds in its rings at this moment, as far as user space can tell.
    fn held(&self) -> usize;
}

/// Where packets for the host itself go after processing.
pub trait Punt {
    /// Gives an IP packet (no Ethernet header) to the host. Says whether it was taken.
    fn punt(&mut self, packet: &[u8]) -> bool;

    /// Asks for a neighbour on the link of `port` to be looked for. `key` is its address,
    /// left-aligned. A host that cannot do so does nothing.
    fn solicit(&mut self, _port: PortIndex, _key: u128, _v6: bool) {}
}
