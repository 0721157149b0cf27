//! The tuples that are followed from one object. Nearly all objects have few, and those lie with the object.

use std::sync::Arc;

use super::link::{Edge, Link};
use crate::model::RelationId;

/// How many lie with the object: with them an object fills one cache line.
const FEW: usize = 3;

/// A sorted list of tuples.
#[derive(Debug, Clone)]
pub(super) enum Edges {
    /// The first so many of these.
    Few(u8, [Edge; FEW]),
    Many(Arc<[Edge]>),
}

impl Default for Edges {
    fn default() -> Self {
        Self::Few(0, [Link::plain(0, RelationId::NONE, 0).edge; FEW])
    }
}

impl Edges {
    /// The tuples in order.
    pub(super) fn as_slice(&self) -> &[Edge] {
        match self {
            Self::Few(count, edges) => edges.get(..usize::from(*count)).unwrap_or_default(),
            Self::Many(edges) => edges,
        }
    }

    /// Adds a tuple that is not there yet.
    pub(super) fn insert(&mut self, edge: Edge) {
        let mut edges = self.as_slice().to_vec();
        let place = edges.partition_point(|other| *other < edge);
        edges.insert(place.min(edges.len()), edge);
        *self = Self::from(edges);
    }

    /// Removes a tuple, if it is there.
    pub(super) fn remove(&mut self, edge: Edge) {
        let mut edges = self.as_slice().to_vec();
        edges.retain(|other| *other != edge);
        *self = Self::from(edges);
    }
}

impl From<Vec<Edge>> for Edges {
    fn from(edges: Vec<Edge>) -> Self {
        Self::from_slice(&edges)
    }
}

impl Edges {
    /// These tuples, which are in order.
    pub(super) fn from_slice(edges: &[Edge]) -> Self {
        let mut few = Self::default();
        match (&mut few, u8::try_from(edges.len())) {
            (Self::Few(count, places), Ok(length)) if edges.len() <= FEW => {
                *count = length;
                for (place, edge) in places.iter_mut().zip(edges) {
                    *place = *edge;
                }
                few
            }
            _ => Self::Many(edges.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stay_sorted_while_they_become_many_and_few_again() {
        let edge = |subject| Link::plain(0, RelationId::FIRST, subject).edge;
        let mut edges = Edges::default();
        for subject in [5, 1, 4, 2, 3] {
            edges.insert(edge(subject));
            assert!(edges.as_slice().is_sorted());
        }
        assert!(matches!(edges, Edges::Many(_)));
        for subject in [1, 3, 9] {
            edges.remove(edge(subject));
        }
        assert!(matches!(edges, Edges::Few(3, _)));
        assert_eq!(edges.as_slice(), [2, 4, 5].map(edge));
    }
}
