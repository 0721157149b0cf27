//! What a search has just looked up: it comes back to the same few objects again and again, for the next relation.

use super::link::Edge;
use super::state::State;
use crate::model::RelationId;

/// No object has this number.
const NOTHING: u32 = u32::MAX;

/// The last lookups.
pub(super) struct Recent<'s> {
    /// Objects and their plain tuples with the subject.
    pairs: [(u32, u32); 4],
    next: usize,
    object: u32,
    edges: &'s [Edge],
}

impl<'s> Recent<'s> {
    /// Nothing was looked up.
    pub(super) fn new() -> Self {
        Self {
            pairs: [(NOTHING, 0); 4],
            next: 0,
            object: NOTHING,
            edges: &[],
        }
    }

    /// [`State::pair`] of an object with the search's one subject.
    pub(super) fn pair(&mut self, state: &State, object: u32, subject: u32) -> u32 {
        if let Some((_, known)) = self.pairs.iter().find(|(of, _)| *of == object) {
            return *known;
        }
        let found = state.pair(object, subject);
        self.keep(object, found);
        found
    }

    /// Keeps what is known of an object.
    pub(super) fn keep(&mut self, object: u32, pair: u32) {
        if let Some(oldest) = self.pairs.get_mut(self.next) {
            *oldest = (object, pair);
        }
        self.next = self.next.wrapping_add(1) & 3;
    }

    /// The tuples of an object's relation that are followed from it.
    pub(super) fn edges(&mut self, state: &'s State, object: u32, relation: RelationId) -> &'s [Edge] {
        if self.object != object {
            self.keep_edges(object, state.edges(object));
        }
        State::edges_of(self.edges, relation)
    }

    /// Keeps the tuples that are followed from an object.
    pub(super) fn keep_edges(&mut self, object: u32, edges: &'s [Edge]) {
        self.edges = edges;
        self.object = object;
    }
}
