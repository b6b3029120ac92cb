//! Signed TCP segments (RFC 2385), for BGP sessions of the control thread.
//!
//! It is here because it takes a `setsockopt` that no crate wraps, and unsafe code has its place
//! among the ports.

#![allow(unsafe_code)]

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::{io, mem};

/// TCP_MD5SIG_FLAG_PREFIX of linux/tcp.h.
const FLAG_PREFIX: u8 = 1;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 80;

/// `struct tcp_md5sig` of linux/tcp.h.
#[repr(C)]
struct Md5Sig {
    address: libc::sockaddr_storage,
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    interface: libc::c_int,
    key: [u8; MAX_KEY],
}

/// Signs all segments to hosts of a prefix, and takes none from them that are not signed by the same
/// key. To be called before `connect` or `listen`.
///
/// # Errors
///
/// EINVAL for a key that is empty or longer than [`MAX_KEY`], or a prefix of another family than the
/// socket's; ENOPROTOOPT where the kernel has no TCP MD5.
pub fn sign(socket: impl AsFd, network: IpAddr, prefix_len: u8, key: &[u8]) -> io::Result<()> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut option = Md5Sig {
        // SAFETY: all of its fields are integers, for which zero is a value.
        address: unsafe { mem::zeroed() },
        flags: FLAG_PREFIX,
        prefix_len,
        key_len: key.len() as u16,
        interface: 0,
        key: [0; MAX_KEY],
    };
    option.key[..key.len()].copy_from_slice(key);
    let address: *mut libc::sockaddr_storage = &mut option.address;
    match network {
        IpAddr::V4(v4) => {
            // SAFETY: a sockaddr_storage has room and alignment for a sockaddr_in.
            let address = unsafe { &mut *address.cast::<libc::sockaddr_in>() };
            address.sin_family = libc::AF_INET as libc::sa_family_t;
            address.sin_addr.s_addr = u32::from_ne_bytes(v4.octets());
        }
        IpAddr::V6(v6) => {
            // SAFETY: a sockaddr_storage has room and alignment for a sockaddr_in6.
            let address = unsafe { &mut *address.cast::<libc::sockaddr_in6>() };
            address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            address.sin6_addr.s6_addr = v6.octets();
        }
    }
    // SAFETY: the option is a struct tcp_md5sig, as long as is said, and only read.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_MD5SIG_EXT,
            (&raw const option).cast(),
            mem::size_of::<Md5Sig>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn who_does_not_sign_does_not_get_through() {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        match sign(&listener, "::1".parse().unwrap(), 128, b"secret") {
            Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
                return println!("SKIPPED: this kernel has no TCP MD5 signatures");
            }
            result => result.unwrap(),
        }
        let address = listener.local_addr().unwrap();
        let patience = std::time::Duration::from_millis(100);
        assert!(TcpStream::connect_timeout(&address, patience).is_err());
    }

    #[test]
    fn a_key_has_a_length() {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        for key in [&[][..], &[1; 81]] {
            let error = sign(&listener, "::1".parse().unwrap(), 128, key).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        }
    }
}
