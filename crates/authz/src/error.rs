//! Why a question has no answer, and why a tuple has no place. Callers deny on every [`CheckError`].

use sentinel_core::Tuple;

/// A question that was not answered. It is never a yes: callers deny.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The model has no such type.
    #[error("the model has no type `{0}`")]
    UnknownType(String),
    /// The type has no such relation.
    #[error("the type `{kind}` has no relation `{relation}`")]
    UnknownRelation {
        /// The object's type.
        kind: String,
        /// The relation that was asked about.
        relation: String,
    },
    /// The answer lies behind more relations in a row than the engine follows.
    #[error(
        "the relation was followed for more than {} steps in a row; make the chain of groups or parents shorter",
        crate::MAX_DEPTH
    )]
    TooDeep,
    /// The answer takes more work than the engine spends on one question.
    #[error(
        "the question takes more than {} steps; share with fewer and larger groups",
        crate::MAX_STEPS
    )]
    TooWide,
    /// The tuples say that a relation holds exactly when it does not.
    #[error("a relation is excluded by itself through the tuples; take the `but not` out of the cycle")]
    Paradox,
}

/// A tuple that the model does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the model does not allow the tuple `{tuple}`: {reason}")]
pub struct InvalidTupleForModel {
    pub(crate) tuple: Box<Tuple>,
    pub(crate) reason: Box<TupleFault>,
}

impl InvalidTupleForModel {
    /// The tuple that was refused.
    pub fn tuple(&self) -> &Tuple {
        &self.tuple
    }
}

/// What is wrong with a tuple.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TupleFault {
    #[error("there is no type `{0}`")]
    Type(String),
    #[error("the type `{kind}` has no relation `{relation}`")]
    Relation { kind: String, relation: String },
    #[error("`{relation}` is computed and has no tuples of its own")]
    Computed { relation: String },
    #[error("`{relation}` takes {allowed}")]
    Subject { relation: String, allowed: String },
    #[error(
        "`{0}` is one of Sentinel's own types, whose tuples never end; delete the tuple when it is to end"
    )]
    Lasting(String),
    #[error("`{0}` is one of Sentinel's own types, whose tuples are not given with a question")]
    Own(String),
    #[error("there is no room for more objects")]
    Full,
}
