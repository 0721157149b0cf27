//! The permission engine: relation tuples, a model of types and relations, and three questions about them
//! (check, with the path that allowed it; list objects; list subjects), each asked [at a moment](At). After Zanzibar, in the words of OpenFGA.
//!
//! Pure and synchronous: no clock, no socket, no database, no log line. It does not panic: everything that can go
//! wrong is an error, and every error is a no.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(test)]
mod differential;
mod error;
mod graph;
mod model;
mod query;
pub mod sentinel;

pub use error::{CheckError, InvalidTupleForModel};
pub use graph::{
    At, Contextual, ExpandError, Expansion, Graph, Listed, MAX_EXPANDED, Malformed, Packed, UnpackError,
    Userset,
};
pub use model::{
    JsonModel, JsonModelError, Model, ModelError, ModelSize, ServiceModelError, SubjectForm, measure,
};
pub use query::{ObjectsQuery, Page, Query, SubjectsQuery, Term, TupleChange};

/// How many relations in a row a check follows before it gives up.
pub const MAX_DEPTH: usize = 100;

/// How many relations in all a check looks at before it gives up.
pub const MAX_STEPS: usize = 1 << 18;
