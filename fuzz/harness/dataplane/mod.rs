//! What is tried with each input: by the fuzzer, and by `dataplane/tests/corpus.rs` with the inputs
//! that are kept.
//!
//! - [`parser`]: views of headers, the walk along them, and what a packet is that enters;
//! - [`behaviors`]: a SID, and packets for it;
//! - [`pipeline`]: a configuration, and packets.
//!
//! [`input`] says how bytes are read, [`packet`] and [`change`] what they make; [`bench`] is the router
//! that packets are put through, with what is checked after every round; [`steps`] what is checked of
//! each packet at each SID, and [`leaving`] of each packet that leaves.

mod behaviors;
mod bench;
mod change;
mod input;
mod leaving;
mod packet;
mod parser;
mod pipeline;
mod steps;

pub use behaviors::behaviors;
pub use parser::parser;
pub use pipeline::pipeline;
