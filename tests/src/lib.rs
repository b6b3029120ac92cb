//! The laboratory: network namespaces, routers to put in them, packets to send through them, and a
//! judge that compares what Sidewinder does with what the Linux kernel does.
//!
//! Nothing here uses the data plane's own code: the packet builder and parser are written a second
//! time, from the RFCs, so that a mistake in one is not repeated by the other.
//!
//! Everything runs as root in namespaces of its own; without root, or without a tool or a kernel
//! feature, a test prints `SKIPPED: <test>: <reason>` and returns. See `README.md` for the
//! topologies and for what each test proves.

#![forbid(unsafe_code)]

pub mod chain;
pub mod command;
pub mod differential;
pub mod exabgp;
pub mod frr;
pub mod generator;
pub mod lab;
pub mod mesh;
pub mod mirror;
pub mod outcome;
pub mod packet;
pub mod skip;
pub mod topologies;
pub mod vm;
