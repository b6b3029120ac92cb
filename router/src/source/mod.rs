//! Where routes and SIDs come from.

pub mod bgp_ls;
pub mod static_;
