//! What is asked of a graph, and what changes it. Plain values that borrow from the caller.

use sentinel_core::Tuple;

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

/// How a set of tuples changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TupleChange<'a> {
    /// The tuple holds from now on. Nothing happens if it does already.
    Put(&'a Tuple),
    /// The tuple does not hold any more. Nothing happens if it does not anyway.
    Delete(&'a Tuple),
}
