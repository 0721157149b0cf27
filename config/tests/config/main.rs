//! The configuration as operators meet it: files, environments, and the texts they read when something is wrong.

mod control_plane;
mod edge;
mod environment;
mod policy;
mod samples;
mod schema;
mod secrets;
mod support;
mod yaml;
