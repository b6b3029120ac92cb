//! Where routes and SIDs come from.

pub mod kernel;
pub mod static_;
