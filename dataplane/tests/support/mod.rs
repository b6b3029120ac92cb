//! What the tests of the whole data plane share: a router to run packets through, and the bytes of
//! packets, written without the crate's own writers.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod packet;
pub mod router;
