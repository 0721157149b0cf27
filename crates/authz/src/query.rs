//! What is asked of a graph, and what changes it. Plain values that borrow from the caller.

use sentinel_core::{Object, Subject, Timestamp, Tuple};

/// One question: does this subject stand in this relation to this object?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query<'a> {
    /// The object's type.
    pub object_type: &'a str,
    /// The object's id within its type.
    pub object_id: &'a str,
    /// The relation asked about.
    pub relation: &'a str,
    /// The subject's type.
    pub subject_type: &'a str,
    /// The subject's id within its type; `*` for everyone of the type, for whom a relation holds by tuples such as
    /// `user:*` alone.
    pub subject_id: &'a str,
    /// Asks for the userset instead of the object: `member` where the subject is `group:3#member`. A userset stands in
    /// its own relation, and in those that are given to it or to a userset that it is a part of.
    pub subject_relation: Option<&'a str>,
}

impl<'a> Query<'a> {
    /// The question whether the subject stands in the relation to the object.
    pub fn new(object: &'a Object, relation: &'a str, subject: &'a Subject) -> Self {
        let (subject_type, subject_id, subject_relation) = match subject {
            Subject::Object(subject) => (subject.kind(), subject.id(), None),
            Subject::Userset(subject, relation) => (subject.kind(), subject.id(), Some(relation.as_str())),
            Subject::Wildcard(kind) => (kind.as_str(), "*", None),
        };
        Self {
            object_type: object.kind(),
            object_id: object.id(),
            relation,
            subject_type,
            subject_id,
            subject_relation,
        }
    }
}

/// The question for a list of objects: to which ones does this subject stand in this relation?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectsQuery<'a> {
    /// The type of the objects.
    pub object_type: &'a str,
    /// What their ids begin with; nothing for all.
    pub id_prefix: &'a str,
    /// The relation asked about.
    pub relation: &'a str,
    /// The subject's type.
    pub subject_type: &'a str,
    /// The subject's id within its type, as in [`Query`].
    pub subject_id: &'a str,
    /// The subject's relation if it is a userset, as in [`Query`].
    pub subject_relation: Option<&'a str>,
}

/// The question for a list of subjects: which ones stand in this relation to this object?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubjectsQuery<'a> {
    /// The object's type.
    pub object_type: &'a str,
    /// The object's id within its type.
    pub object_id: &'a str,
    /// The relation asked about.
    pub relation: &'a str,
    /// The type of the subjects.
    pub subject_type: &'a str,
    /// Asks for usersets instead of objects: `member` for those of the form `group:3#member`.
    pub subject_relation: Option<&'a str>,
}

/// Which part of a long list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<'a> {
    /// Begin behind this id: the last one of the page before.
    pub after: Option<&'a str>,
    /// How many ids at most.
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
