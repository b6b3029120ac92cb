//! The control thread's knowledge without a kernel.

use sidewinder_config::Config;

use super::Control;
use crate::kernel::{Link, View};

/// A FIB of a configuration, without a kernel: for tests and benches. Every interface of the file
/// is up, with the Ethernet addresses and MTUs that `links` gives.
pub fn offline(config: &Config, links: &[OfflineLink], workers: usize) -> Control {
    let mut view = View::default();
    for link in links {
        let found = Link {
            index: link.index,
            name: link.name.clone(),
            mac: Some(link.mac),
            mtu: link.mtu,
            up: true,
            kind: None,
        };
        view.links.insert(link.index, found);
    }
    let mut control = Control::new(config.clone(), &view, workers);
    control.publish();
    control
}

/// An interface that there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineLink {
    /// Its name, as in the file.
    pub name: String,
    /// Any index, other than those of the others.
    pub index: u32,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Its MTU in bytes.
    pub mtu: u32,
}
