//! The topology as a link-state feed tells it, and what is computed on it.
//!
//! ```text
//! bytes of a BGP session --bgp--> messages --bgp_ls--> events --ted--> TED --spf--> routes
//!                                   TOML --description----------^      |
//!                                                                      +--via, draw
//! ```
//!
//! * [`bgp`]: messages and their framing (RFC 4271).
//! * [`bgp_ls`]: what UPDATEs say of the topology (RFC 9552; SRv6: RFC 9514; delay: RFC 8571).
//! * [`ted`]: nodes, links, prefixes and SIDs, keyed as BGP-LS keys them, and what has changed.
//! * [`description`]: the same, written in TOML.
//! * [`spf`]: shortest paths with ECMP, and routes along them.
//! * [`via`]: segment lists that name nodes.
//! * [`draw`]: the topology as DOT and SVG.
//! * [`generate`]: topologies for tests and measurements.
//!
//! Nothing in here does I/O, and nothing trusts what it is given: a message that is not as the RFCs
//! say is skipped as far as they allow, and counted by its [`Reason`](reason::Reason).

#![forbid(unsafe_code)]

pub mod bgp;
pub mod bgp_ls;
pub mod description;
pub mod draw;
pub mod generate;
mod read;
pub mod reason;
pub mod spf;
pub mod ted;
pub mod via;
