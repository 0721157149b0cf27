//! A model as it was written: names, not numbers, each with the place where it stands.

/// A place in the text, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A name and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    pub(super) at: Place,
}

/// `type …`
#[derive(Debug)]
pub(super) struct TypeDef<'a> {
    pub(super) name: Name<'a>,
    pub(super) relations: Vec<RelationDef<'a>>,
}

/// `define name: rewrite`
#[derive(Debug)]
pub(super) struct RelationDef<'a> {
    pub(super) name: Name<'a>,
    pub(super) rewrite: Rewrite<'a>,
}

/// What a relation is made of.
#[derive(Debug)]
pub(super) enum Rewrite<'a> {
    /// `[user, group#member, user:*]`
    Direct(Vec<Restriction<'a>>),
    /// `editor`
    Computed(Name<'a>),
    /// `viewer from parent`
    From { relation: Name<'a>, tupleset: Name<'a> },
    /// `… or …`
    Any(Vec<Rewrite<'a>>),
    /// `… and …`
    All(Vec<Rewrite<'a>>),
    /// `… but not …`
    Except(Box<Rewrite<'a>>, Box<Rewrite<'a>>),
}

/// One kind of subject that a relation takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Restriction<'a> {
    pub(super) kind: Name<'a>,
    pub(super) form: Form<'a>,
}

/// Which subjects of a type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form<'a> {
    /// `user`
    Object,
    /// `user:*`
    Wildcard,
    /// `group#member`
    Userset(Name<'a>),
}
