//! What a model says, for those who check something against it before anybody asks: a route's permission, or a model
//! that takes the place of another.

use super::{Form, Model, RelationId, TypeId, endings};

/// Which subjects a relation's tuples may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectForm<'a> {
    /// Objects of a type: `user:7`.
    Object(&'a str),
    /// Everyone of a type: `user:*`.
    Everyone(&'a str),
    /// Usersets of a type and its relation: `group:3#member`.
    Userset(&'a str, &'a str),
}

impl Model {
    /// The names of all types: in the order of their definitions, or, in a graph whose model took the place of another, in
    /// that of the other's with the new ones behind.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.types.iter().map(|kind| &*kind.name)
    }

    /// Whether there is such a type.
    pub fn has_type(&self, kind: &str) -> bool {
        self.type_id(kind).is_some()
    }

    /// The names of a type's relations, in the order of [`Model::types`]; none if there is no such type.
    pub fn relations_of(&self, kind: &str) -> impl Iterator<Item = &str> {
        let kind = self.type_id(kind);
        self.relations
            .iter()
            .filter(move |relation| Some(relation.kind) == kind)
            .map(|relation| &*relation.name)
    }

    /// Whether there is such a type with such a relation.
    pub fn has_relation(&self, kind: &str, relation: &str) -> bool {
        self.find_relation(kind, relation).is_some()
    }

    /// Whether the relation's own tuples may have such subjects.
    pub fn relation_takes(&self, kind: &str, relation: &str, subject: SubjectForm<'_>) -> bool {
        let Some((_, relation)) = self.find_relation(kind, relation) else {
            return false;
        };
        let wanted = match subject {
            SubjectForm::Object(kind) => self.type_id(kind).map(|kind| (kind, Form::Object)),
            SubjectForm::Everyone(kind) => self.type_id(kind).map(|kind| (kind, Form::Wildcard)),
            SubjectForm::Userset(kind, relation) => self
                .find_relation(kind, relation)
                .map(|(kind, relation)| (kind, Form::Userset(relation))),
        };
        let definition = self.relation(relation);
        definition
            .zip(wanted)
            .is_some_and(|(definition, (kind, form))| definition.takes(kind, form))
    }

    /// Whether some set of tuples gives the relation to an object of the type `subject`. If not, the answer to every
    /// question about one is no.
    pub fn can_have(&self, kind: &str, relation: &str, subject: &str) -> bool {
        let (Some((_, relation)), Some(subject)) =
            (self.find_relation(kind, relation), self.type_id(subject))
        else {
            return false;
        };
        let can = endings::relations_that_can_hold(self, |of| of == subject);
        can.get(usize::from(relation.0)).copied().unwrap_or(false)
    }

    fn find_relation(&self, kind: &str, relation: &str) -> Option<(TypeId, RelationId)> {
        let kind = self.type_id(kind)?;
        Some((kind, self.relation_id(kind, relation)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(definitions: &str) -> Model {
        let text = format!(
            "model
              schema 1.1
            type user
            type robot
            type workspace
              relations
                define member: [user]
            type doc
              relations
                define workspace: [workspace]
                {definitions}"
        );
        Model::parse(&text).expect("a model")
    }

    #[test]
    fn it_says_what_there_is_and_what_a_relation_takes() {
        let model = model("define viewer: [user, user:*, workspace#member]");
        assert_eq!(
            model.types().collect::<Vec<_>>(),
            ["user", "robot", "workspace", "doc"]
        );
        assert_eq!(
            model.relations_of("doc").collect::<Vec<_>>(),
            ["workspace", "viewer"]
        );
        assert_eq!(model.relations_of("nothing").count(), 0);
        assert!(model.has_type("user") && !model.has_type("person"));
        for (relation, subject, takes) in [
            ("workspace", SubjectForm::Object("workspace"), true),
            ("workspace", SubjectForm::Object("user"), false),
            ("viewer", SubjectForm::Object("user"), true),
            ("viewer", SubjectForm::Everyone("user"), true),
            ("viewer", SubjectForm::Everyone("robot"), false),
            ("viewer", SubjectForm::Userset("workspace", "member"), true),
            ("viewer", SubjectForm::Userset("workspace", "owner"), false),
            ("owner", SubjectForm::Object("user"), false),
        ] {
            assert_eq!(
                model.relation_takes("doc", relation, subject),
                takes,
                "{relation} {subject:?}"
            );
        }
    }

    #[test]
    fn who_can_never_have_a_relation_is_known_from_the_model() {
        let model = model(
            "define owner: [robot]
                define viewer: owner or member from workspace
                define both: owner and viewer
                define other: viewer but not owner",
        );
        for (relation, user, robot) in [
            ("owner", false, true),
            ("viewer", true, true),
            ("both", false, true),
            ("other", true, true),
            ("nothing", false, false),
        ] {
            let can = |subject| model.can_have("doc", relation, subject);
            assert_eq!((can("user"), can("robot")), (user, robot), "{relation}");
        }
        assert!(model.can_have("doc", "workspace", "workspace"));
        assert!(!model.can_have("doc", "viewer", "person"));
    }
}
