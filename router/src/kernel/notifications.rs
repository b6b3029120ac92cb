//! What the kernel tells unasked: a subscription to changes.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::error::{Error, Result};
use super::frame::Datagram;
use super::message::{self, Message};

/// `RTNLGRP_…` of what we want to hear: links, neighbours, IPv4 and IPv6 addresses.
const GROUPS: [u32; 4] = [1, 3, 5, 9];

/// And, where routes are followed: IPv4 and IPv6 routes, next-hop objects.
const ROUTE_GROUPS: [u32; 3] = [7, 11, 32];

/// Asked for as receive buffer, in bytes: some ten thousand changes that come while we are busy.
pub const ROOMY: usize = 4 * 1024 * 1024;

/// Datagrams taken in one go, so that a storm of changes leaves time for the other work of the
/// control thread.
const BATCH: usize = 256;

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Everything that was there, or a full batch.
    All,
    /// Something was lost, or not understood: only a new dump tells what the kernel has now.
    /// This subscription is of no use any more.
    Lost,
}

/// A subscribed socket. It hears of every change from [`Notifications::subscribe`] on.
#[derive(Debug)]
pub struct Notifications {
    socket: AsyncFd<Socket>,
    datagram: Datagram,
}

impl Notifications {
    /// Subscribes, with a receive buffer of so many bytes, perhaps to routes, too. Must be called
    /// inside a tokio runtime.
    pub fn subscribe(buffer: usize, routes: bool) -> Result<Notifications> {
        let socket = subscribed(buffer, routes).map_err(Error::Open)?;
        Ok(Notifications { socket, datagram: Datagram::new() })
    }

    /// Waits until there is something, then hands over a batch of messages.
    ///
    /// Cancel-safe: it waits only before it takes the first datagram.
    pub async fn next(&mut self, mut each: impl FnMut(Message)) -> Result<Heard> {
        // With an overrun there may be an error pending and nothing to read, and the kernel sends
        // nothing more until the error was fetched: so errors must wake us too.
        let ready = Interest::READABLE | Interest::ERROR;
        for taken in 0..BATCH {
            let received = loop {
                if taken > 0 {
                    break self.datagram.receive(self.socket.get_ref());
                }
                let mut guard = self.socket.ready(ready).await.map_err(Error::Conversation)?;
                let datagram = &mut self.datagram;
                if let Ok(received) = guard.try_io(|socket| datagram.receive(socket.get_ref())) {
                    break received;
                }
            };
            match received {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    tracing::debug!("the kernel reported changes faster than they were read");
                    return Ok(Heard::Lost);
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(%error, "a notification of the kernel was lost");
                    return Ok(Heard::Lost);
                }
                Err(error) => return Err(Error::Conversation(error)),
            }
            for message in self.datagram.messages() {
                match message
                    .and_then(|m| message::decode(m.message_type(), m.flags(), m.payload()))
                {
                    Ok(Some(message)) => each(message),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%error, "a notification of the kernel cannot be read");
                        return Ok(Heard::Lost);
                    }
                }
            }
        }
        Ok(Heard::All)
    }
}

fn subscribed(buffer: usize, routes: bool) -> io::Result<AsyncFd<Socket>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    // Beyond net.core.rmem_max only with CAP_NET_ADMIN; a smaller buffer only means that a storm
    // of changes costs a new dump.
    if setsockopt(&socket, sockopt::RcvBufForce, &buffer).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &buffer)?;
    }
    socket.set_non_blocking(true)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    for group in GROUPS {
        socket.add_membership(group)?;
    }
    for group in ROUTE_GROUPS.into_iter().filter(|_| routes) {
        socket.add_membership(group)?;
    }
    // Deprecated because a type may lie about its descriptor; `Socket` owns one, and keeps it. The
    // successor is an unsafe function, which this crate does without.
    #[allow(deprecated)]
    AsyncFd::with_interest(socket, Interest::READABLE | Interest::ERROR)
}
