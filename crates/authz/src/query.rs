//! What is asked of a graph, and what changes it. Plain values that borrow from the caller.

use sentinel_core::{Timestamp, Tuple};

/// One question: does this subject stand in this relation to this object?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// The object's type.
    pub object_type: &'a str,
    /// The object's id within its type.
    pub object_id: &'a str,
    /// The relation asked about.
    pub relation: &'a str,
    /// The subject's type.
    pub subject_type: &'a str,
    /// The subject's id within its type.
    pub subject_id: &'a str,
}

/// Which part of a long list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<'a> {
    /// Begin behind this id: the last one of the page before.
    pub after: Option<&'a str>,
    /// How many ids at most. A shorter answer is the last page.
    pub limit: usize,
}

impl Page<'_> {
    /// The whole list at once.
    pub const ALL: Self = Page {
        after: None,
        limit: usize::MAX,
    };
}

/// How long a tuple holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// Until it is deleted.
    Unlimited,
    /// Until this moment, from which on it does not hold.
    Until(Timestamp),
}

/// How a set of tuples changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TupleChange<'a> {
    /// The tuple holds from now on, without an end. Nothing happens if it does already.
    Put(&'a Tuple),
    /// The tuple holds from now on and until that moment, whatever end it had before.
    PutUntil(&'a Tuple, Timestamp),
    /// The tuple does not hold any more. Nothing happens if it does not anyway.
    Delete(&'a Tuple),
}

impl<'a> TupleChange<'a> {
    /// The change that makes a tuple hold for this long.
    pub fn put(tuple: &'a Tuple, term: Term) -> Self {
        match term {
            Term::Unlimited => Self::Put(tuple),
            Term::Until(until) => Self::PutUntil(tuple, until),
        }
    }
}
