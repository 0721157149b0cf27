//! How an edge learns what is true and how it knows that it still is: the replication contract (protobuf over gRPC),
//! the replica's state machine, the service that the control plane mounts, and the follower that an edge runs.
//!
//! An edge acts on nothing that the control plane has not signed, applies nothing out of order, skips nothing that it
//! does not understand, and can always tell how long ago it was in touch. Nothing here decides about a request.

pub mod client;
pub mod digest;
mod disk;
pub mod frame;
mod interest;
mod machine;
mod merge;
mod need;
mod partition;
mod proto;
mod question;
pub mod replica;
pub mod server;
pub mod signed;
#[cfg(test)]
mod simulation;
pub mod snapshot;
pub mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use client::{
    Ask, AskError, Asker, FollowError, Follower, FollowerConfig, FollowerStatus, InvalidFollower,
};
pub use digest::Digest;
pub use disk::{Stored, stored, write_snapshot};
pub use frame::{Frame, Heartbeat, MessageError, SnapshotManifest};
pub use interest::{Extent, Fingerprint, Interest, MAX_NAMED};
pub use need::{MAX_NAME, MAX_NEEDS, Need};
pub use question::{Answer, Answers, MAX_QUESTIONS, Question, Verdict};
pub use replica::Replica;
pub use server::{FeedService, FeedSource, Keeps, Observer, SourceUnavailable, service};
pub use signed::{Kind, Signed};
pub use state::{ApplyError, ReplicaState};
