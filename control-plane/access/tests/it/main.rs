//! The domain through its services, on both databases.

mod activity;
mod apps;
mod batches;
mod edges;
mod groups;
mod invitations;
mod members;
mod permissions;
mod relations;
mod replay;
mod roles;
mod sharing;
mod users;
mod workspaces;
mod world;
