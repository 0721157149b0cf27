//! The edge: a proxy in front of services that finds out who is calling, decides whether they may, and forwards the
//! request with a proof of identity. It decides from a replica in its own memory; no request waits for the network, but for a
//! browser's session that has to be renewed ([`login`]).
//!
//! A request goes through the modules in this order: [`doorway`] (connections and heads), [`request`] (one reading only),
//! [`routes`], [`authn`], [`decide`], [`forward`] or [`answer`]. [`edge`] calls them; [`handler`] is how Pingora calls
//! the edge; [`serve`] wires it all.

pub mod admin;
pub mod answer;
pub mod asking;
pub mod assertion;
pub mod authn;
pub mod cli;
pub mod client;
pub mod cors;
pub mod deadline;
pub mod decide;
pub mod decision_log;
pub mod descriptors;
pub mod doorway;
pub mod edge;
pub mod explain;
mod feed_counters;
pub mod forward;
pub mod forwarded;
pub mod handler;
pub mod header_rules;
pub mod limits;
pub mod log_writer;
pub mod login;
pub mod metrics;
pub mod moment;
pub mod names;
mod outbound;
pub mod pace;
pub mod policy_tests;
pub mod program;
pub mod relations;
pub mod request;
pub mod request_id;
pub mod returned;
pub mod rewrite;
pub mod routes;
pub mod serve;
pub mod traffic;
pub mod upstreams;
pub mod workers;

#[cfg(test)]
mod testing;
