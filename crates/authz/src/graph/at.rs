//! Questions about a graph at a moment: the engine has no clock of its own.

use sentinel_core::{Timestamp, Tuple};

use super::bounds::{Bounds, Budget};
use super::ends::Moment;
use super::link::Link;
use super::search::{Search, UNMENTIONED, Who};
use super::trace::{Trace, Untraced};
use super::{Found, Graph};
use crate::model::RelationId;
use crate::{CheckError, MAX_STEPS, Query};

/// A graph at a moment: tuples whose end has come do not hold, from the moment of their end on.
#[derive(Debug, Clone, Copy)]
pub struct At<'g> {
    pub(super) graph: &'g Graph,
    pub(super) now: Timestamp,
}

/// What a search found, and how many steps it took.
struct Searched<T> {
    answer: Result<bool, CheckError>,
    steps: usize,
    trace: T,
}

/// A question in numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) object: Option<u32>,
    pub(super) relation: RelationId,
    pub(super) who: Who,
}

impl Graph {
    /// The graph as it is at a moment.
    pub fn at(&self, now: Timestamp) -> At<'_> {
        At { graph: self, now }
    }

    /// The graph before any end has come: for questions about Sentinel's own types, whose tuples never end.
    pub(crate) fn timeless(&self) -> At<'_> {
        self.at(Timestamp::MIN_UTC)
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

    /// Whether the subject stands in the relation to the object. To objects that no tuple mentions nobody does.
    ///
    /// # Errors
    ///
    /// The model does not know the names, or the question has no answer within the engine's bounds. Callers deny.
    pub fn check(self, query: &Query<'_>) -> Result<bool, CheckError> {
        self.is(self.resolve(query)?, Bounds::ENGINE)
    }

    /// The same with at most this many steps, for those who cannot wait: `None` if the answer takes more.
    /// [`At::check`] then says what it is.
    ///
    /// # Errors
    ///
    /// As [`At::check`].
    pub fn check_within(self, query: &Query<'_>, steps: usize) -> Result<Option<bool>, CheckError> {
        let bounds = Bounds {
            steps: steps.min(MAX_STEPS),
            ..Bounds::ENGINE
        };
        let (answer, taken) = self.counted(self.resolve(query)?, bounds);
        match answer {
            // Whatever the error: without the bound another part may have held.
            Err(_) if taken > bounds.steps && bounds.steps < MAX_STEPS => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Many questions about the same graph at the same moment, each with its own answer, in their order.
    pub fn batch_check(self, queries: &[Query<'_>]) -> Vec<Result<bool, CheckError>> {
        queries.iter().map(|query| self.check(query)).collect()
    }

    /// The tuples that make the relation hold, from the object to the subject; `None` if it does not hold. Where
    /// several parts must hold together, the tuples of each follow one another. No tuple is needed where the subject is
    /// the userset itself.
    ///
    /// # Errors
    ///
    /// As [`At::check`].
    pub fn explain(self, query: &Query<'_>) -> Result<Option<Vec<Tuple>>, CheckError> {
        let asked = self.resolve(query)?;
        let state = &self.graph.inner.state;
        let moment = state.ends.at(self.now);
        let found = search::<_, true>(self.graph, moment, asked, Bounds::ENGINE, Vec::<Link>::new());
        let way = found.trace;
        Ok(found
            .answer?
            .then(|| way.into_iter().filter_map(|link| state.tuple(link)).collect()))
    }

    /// The answer of a search that remembers everything from its first step on.
    #[cfg(test)]
    pub(crate) fn check_with_memo(self, query: &Query<'_>) -> Result<bool, CheckError> {
        let bounds = Bounds {
            without_memo: 0,
            ..Bounds::ENGINE
        };
        self.is(self.resolve(query)?, bounds)
    }

    /// A question in numbers.
    pub(super) fn resolve(self, query: &Query<'_>) -> Result<Asked, CheckError> {
        let object = (query.object_type, query.object_id);
        let [mut object, subject] = self
            .graph
            .find([object, (query.subject_type, query.subject_id)])?;
        let relation = self
            .graph
            .inner
            .state
            .model
            .ask_relation(object.kind, query.relation)?;
        let mut who = self.who(subject, query.subject_id, query.subject_relation)?;
        let is_its_own = (query.object_type, query.object_id) == (query.subject_type, query.subject_id);
        if query.subject_relation.is_some() && object.number.is_none() && is_its_own {
            object.number = Some(UNMENTIONED);
            who.number = Some(UNMENTIONED);
        }
        Ok(Asked {
            object: object.number,
            relation,
            who,
        })
    }

    /// Whom a question is about: an object, everyone, or a userset.
    pub(super) fn who(self, subject: Found, id: &str, userset: Option<&str>) -> Result<Who, CheckError> {
        let who = self.graph.who(subject);
        Ok(match userset {
            Some(relation) => Who {
                userset: self
                    .graph
                    .inner
                    .state
                    .model
                    .ask_relation(subject.kind, relation)?,
                everyone: None,
                ..who
            },
            None if id == "*" => Who {
                number: who.everyone,
                ..who
            },
            None => who,
        })
    }

    /// The answer to a question in numbers.
    pub(super) fn is(self, asked: Asked, bounds: Bounds) -> Result<bool, CheckError> {
        self.counted(asked, bounds).0
    }

    /// The answer, for which the steps that it takes are paid.
    pub(super) fn is_for(self, asked: Asked, budget: &Budget) -> Result<bool, CheckError> {
        let (answer, steps) = self.counted(asked, Bounds::ENGINE);
        budget.spend(steps);
        answer
    }

    /// The answer, and how many steps it took.
    fn counted(self, asked: Asked, bounds: Bounds) -> (Result<bool, CheckError>, usize) {
        let moment = self.graph.inner.state.ends.at(self.now);
        let found = if moment.is_one() || asked.who.userset != RelationId::NONE {
            search::<_, true>(self.graph, moment, asked, bounds, Untraced)
        } else {
            search::<_, false>(self.graph, moment, asked, bounds, Untraced)
        };
        (found.answer, found.steps)
    }
}

fn search<T: Trace, const FULL: bool>(
    graph: &Graph,
    moment: Moment<'_>,
    asked: Asked,
    bounds: Bounds,
    trace: T,
) -> Searched<T> {
    let Some(object) = asked.object else {
        return Searched {
            answer: Ok(false),
            steps: 0,
            trace,
        };
    };
    let mut search = Search::<T, FULL>::new(&graph.inner.state, moment, asked.who, bounds, trace);
    let answer = search.holds(object, asked.relation);
    Searched {
        answer,
        steps: search.steps(),
        trace: search.trace,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Model, TupleChange};

    #[test]
    fn a_check_within_a_bound_says_when_it_is_too_small_and_is_right_otherwise() {
        let model = Model::parse(
            "model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member]
    define out: [group#member]
    define odd: [user, group#odd] but not out",
        );
        let mut tuples: Vec<Tuple> = (0..50)
            .map(|at| format!("group:{at}#member@group:{}#member", at + 1))
            .map(|text| text.parse().expect("a tuple"))
            .collect();
        tuples.push("group:50#member@user:ann".parse().expect("a tuple"));
        let graph = Graph::new(Arc::new(model.expect("a model")))
            .apply(tuples.iter().map(TupleChange::Put))
            .expect("allowed tuples");
        let query = |id, user| Query {
            object_type: "group",
            object_id: id,
            relation: "member",
            subject_type: "user",
            subject_id: user,
            subject_relation: None,
        };
        let at = graph.timeless();
        for user in ["ann", "bob"] {
            let whole = at.check(&query("0", user));
            assert_eq!(whole, Ok(user == "ann"));
            assert_eq!(at.check_within(&query("0", user), 10), Ok(None), "{user}");
            assert_eq!(at.check_within(&query("0", user), 0), Ok(None), "{user}");
            assert_eq!(
                at.check_within(&query("0", user), 1_000),
                whole.map(Some),
                "{user}"
            );
            assert_eq!(
                at.check_within(&query("0", user), usize::MAX),
                Ok(Some(user == "ann"))
            );
        }
        assert_eq!(at.check_within(&query("50", "ann"), 1), Ok(Some(true)));
        let unknown = Query {
            relation: "owner",
            ..query("0", "ann")
        };
        assert!(at.check_within(&unknown, 10).is_err());
    }
}
