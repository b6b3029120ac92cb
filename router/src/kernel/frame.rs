//! Datagrams of the kernel: receiving one, and cutting it into netlink messages.

use std::io;

use netlink_packet_core::{DecodeError, NetlinkBuffer};
use netlink_sys::Socket;

/// No datagram of the kernel is longer: dumps come in pieces of at most 32 KiB, a notification
/// about a link stays below that.
const LONGEST: usize = 64 * 1024;

/// Netlink messages in a datagram begin at multiples of this many bytes.
const ALIGNMENT: usize = 4;

/// A buffer for one datagram, reused.
#[derive(Debug)]
pub struct Datagram(Vec<u8>);

impl Datagram {
    /// An empty buffer.
    pub fn new() -> Datagram {
        Datagram(Vec::with_capacity(LONGEST))
    }

    /// Receives the next datagram. Fails with `InvalidData` if it was longer than the buffer,
    /// otherwise as `recvfrom(2)` does.
    pub fn receive(&mut self, socket: &Socket) -> io::Result<()> {
        loop {
            self.0.clear();
            let (len, sender) = match socket.recv_from(&mut self.0, libc::MSG_TRUNC) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                received => received?,
            };
            // Port 0 is the kernel; a privileged process could send us messages too.
            if sender.port_number() != 0 {
                continue;
            }
            if len > self.0.len() {
                let why = format!("a netlink datagram of {len} bytes was cut to {LONGEST}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            return Ok(());
        }
    }

    /// The messages in it, in order.
    pub fn messages(&self) -> Messages<'_> {
        Messages { rest: &self.0 }
    }
}

/// Iterates over the messages of a datagram; ends at the first that is not framed as one.
#[derive(Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<NetlinkBuffer<&'a [u8]>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = NetlinkBuffer::new_checked(self.rest);
        self.rest = match &message {
            Ok(message) => {
                let len = (message.length() as usize).next_multiple_of(ALIGNMENT);
                self.rest.get(len..).unwrap_or_default()
            }
            Err(_) => &[],
        };
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of `len` bytes in all, of type `kind`, with its padding.
    fn message(len: u32, kind: u16) -> Vec<u8> {
        let mut bytes = vec![0; (len as usize).next_multiple_of(ALIGNMENT)];
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_datagram_is_cut_at_padded_lengths() {
        let datagram = Datagram([message(17, 1), message(16, 2), message(20, 3)].concat());
        let kinds: Vec<_> = datagram.messages().map(|m| m.unwrap().message_type()).collect();
        assert_eq!(kinds, [1, 2, 3]);
    }

    #[test]
    fn missing_padding_at_the_end_is_no_error() {
        let mut bytes = message(17, 1);
        bytes.truncate(17);
        assert_eq!(Datagram(bytes).messages().count(), 1);
    }

    #[test]
    fn nonsense_is_one_error_and_the_end() {
        for length in [0_u32, 15, 40] {
            let mut bytes = [message(16, 1), message(16, 2), message(16, 3)].concat();
            bytes[16..20].copy_from_slice(&length.to_ne_bytes());
            let read: Vec<_> = Datagram(bytes).messages().map(|m| m.is_ok()).collect();
            assert_eq!(read, [true, false], "length {length}");
        }
        assert_eq!(Datagram(vec![1, 2, 3]).messages().filter(Result::is_err).count(), 1);
    }
}
