//! What a kernel (Linux 6.18) sent after commands of iproute2, as it was captured: the group's
//! messages after each line of `captured.txt`, with type and flags.
//!
//! Link 3 is `e0`; its neighbours are 2001:db8:1::2 and others.

use crate::kernel::message::{Message, decode};
use crate::kernel::route::RouteMessage;

const CAPTURED: &str = include_str!("captured.txt");

/// A command, and what the kernel said of it.
pub struct Captured {
    /// Without the leading `ip`.
    pub command: &'static str,
    /// Type, flags and payload of each message.
    pub messages: Vec<(u16, u16, Vec<u8>)>,
}

impl Captured {
    /// The messages, read.
    pub fn read(&self) -> Vec<RouteMessage> {
        let read =
            |(kind, flags, payload): &(u16, u16, Vec<u8>)| match decode(*kind, *flags, payload)
                .unwrap()
            {
                Some(Message::Route(message)) => message,
                other => panic!("{}: {other:?}", self.command),
            };
        self.messages.iter().map(read).collect()
    }
}

/// All of them.
pub fn all() -> Vec<Captured> {
    let mut all: Vec<Captured> = Vec::new();
    for line in CAPTURED.lines() {
        if let Some(command) = line.strip_prefix("# ip ") {
            all.push(Captured { command, messages: Vec::new() });
            continue;
        }
        let mut words = line.split(' ');
        let mut number = || words.next().unwrap().parse().unwrap();
        let (kind, flags) = (number(), number());
        let hex = words.next().unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let payload = (0..hex.len()).step_by(2).map(byte).collect();
        all.last_mut().unwrap().messages.push((kind, flags, payload));
    }
    all
}

#[test]
fn all_are_read() {
    let mut text = String::new();
    for captured in all() {
        text += &format!("{}\n", captured.command);
        for message in captured.read() {
            text += &format!("    {message:?}\n");
        }
    }
    insta::assert_snapshot!(text);
}

/// No message is read past its end, and none that is changed is a reason to panic.
#[test]
fn what_is_mangled_is_an_error_or_something_else() {
    for captured in all() {
        for (kind, flags, payload) in &captured.messages {
            for len in 0..payload.len() {
                let _ = decode(*kind, *flags, &payload[..len]);
            }
            let mut mangled = payload.clone();
            for at in 0..payload.len() {
                for bits in [0x01, 0x80, 0xff] {
                    mangled[at] ^= bits;
                    let _ = decode(*kind, *flags, &mangled);
                    mangled[at] = payload[at];
                }
            }
        }
    }
}

/// This kernel was built without VRF devices: the same with `vrftable` instead of `table`, by hand.
#[test]
fn tables_of_vrf_devices() {
    let of = |command: &str| {
        all().into_iter().find(|captured| captured.command.contains(command)).unwrap()
    };
    let mut captured = of("action End.DT6 table 254");
    let payload = &mut captured.messages[0].2;
    // SEG6_LOCAL_TABLE is 3, SEG6_LOCAL_VRFTABLE is 9.
    let table = [8, 0, 3, 0, 254, 0, 0, 0];
    let at = payload.windows(8).rposition(|bytes| *bytes == table).unwrap();
    payload[at..at + 8].copy_from_slice(&[8, 0, 9, 0, 0x84, 3, 0, 0]);
    let read = format!("{:?}", captured.read());
    assert!(read.contains("EndDt6") && read.contains("table: Some(900)"), "{read}");
}
