//! The way from the workers to the host: packets by the TUN device, and wishes for neighbours by a
//! queue.

use std::net::IpAddr;
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use nix::sys::eventfd::{EfdFlags, EventFd};
use sidewinder_dataplane::fib::entry::PortIndex;
use sidewinder_dataplane::port::Punt;
use sidewinder_dataplane::port::tun::Tun;
use tokio::io::unix::AsyncFd;

/// Wishes that wait for the control thread at most; more are forgotten, and come again with the
/// next packet.
const WAITING: usize = 256;

/// A neighbour that a packet was for, and that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// The port whose link it is on.
    pub port: PortIndex,
    /// Its address.
    pub address: IpAddr,
}

/// The workers' end. Every worker has one of its own.
#[derive(Debug, Clone)]
pub struct Host {
    tun: Tun,
    wishes: Arc<ArrayQueue<Wish>>,
    wake: Arc<EventFd>,
}

impl Punt for Host {
    fn punt(&mut self, packet: &[u8]) -> bool {
        self.tun.punt(packet)
    }

    fn solicit(&mut self, port: PortIndex, key: u128, v6: bool) {
        let address =
            if v6 { IpAddr::V6(key.into()) } else { IpAddr::V4(((key >> 96) as u32).into()) };
        if self.wishes.push(Wish { port, address }).is_ok() {
            // Fails only where the counter is full, and then the other end wakes anyhow.
            let _ = self.wake.write(1);
        }
    }
}

/// The control thread's end.
#[derive(Debug)]
pub struct Wishes {
    wishes: Arc<ArrayQueue<Wish>>,
    wake: AsyncFd<Arc<EventFd>>,
}

impl Wishes {
    /// Both ends.
    pub fn new(tun: Tun) -> std::io::Result<(Host, Self)> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let wake = Arc::new(EventFd::from_value_and_flags(0, flags)?);
        let wishes = Arc::new(ArrayQueue::new(WAITING));
        let host = Host { tun, wishes: Arc::clone(&wishes), wake: Arc::clone(&wake) };
        // Its successor is unsafe to call.
        #[allow(deprecated)]
        let wake = AsyncFd::new(wake)?;
        Ok((host, Self { wishes, wake }))
    }

    /// Waits for wishes, and takes them all.
    pub async fn next(&self) -> Vec<Wish> {
        loop {
            if let Ok(mut ready) = self.wake.readable().await {
                let _ = self.wake.get_ref().read();
                ready.clear_ready();
            }
            let taken: Vec<Wish> = std::iter::from_fn(|| self.wishes.pop()).collect();
            if !taken.is_empty() {
                return taken;
            }
        }
    }
}
