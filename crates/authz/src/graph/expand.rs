//! What a relation of an object is made of (Zanzibar, §2.4.5): the definition, with the tuples of this object in it. One
//! step deep: usersets and relations of other objects are named, and can be expanded in their turn.

use sentinel_core::{Object, Subject};

use super::At;
use super::link::{Edge, Link};
use super::names::Node;
use crate::CheckError;
use crate::model::{RelationId, Rewrite, TypeId};

/// How many subjects and usersets one expansion names. There is no part of one: more of them are an error.
pub const MAX_EXPANDED: usize = 10_000;

/// All who stand in a relation to an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Userset {
    /// The object.
    pub object: Object,
    /// The relation.
    pub relation: String,
}

/// What a relation of an object, or a part of its definition, is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expansion {
    /// The subjects of the relation's own tuples, in order: objects, everyone of a type, and usersets.
    Leaf(Vec<Subject>),
    /// Another relation of the same object.
    Computed(Userset),
    /// A relation of what the tuples of another relation lead to.
    From {
        /// The relation whose tuples are followed.
        tupleset: Userset,
        /// What they lead to, in order, with the relation that is meant there.
        computed: Vec<Userset>,
    },
    /// Whoever is in one of the parts.
    Union(Vec<Expansion>),
    /// Whoever is in all parts.
    Intersection(Vec<Expansion>),
    /// Whoever is in the first part and not in the second one.
    Difference(Box<Expansion>, Box<Expansion>),
}

/// A relation that was not expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// The model does not know the names.
    #[error(transparent)]
    Unknown(#[from] CheckError),
    /// There is more to name than [`MAX_EXPANDED`].
    #[error("the expansion names more than {MAX_EXPANDED} subjects; list them in pages instead")]
    TooLarge,
}

impl At<'_> {
    /// What the relation of the object is made of. To an object that no tuple mentions, the same definition without
    /// subjects.
    ///
    /// # Errors
    ///
    /// The model does not know the names, or there is too much to name.
    pub fn expand(self, object: &Object, relation: &str) -> Result<Expansion, ExpandError> {
        let [found] = self.graph.find([(object.kind(), object.id())])?;
        let model = &self.graph.inner.state.model;
        let relation = model.ask_relation(found.kind, relation)?;
        let mut expanding = Expanding {
            at: self,
            object,
            number: found.number,
            left: MAX_EXPANDED,
        };
        // A relation that is known has a definition.
        match model.relation(relation) {
            Some(definition) => expanding.rewrite(relation, &definition.rewrite),
            None => Ok(Expansion::Leaf(Vec::new())),
        }
    }
}

struct Expanding<'g> {
    at: At<'g>,
    object: &'g Object,
    number: Option<u32>,
    /// How much may still be named.
    left: usize,
}

impl Expanding<'_> {
    fn rewrite(&mut self, relation: RelationId, rewrite: &Rewrite) -> Result<Expansion, ExpandError> {
        Ok(match rewrite {
            Rewrite::Direct => Expansion::Leaf(self.subjects(relation)?),
            Rewrite::Computed(other) => Expansion::Computed(self.userset(*other)),
            Rewrite::From {
                tupleset, targets, ..
            } => Expansion::From {
                tupleset: self.userset(*tupleset),
                computed: self.led_to(*tupleset, targets)?,
            },
            Rewrite::Any(parts) => Expansion::Union(self.parts(relation, parts)?),
            Rewrite::All(parts) => Expansion::Intersection(self.parts(relation, parts)?),
            Rewrite::Except(base, minus) => Expansion::Difference(
                Box::new(self.rewrite(relation, base)?),
                Box::new(self.rewrite(relation, minus)?),
            ),
        })
    }

    fn parts(&mut self, relation: RelationId, parts: &[Rewrite]) -> Result<Vec<Expansion>, ExpandError> {
        parts.iter().map(|part| self.rewrite(relation, part)).collect()
    }

    fn userset(&self, relation: RelationId) -> Userset {
        Userset {
            object: self.object.clone(),
            relation: self.name(relation),
        }
    }

    fn name(&self, relation: RelationId) -> String {
        let found = self.at.graph.inner.state.model.relation(relation);
        found.map_or_else(String::new, |found| found.name.to_string())
    }

    fn subjects(&mut self, relation: RelationId) -> Result<Vec<Subject>, ExpandError> {
        let state = &self.at.graph.inner.state;
        let mut subjects = Vec::new();
        for link in self.links(relation)? {
            subjects.extend(state.tuple(link).map(|tuple| tuple.subject().clone()));
        }
        subjects.sort_unstable();
        Ok(subjects)
    }

    fn led_to(
        &mut self,
        tupleset: RelationId,
        targets: &[(TypeId, RelationId)],
    ) -> Result<Vec<Userset>, ExpandError> {
        let state = &self.at.graph.inner.state;
        let mut computed = Vec::new();
        for link in self.links(tupleset)? {
            let kind = state.names.node(link.edge.subject).map(Node::kind);
            let target = targets.iter().find(|(of, _)| Some(*of) == kind);
            if let Some(((_, relation), object)) = target.zip(state.object(link.edge.subject)) {
                computed.push(Userset {
                    object,
                    relation: self.name(*relation),
                });
            }
        }
        computed.sort_unstable();
        Ok(computed)
    }

    /// The tuples of one relation that hold.
    fn links(&mut self, relation: RelationId) -> Result<Vec<Link>, ExpandError> {
        let Some(object) = self.number else {
            return Ok(Vec::new());
        };
        let graph = self.at.graph;
        let moment = graph.inner.state.ends.at(self.at.now);
        let mut found = Vec::new();
        let link = |edge: Edge| Link { object, edge };
        for link in graph.index().subjects(object, relation).map(link) {
            if moment.lasts(&link) {
                self.left = self.left.checked_sub(1).ok_or(ExpandError::TooLarge)?;
                found.push(link);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sentinel_core::{Timestamp, Tuple};

    use super::*;
    use crate::{Graph, Model, TupleChange};

    fn graph(tuples: impl IntoIterator<Item = String>) -> Graph {
        let model = Model::parse(
            "model
               schema 1.1
             type user
             type group
               relations
                 define member: [user]
             type folder
               relations
                 define viewer: [user]
             type doc
               relations
                 define parent: [folder, doc]
                 define banned: [user]
                 define viewer: ([user, user:*, group#member] or viewer from parent) but not banned
                 define both: viewer and banned",
        );
        let tuples: Vec<Tuple> = tuples
            .into_iter()
            .map(|text| text.parse().expect("a tuple"))
            .collect();
        Graph::new(Arc::new(model.expect("a model")))
            .apply(tuples.iter().map(TupleChange::Put))
            .expect("allowed tuples")
    }

    fn object(text: &str) -> Object {
        text.parse().expect("an object")
    }

    fn userset(object_text: &str, relation: &str) -> Userset {
        Userset {
            object: object(object_text),
            relation: relation.to_owned(),
        }
    }

    #[test]
    fn an_expansion_is_the_definition_with_the_objects_tuples_in_it() {
        let tuples = [
            "doc:1#viewer@user:bob",
            "doc:1#viewer@user:ann",
            "doc:1#viewer@user:*",
            "doc:1#viewer@group:eng#member",
            "doc:1#parent@folder:b",
            "doc:1#parent@doc:a",
            "doc:2#viewer@user:eve",
        ];
        let ended: Tuple = "doc:1#viewer@user:old".parse().expect("a tuple");
        let now = Timestamp::from_timestamp(7, 0).expect("a time");
        let graph = graph(tuples.map(str::to_owned))
            .apply([TupleChange::PutUntil(&ended, now)])
            .expect("an allowed tuple");
        let at = graph.at(now);
        let leaf = |texts: &[&str]| {
            Expansion::Leaf(
                texts
                    .iter()
                    .map(|text| text.parse().expect("a subject"))
                    .collect(),
            )
        };
        let viewer = |id: &str, subjects: &[&str], computed| {
            Expansion::Difference(
                Box::new(Expansion::Union(vec![
                    leaf(subjects),
                    Expansion::From {
                        tupleset: userset(id, "parent"),
                        computed,
                    },
                ])),
                Box::new(Expansion::Computed(userset(id, "banned"))),
            )
        };
        assert_eq!(
            at.expand(&object("doc:1"), "viewer"),
            Ok(viewer(
                "doc:1",
                &["user:ann", "user:bob", "group:eng#member", "user:*"],
                vec![userset("doc:a", "viewer"), userset("folder:b", "viewer")]
            ))
        );
        assert_eq!(
            at.expand(&object("doc:9"), "viewer"),
            Ok(viewer("doc:9", &[], Vec::new()))
        );
        assert_eq!(
            at.expand(&object("doc:1"), "both"),
            Ok(Expansion::Intersection(vec![
                Expansion::Computed(userset("doc:1", "viewer")),
                Expansion::Computed(userset("doc:1", "banned"))
            ]))
        );
        assert!(matches!(
            at.expand(&object("doc:1"), "x"),
            Err(ExpandError::Unknown(_))
        ));
    }

    #[test]
    fn nothing_is_cut_off_in_silence() {
        let many = |count| graph((0..count).map(|at| format!("folder:1#viewer@user:{at}")));
        let expand = |graph: &Graph| graph.timeless().expand(&object("folder:1"), "viewer");
        let Ok(Expansion::Leaf(all)) = expand(&many(MAX_EXPANDED)) else {
            panic!("a list of subjects");
        };
        assert_eq!(all.len(), MAX_EXPANDED);
        assert_eq!(expand(&many(MAX_EXPANDED + 1)), Err(ExpandError::TooLarge));
    }
}
