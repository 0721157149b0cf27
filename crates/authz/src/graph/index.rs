//! All tuples in two orders, for lists. A check needs none of it: it is made when the first list is asked for, and kept
//! up to date from then on. An edge that only checks never pays for it.

use super::link::{Edge, Link};
use super::ordered::Ordered;
use super::state::State;
use crate::model::RelationId;

/// The tuples by object and by subject.
#[derive(Debug, Clone)]
pub(super) struct Index {
    by_object: Ordered<Link>,
    by_subject: Ordered<Backlink>,
}

/// A tuple seen from its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Backlink {
    subject: u32,
    userset: RelationId,
    relation: RelationId,
    object: u32,
}

impl From<Link> for Backlink {
    fn from(link: Link) -> Self {
        Self {
            subject: link.edge.subject,
            userset: link.edge.userset,
            relation: link.edge.relation,
            object: link.object,
        }
    }
}

impl Index {
    /// The index of a whole graph.
    pub(super) fn new(state: &State) -> Self {
        let links: Vec<Link> = state.links().collect();
        Self {
            by_subject: Ordered::new(links.iter().copied().map(Backlink::from).collect()),
            by_object: Ordered::new(links),
        }
    }

    /// Adds a tuple.
    pub(super) fn insert(&mut self, link: Link) {
        self.by_object.insert(link);
        self.by_subject.insert(link.into());
    }

    /// Removes a tuple.
    pub(super) fn remove(&mut self, link: Link) {
        self.by_object.remove(&link);
        self.by_subject.remove(&link.into());
    }

    /// The tuples of an object's relation.
    pub(super) fn subjects(&self, object: u32, relation: RelationId) -> impl Iterator<Item = Edge> + '_ {
        let first = Edge {
            relation,
            userset: RelationId::FIRST,
            subject: 0,
        };
        self.by_object
            .from(Link { object, edge: first })
            .take_while(move |link| link.object == object && link.edge.relation == relation)
            .map(|link| link.edge)
    }

    /// The objects that have this subject, or this userset of it, in a relation.
    pub(super) fn objects(
        &self,
        subject: u32,
        userset: RelationId,
        relation: RelationId,
    ) -> impl Iterator<Item = u32> + '_ {
        let first = Backlink {
            subject,
            userset,
            relation,
            object: 0,
        };
        self.by_subject
            .from(first)
            .take_while(move |link| Backlink { object: 0, ..*link } == first)
            .map(|link| link.object)
    }
}
