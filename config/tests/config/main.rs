//! The configuration as operators meet it: files, environments, and the texts they read when something is wrong.

mod control_plane;
mod edge;
mod environment;
mod issuers;
mod listening;
mod login;
mod policy;
mod relations;
mod samples;
mod schema;
mod secrets;
mod support;
mod traffic;
mod yaml;
