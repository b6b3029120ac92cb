//! Interfaces as a table.

use super::super::table::{Table, grouped};
use crate::api::show::Interface;

/// Interfaces as a table.
pub fn interfaces(interfaces: &[Interface]) -> Table {
    let mut table = Table::new([
        "interface",
        "state",
        "driver",
        "xdp",
        "memory",
        "queues",
        "mtu",
        "mac",
        "received",
        "sent",
        "kernel dropped",
    ]);
    for interface in interfaces {
        let queues: Vec<_> = interface.queues.iter().map(ToString::to_string).collect();
        // Without copies the driver asks for frames in advance, and no packet was dropped for it.
        let no_frame = if interface.zero_copy { 0 } else { interface.no_frame };
        table.row([
            interface.name.clone(),
            match (interface.replaced, interface.up) {
                (true, _) => "replaced".into(),
                (_, true) => "up".into(),
                (_, false) => "down".into(),
            },
            interface.driver.clone(),
            interface.mode.clone(),
            if interface.zero_copy { "zero-copy" } else { "copy" }.into(),
            queues.join(","),
            interface.mtu.to_string(),
            interface.mac.clone(),
            grouped(interface.received.packets),
            grouped(interface.sent.packets),
            grouped(interface.kernel_dropped + interface.ring_full + no_frame),
        ]);
    }
    table
}
