//! Where routes and SIDs come from.

pub mod static_;
