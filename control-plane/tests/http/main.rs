//! The control plane over real sockets, each test on both backends. One program for all of them: a new file of tests is a
//! module here.

#[path = "../common/mod.rs"]
mod common;

mod answer;
mod apps;
mod auth;
mod basics;
mod login;
mod permissions;
mod replication;
mod workspaces;
