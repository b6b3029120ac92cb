//! Frames as text: sixteen bytes a line after their offset, as `tcpdump -xx` and `xxd -g1` print
//! them, with `#` comments.

use std::fmt::Write;

/// The frame as lines of text.
pub fn dump(frame: &[u8]) -> String {
    let mut text = String::new();
    for (row, bytes) in frame.chunks(16).enumerate() {
        let _ = write!(text, "{:04x} ", row * 16);
        for byte in bytes {
            let _ = write!(text, " {byte:02x}");
        }
        text.push('\n');
    }
    text
}

/// The frame that such lines spell; `None` if one of them is something else.
pub fn parse(text: &str) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next()?.trim();
        // The offset is for the reader; the order of the lines is what counts.
        for byte in line.split_whitespace().skip(1) {
            frame.push(u8::from_str_radix(byte, 16).ok()?);
        }
    }
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let frame: Vec<u8> = (0..45).collect();
        let text = format!("# a comment\n{}", dump(&frame));
        assert_eq!(parse(&text), Some(frame));
        assert_eq!(parse("0000  zz"), None);
    }
}
