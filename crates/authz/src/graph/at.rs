//! Questions about a graph at a moment: the engine has no clock of its own.

use sentinel_core::{Timestamp, Tuple};

use super::Graph;
use crate::{CheckError, Page, Query};

/// A graph at a moment: tuples whose end has come do not hold.
#[derive(Debug, Clone, Copy)]
pub struct At<'g> {
    graph: &'g Graph,
    now: Timestamp,
}

impl Graph {
    /// The graph as it is at a moment.
    pub fn at(&self, now: Timestamp) -> At<'_> {
        At { graph: self, now }
    }
}

impl<'g> At<'g> {
    /// The graph.
    pub fn graph(self) -> &'g Graph {
        self.graph
    }

    /// The moment.
    pub fn now(self) -> Timestamp {
        self.now
    }

    /// Whether the subject stands in the relation to the object. Objects that no tuple mentions have no relations.
    ///
    /// # Errors
    ///
    /// The model does not know the names, or the question has no answer within the engine's bounds. Callers deny.
    pub fn check(self, query: &Query<'_>) -> Result<bool, CheckError> {
        self.graph.check(query)
    }

    /// As [`Graph::explain`].
    ///
    /// # Errors
    ///
    /// As [`At::check`].
    pub fn explain(self, query: &Query<'_>) -> Result<Option<Vec<Tuple>>, CheckError> {
        self.graph.explain(query)
    }

    /// As [`Graph::list_objects`].
    ///
    /// # Errors
    ///
    /// The model does not know the names.
    pub fn list_objects(
        self,
        object_type: &str,
        relation: &str,
        subject: (&str, &str),
        page: Page<'_>,
    ) -> Result<Vec<String>, CheckError> {
        let (kind, id) = subject;
        self.graph.list_objects(object_type, "", relation, kind, id, page)
    }
}
