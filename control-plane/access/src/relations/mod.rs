//! Services' own permission models, their relation tuples, and what edges' routes need of the models.
//!
//! All of it belongs to the name of a service: what one service writes, no other one reads or asks about. A service says
//! relations about objects of its own types; who stands in them may be an object of its own types, or somebody of ours:
//! a user, a workspace, a group or a role. The rows stay when the service's app is deleted or deactivated.

mod batch;
mod compiled;
mod draft;
mod expiry;
mod filter;
mod fit;
mod idempotency;
mod models;
pub(crate) mod purge;
mod queue;
pub(crate) mod repository;
mod routes;
mod write;
mod writer;

use std::sync::Arc;

use sentinel_core::{Timestamp, Tuple};

pub use self::draft::{MAX_MODEL, ModelDraft, ModelGround};
pub use self::filter::{Candidates, Filter, InvalidFilter, Matched, Removed, TuplePage};
pub use self::fit::{MAX_ID, Misplaced, is_placed};
pub use self::idempotency::{Idempotency, IdempotencyKey, InvalidIdempotencyKey};
pub use self::models::{BrokenRoute, Misfits, ModelOptions, ModelOutcome, ModelReport, ServiceModel};
pub use self::routes::RouteNeed;
pub use self::write::{
    Fault, FaultPlace, MAX_CHANGES, Precondition, RelationError, TupleWrite, WhatIsWrong, Written,
};
pub use self::writer::TupleWriter;

use self::compiled::Shelf;

use crate::activity::Activity;
use crate::sources::Sources;

/// A relation tuple of a service, and how long it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationTuple {
    /// The tuple, with the service before its own types: `docs/folder:7#viewer@user:…`.
    pub tuple: Tuple,
    /// From this moment on it does not hold; `None`: it has no end.
    pub until: Option<Timestamp>,
}

impl RelationTuple {
    /// Whether it holds at a moment.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The service of models and relation tuples.
#[derive(Clone)]
pub struct Relations {
    sources: Sources,
    activity: Activity,
    compiled: Arc<Shelf>,
}

impl Relations {
    pub(crate) fn new(sources: Sources, activity: Activity) -> Self {
        Self {
            sources,
            activity,
            compiled: Arc::default(),
        }
    }
}
