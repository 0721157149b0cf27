//! The names of a service's types: by themselves on the wire (`folder:7`), behind the service's name everywhere else
//! (`docs/folder:7`). Sentinel's own types (`user`, `group` …) are called the same in both places.

use sentinel_authz::sentinel;
use sentinel_core::name::ServiceName;
use sentinel_core::tuple::InvalidTuple;
use sentinel_core::{Object, Subject, Tuple};

use crate::extract::ServiceKey;

/// The service that asks, by its key: it writes, reads and asks about objects of its own types, and about no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope(ServiceName);

/// A text that names nothing which the service may speak about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutOfScope {
    /// It has not the form of an object, a subject or a name.
    #[error(transparent)]
    Shape(#[from] InvalidTuple),
    /// It says whose type it is, which the key says already.
    #[error("`{0}`: write a type of your own by its name alone, without a service before it")]
    Qualified(String),
    /// It does not say whose type it is, which an administrator has to.
    #[error("`{0}` is not a type of this service: write it with the service before it, as in `docs/folder`")]
    NotQualified(String),
    /// An object of a type that is Sentinel's.
    #[error("`{0}` is a type of Sentinel: only objects of the service's own types are expected here")]
    Sentinels(String),
}

impl Scope {
    /// The scope of a key.
    pub(crate) fn of(key: &ServiceKey) -> Self {
        Self(key.name().clone())
    }

    /// The scope of a service that an administrator speaks for.
    pub(crate) fn of_service(service: ServiceName) -> Self {
        Self(service)
    }

    /// Whose it is.
    pub(crate) fn service(&self) -> &ServiceName {
        &self.0
    }

    /// The whole name of one of the service's own types: `folder` is `docs/folder`.
    ///
    /// # Errors
    /// It is no name, or one of Sentinel's types.
    pub(crate) fn own_type(&self, name: &str) -> Result<String, OutOfScope> {
        let kind = self.any_type(name)?;
        if sentinel::is_type(&kind) {
            return Err(OutOfScope::Sentinels(kind));
        }
        Ok(kind)
    }

    /// The whole name of a type, the service's own or one of Sentinel's: `folder` is `docs/folder`, and `user` is `user`.
    ///
    /// # Errors
    /// It is no name.
    pub(crate) fn any_type(&self, name: &str) -> Result<String, OutOfScope> {
        if name.contains('/') {
            return Err(OutOfScope::Qualified(clip(name)));
        }
        // Whatever has the form of an object has a type with the form of one.
        Object::new(name, "1")?;
        if sentinel::is_type(name) {
            return Ok(name.to_owned());
        }
        Ok(format!("{}/{name}", self.0))
    }

    /// An object of one of the service's own types: `folder:7`.
    ///
    /// # Errors
    /// It is no object, or one of another's.
    pub(crate) fn object(&self, text: &str) -> Result<Object, OutOfScope> {
        let (kind, id) = parts(text)?;
        Ok(Object::new(&self.own_type(kind)?, id)?)
    }

    /// A subject, of the service's own types or of Sentinel's: `user:…`, `group:…#member`, `team:3#member`, `user:*`.
    ///
    /// # Errors
    /// It is no subject.
    pub(crate) fn subject(&self, text: &str) -> Result<Subject, OutOfScope> {
        let (kind, rest) = parts(text)?;
        Ok(format!("{}:{rest}", self.any_type(kind)?).parse()?)
    }

    /// A tuple about an object of the service's own.
    ///
    /// # Errors
    /// A part of it has not its form, or the object is not the service's.
    pub(crate) fn tuple(&self, object: &str, relation: &str, subject: &str) -> Result<Tuple, OutOfScope> {
        Ok(Tuple::new(
            self.object(object)?,
            relation,
            self.subject(subject)?,
        )?)
    }

    /// A type as the service writes it: `docs/folder` is `folder`.
    pub(crate) fn plain<'k>(&self, kind: &'k str) -> &'k str {
        kind.strip_prefix(self.0.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(kind)
    }

    /// An object as the service writes it.
    pub(crate) fn show_object(&self, object: &Object) -> String {
        format!("{}:{}", self.plain(object.kind()), object.id())
    }

    /// A subject as the service writes it.
    pub(crate) fn show_subject(&self, subject: &Subject) -> String {
        match subject {
            Subject::Object(object) => self.show_object(object),
            Subject::Userset(object, relation) => format!("{}#{relation}", self.show_object(object)),
            Subject::Wildcard(kind) => format!("{}:*", self.plain(kind)),
        }
    }

    /// A tuple as the service writes it.
    pub(crate) fn show_tuple(&self, tuple: &Tuple) -> String {
        let object = self.show_object(tuple.object());
        let subject = self.show_subject(tuple.subject());
        format!("{object}#{}@{subject}", tuple.relation())
    }
}

fn parts(text: &str) -> Result<(&str, &str), OutOfScope> {
    text.split_once(':')
        .ok_or_else(|| InvalidTuple::Object(clip(text)).into())
}

fn clip(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn docs() -> Scope {
        Scope("docs".parse().expect("a name"))
    }

    #[test]
    fn own_types_stand_behind_the_service_and_sentinels_do_not() {
        let scope = docs();
        for (text, whole) in [
            ("folder:7", "docs/folder:7"),
            ("team:3#member", "docs/team:3#member"),
            ("folder:*", "docs/folder:*"),
            ("user:ann", "user:ann"),
            ("user:*", "user:*"),
            ("group:g#member", "group:g#member"),
            ("role:r#assignee", "role:r#assignee"),
        ] {
            let subject = scope.subject(text).expect(text);
            assert_eq!(subject.to_string(), whole);
            assert_eq!(scope.show_subject(&subject), text);
        }
        let tuple = scope
            .tuple("folder:7", "viewer", "team:3#member")
            .expect("a tuple");
        assert_eq!(tuple.to_string(), "docs/folder:7#viewer@docs/team:3#member");
        assert_eq!(scope.show_tuple(&tuple), "folder:7#viewer@team:3#member");
        assert_eq!(scope.plain("wiki/folder"), "wiki/folder");
        assert_eq!(scope.plain("docs.v2/folder"), "docs.v2/folder");
    }

    #[test]
    fn nothing_of_another_is_in_scope() {
        let scope = docs();
        for object in [
            "",
            "folder",
            "wiki/folder:7",
            "docs/folder:7",
            "user:ann",
            "group:g",
            "resource:docs/a/1",
            "folder:",
            "folder:*",
            "folder:a b",
            "folder:7#viewer",
            "1folder:7",
        ] {
            assert!(scope.object(object).is_err(), "`{object}` must be refused");
        }
        for subject in [
            "",
            "wiki/team:3#member",
            "team",
            "team:3#",
            "/team:3",
            "team:3#a#b",
        ] {
            assert!(scope.subject(subject).is_err(), "`{subject}` must be refused");
        }
    }
}
