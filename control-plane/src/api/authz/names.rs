//! How the one who asks calls types: a service its own ones by their own names, an administrator all by their whole names.

use sentinel_access::relations::RelationTuple;
use sentinel_core::name::ServiceName;
use sentinel_core::{Object, Subject, Tuple};
use serde::Serialize;

use super::scope::{OutOfScope, Scope};
use crate::api::wire::Moment;

/// The names of one service's types, as somebody uses them.
#[derive(Debug, Clone)]
pub(in crate::api) struct Names {
    scope: Scope,
    is_whole: bool,
}

/// A tuple on the wire.
#[derive(Serialize)]
pub(in crate::api) struct StoredBody {
    object: String,
    relation: String,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Moment>,
}

impl Names {
    /// As the service uses them: `folder`.
    pub(in crate::api) fn of_service(scope: Scope) -> Self {
        Self {
            scope,
            is_whole: false,
        }
    }

    /// As administrators use them: `docs/folder`.
    pub(in crate::api) fn of_administrator(service: ServiceName) -> Self {
        Self {
            scope: Scope::of_service(service),
            is_whole: true,
        }
    }

    /// Whose they are.
    pub(in crate::api) fn service(&self) -> &ServiceName {
        self.scope.service()
    }

    /// The whole name of one of the service's own types.
    pub(super) fn own_type(&self, name: &str) -> Result<String, OutOfScope> {
        self.scope.own_type(self.plain(name)?)
    }

    /// The whole name of a type, the service's own or one of Sentinel's.
    pub(super) fn any_type(&self, name: &str) -> Result<String, OutOfScope> {
        self.scope.any_type(self.plain(name)?)
    }

    /// A subject.
    pub(super) fn subject(&self, text: &str) -> Result<Subject, OutOfScope> {
        self.scope.subject(self.plain(text)?)
    }

    /// A tuple in its parts.
    pub(super) fn tuple(&self, object: &str, relation: &str, subject: &str) -> Result<Tuple, OutOfScope> {
        self.scope
            .tuple(self.plain(object)?, relation, self.plain(subject)?)
    }

    /// A tuple as text.
    pub(super) fn show_tuple(&self, tuple: &Tuple) -> String {
        if self.is_whole {
            tuple.to_string()
        } else {
            self.scope.show_tuple(tuple)
        }
    }

    /// A stored tuple, as an object.
    pub(in crate::api) fn show(&self, stored: &RelationTuple) -> StoredBody {
        let tuple = &stored.tuple;
        StoredBody {
            object: self.show_object(tuple.object()),
            relation: tuple.relation().to_owned(),
            subject: if self.is_whole {
                tuple.subject().to_string()
            } else {
                self.scope.show_subject(tuple.subject())
            },
            expires_at: stored.until.map(Moment),
        }
    }

    /// A text in which types stand by their whole names, as the one who asks calls them.
    pub(super) fn own_words(&self, text: &str) -> String {
        if self.is_whole {
            text.to_owned()
        } else {
            text.replace(&format!("`{}/", self.scope.service()), "`")
                .replace(&format!("@{}/", self.scope.service()), "@")
        }
    }

    fn show_object(&self, object: &Object) -> String {
        if self.is_whole {
            object.to_string()
        } else {
            self.scope.show_object(object)
        }
    }

    /// A text that begins with a type, as the service would write it. What administrators write of another service's, or of
    /// this one's by its own name, is refused as a service's writing would be.
    fn plain<'t>(&self, text: &'t str) -> Result<&'t str, OutOfScope> {
        if !self.is_whole {
            return Ok(text);
        }
        let kind = text.split(':').next().unwrap_or_default();
        let plain = self.scope.plain(text);
        if plain.len() == text.len() && !sentinel_authz::sentinel::is_type(kind) {
            return Err(OutOfScope::NotQualified(kind.chars().take(128).collect()));
        }
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administrators_say_whose_types_they_mean() {
        let docs: ServiceName = "docs".parse().expect("a name");
        let whole = Names::of_administrator(docs.clone());
        let tuple = whole
            .tuple("docs/folder:1", "viewer", "docs/team:2#member")
            .expect("a tuple");
        assert_eq!(
            whole.show_tuple(&tuple),
            "docs/folder:1#viewer@docs/team:2#member"
        );
        assert!(whole.subject("group:1#member").is_ok());
        for bad in ["folder", "wiki/folder", "docs/user", "user"] {
            assert!(whole.own_type(bad).is_err(), "{bad}");
        }
        let own = Names::of_service(Scope::of_service(docs));
        assert_eq!(own.show_tuple(&tuple), "folder:1#viewer@team:2#member");
        assert_eq!(own.own_type("folder").expect("a type"), "docs/folder");
    }
}
