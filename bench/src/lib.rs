//! What `cargo xtask bench` runs: the programs as they are shipped, as processes, on servers of their own; load from this
//! process; and what of all that can be said in figures.
//!
//! Nothing here is compared with a figure of another machine except in words, and nothing asserts a time.

pub mod authz;
pub mod connections;
pub mod consistency;
pub mod control_plane;
pub mod cpu;
mod dice;
pub mod edge;
mod fleet;
pub mod freshness;
pub mod load;
pub mod memory;
mod plane;
pub mod report;
pub mod routes;
pub mod statistics;
mod upstream;
