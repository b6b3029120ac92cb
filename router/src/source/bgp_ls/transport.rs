//! TCP, as BGP sessions want it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use nix::sys::socket::{setsockopt, sockopt};
use sidewinder_dataplane::port::tcp_md5;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Connections that wait to be taken.
const BACKLOG: u32 = 8;

fn socket(address: &SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }
}

/// Connects to a peer.
pub(super) async fn connect(
    peer: SocketAddr,
    from: Option<IpAddr>,
    key: Option<&[u8]>,
) -> io::Result<TcpStream> {
    let socket = socket(&peer)?;
    if let Some(key) = key {
        let bits = if peer.is_ipv6() { 128 } else { 32 };
        tcp_md5::sign(&socket, peer.ip(), bits, key)?;
    }
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    match tokio::time::timeout(PATIENCE, socket.connect(peer)).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Listens for peers, also where `before` of ours does, which is about to end.
pub(super) fn listen(
    address: SocketAddr,
    from: Option<IpNet>,
    key: Option<&[u8]>,
    before: Option<&TcpListener>,
) -> io::Result<TcpListener> {
    let socket = socket(&address)?;
    socket.set_reuseaddr(true)?;
    if let (Some(key), Some(from)) = (key, from) {
        let network = match from.network() {
            // As a socket of IPv6 sees it; its length is that of the IPv4 prefix.
            IpAddr::V4(v4) if address.is_ipv6() => v4.to_ipv6_mapped().into(),
            network => network,
        };
        tcp_md5::sign(&socket, network, from.prefix_len(), key)?;
    }
    let Some(before) = before else {
        socket.bind(address)?;
        return socket.listen(BACKLOG);
    };
    // For this moment only: nobody else is to listen where we do.
    setsockopt(&socket, sockopt::ReusePort, &true)?;
    setsockopt(before, sockopt::ReusePort, &true)?;
    let listener = socket.bind(address).and_then(|()| socket.listen(BACKLOG));
    setsockopt(before, sockopt::ReusePort, &false)?;
    let listener = listener?;
    setsockopt(&listener, sockopt::ReusePort, &false)?;
    Ok(listener)
}

/// The address that a peer is known by: of IPv4 where it came by that.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
