//! How an edge learns what is true and how it knows that it still is: the replication contract (protobuf over gRPC),
//! the replica's state machine, the service that the control plane mounts, and the follower that an edge runs.
//!
//! An edge acts on nothing that the control plane has not signed, applies nothing out of order, skips nothing that it
//! does not understand, and can always tell how long ago it was in touch. Nothing here decides about a request.

pub mod client;
pub mod digest;
mod disk;
pub mod frame;
mod proto;
pub mod replica;
pub mod server;
pub mod signed;
mod snapshot;
pub mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use client::{FollowError, Follower, FollowerConfig, FollowerStatus, InvalidFollower};
pub use digest::Digest;
pub use disk::{Stored, stored};
pub use frame::{Frame, Heartbeat, MessageError, SnapshotManifest};
pub use replica::Replica;
pub use server::{FeedService, FeedSource, SourceUnavailable, service};
pub use signed::{Kind, Signed};
pub use state::{ApplyError, ReplicaState};
