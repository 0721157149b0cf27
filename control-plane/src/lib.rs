//! The control plane: HTTP API, feed service and wiring. What it knows lives in the database; beside it a control plane is
//! stateless, and any number of them may run on one database.
//!
//! It holds no policy and no SQL of its own, but for the wiring: `sentinel_identity` and `sentinel_access` decide.

pub mod api;
pub mod app;
pub mod assemble;
pub mod cli;
pub mod commit;
pub mod extract;
pub mod jobs;
pub mod metrics;
pub mod middleware;
pub mod pages;
pub mod problem;
pub mod replication;
pub mod serve;
