//! A relation of a service's own model that holds in a test.

use std::fmt;
use std::str::FromStr;

use schemars::{Schema, SchemaGenerator};
use sentinel_core::tuple::InvalidTuple;
use sentinel_core::{Object, Subject, Tuple};

use crate::section::{Place, Reader, Setting};
use crate::tree::Data;
use crate::value::read_text;

/// A relation that holds: `docs/folder:7#viewer`, to which the caller himself belongs, or a whole tuple, such as
/// `docs/folder:7#parent@docs/folder:1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRelation {
    /// The object, of a type of a service's own.
    pub object: Object,
    /// The relation.
    pub relation: String,
    /// Who stands in it; `None` for the caller.
    pub subject: Option<Subject>,
}

/// A text that is no relation of a service's own model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTestRelation {
    /// Neither an object with a relation nor a tuple.
    #[error("{0}; for the caller himself write `docs/folder:7#viewer`, without a subject")]
    Tuple(#[from] InvalidTuple),
    /// No relation stands behind the object.
    #[error("`{0}` names no relation: one is expected behind the object, as in `docs/folder:7#viewer`")]
    NoRelation(String),
    /// The type is none of a service's.
    #[error("`{0}` is not a type of a service: write the service before it, as in `docs/folder:7#viewer`")]
    Type(String),
}

impl TestRelation {
    /// The service whose type the object has.
    pub fn service(&self) -> &str {
        self.object
            .kind()
            .split_once('/')
            .map_or("", |(service, _)| service)
    }
}

impl FromStr for TestRelation {
    type Err = InvalidTestRelation;

    fn from_str(text: &str) -> Result<Self, InvalidTestRelation> {
        let relation = if text.contains('@') {
            let tuple: Tuple = text.parse()?;
            Self {
                object: tuple.object().clone(),
                relation: tuple.relation().to_owned(),
                subject: Some(tuple.subject().clone()),
            }
        } else {
            match text.parse()? {
                Subject::Userset(object, relation) => Self {
                    object,
                    relation,
                    subject: None,
                },
                _ => return Err(InvalidTestRelation::NoRelation(text.chars().take(128).collect())),
            }
        };
        if relation.service().is_empty() {
            return Err(InvalidTestRelation::Type(relation.object.kind().to_owned()));
        }
        Ok(relation)
    }
}

impl fmt::Display for TestRelation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.object, self.relation)?;
        self.subject
            .as_ref()
            .map_or(Ok(()), |subject| write!(f, "@{subject}"))
    }
}

impl Setting for TestRelation {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let relation: Self = read_text(place, reader)?;
        let service = relation.service();
        let models = reader.root.get("models").map(|node| &node.data);
        let has_model =
            matches!(models, Some(Data::Map(entries)) if entries.iter().any(|entry| entry.key == service));
        if !has_model {
            reader.problem(
                place,
                format!("a relation holds by the model of its service: name the file with the model of `{service}` under `models`"),
            );
            return None;
        }
        Some(relation)
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        String::describe(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_is_the_callers_or_a_whole_tuple() {
        for text in [
            "docs/folder:7#viewer",
            "docs/folder:7#parent@docs/folder:1",
            "docs/folder:7#viewer@group:3#member",
            "docs/folder:7#viewer@user:*",
        ] {
            let relation: TestRelation = text.parse().expect(text);
            assert_eq!(
                (relation.to_string().as_str(), relation.service()),
                (text, "docs")
            );
            assert_eq!(relation.subject.is_some(), text.contains('@'));
        }
        for bad in [
            "",
            "docs/folder:7",
            "folder:7#viewer",
            "docs/folder:7#",
            "docs/folder:*#viewer",
            "user:1#a@user:2",
        ] {
            assert!(bad.parse::<TestRelation>().is_err(), "`{bad}`");
        }
    }
}
