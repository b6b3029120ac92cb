//! Every kind of message, as it is shown.

mod csid;
mod domain;
mod file;
mod hmac;
mod load;
mod locator;
mod policy;
mod route;
mod router;
mod rule;
mod sid;
mod sr_policy;
mod topology;
