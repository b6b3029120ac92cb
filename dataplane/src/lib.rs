//! Sidewinder's packet processing. No async, no files, no netlink: packets in, packets out.
//!
//! The way of a packet through the modules:
//!
//! 1. [`port`]: a worker's view of an interface hands over a burst of [`frame::PacketBuf`]s.
//! 2. [`worker`]: the poll loop, one per core, calls the pipeline with each burst.
//! 3. [`pipeline`]: parses, looks the destination up, acts, and goes round again where a behavior
//!    yields a new destination.
//!    - [`wire`]: views of Ethernet, IPv4, IPv6, extension headers, SRH and ICMPv6;
//!    - [`fib`]: longest-prefix match, next-hop groups, adjacencies, SIDs, policies;
//!    - [`behavior`]: what a local SID does (End, End.X, End.DT6, …) and what a headend does;
//!    - [`hmac`]: who signed a segment list, and whether a packet's is as it was signed;
//!    - [`icmp`]: the errors we owe, and echo replies.
//! 4. [`verdict`]: what becomes of the packet, and for which named reason it is dropped.
//! 5. [`counters`]: every packet is counted once.
//! 6. [`port`] again: the packet's descriptor goes to the egress port's TX ring.
//!
//! [`trace`] records the way of single packets, where somebody asks for it.

#![deny(unsafe_code)]

pub mod behavior;
pub mod counters;
pub mod fib;
pub mod frame;
pub mod hmac;
pub mod icmp;
pub mod limiter;
pub mod packet;
pub mod pipeline;
pub mod port;
mod sync;
pub mod trace;
pub mod verdict;
pub mod wire;
pub mod worker;
