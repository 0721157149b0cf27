//! Our engine, in all places where it answers: over the bare model and tuples, with tuples that the question brings, in
//! the replica of an edge that has followed every change, and in one that began from a snapshot.

use std::collections::HashSet;
use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use sentinel_authz::{
    CheckError, Contextual, Graph, Listed, Model, ObjectsQuery, Page, Query, SubjectsQuery, TupleChange,
};
use sentinel_core::fact::ModelFact;
use sentinel_core::{Change, Fact, Revision, Timestamp, Tuple};
use sentinel_feed::{Fingerprint, Frame, ReplicaState};
use sentinel_token::FeedVerifyKey;
use sentinel_token::feed_key::signed_message;

use crate::case::{Answer, Case, Question, Triple};

/// The service whose model a case's model is.
pub(crate) const SERVICE: &str = "svc";

/// Another service, whose types stand before the other's. No question is about them.
const ANOTHER: (&str, &str) = (
    "another",
    "model\n  schema 1.1\ntype page\n  relations\n    define owner: [user]\n    define reader: [user, group#member] or owner\n",
);

/// When the questions are asked. Nothing here ends.
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A graph, and how a case's types are called there.
pub(crate) struct Ours {
    pub(crate) place: &'static str,
    graph: Asked,
    /// The types that are the service's own.
    own: HashSet<String>,
}

/// What is asked.
enum Asked {
    Graph(Graph),
    Contextual(Contextual),
}

/// Our engine in all places.
pub(crate) struct Everywhere {
    pub(crate) places: [Ours; 4],
    /// What an edge knows then.
    pub(crate) edge: ReplicaState,
}

/// Our engine in all places. The error says which one did not take the model or a tuple.
pub(crate) fn everywhere(case: &Case) -> Result<Everywhere, String> {
    let (stored, brought) = case.tuples.split_at(case.tuples.len() / 3);
    let with_context = bare(case, stored)
        .and_then(|graph| {
            let brought = tuples(brought, &HashSet::new());
            graph.at(NOW).with(&brought).map_err(|error| error.to_string())
        })
        .map_err(|error| format!("the engine with tuples of the question: {error}"))?;
    let own = own_types(case);
    let state = followed(case, &own).map_err(|error| format!("the edge: {error}"))?;
    let restarted = restarted(&state).map_err(|error| format!("the edge from a snapshot: {error}"))?;
    let at_edge = |place, state: &ReplicaState| Ours {
        place,
        graph: Asked::Graph(state.graph().clone()),
        own: own.clone(),
    };
    let places = [
        engine(case).map_err(|error| format!("the engine: {error}"))?,
        Ours {
            place: "engine, with most tuples brought by the question",
            graph: Asked::Contextual(with_context),
            own: HashSet::new(),
        },
        at_edge("edge", &state),
        at_edge("edge from a snapshot", &restarted),
    ];
    Ok(Everywhere { places, edge: state })
}

/// The model and the tuples, and nothing else.
pub(crate) fn engine(case: &Case) -> Result<Ours, String> {
    Ok(Ours {
        place: "engine",
        graph: Asked::Graph(bare(case, &case.tuples)?),
        own: HashSet::new(),
    })
}

fn bare(case: &Case, stored: &[Triple]) -> Result<Graph, String> {
    let model = Model::parse(&case.text).map_err(|error| error.to_string())?;
    let tuples = tuples(stored, &HashSet::new());
    let graph = Graph::new(model.into()).apply(tuples.iter().map(TupleChange::Put));
    graph.map_err(|error| error.to_string())
}

/// The types that stand behind the service's name at an edge: all but Sentinel's.
fn own_types(case: &Case) -> HashSet<String> {
    let sentinel = crate::known::sentinel();
    let is_own = |name: &String| !sentinel.kinds.iter().any(|kind| kind.name == *name);
    case.schema
        .kinds
        .iter()
        .map(|kind| kind.name.clone())
        .filter(is_own)
        .collect()
}

fn tuples(triples: &[Triple], own: &HashSet<String>) -> Vec<Tuple> {
    triples.iter().map(|triple| tuple(triple, own)).collect()
}

fn tuple(triple: &Triple, own: &HashSet<String>) -> Tuple {
    let (object, subject) = (qualified(&triple.object, own), qualified(&triple.subject, own));
    let text = format!("{object}#{}@{subject}", triple.relation);
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `svc/doc:1` for `doc:1`.
fn qualified(object: &str, own: &HashSet<String>) -> String {
    match object.split_once(':') {
        Some((kind, _)) if own.contains(kind) => format!("{SERVICE}/{object}"),
        _ => object.to_owned(),
    }
}

/// A replica at the end of a history: the model, then tuples in several changes, some of which are taken back. Meanwhile
/// another service begins to have a model, and in every other case it ceases to.
fn followed(case: &Case, own: &HashSet<String>) -> Result<ReplicaState, String> {
    let put = |tuples: Vec<Tuple>| tuples.into_iter().map(|tuple| Change::Put(Fact::Tuple(tuple)));
    let (early, late) = case.tuples.split_at(case.tuples.len() / 2);
    let passing = tuples(&case.passing, own);
    let mut batches = Vec::new();
    if !own.is_empty() || !case.beside_sentinel {
        // With the heading that every model has; what is Sentinel's is known without being said.
        let text = format!("model\n  schema 1.1\n{}", case.own);
        batches.push(vec![Change::Put(model(SERVICE, text))]);
    }
    batches.push(put(tuples(early, own)).chain(put(passing.clone())).collect());
    let (service, text) = ANOTHER;
    let another = model(service, text.to_owned());
    batches.push(vec![Change::Put(another.clone())]);
    batches.push(
        passing
            .into_iter()
            .map(|tuple| Change::Delete(Fact::Tuple(tuple)))
            .chain(put(tuples(late, own)))
            .collect(),
    );
    if case.number.is_multiple_of(2) {
        batches.push(vec![Change::Delete(another)]);
    }
    let mut control_plane =
        ReplicaState::from_snapshot(revision(0), []).map_err(|error| error.to_string())?;
    let mut edge = control_plane.clone();
    for (number, changes) in (1..).zip(batches) {
        let (next, frame) = control_plane
            .advance(revision(number), changes)
            .map_err(|error| error.to_string())?;
        control_plane = next;
        edge = edge.apply(&sent(&frame)?).map_err(|error| error.to_string())?;
    }
    Ok(edge)
}

fn model(service: &str, text: String) -> Fact {
    Fact::Model(ModelFact {
        service: service.parse().expect("a name"),
        version: 1,
        text,
    })
}

fn revision(number: u64) -> Revision {
    Revision { epoch: 1, number }
}

/// The frame as it arrives: written, signed, verified and read.
fn sent(frame: &Frame) -> Result<Frame, String> {
    static KEY: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::generate().expect("a key"));
    let public = FeedVerifyKey::from_bytes(KEY.public_key().as_ref().try_into().expect("32 bytes"));
    let everything = Fingerprint::EVERYTHING;
    let signed = frame.seal_for(everything, |context, payload| {
        let signature = KEY.sign(&signed_message(context, payload));
        signature.as_ref().try_into().expect("64 bytes")
    });
    Frame::open_for(&signed, &public, everything).map_err(|error| error.to_string())
}

/// The same state, written down fact by fact and read again.
fn restarted(state: &ReplicaState) -> Result<ReplicaState, String> {
    let lines: Vec<String> = state.facts().map(|fact| fact.to_string()).collect();
    let facts: Result<Vec<Fact>, _> = lines.iter().map(|line| line.parse()).collect();
    let facts = facts.map_err(|error| format!("{error}"))?;
    let again = ReplicaState::from_snapshot(state.revision(), facts).map_err(|error| error.to_string())?;
    assert_eq!(again.digest(), state.digest());
    Ok(again)
}

impl Ours {
    /// The answer.
    pub(crate) fn answer(&self, question: &Question) -> Answer {
        self.answer_in_full(question).0
    }

    /// The answer, and the objects of a list that are left open.
    pub(crate) fn answer_in_full(&self, question: &Question) -> (Answer, Vec<String>) {
        let error = |error: CheckError| (Answer::None(error.to_string()), Vec::new());
        self.try_answer(question).unwrap_or_else(error)
    }

    fn try_answer(&self, question: &Question) -> Result<(Answer, Vec<String>), CheckError> {
        let at = match &self.graph {
            Asked::Graph(graph) => graph.at(NOW),
            Asked::Contextual(contextual) => contextual.at(),
        };
        match question {
            Question::Check {
                object,
                relation,
                subject,
            } => {
                let tuple = tuple(&Triple::new(object, relation, subject.clone()), &self.own);
                at.check(&Query::new(tuple.object(), tuple.relation(), tuple.subject()))
                    .map(|holds| (Answer::Holds(holds), Vec::new()))
            }
            Question::Objects {
                kind,
                relation,
                subject,
            } => {
                let (subject, subject_relation) = userset(subject);
                let (of, id) = parts(subject);
                let query = ObjectsQuery {
                    object_type: &self.kind(kind),
                    id_prefix: "",
                    relation,
                    subject_type: &self.kind(of),
                    subject_id: id,
                    subject_relation,
                };
                at.list_objects(&query, Page::ALL)
                    .map(|list| listed(kind, "", list))
            }
            Question::Subjects {
                object,
                relation,
                kind,
                userset,
            } => {
                let (of, id) = parts(object);
                let query = SubjectsQuery {
                    object_type: &self.kind(of),
                    object_id: id,
                    relation,
                    subject_type: &self.kind(kind),
                    subject_relation: userset.as_deref(),
                };
                let suffix = userset
                    .as_ref()
                    .map_or_else(String::new, |relation| format!("#{relation}"));
                at.list_subjects(&query, Page::ALL)
                    .map(|list| listed(kind, &suffix, list))
            }
        }
    }

    fn kind(&self, name: &str) -> String {
        if self.own.contains(name) {
            format!("{SERVICE}/{name}")
        } else {
            name.to_owned()
        }
    }
}

/// `team:1` and `member` of `team:1#member`.
fn userset(subject: &str) -> (&str, Option<&str>) {
    match subject.split_once('#') {
        Some((object, relation)) => (object, Some(relation)),
        None => (subject, None),
    }
}

/// A type and an id.
fn parts(object: &str) -> (&str, &str) {
    object.split_once(':').expect("a type and an id")
}

fn listed(kind: &str, suffix: &str, list: Listed) -> (Answer, Vec<String>) {
    assert!(!list.more && list.ids.is_sorted(), "{list:?}");
    let object = |id: String| format!("{kind}:{id}{suffix}");
    (
        Answer::List(list.ids.into_iter().map(object).collect()),
        list.undecided.into_iter().map(|(id, _)| object(id)).collect(),
    )
}
