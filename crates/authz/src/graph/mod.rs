//! A model and a set of tuples that never change, and the questions about them.

mod at;
mod bounds;
mod edges;
mod ends;
mod id;
mod index;
mod link;
mod list;
mod memo;
mod missing;
mod names;
mod numbered;
mod ordered;
mod paged;
mod reach;
mod recent;
mod search;
mod state;
mod table;
mod trace;

use std::fmt;
use std::sync::{Arc, OnceLock};

use sentinel_core::Tuple;

pub use self::at::At;
use self::bounds::Bounds;
pub(crate) use self::id::split as split_id;
use self::index::Index;
use self::link::Link;
use self::search::{Search, Who};
use self::state::State;
use self::trace::Untraced;
use crate::model::{RelationId, TypeId};
use crate::{CheckError, InvalidTupleForModel, Model, Query, Term, TupleChange};

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
}

/// Something that may be asked about: a type that the model has, and the number of an object of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    kind: TypeId,
    /// `None` if no tuple mentions the object.
    number: Option<u32>,
}

impl Graph {
    /// No tuples.
    pub fn new(model: Arc<Model>) -> Self {
        Self::from_parts(State::new(model), OnceLock::new())
    }

    fn from_parts(state: State, index: OnceLock<Index>) -> Self {
        Self {
            inner: Arc::new(Inner { state, index }),
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

    /// The same tuples under another model.
    ///
    /// # Errors
    ///
    /// A tuple that the other model does not allow.
    pub fn with_model(&self, model: Arc<Model>) -> Result<Self, InvalidTupleForModel> {
        let mut state = State::new(model);
        for (tuple, term) in self.terms() {
            state.change(TupleChange::put(&tuple, term))?;
        }
        Ok(Self::from_parts(state, OnceLock::new()))
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

    /// Whether the subject stands in the relation to the object. Objects that no tuple mentions have no relations.
    ///
    /// # Errors
    ///
    /// The model does not know the names, or the question has no answer within the engine's bounds. Callers deny.
    pub fn check(&self, query: &Query<'_>) -> Result<bool, CheckError> {
        let (object, relation, subject) = self.resolve(query)?;
        self.search(object, relation, subject, Untraced)
            .map(|(holds, _)| holds)
    }

    /// The tuples that make the relation hold, from the object to the subject; `None` if it does not hold. Where
    /// several parts must hold together, the tuples of each follow one another.
    ///
    /// # Errors
    ///
    /// As [`Graph::check`].
    pub fn explain(&self, query: &Query<'_>) -> Result<Option<Vec<Tuple>>, CheckError> {
        let (object, relation, subject) = self.resolve(query)?;
        let (holds, way) = self.search(object, relation, subject, Vec::<Link>::new())?;
        let state = &self.inner.state;
        Ok(holds.then(|| way.into_iter().filter_map(|link| state.tuple(link)).collect()))
    }

    /// Objects and subjects to ask about, each by its type and its id.
    fn find<const N: usize>(&self, wanted: [(&str, &str); N]) -> Result<[Found; N], CheckError> {
        self.find_parts(wanted.map(|(kind, id)| {
            let (head, tail) = id::split(id);
            (kind, head, tail)
        }))
    }

    /// The same for ids that are in two parts already: a UUID, and a text before it.
    pub(crate) fn find_parts<const N: usize>(
        &self,
        wanted: [(&str, &str, Option<u128>); N],
    ) -> Result<[Found; N], CheckError> {
        let state = &self.inner.state;
        let mut kinds = [TypeId::default(); N];
        for (kind, (name, _, _)) in kinds.iter_mut().zip(&wanted) {
            *kind = state.model.ask_type(name)?;
        }
        let mut names = kinds.into_iter();
        let wanted = wanted.map(|(_, head, tail)| (names.next().unwrap_or_default(), head, tail));
        let mut kinds = kinds.into_iter();
        Ok(state.names.find_all(wanted).map(|number| Found {
            kind: kinds.next().unwrap_or_default(),
            number,
        }))
    }

    /// Whether the subject stands in the relation to the object.
    pub(crate) fn holds(&self, object: Found, relation: &str, subject: Found) -> Result<bool, CheckError> {
        let relation = self.inner.state.model.ask_relation(object.kind, relation)?;
        self.search(object, relation, subject, Untraced)
            .map(|(holds, _)| holds)
    }

    /// The same where the answer is likely to depend on the subject's relation to a third object as well: what is known
    /// of that is looked up at the same time.
    pub(crate) fn holds_near(
        &self,
        object: Found,
        relation: &str,
        subject: Found,
        near: Found,
    ) -> Result<bool, CheckError> {
        let state = &self.inner.state;
        let relation = state.model.ask_relation(object.kind, relation)?;
        let Some(number) = object.number else {
            return Ok(false);
        };
        let mut search = Search::new(state, self.who(subject), Bounds::ENGINE, Untraced);
        search.expect([Some(number), near.number]);
        search.holds(number, relation)
    }

    /// The answer of a search that remembers everything from its first step on.
    #[cfg(test)]
    pub(crate) fn check_with_memo(&self, query: &Query<'_>) -> Result<bool, CheckError> {
        let (object, relation, subject) = self.resolve(query)?;
        let bounds = Bounds {
            without_memo: 0,
            ..Bounds::ENGINE
        };
        self.search_within(bounds, object, relation, subject, Untraced)
            .map(|(holds, _)| holds)
    }

    fn resolve(&self, query: &Query<'_>) -> Result<(Found, RelationId, Found), CheckError> {
        let object = (query.object_type, query.object_id);
        let [object, subject] = self.find([object, (query.subject_type, query.subject_id)])?;
        let relation = self.inner.state.model.ask_relation(object.kind, query.relation)?;
        Ok((object, relation, subject))
    }

    fn search<T: trace::Trace>(
        &self,
        object: Found,
        relation: RelationId,
        subject: Found,
        trace: T,
    ) -> Result<(bool, T), CheckError> {
        self.search_within(Bounds::ENGINE, object, relation, subject, trace)
    }

    fn search_within<T: trace::Trace>(
        &self,
        bounds: Bounds,
        object: Found,
        relation: RelationId,
        subject: Found,
        trace: T,
    ) -> Result<(bool, T), CheckError> {
        let mut search = Search::new(&self.inner.state, self.who(subject), bounds, trace);
        let holds = match object.number {
            Some(object) => search.holds(object, relation)?,
            None => false,
        };
        Ok((holds, search.trace))
    }

    fn who(&self, subject: Found) -> Who {
        Who {
            kind: subject.kind,
            number: subject.number,
            everyone: self.inner.state.everyone(subject.kind),
        }
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
    use crate::Page;

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
            let way = graph.explain(&query(id, relation, user)).expect("an answer");
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
            graph.check(&asked).map_err(|error| error.to_string())
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
        assert_eq!(graph.check(&query("9", "viewer", "ann")), Ok(false));
        assert_eq!(graph.check(&query("1", "viewer", "eve")), Ok(false));
        assert_eq!(
            graph.check(&query("2", "viewer", "eve")),
            Ok(true),
            "everyone includes people without tuples"
        );
        assert_eq!(
            graph.check(&query("1", "viewer", "*")),
            Ok(false),
            "`*` is nobody's id"
        );
        assert_eq!(
            graph.list_objects("doc", "", "viewer", "user", "nobody", Page::ALL),
            Ok(vec!["2".to_owned()])
        );
        assert_eq!(graph.list_subjects("doc", "9", "viewer", "user"), Ok(Vec::new()));
        assert!(
            graph
                .list_objects("file", "", "viewer", "user", "ann", Page::ALL)
                .is_err()
        );
        assert!(graph.list_subjects("doc", "1", "boss", "user").is_err());
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
            let (objects, texts) = counts(&graph);
            assert!(
                objects < 30 && texts < 30,
                "{objects} objects and {texts} texts in round {round}"
            );
            assert_eq!(
                graph
                    .list_objects("doc", "", "owner", "user", "ann", Page::ALL)
                    .map(|ids| ids.len()),
                Ok(20)
            );
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
            graph
                .list_objects("doc", prefix, "viewer", "user", "ann", page)
                .expect("a list")
                .join(" ")
        };
        assert_eq!(list("a/", None, 3), "a/00 a/02 a/04");
        assert_eq!(list("a/", Some("a/04"), 3), "a/06 a/08 a/10");
        assert_eq!(list("a/", Some("a/22"), 3), "a/24");
        assert_eq!(list("", Some("a/22"), 2), "a/24 b/01");
        assert_eq!(list("", None, 0), "");
        assert_eq!(list("c", None, 3), "");
    }
}
