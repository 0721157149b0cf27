//! The engine against the meaning by definition, on random models and random histories of tuples.

mod model;
mod naive;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use sentinel_core::{Object, Subject, Tuple};

use self::model::Schema;
use self::naive::World;
use crate::{CheckError, Graph, Model, Page, Query, TupleChange};

/// Ids of every shape that the graph keeps in its own way, and users of whom one is in no tuple.
const IDS: [&str; 4] = [
    "a",
    "b",
    "018f4e7a-0000-7000-8000-000000000001",
    "x/018f4e7a-0000-7000-8000-000000000001",
];
const USERS: [&str; 3] = ["ann", "bob", "018f4e7a-0000-7000-8000-000000000001"];
const STRANGER: &str = "eve";

/// Every tuple that the model allows over the ids.
fn all_tuples(schema: &Schema) -> Vec<Tuple> {
    let ids = |kind: &str| if kind == "user" { &USERS[..] } else { &IDS[..] };
    let object = |kind: &str, id: &str| Object::new(kind, id).expect("an object");
    let mut tuples = Vec::new();
    for (kind, relation, expr) in schema.relations() {
        for id in IDS {
            for allowed in expr.direct() {
                let subjects: Vec<Subject> = match (allowed.strip_suffix(":*"), allowed.split_once('#')) {
                    (Some(kind), _) => vec![Subject::Wildcard(kind.to_owned())],
                    (_, Some((kind, relation))) => {
                        let userset = |id: &&str| Subject::Userset(object(kind, id), relation.to_owned());
                        IDS.iter().map(userset).collect()
                    }
                    (_, None) => ids(allowed)
                        .iter()
                        .map(|id| Subject::Object(object(allowed, id)))
                        .collect(),
                };
                let tuple = |subject| Tuple::new(object(kind, id), relation, subject).expect("a tuple");
                tuples.extend(subjects.into_iter().map(tuple));
            }
        }
    }
    tuples
}

/// A history: batches of changes to a set of tuples.
type History = Vec<Vec<(bool, prop::sample::Index)>>;

fn history() -> impl Strategy<Value = History> {
    // More is put than deleted, so that there is something to find.
    let change = (prop::bool::weighted(0.7), any::<prop::sample::Index>());
    prop::collection::vec(prop::collection::vec(change, 0..25), 1..4)
}

fn any_schema() -> impl Strategy<Value = (Schema, Arc<Model>)> {
    compiled(prop_oneof![
        1 => Just(model::sentinel()),
        1 => Just(model::folders()),
        1 => Just(model::paradoxes()),
        3 => model::random(true),
    ])
}

fn schema_without_exclusion() -> impl Strategy<Value = (Schema, Arc<Model>)> {
    compiled(prop_oneof![1 => Just(model::sentinel()), 3 => model::random(false)])
}

/// The schemas that the engine takes.
fn compiled(schemas: impl Strategy<Value = Schema>) -> impl Strategy<Value = (Schema, Arc<Model>)> {
    schemas.prop_filter_map("a relation never ends", |schema| {
        let model = Model::parse(&schema.text()).ok()?;
        Some((schema, Arc::new(model)))
    })
}

fn apply(
    graph: &Graph,
    truth: &mut BTreeSet<Tuple>,
    all: &[Tuple],
    batch: &[(bool, prop::sample::Index)],
) -> Graph {
    let mut changes = Vec::new();
    for (put, index) in batch {
        let tuple = index.get(all);
        if *put {
            truth.insert(tuple.clone());
            changes.push(TupleChange::Put(tuple));
        } else {
            truth.remove(tuple);
            changes.push(TupleChange::Delete(tuple));
        }
    }
    graph.apply(changes).expect("allowed tuples")
}

fn query<'a>(kind: &'a str, id: &'a str, relation: &'a str, user: &'a str) -> Query<'a> {
    Query {
        object_type: kind,
        object_id: id,
        relation,
        subject_type: "user",
        subject_id: user,
    }
}

/// Every question about every object, with the graph's answer.
fn answers(
    schema: &Schema,
    graph: &Graph,
) -> BTreeMap<(String, String, String, String), Result<bool, CheckError>> {
    let mut answers = BTreeMap::new();
    for (kind, relation, _) in schema.relations() {
        for id in IDS {
            for user in USERS.iter().chain([&STRANGER]) {
                let answer = graph.check(&query(kind, id, relation, user));
                answers.insert((kind.into(), id.into(), relation.into(), (*user).into()), answer);
            }
        }
    }
    answers
}

fn assert_as_defined(schema: &Schema, graph: &Graph, truth: &BTreeSet<Tuple>) -> Result<(), TestCaseError> {
    let world = World::new(schema, truth);
    for user in USERS.into_iter().chain([STRANGER]) {
        let meaning = world.meaning(user);
        for (kind, relation, _) in schema.relations() {
            for id in IDS {
                let question = query(kind, id, relation, user);
                let answer = graph.check(&question);
                let remembered = graph.check_with_memo(&question);
                if schema.is_stratified() {
                    prop_assert_eq!(&answer, &remembered, "{:?}", question);
                } else {
                    prop_assert!(answer == remembered || answer.is_err() || remembered.is_err());
                }
                let place = world.place(kind, id, relation);
                let yes = place.is_some_and(|place| meaning.yes[place]);
                let at_most = place.is_some_and(|place| meaning.at_most[place]);
                if yes != at_most {
                    prop_assert_eq!(&answer, &Err(CheckError::Paradox), "{:?}", question);
                } else if schema.is_stratified() {
                    prop_assert_eq!(&answer, &Ok(yes), "{:?}", question);
                } else {
                    // Where an exclusion goes in a circle the engine may give up early; it may not be wrong.
                    prop_assert_ne!(&answer, &Ok(!yes), "{:?}", question);
                }
                assert_explained(schema, graph, &question, answer)?;
            }
        }
    }
    Ok(())
}

/// An explanation is there exactly if the answer is yes, consists of tuples that are there, and is enough by itself.
fn assert_explained(
    schema: &Schema,
    graph: &Graph,
    query: &Query<'_>,
    answer: Result<bool, CheckError>,
) -> Result<(), TestCaseError> {
    let explained = graph.explain(query);
    prop_assert_eq!(
        explained.as_ref().map(Option::is_some).map_err(Clone::clone),
        answer
    );
    if let Ok(Some(way)) = explained {
        prop_assert!(way.iter().all(|tuple| graph.contains(tuple)));
        if !schema.excludes() {
            let alone = Graph::new(Arc::clone(graph.model())).apply(way.iter().map(TupleChange::Put));
            prop_assert_eq!(alone.expect("allowed tuples").check(query), Ok(true), "{:?}", way);
        }
    }
    Ok(())
}

fn assert_lists(schema: &Schema, graph: &Graph) -> Result<(), TestCaseError> {
    let holds = |kind, id, relation, user| graph.check(&query(kind, id, relation, user)) == Ok(true);
    for (kind, relation, _) in schema.relations() {
        for user in USERS.into_iter().chain([STRANGER]) {
            let mut expected: Vec<_> = IDS
                .into_iter()
                .filter(|id| holds(kind, id, relation, user))
                .collect();
            expected.sort_unstable();
            let list = |prefix: &str, page: Page<'_>| {
                graph
                    .list_objects(kind, prefix, relation, "user", user, page)
                    .expect("a list")
            };
            prop_assert_eq!(&list("", Page::ALL), &expected, "{} of {}", relation, user);
            let mut paged: Vec<String> = Vec::new();
            loop {
                let after = paged.last().cloned();
                let page = Page {
                    after: after.as_deref(),
                    limit: 1,
                };
                let Some(next) = list("", page).pop() else { break };
                paged.push(next);
            }
            prop_assert_eq!(&paged, &expected);
            expected.retain(|id| id.starts_with("x/"));
            prop_assert_eq!(&list("x/", Page::ALL), &expected);
        }
        for id in IDS {
            let list = graph.list_subjects(kind, id, relation, "user").expect("a list");
            prop_assert!(list.is_sorted());
            for user in USERS {
                let (listed, holds) = (list.iter().any(|id| id == user), holds(kind, id, relation, user));
                let everyone = list.iter().any(|id| id == "*");
                prop_assert!(
                    !listed || holds,
                    "{} is listed and is no {} of {}",
                    user,
                    relation,
                    id
                );
                prop_assert!(
                    listed || everyone || !holds,
                    "{} is {} of {} and not listed",
                    user,
                    relation,
                    id
                );
            }
            let everyone = list.iter().any(|id| id == "*");
            prop_assert_eq!(everyone, holds(kind, id, relation, STRANGER));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_engine_answers_as_defined((schema, model) in any_schema(), history in history(), list_early: bool) {
        let all = all_tuples(&schema);
        let mut graph = Graph::new(model);
        let mut truth = BTreeSet::new();
        let mut earlier = Vec::new();
        for batch in &history {
            if list_early {
                // From here on the index is carried along instead of made anew.
                let (kind, relation, _) = schema.relations().next().expect("a relation");
                graph.list_subjects(kind, "a", relation, "user").expect("a list");
            }
            earlier.push((graph.clone(), truth.clone()));
            graph = apply(&graph, &mut truth, &all, batch);
            prop_assert_eq!(graph.len(), truth.len());
            prop_assert_eq!(graph.tuples().collect::<BTreeSet<_>>(), truth.clone());
            prop_assert!(all.iter().all(|tuple| graph.contains(tuple) == truth.contains(tuple)));
            assert_as_defined(&schema, &graph, &truth)?;
            assert_lists(&schema, &graph)?;
        }
        for (graph, truth) in earlier {
            prop_assert_eq!(graph.tuples().collect::<BTreeSet<_>>(), truth);
        }
    }

    #[test]
    fn an_unrelated_tuple_changes_nothing((schema, model) in any_schema(), history in history()) {
        let all = all_tuples(&schema);
        let mut truth = BTreeSet::new();
        let graph = apply(&Graph::new(model), &mut truth, &all, &history.concat());
        // A tuple about an object that no question and no other tuple mentions.
        let unrelated: Vec<Tuple> = all
            .iter()
            .map(|tuple| {
                let object = Object::new(tuple.object().kind(), "unrelated").expect("an object");
                Tuple::new(object, tuple.relation(), tuple.subject().clone()).expect("a tuple")
            })
            .collect();
        let larger = graph.apply(unrelated.iter().map(TupleChange::Put)).expect("allowed tuples");
        prop_assert_eq!(answers(&schema, &larger), answers(&schema, &graph));
        let again = larger.apply(unrelated.iter().map(TupleChange::Delete)).expect("allowed tuples");
        prop_assert_eq!(again.tuples().collect::<BTreeSet<_>>(), truth);
    }

    #[test]
    fn without_exclusion_removing_a_tuple_never_grants(
        (schema, model) in schema_without_exclusion(),
        history in history(),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 1..5),
    ) {
        let all = all_tuples(&schema);
        let graph = apply(&Graph::new(model), &mut BTreeSet::new(), &all, &history.concat());
        let removed: Vec<_> = removed.iter().map(|index| TupleChange::Delete(index.get(&all))).collect();
        let smaller = graph.apply(removed).expect("allowed tuples");
        let before = answers(&schema, &graph);
        for (question, answer) in answers(&schema, &smaller) {
            prop_assert!(answer != Ok(true) || before[&question] == Ok(true), "{:?}", question);
        }
    }

    #[test]
    fn two_orders_of_the_same_tuples_make_the_same_graph((schema, model) in any_schema(), history in history()) {
                let all = all_tuples(&schema);
        let mut truth = BTreeSet::new();
        let graph = apply(&Graph::new(Arc::clone(&model)), &mut truth, &all, &history.concat());
        let other = Graph::new(model).apply(truth.iter().rev().map(TupleChange::Put)).expect("allowed tuples");
        let other = answers(&schema, &other);
        for (question, answer) in answers(&schema, &graph) {
            // Which of two groups is asked first may decide whether a paradox is met, and nothing else.
            let other = &other[&question];
            prop_assert!(*other == answer || *other == Err(CheckError::Paradox) || answer == Err(CheckError::Paradox));
        }
    }
}
