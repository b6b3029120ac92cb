//! Where routes and SIDs come from.

pub mod bgp_ls;
pub mod kernel;
pub mod link_state;
pub mod static_;
