//! The control plane over real sockets, each test on both backends. One program for all of them: a new file of tests is a
//! module here.

#[path = "../common/mod.rs"]
mod common;

mod admin_permissions;
mod admin_users;
mod admin_workspaces;
mod answer;
mod apps;
mod auth;
mod authz;
mod basics;
mod bodies;
mod documents;
mod edge_keys;
mod entra;
mod github;
mod hostile;
mod invitations;
mod login;
mod parts;
mod permissions;
mod proxies;
mod questions;
mod races;
mod relations;
mod replication;
mod revocation;
mod role_matrix;
mod roles;
mod several;
mod strangers;
mod tenants;
mod vouch;
mod workspaces;
mod writers;
