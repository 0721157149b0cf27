//! What both planes of Sentinel mean by the same words: typed identifiers, time and randomness as arguments,
//! relation tuples, replicated facts and their revisions, principals and credentials, and why a request is denied.
//!
//! This crate opens no socket, reads no file and knows no database.

pub mod clock;
pub mod denial;
pub mod email;
pub mod fact;
pub mod id;
pub mod name;
pub mod network;
pub mod principal;
pub mod random;
pub mod revision;
pub mod role;
pub mod tuple;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use denial::{Denial, Status};
pub use email::{EmailKey, InvalidEmail};
pub use fact::{Change, Fact};
pub use principal::{Credential, Principal};
pub use random::{Random, SystemRandom};
pub use revision::Revision;
pub use role::WorkspaceRole;
pub use tuple::{Object, Subject, Tuple};
