//! Against the real kernel, in network namespaces of our own. Needs root; says so and passes
//! where it is not to be had. Nothing outside these namespaces is touched, and nothing is left
//! behind even by a killed test: the namespaces belong to threads and end with them.

pub(crate) mod captured;
mod following;
pub(crate) mod namespace;
mod neighbours;
