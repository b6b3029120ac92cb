//! Sidewinder: an SRv6 software router on AF_XDP. The daemon and its command line.
//!
//! - [`cli`]: one file per command;
//! - [`control`]: the control thread: what is known, and how it becomes what workers read;
//! - [`source`]: where routes and SIDs come from;
//! - [`kernel`]: the kernel's links, addresses and neighbours, by netlink;
//! - [`api`]: the control socket and the metrics page.

#![forbid(unsafe_code)]

pub mod api;
pub mod cli;
pub mod control;
pub mod kernel;
pub mod source;
