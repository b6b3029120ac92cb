//! Every kind of message, as it is shown.

mod file;
mod load;
mod locator;
mod policy;
mod route;
mod router;
mod sid;
mod topology;
