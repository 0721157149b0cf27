//! Relation tuples, `object#relation@subject`, as Zanzibar writes them (Zanzibar, §2.1).

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::name::ServiceName;

/// A type or relation name that stands in the source. It is checked when it is compiled: make it a `const`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticName(&'static str);

impl StaticName {
    /// The name.
    ///
    /// # Panics
    ///
    /// If it is no name; in a `const` that is an error of the compiler.
    pub const fn new(name: &'static str) -> Self {
        assert!(is_name(name.as_bytes()), "a type or relation name is expected");
        Self(name)
    }

    /// The name as text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// Something that has relations: `type:id`. The types of a service's own model stand behind its name: `docs/folder:7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    kind: String,
    id: String,
}

/// Who stands in a relation to an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// One object: `user:7`.
    Object(Object),
    /// Everyone in a relation to an object: `group:3#member`.
    Userset(Object, String),
    /// Every object of a type: `user:*`.
    Wildcard(String),
}

/// One relation tuple.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    object: Object,
    relation: String,
    subject: Subject,
}

/// A text or a part that no tuple can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTuple {
    /// The text does not have the form `object#relation@subject`.
    #[error("`{0}` is not a relation tuple: `type:id#relation@type:id` is expected")]
    Shape(String),
    /// The text does not have the form `type:id`.
    #[error("`{0}` is not an object: `type:id` is expected")]
    Object(String),
    /// A type or relation has a character that its place does not allow.
    #[error(
        "`{0}` is not a type or relation name: 1 to 64 characters from `a-z A-Z 0-9 _ -`, the first a letter"
    )]
    Name(String),
    /// A type's name, with or without a service before it, has a character that its place does not allow.
    #[error(
        "`{0}` is not the name of a type: 1 to 64 characters from `a-z A-Z 0-9 _ -`, the first a letter; before it a service and `/`, if it is one of a service's own"
    )]
    Type(String),
    /// An id is empty, too long, or has a character that would make a tuple ambiguous.
    #[error(
        "`{0}` is not an object id: 1 to 1024 bytes without white space, control characters, `#`, `:` or `*`"
    )]
    Id(String),
}

impl Object {
    /// An object from its two parts.
    pub fn new(kind: &str, id: &str) -> Result<Self, InvalidTuple> {
        check_type(kind)?;
        check_id(id)?;
        Ok(Self {
            kind: kind.to_owned(),
            id: id.to_owned(),
        })
    }

    /// The object whose id is a UUID, as all of ours are.
    pub fn entity(kind: StaticName, id: Uuid) -> Self {
        Self {
            kind: kind.0.to_owned(),
            id: id.hyphenated().to_string(),
        }
    }

    /// Whether a text can be the id of an object.
    pub fn is_id(text: &str) -> bool {
        is_id(text)
    }

    /// The object's type.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The object's id within its type.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Tuple {
    /// A tuple from its three parts.
    pub fn new(object: Object, relation: &str, subject: Subject) -> Result<Self, InvalidTuple> {
        check_name(relation)?;
        match &subject {
            Subject::Object(_) => {}
            Subject::Userset(_, name) => check_name(name)?,
            Subject::Wildcard(kind) => check_type(kind)?,
        }
        Ok(Self {
            object,
            relation: relation.to_owned(),
            subject,
        })
    }

    /// A tuple whose relation stands in the source, between two objects.
    pub fn between(object: Object, relation: StaticName, subject: Object) -> Self {
        Self {
            object,
            relation: relation.0.to_owned(),
            subject: Subject::Object(subject),
        }
    }

    /// A tuple whose relations stand in the source, with everyone in a relation to an object as its subject.
    pub fn with_userset(object: Object, relation: StaticName, of: Object, of_relation: StaticName) -> Self {
        Self {
            object,
            relation: relation.0.to_owned(),
            subject: Subject::Userset(of, of_relation.0.to_owned()),
        }
    }

    /// What the tuple is about.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// How subject and object are related.
    pub fn relation(&self) -> &str {
        &self.relation
    }

    /// Who is related to the object.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
}

impl FromStr for Object {
    type Err = InvalidTuple;

    fn from_str(text: &str) -> Result<Self, InvalidTuple> {
        let (kind, id) = text
            .split_once(':')
            .ok_or_else(|| InvalidTuple::Object(clip(text)))?;
        Self::new(kind, id)
    }
}

impl FromStr for Subject {
    type Err = InvalidTuple;

    fn from_str(text: &str) -> Result<Self, InvalidTuple> {
        if let Some(kind) = text.strip_suffix(":*") {
            check_type(kind)?;
            return Ok(Self::Wildcard(kind.to_owned()));
        }
        match text.split_once('#') {
            None => text.parse().map(Self::Object),
            Some((object, relation)) => {
                check_name(relation)?;
                Ok(Self::Userset(object.parse()?, relation.to_owned()))
            }
        }
    }
}

impl FromStr for Tuple {
    type Err = InvalidTuple;

    fn from_str(text: &str) -> Result<Self, InvalidTuple> {
        let shape = || InvalidTuple::Shape(clip(text));
        let (object, rest) = text.split_once('#').ok_or_else(shape)?;
        let (relation, subject) = rest.split_once('@').ok_or_else(shape)?;
        Self::new(object.parse()?, relation, subject.parse()?)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
            Self::Userset(object, relation) => write!(f, "{object}#{relation}"),
            Self::Wildcard(kind) => write!(f, "{kind}:*"),
        }
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}@{}", self.object, self.relation, self.subject)
    }
}

fn check_type(kind: &str) -> Result<(), InvalidTuple> {
    let is_type = match kind.split_once('/') {
        None => is_name(kind.as_bytes()),
        Some((service, name)) => service.parse::<ServiceName>().is_ok() && is_name(name.as_bytes()),
    };
    if is_type {
        Ok(())
    } else {
        Err(InvalidTuple::Type(clip(kind)))
    }
}

fn check_name(name: &str) -> Result<(), InvalidTuple> {
    if is_name(name.as_bytes()) {
        Ok(())
    } else {
        Err(InvalidTuple::Name(clip(name)))
    }
}

const fn is_name(name: &[u8]) -> bool {
    if name.is_empty() || name.len() > 64 || !name[0].is_ascii_alphabetic() {
        return false;
    }
    let mut place = 1;
    while place < name.len() {
        if !name[place].is_ascii_alphanumeric() && name[place] != b'_' && name[place] != b'-' {
            return false;
        }
        place += 1;
    }
    true
}

fn is_id(id: &str) -> bool {
    (1..=1024).contains(&id.len())
        && !id
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '#' | ':' | '*'))
}

fn check_id(id: &str) -> Result<(), InvalidTuple> {
    if is_id(id) {
        Ok(())
    } else {
        Err(InvalidTuple::Id(clip(id)))
    }
}

fn clip(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_subject_survives_a_round_trip() {
        for text in [
            "document:1#viewer@user:7",
            "document:1#viewer@group:eng#member",
            "document:1#viewer@user:*",
            "resource:docs/document/1#workspace@workspace:w",
            "document:1#owner@user:bob@example.com",
            "docs.v1/folder:1#owner@docs.v1/team:a#member",
            "docs/folder:1#viewer@docs/team:*",
        ] {
            assert_eq!(text.parse::<Tuple>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn tuples_of_names_in_the_source_are_the_ones_that_are_read() {
        const GROUP: StaticName = StaticName::new("group");
        const MEMBER: StaticName = StaticName::new("member");
        let (a, b) = (
            Object::entity(GROUP, Uuid::nil()),
            Object::entity(GROUP, Uuid::max()),
        );
        let direct = Tuple::between(a.clone(), MEMBER, b.clone());
        let userset = Tuple::with_userset(a, MEMBER, b, MEMBER);
        for tuple in [direct, userset] {
            assert_eq!(tuple.to_string().parse(), Ok(tuple));
        }
    }

    #[test]
    fn ambiguous_texts_are_refused() {
        for bad in [
            "",
            "document:1",
            "document:1#viewer",
            "document#viewer@user:7",
            "document:#viewer@user:7",
            "document:1#viewer@user",
            "document:1#viewer@user:a:b",
            "document:1#viewer@user:7#",
            "document:1#vie wer@user:7",
            "document:*#viewer@user:7",
            "document:1#viewer@user:a b",
            "Docs/folder:1#viewer@user:a",
            "/folder:1#viewer@user:a",
            "docs/:1#viewer@user:a",
            "docs/a/b:1#viewer@user:a",
            "docs/folder:1#a/viewer@user:a",
            "folder:1#viewer@docs/team:1#a/b",
        ] {
            assert!(bad.parse::<Tuple>().is_err(), "`{bad}` must be refused");
        }
    }
}
