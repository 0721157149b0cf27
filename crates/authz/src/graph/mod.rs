//! A model and a set of tuples that never change, and the questions about them.

mod at;
mod bounds;
mod context;
mod edges;
mod ends;
mod expand;
mod found;
mod id;
mod index;
mod keyed;
mod link;
mod list;
mod memo;
mod missing;
mod names;
mod numbered;
mod ordered;
mod pack;
mod packed;
mod paged;
mod reach;
mod recent;
mod remodel;
mod search;
mod state;
mod table;
mod trace;

use std::fmt;
use std::sync::{Arc, OnceLock};

use sentinel_core::Tuple;

pub use self::at::At;
use self::context::Behind;
pub use self::context::Contextual;
pub use self::expand::{ExpandError, Expansion, MAX_EXPANDED, Userset};
pub(crate) use self::found::{Found, Known, Wanted};
pub(crate) use self::id::{split as split_id, write_uuid};
use self::index::Index;
pub use self::list::Listed;
pub use self::pack::UnpackError;
pub use self::packed::{Malformed, Packed};
use self::state::State;
use crate::{InvalidTupleForModel, Model, Term, TupleChange};

/// A model and a set of tuples that never change. Cheap to clone; readers in any number of threads need no lock.
///
/// [`Graph::apply`] makes another graph that shares everything but what was touched with this one.
#[derive(Clone)]
pub struct Graph {
    inner: Arc<Inner>,
}

struct Inner {
    state: State,
    index: OnceLock<Index>,
    /// What the index is made from, where this graph has little more than another one.
    behind: Option<Behind>,
}

impl Graph {
    /// No tuples.
    pub fn new(model: Arc<Model>) -> Self {
        Self::from_parts(State::new(model), OnceLock::new())
    }

    fn from_parts(state: State, index: OnceLock<Index>) -> Self {
        Self {
            inner: Arc::new(Inner {
                state,
                index,
                behind: None,
            }),
        }
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.inner.state.model
    }

    /// The graph after the changes, in their order; this one stays as it is. The work is in proportion to the number
    /// of changes, however many tuples there are.
    ///
    /// # Errors
    ///
    /// A tuple that the model does not allow, whether put or deleted. None of the changes is made then.
    pub fn apply<'t>(
        &self,
        changes: impl IntoIterator<Item = TupleChange<'t>>,
    ) -> Result<Self, InvalidTupleForModel> {
        let mut state = self.inner.state.clone();
        let mut index = self.inner.index.get().cloned();
        for change in changes {
            let Some(link) = state.change(change)? else {
                continue;
            };
            match (change, &mut index) {
                (TupleChange::Put(_) | TupleChange::PutUntil(..), Some(index)) => index.insert(link),
                (TupleChange::Delete(_), Some(index)) => index.remove(link),
                (_, None) => {}
            }
        }
        if state.names.is_sparse()
            && let Some(state) = pack::compacted(&state)
        {
            // Its numbers are others than the index has.
            return Ok(Self::from_parts(state, OnceLock::new()));
        }
        Ok(Self::from_parts(
            state,
            index.map_or_else(OnceLock::new, OnceLock::from),
        ))
    }

    /// How many tuples there are.
    pub fn len(&self) -> usize {
        self.inner.state.len()
    }

    /// Whether there is no tuple.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the very tuple is there.
    pub fn contains(&self, tuple: &Tuple) -> bool {
        self.inner.state.contains(tuple)
    }

    /// How long a tuple holds; `None` if it is not there.
    pub fn term(&self, tuple: &Tuple) -> Option<Term> {
        self.inner.state.term(tuple)
    }

    /// Every tuple and how long it holds, in no particular order.
    pub fn terms(&self) -> impl Iterator<Item = (Tuple, Term)> + '_ {
        let state = &self.inner.state;
        // INVARIANT: every link was made from a tuple, so none is left out here.
        state
            .links()
            .filter_map(|link| Some((state.tuple(link)?, state.term_of(&link))))
    }

    /// Every tuple, in no particular order.
    pub fn tuples(&self) -> impl Iterator<Item = Tuple> + '_ {
        let state = &self.inner.state;
        // INVARIANT: every link was made from a tuple, so none is left out here.
        state.links().filter_map(|link| state.tuple(link))
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("tuples", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CheckError, ObjectsQuery, Page, Query, SubjectsQuery};

    const MODEL: &str = "
        model
          schema 1.1
        type user
        type group
          relations
            define member: [user, group#member]
        type doc
          relations
            define parent: [doc]
            define owner: [user]
            define viewer: [user, user:*, group#member] or owner or viewer from parent
            define both: viewer and owner
    ";

    fn tuples(texts: &[&str]) -> Vec<Tuple> {
        texts.iter().map(|text| text.parse().expect("a tuple")).collect()
    }

    fn graph(texts: &[&str]) -> Graph {
        let empty = Graph::new(Arc::new(Model::parse(MODEL).expect("a model")));
        empty
            .apply(tuples(texts).iter().map(TupleChange::Put))
            .expect("allowed tuples")
    }

    fn query<'a>(object_id: &'a str, relation: &'a str, subject_id: &'a str) -> Query<'a> {
        Query {
            object_type: "doc",
            object_id,
            relation,
            subject_type: "user",
            subject_id,
            subject_relation: None,
        }
    }

    #[test]
    fn an_explanation_is_the_way_from_the_object_to_the_subject() {
        let graph = graph(&[
            "doc:1#parent@doc:0",
            "doc:1#viewer@group:empty#member",
            "doc:0#viewer@group:all#member",
            "group:all#member@group:eng#member",
            "group:eng#member@user:ann",
            "doc:0#owner@user:bob",
        ]);
        let explain = |id, relation, user| {
            let way = graph
                .timeless()
                .explain(&query(id, relation, user))
                .expect("an answer");
            way.map(|way| way.iter().map(Tuple::to_string).collect::<Vec<_>>().join(" "))
        };
        let way = "doc:1#parent@doc:0 doc:0#viewer@group:all#member \
                   group:all#member@group:eng#member group:eng#member@user:ann";
        assert_eq!(explain("1", "viewer", "ann").as_deref(), Some(way));
        let both = "doc:0#owner@user:bob doc:0#owner@user:bob";
        assert_eq!(explain("0", "both", "bob").as_deref(), Some(both));
        assert_eq!(explain("1", "viewer", "eve"), None);
    }

    #[test]
    fn names_that_the_model_lacks_are_errors_and_objects_that_no_tuple_has_are_not() {
        let graph = graph(&["doc:1#owner@user:ann", "doc:2#viewer@user:*"]);
        let unknown = |kind: &str, relation: &str, subject: &str| {
            let asked = Query {
                object_type: kind,
                relation,
                subject_type: subject,
                ..query("1", "", "ann")
            };
            graph.timeless().check(&asked).map_err(|error| error.to_string())
        };
        assert_eq!(unknown("doc", "owner", "user"), Ok(true));
        assert_eq!(
            unknown("file", "owner", "user"),
            Err("the model has no type `file`".to_owned())
        );
        assert_eq!(
            unknown("doc", "owner", "robot"),
            Err("the model has no type `robot`".to_owned())
        );
        assert_eq!(
            unknown("doc", "boss", "user"),
            Err("the type `doc` has no relation `boss`".to_owned())
        );
        assert_eq!(graph.timeless().check(&query("9", "viewer", "ann")), Ok(false));
        assert_eq!(graph.timeless().check(&query("1", "viewer", "eve")), Ok(false));
        assert_eq!(
            graph.timeless().check(&query("2", "viewer", "eve")),
            Ok(true),
            "everyone includes people without tuples"
        );
        assert_eq!(
            graph.timeless().check(&query("1", "viewer", "*")),
            Ok(false),
            "one person is not everyone"
        );
        assert_eq!(
            graph.timeless().check(&query("2", "viewer", "*")),
            Ok(true),
            "everyone has what everyone was given"
        );
        let objects =
            |kind, user| objects(&graph, kind, "", "viewer", user, Page::ALL).map(|listed| listed.ids);
        assert_eq!(objects("doc", "nobody"), Ok(vec!["2".to_owned()]));
        assert!(objects("file", "ann").is_err());
        let subjects = |id, relation| {
            let wanted = SubjectsQuery {
                object_type: "doc",
                object_id: id,
                relation,
                subject_type: "user",
                subject_relation: None,
            };
            graph.timeless().list_subjects(&wanted, Page::ALL)
        };
        assert_eq!(subjects("9", "viewer"), Ok(Listed::default()));
        assert!(subjects("1", "boss").is_err());
    }

    fn objects(
        graph: &Graph,
        kind: &str,
        id_prefix: &str,
        relation: &str,
        user: &str,
        page: Page<'_>,
    ) -> Result<Listed, CheckError> {
        let wanted = ObjectsQuery {
            object_type: kind,
            id_prefix,
            relation,
            subject_type: "user",
            subject_id: user,
            subject_relation: None,
        };
        graph.timeless().list_objects(&wanted, page)
    }

    #[test]
    fn changes_are_idempotent_and_all_or_nothing() {
        let before = graph(&["doc:1#owner@user:ann"]);
        let [ann, bob, wrong] = <[Tuple; 3]>::try_from(tuples(&[
            "doc:1#owner@user:ann",
            "doc:1#owner@user:bob",
            "doc:1#both@user:ann",
        ]))
        .expect("three");
        let after = before
            .apply([
                TupleChange::Put(&ann),
                TupleChange::Put(&bob),
                TupleChange::Put(&bob),
            ])
            .expect("allowed tuples");
        assert_eq!((before.len(), after.len()), (1, 2));
        let again = after
            .apply([TupleChange::Delete(&bob), TupleChange::Delete(&bob)])
            .expect("allowed tuples");
        assert_eq!(
            (again.len(), again.contains(&bob), after.contains(&bob)),
            (1, false, true)
        );
        for change in [TupleChange::Put(&wrong), TupleChange::Delete(&wrong)] {
            let refused = before
                .apply([TupleChange::Put(&bob), change])
                .expect_err("not in the model");
            assert_eq!(refused.tuple(), &wrong);
        }
        assert!(!before.contains(&bob) && !before.contains(&wrong));
        let last = again.apply([TupleChange::Delete(&ann)]).expect("allowed tuples");
        assert!(last.is_empty() && format!("{last:?}").contains("tuples: 0"));
    }

    #[test]
    fn what_no_tuple_mentions_is_forgotten() {
        let empty = graph(&[]);
        let counts = |graph: &Graph| graph.inner.state.names.counts();
        let mut graph = empty.clone();
        // More objects over time than numbers in use at any time, each with a text of its own.
        for round in 0..50 {
            let texts: Vec<_> = (0..20)
                .flat_map(|at| {
                    let doc = format!("doc:{round}/{at}/018f4e7a-0000-7000-8000-000000000001");
                    let named = |subject: &str| format!("{doc}#{subject}");
                    [
                        named("owner@user:ann"),
                        named("parent@doc:all"),
                        named("viewer@group:g#member"),
                    ]
                })
                .collect();
            let tuples = tuples(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            graph = graph
                .apply(tuples.iter().map(TupleChange::Put))
                .expect("allowed tuples");
            let (nodes, texts) = counts(&graph);
            assert!(
                nodes < 30 && texts < 30,
                "{nodes} objects and {texts} texts in round {round}"
            );
            let owned = objects(&graph, "doc", "", "owner", "ann", Page::ALL);
            assert_eq!(owned.map(|listed| listed.ids.len()), Ok(20));
            graph = graph
                .apply(tuples.iter().map(TupleChange::Delete))
                .expect("allowed tuples");
        }
        assert_eq!(counts(&graph), counts(&empty));
    }

    #[test]
    fn lists_come_in_order_and_in_pages() {
        let texts: Vec<_> = (0..25)
            .map(|at| format!("doc:{}/{at:02}#owner@user:ann", ["a", "b"][at % 2]))
            .collect();
        let graph = graph(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let list = |prefix: &str, after, limit| {
            let page = Page { after, limit };
            let listed = objects(&graph, "doc", prefix, "viewer", "ann", page).expect("a list");
            (listed.ids.join(" "), listed.more)
        };
        let page = |ids: &str, more| (ids.to_owned(), more);
        assert_eq!(list("a/", None, 3), page("a/00 a/02 a/04", true));
        assert_eq!(list("a/", Some("a/04"), 3), page("a/06 a/08 a/10", true));
        assert_eq!(list("a/", Some("a/22"), 3), page("a/24", false));
        assert_eq!(list("a/", Some("a/22"), 1), page("a/24", false));
        assert_eq!(list("", Some("a/22"), 2), page("a/24 b/01", true));
        assert_eq!(list("", None, 0), page("", true));
        assert_eq!(list("c", None, 3), page("", false));
    }
}
