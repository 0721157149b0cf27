//! A relation of a service's own model as a requirement: `docs/folder:{folder_id}#can_read`.
//!
//! Whether the model has it is not known here: the model is the service's, and changes while the edge runs.

use std::fmt;

use sentinel_core::Subject;
use sentinel_core::name::ServiceName;

use super::policy_test::Written;
use super::requirement::IdTemplate;
use crate::section::{Place, Reader, Setting};
use crate::value::text;

/// A relation to an object of a service's own model.
#[derive(Clone)]
pub struct RelationTemplate {
    /// The service whose model it is.
    pub service: ServiceName,
    /// The type of the object, as tuples have it: behind its service, `docs/folder`.
    pub object_type: String,
    /// Which object.
    pub id: IdTemplate,
    /// The relation that the user must have to it.
    pub relation: String,
    /// Where it stands.
    pub written: Written,
}

/// Why a text is not a relation to an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRelation {
    /// Not of the form `type:{param}#relation`.
    #[error(
        "`{0}` is not a relation to an object: type, object and relation are expected, as in `folder:{{folder_id}}#can_read` or `docs/folder:{{folder_id}}#can_read`"
    )]
    Shape(String),
    /// A service, an id or a name that cannot be one.
    #[error("{0}")]
    Part(String),
}

/// The service that a relation without one is of.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    /// What the route's upstream is called.
    pub(super) name: String,
    /// The service that it is, if it says so.
    pub(super) service: Option<ServiceName>,
}

impl Upstream {
    /// The upstream that a route leads to, as the file has it.
    pub(super) fn named(name: &str, reader: &Reader<'_>) -> Self {
        let written = reader.root.get("upstreams").and_then(|all| all.get(name));
        let service = written.and_then(|upstream| upstream.get("service"));
        Self {
            name: name.to_owned(),
            // What is no name is reported where it stands.
            service: service.and_then(|service| service.as_text()?.parse().ok()),
        }
    }
}

/// Whether a permission is one of a service's own model: the type of the object is followed by `:`.
pub(super) fn is_relation(text: &str) -> bool {
    text.split_once('#')
        .is_some_and(|(object, _)| object.contains(':'))
}

/// A text in its parts.
struct Parts<'t> {
    service: Option<&'t str>,
    kind: &'t str,
    id: IdTemplate,
    relation: &'t str,
}

fn parts(text: &str) -> Result<Parts<'_>, InvalidRelation> {
    let shape = || InvalidRelation::Shape(text.chars().take(128).collect());
    let (object, relation) = text.split_once('#').ok_or_else(shape)?;
    let (kind, id) = object.split_once(':').ok_or_else(shape)?;
    let (service, kind) = match kind.split_once('/') {
        Some((service, kind)) => (Some(service), kind),
        None => (None, kind),
    };
    let part = |error: &dyn fmt::Display| InvalidRelation::Part(error.to_string());
    // A userset is told by the same two names.
    format!("{kind}:x#{relation}")
        .parse::<Subject>()
        .map_err(|error| part(&error))?;
    if kind.contains('/') {
        return Err(shape());
    }
    Ok(Parts {
        service,
        kind,
        id: id.parse().map_err(|error| part(&error))?,
        relation,
    })
}

impl RelationTemplate {
    /// Reads a relation; without a service before its type it is one of the upstream's.
    pub(super) fn read(
        place: &Place<'_>,
        upstream: Option<&Upstream>,
        reader: &mut Reader<'_>,
    ) -> Option<Self> {
        let text = text(place, reader)?;
        let parts = parts(text)
            .inspect_err(|error| reader.problem(place, error.to_string()))
            .ok()?;
        let service = match parts.service {
            Some(name) => name
                .parse::<ServiceName>()
                .inspect_err(|error| reader.problem(place, error.to_string()))
                .ok()?,
            // That there is no such upstream is reported where it stands.
            None => own_service(upstream?, &parts, place, reader)?,
        };
        Some(Self {
            object_type: format!("{service}/{}", parts.kind),
            service,
            id: parts.id,
            relation: parts.relation.to_owned(),
            written: Written::read(place, reader)?,
        })
    }
}

fn own_service(
    upstream: &Upstream,
    parts: &Parts<'_>,
    place: &Place<'_>,
    reader: &mut Reader<'_>,
) -> Option<ServiceName> {
    if upstream.service.is_none() {
        let (name, kind) = (&upstream.name, parts.kind);
        reader.problem(
            place,
            format!("whose type `{kind}` is cannot be told: add `service` to the upstream `{name}`, or write the service before it, as in `docs/{kind}:…`"),
        );
    }
    upstream.service.clone()
}

/// Where it stands is no part of what it asks for.
impl PartialEq for RelationTemplate {
    fn eq(&self, other: &Self) -> bool {
        let parts = |one: &Self| (one.object_type.clone(), one.id.clone(), one.relation.clone());
        parts(self) == parts(other)
    }
}

impl Eq for RelationTemplate {}

/// As it is written, with its service.
impl fmt::Display for RelationTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            IdTemplate::Param(name) => write!(f, "{}:{{{name}}}#{}", self.object_type, self.relation),
            IdTemplate::Literal(id) => write!(f, "{}:{id}#{}", self.object_type, self.relation),
        }
    }
}

impl fmt::Debug for RelationTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelationTemplate({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_names_type_object_and_relation_and_perhaps_a_service() {
        let found = parts("docs.v1/folder:{folder_id}#can_read").expect("a relation");
        assert_eq!(
            (found.service, found.kind, found.relation),
            (Some("docs.v1"), "folder", "can_read")
        );
        assert_eq!(found.id, IdTemplate::Param("folder_id".to_owned()));
        let found = parts("folder:root#viewer").expect("a relation");
        assert_eq!((found.service, found.kind), (None, "folder"));
        assert_eq!(found.id, IdTemplate::Literal("root".to_owned()));
    }

    #[test]
    fn nothing_is_put_together_from_parts() {
        for bad in [
            "folder:{a}{b}#viewer",
            "folder:{a}-1#viewer",
            "folder:*#viewer",
            "folder:#viewer",
            "folder:a:b#viewer",
            "folder:a b#viewer",
            "{type}:{id}#viewer",
            "folder:{id}#{relation}",
            "folder:{id}#viewer#editor",
            "folder:{id}#",
            "docs/a/folder:{id}#viewer",
            "/folder:{id}#viewer",
            "folder/:{id}#viewer",
        ] {
            let refused = match parts(bad) {
                Err(_) => true,
                Ok(parts) => parts
                    .service
                    .is_some_and(|service| service.parse::<ServiceName>().is_err()),
            };
            assert!(refused, "`{bad}`");
        }
    }

    #[test]
    fn what_stands_before_the_id_tells_the_two_forms_apart() {
        assert!(is_relation("folder:{id}#viewer") && is_relation("docs/folder:{id}#viewer"));
        for other in ["docs/document/{id}#view", "docs/reports:export", "docs", "a#b:c"] {
            assert!(!is_relation(other), "`{other}`");
        }
    }
}
