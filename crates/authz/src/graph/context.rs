//! Tuples that hold for one question only.

use std::sync::{Arc, OnceLock};

use sentinel_core::{Timestamp, Tuple};

use super::index::Index;
use super::link::Link;
use super::{At, Graph, Inner};
use crate::error::TupleFault;
use crate::{InvalidTupleForModel, TupleChange};

/// A graph at a moment with a few tuples more, which are nowhere else: they hold, without an end, for the questions that
/// are asked of it.
#[derive(Debug, Clone)]
pub struct Contextual {
    graph: Graph,
    now: Timestamp,
}

/// The graph that another one was made from, and the tuples that it lacks. The index of all tuples is large; where a
/// list is asked for, it is taken from there.
pub(super) struct Behind {
    graph: Graph,
    more: Vec<Link>,
}

impl Contextual {
    /// The graph with the tuples, to be asked.
    pub fn at(&self) -> At<'_> {
        self.graph.at(self.now)
    }
}

impl At<'_> {
    /// The same with some tuples more. The work is in proportion to their number; all else is shared.
    ///
    /// # Errors
    ///
    /// A tuple that the model does not allow.
    pub fn with(self, tuples: &[Tuple]) -> Result<Contextual, InvalidTupleForModel> {
        let mut state = self.graph.inner.state.clone();
        let mut more = Vec::new();
        for tuple in tuples {
            more.extend(state.change(TupleChange::Put(tuple))?);
        }
        let behind = Behind {
            graph: self.graph.clone(),
            more,
        };
        let inner = Inner {
            state,
            index: OnceLock::new(),
            behind: Some(behind),
        };
        Ok(Contextual {
            graph: Graph {
                inner: Arc::new(inner),
            },
            now: self.now,
        })
    }

    /// The same where none of the tuples may be about one of Sentinel's own types: whose memberships, groups and roles
    /// are as they are.
    ///
    /// # Errors
    ///
    /// A tuple that the model does not allow, or one about an object of Sentinel's own types.
    pub fn with_of_services(self, tuples: &[Tuple]) -> Result<Contextual, InvalidTupleForModel> {
        let model = &self.graph.inner.state.model;
        let own = tuples
            .iter()
            .find(|tuple| model.is_sentinels(tuple.object().kind()));
        match own {
            Some(tuple) => Err(InvalidTupleForModel {
                tuple: Box::new(tuple.clone()),
                reason: Box::new(TupleFault::Own(tuple.object().kind().to_owned())),
            }),
            None => self.with(tuples),
        }
    }
}

impl Behind {
    /// The index of the graph in front of it.
    pub(super) fn index(&self) -> Index {
        let mut index = self.graph.index().clone();
        for link in &self.more {
            index.insert(*link);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Model, ObjectsQuery, Page, Query, Term, sentinel};

    fn tuple(text: &str) -> Tuple {
        text.parse().expect("a tuple")
    }

    fn moment(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).expect("a time")
    }

    #[test]
    fn contextual_tuples_hold_for_the_question_alone_and_take_an_end_away() {
        let model = Model::parse(
            "model
               schema 1.1
             type user
             type doc
               relations
                 define viewer: [user]",
        );
        let over = tuple("doc:1#viewer@user:ann");
        let graph = Graph::new(Arc::new(model.expect("a model")))
            .apply([TupleChange::PutUntil(&over, moment(10))])
            .expect("allowed tuples");
        let query = |id, user| Query {
            object_type: "doc",
            object_id: id,
            relation: "viewer",
            subject_type: "user",
            subject_id: user,
            subject_relation: None,
        };
        let at = graph.at(moment(10));
        assert_eq!(at.check(&query("1", "ann")), Ok(false));
        let more = [over.clone(), tuple("doc:2#viewer@user:ann")];
        let with = at.with(&more).expect("allowed tuples");
        assert_eq!(
            with.at()
                .batch_check(&[query("1", "ann"), query("2", "ann"), query("2", "bob")]),
            [Ok(true), Ok(true), Ok(false)]
        );
        for early in [false, true] {
            let list = |at: At<'_>| {
                at.list_objects(
                    &ObjectsQuery {
                        object_type: "doc",
                        relation: "viewer",
                        subject_type: "user",
                        subject_id: "ann",
                        ..ObjectsQuery::default()
                    },
                    Page::ALL,
                )
                .expect("a list")
                .ids
            };
            if early {
                assert!(list(at).is_empty());
            }
            let with = at.with(&more).expect("allowed tuples");
            assert_eq!(list(with.at()), ["1", "2"]);
            assert!(list(at).is_empty(), "the graph itself is as it was");
        }
        assert_eq!(graph.term(&over), Some(Term::Until(moment(10))));
        assert!(at.with(&[tuple("doc:1#editor@user:ann")]).is_err());
    }

    #[test]
    fn what_is_sentinels_own_is_refused_where_that_is_asked_for_and_never_ends() {
        let docs = "docs".parse().expect("a name");
        let text =
            "model\n schema 1.1\ntype user\ntype folder\n relations\n  define viewer: [user, group#member]";
        let graph = Graph::new(sentinel::model_with([(&docs, text)]).expect("a model"));
        let own = tuple("group:1#member@user:ann");
        let theirs = tuple("docs/folder:1#viewer@group:1#member");
        let at = graph.at(moment(0));
        assert!(at.with(&[own.clone(), theirs.clone()]).is_ok());
        assert!(at.with_of_services(std::slice::from_ref(&theirs)).is_ok());
        let refused = at
            .with_of_services(&[theirs.clone(), own.clone()])
            .expect_err("refused");
        assert_eq!(
            refused.to_string(),
            "the model does not allow the tuple `group:1#member@user:ann`: `group` is one of Sentinel's own types, \
             whose tuples are not given with a question"
        );
        let ending = |tuple| graph.apply([TupleChange::PutUntil(tuple, moment(5))]);
        assert!(ending(&theirs).is_ok());
        assert_eq!(
            ending(&own).expect_err("refused").to_string(),
            "the model does not allow the tuple `group:1#member@user:ann`: `group` is one of Sentinel's own types, \
             whose tuples never end; delete the tuple when it is to end"
        );
    }
}
