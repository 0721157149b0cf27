//! The edge as a whole: real sockets, Pingora, a service that records every byte it gets, and a replica that is filled
//! without a control plane.

mod connections;
mod decisions;
mod disguises;
mod freshness;
mod harness;
mod identity;
mod operator;
mod streams;
#[path = "../../src/testing.rs"]
mod testing;
mod tunnels;
