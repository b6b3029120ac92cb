//! Packets with comments in a file that Wireshark reads: pcapng, draft-ietf-opsawg-pcapng.
//!
//! Three kinds of blocks are all that is written, each of 32-bit words in this machine's byte order.

use std::io::{self, Write};

use anyhow::Context as _;

use crate::api::trace::Traced;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const LINKTYPE_ETHERNET: u16 = 1;

/// Options of all blocks, and of each kind.
mod option {
    pub const COMMENT: u16 = 1;
    pub const SHB_USERAPPL: u16 = 4;
    pub const IF_NAME: u16 = 2;
    pub const IF_TSRESOL: u16 = 9;
    pub const EPB_FLAGS: u16 = 2;
}

/// Timestamps count nanoseconds: 10 to the power of minus this.
const NANOSECONDS: u8 = 9;

/// The low bits of EPB_FLAGS.
#[derive(Clone, Copy)]
enum Direction {
    Inbound = 1,
    Outbound = 2,
}

/// A file that packets are written to.
#[derive(Debug)]
pub struct Capture<W: Write> {
    out: W,
    /// Interfaces that are described already, by their number in the file.
    interfaces: Vec<String>,
}

impl<W: Write> Capture<W> {
    /// Begins a file.
    pub fn new(out: W) -> io::Result<Self> {
        let mut capture = Self { out, interfaces: Vec::new() };
        let mut body = Body::default();
        body.word(BYTE_ORDER_MAGIC);
        body.half(1).half(0);
        // The section's length is not known.
        body.word(u32::MAX).word(u32::MAX);
        let name = concat!("sidewinder ", env!("CARGO_PKG_VERSION"));
        body.option(option::SHB_USERAPPL, name.as_bytes()).end_of_options();
        capture.block(SECTION_HEADER, &body)?;
        Ok(capture)
    }

    /// Adds a packet as it came, with the decision as a comment, and as it left, if it did.
    pub fn packet(&mut self, packet: &Traced, decision: &str) -> anyhow::Result<()> {
        let frame = unhex(&packet.frame).context("the daemon's answer makes no sense")?;
        self.frame(&packet.interface, packet.time, Direction::Inbound, &frame, decision)?;
        if let (Some(sent), Some(interface)) = (&packet.sent, &packet.verdict.interface) {
            let sent = unhex(sent).context("the daemon's answer makes no sense")?;
            let comment = format!("packet {}, {}", packet.number, super::text::verdict(packet));
            self.frame(interface, packet.time, Direction::Outbound, &sent, &comment)?;
        }
        Ok(())
    }

    /// Writes what is on its way.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn frame(
        &mut self,
        interface: &str,
        time: u64,
        direction: Direction,
        frame: &[u8],
        comment: &str,
    ) -> io::Result<()> {
        let interface = self.interface(interface)?;
        let mut body = Body::default();
        body.word(interface).word((time >> 32) as u32).word(time as u32);
        body.word(frame.len() as u32).word(frame.len() as u32).bytes(frame);
        body.option(option::COMMENT, comment.trim_end().as_bytes());
        body.option(option::EPB_FLAGS, &(direction as u32).to_ne_bytes()).end_of_options();
        self.block(ENHANCED_PACKET, &body)
    }

    /// The number of an interface, which is described if it is new.
    fn interface(&mut self, name: &str) -> io::Result<u32> {
        if let Some(known) = self.interfaces.iter().position(|known| known == name) {
            return Ok(known as u32);
        }
        let mut body = Body::default();
        // No limit to the length of packets.
        body.half(LINKTYPE_ETHERNET).half(0).word(0);
        body.option(option::IF_NAME, name.as_bytes());
        body.option(option::IF_TSRESOL, &[NANOSECONDS]).end_of_options();
        self.block(INTERFACE_DESCRIPTION, &body)?;
        self.interfaces.push(name.to_owned());
        Ok(self.interfaces.len() as u32 - 1)
    }

    fn block(&mut self, kind: u32, body: &Body) -> io::Result<()> {
        // Kind, length, and the length again at the end.
        let len = (body.0.len() as u32 + 12).to_ne_bytes();
        self.out.write_all(&kind.to_ne_bytes())?;
        self.out.write_all(&len)?;
        self.out.write_all(&body.0)?;
        self.out.write_all(&len)
    }
}

/// What is between a block's lengths.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn word(&mut self, word: u32) -> &mut Self {
        self.0.extend(word.to_ne_bytes());
        self
    }

    fn half(&mut self, half: u16) -> &mut Self {
        self.0.extend(half.to_ne_bytes());
        self
    }

    /// Bytes, filled up to whole words.
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// An option; one that is too long for its length field is cut.
    fn option(&mut self, code: u16, value: &[u8]) -> &mut Self {
        let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
        self.half(code).half(value.len() as u16).bytes(value)
    }

    fn end_of_options(&mut self) -> &mut Self {
        self.word(0)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8; 2]| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
