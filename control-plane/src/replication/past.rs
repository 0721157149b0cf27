//! The states of the last minute, for lists that are read page by page: all pages of a list are taken at the revision of
//! its first one, on whichever control plane they are asked for.
//!
//! Graphs share what they have in common, so that a state of a moment ago is made of the present one by undoing what has
//! changed since. What a list is being read of is kept for its next page, for a while.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sentinel_authz::{Graph, Term, TupleChange};
use sentinel_core::name::ServiceName;
use sentinel_core::{Change, Fact, Revision, Tuple};
use sentinel_feed::{Frame, ReplicaState};
use tokio::time::Instant;

/// For how long it is known how to go back.
const BACK: Duration = Duration::from_mins(1);
/// Over how many changes of tuples at most.
const CHANGES: usize = 50_000;
/// At most this many graphs are kept for the next page.
const HELD: usize = 32;
/// And of one service.
const HELD_OF_SERVICE: usize = 8;
/// For how long without a page.
const UNUSED: Duration = Duration::from_mins(1);
/// For how long in all: nobody reads a state for ever.
const HELD_FOR: Duration = Duration::from_mins(10);

/// How to go back, and the graphs that are kept.
#[derive(Default)]
pub(super) struct Past {
    /// Oldest first, without a gap.
    steps: VecDeque<Arc<Step>>,
    changes: usize,
    held: Vec<Held>,
    /// How often everything was forgotten.
    forgotten: u64,
}

/// A moment between two at which everything is forgotten: what was found then is not kept after the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known(u64);

/// What one revision changed, to be undone.
pub(super) struct Step {
    from: Revision,
    to: Revision,
    at: Instant,
    /// How the tuples stood before.
    before: Vec<(Tuple, Option<Term>)>,
}

struct Held {
    /// Whose list is read of it.
    service: ServiceName,
    revision: Revision,
    graph: Graph,
    since: Instant,
    used: Instant,
}

impl Past {
    /// Notes how to go back from the frame's end to its beginning, which is `before`.
    pub(super) fn push(&mut self, before: &ReplicaState, frame: &Frame) {
        self.forget();
        // Under another model the same tuples mean something else: no list goes on over that.
        let new_model = frame
            .changes
            .iter()
            .any(|change| matches!(change.fact(), Fact::Model(_)));
        if new_model || self.steps.back().is_some_and(|last| last.to != frame.from) {
            self.clear();
        }
        if new_model {
            return;
        }
        let mut tuples = BTreeMap::new();
        for change in &frame.changes {
            if let Some(tuple) = tuple_of(change) {
                tuples.entry(tuple).or_insert_with(|| before.graph().term(tuple));
            }
        }
        self.changes += tuples.len();
        self.steps.push_back(Arc::new(Step {
            from: frame.from,
            to: frame.to,
            at: Instant::now(),
            before: tuples
                .into_iter()
                .map(|(tuple, term)| (tuple.clone(), term))
                .collect(),
        }));
        while self.changes > CHANGES
            && let Some(oldest) = self.steps.pop_front()
        {
            self.changes -= oldest.before.len();
        }
    }

    /// Forgets everything: how the state came about is not known, or does not count any more.
    pub(super) fn clear(&mut self) {
        *self = Self {
            forgotten: self.forgotten.wrapping_add(1),
            ..Self::default()
        };
    }

    /// The graph of a revision, if it is kept.
    pub(super) fn held(&mut self, revision: Revision) -> Option<Graph> {
        self.forget();
        let held = self.held.iter_mut().find(|held| held.revision == revision)?;
        held.used = Instant::now();
        Some(held.graph.clone())
    }

    /// The present moment between two at which everything is forgotten.
    pub(super) fn known(&self) -> Known {
        Known(self.forgotten)
    }

    /// Keeps the graph of a revision for the next page, if it was found since everything was forgotten.
    pub(super) fn hold(&mut self, service: &ServiceName, revision: Revision, graph: &Graph, known: Known) {
        if known != self.known() || self.held(revision).is_some() {
            return;
        }
        if self.held_of(service) >= HELD_OF_SERVICE {
            self.drop_oldest(service);
        } else if self.held.len() >= HELD {
            // Whoever has most gives way.
            let most = self.held.iter().max_by_key(|held| self.held_of(&held.service));
            if let Some(most) = most.map(|held| held.service.clone()) {
                self.drop_oldest(&most);
            }
        }
        let now = Instant::now();
        self.held.push(Held {
            service: service.clone(),
            revision,
            graph: graph.clone(),
            since: now,
            used: now,
        });
    }

    fn held_of(&self, service: &ServiceName) -> usize {
        self.held.iter().filter(|held| held.service == *service).count()
    }

    /// Drops what of the service's was not read for longest.
    fn drop_oldest(&mut self, service: &ServiceName) {
        let of_service = self.held.iter().enumerate();
        let oldest = of_service
            .filter(|(_, held)| held.service == *service)
            .min_by_key(|(_, held)| held.used)
            .map(|(at, _)| at);
        if let Some(at) = oldest {
            self.held.swap_remove(at);
        }
    }

    /// What has to be undone to go from `present` back to `revision`, oldest first; `None` if it is not known any more.
    pub(super) fn steps(&self, revision: Revision, present: Revision) -> Option<Vec<Arc<Step>>> {
        let first = self.steps.iter().position(|step| step.from == revision)?;
        let steps: Vec<_> = self
            .steps
            .iter()
            .skip(first)
            .take_while(|step| step.to <= present)
            .cloned()
            .collect();
        (steps.last()?.to == present).then_some(steps)
    }

    /// Forgets what is too old.
    fn forget(&mut self) {
        let now = Instant::now();
        while let Some(oldest) = self.steps.front()
            && now.duration_since(oldest.at) > BACK
        {
            self.changes -= oldest.before.len();
            self.steps.pop_front();
        }
        self.held.retain(|held| {
            now.duration_since(held.used) <= UNUSED && now.duration_since(held.since) <= HELD_FOR
        });
    }
}

/// The graph before these steps, which led to `graph`; `None` if they did not.
pub(super) fn undone(graph: &Graph, steps: &[Arc<Step>]) -> Option<Graph> {
    // What a tuple was before the first of the steps that changed it is what it was.
    let mut tuples = BTreeMap::new();
    for (tuple, term) in steps.iter().flat_map(|step| &step.before) {
        tuples.entry(tuple).or_insert(*term);
    }
    let changes = tuples.into_iter().map(|(tuple, term)| match term {
        Some(term) => TupleChange::put(tuple, term),
        None => TupleChange::Delete(tuple),
    });
    graph.apply(changes).ok()
}

fn tuple_of(change: &Change) -> Option<&Tuple> {
    match change.fact() {
        Fact::Tuple(tuple) | Fact::ExpiringTuple { tuple, .. } => Some(tuple),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sentinel_core::Timestamp;
    use sentinel_core::fact::ModelFact;
    use sentinel_feed::Replica;

    use super::*;

    const MODEL: &str = "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define reader: [user]";

    fn name(text: &str) -> ServiceName {
        text.parse().expect("a name")
    }

    fn at(number: u64) -> Revision {
        Revision { epoch: 1, number }
    }

    fn model(version: u64) -> Fact {
        Fact::Model(ModelFact {
            service: "docs".parse().expect("name"),
            version,
            text: MODEL.to_owned(),
        })
    }

    fn replica() -> Replica {
        let replica = Replica::new();
        replica.install(ReplicaState::from_snapshot(at(0), [model(1)]).expect("a state"));
        replica
    }

    fn tuple(user: u64) -> Tuple {
        format!("docs/doc:1#reader@user:{user}").parse().expect("tuple")
    }

    fn facts(graph: &Graph) -> BTreeSet<String> {
        graph
            .terms()
            .map(|(tuple, term)| format!("{tuple} {term:?}"))
            .collect()
    }

    fn advance(replica: &Replica, past: &mut Past, number: u64, changes: Vec<Change>) {
        let before = replica.load_full();
        let frame = replica.advance(at(number), changes).expect("applies");
        past.push(&before, &frame);
    }

    fn graph_at(replica: &Replica, past: &Past, revision: Revision) -> Option<Graph> {
        let present = replica.load_full();
        undone(present.graph(), &past.steps(revision, present.revision())?)
    }

    #[tokio::test(start_paused = true)]
    async fn every_state_of_the_last_minute_is_found_again() {
        let (replica, mut past) = (replica(), Past::default());
        let mut states = vec![facts(replica.load().graph())];
        let until = |seconds| Timestamp::from_timestamp_micros(seconds * 1_000_000).expect("in range");
        for number in 1..200_u64 {
            // Tuples come, end otherwise, go and come again, some of them twice in one revision.
            let (a, b) = (tuple(number % 7), tuple(number % 11));
            let changes = match number % 4 {
                0 => vec![
                    Change::Delete(Fact::Tuple(a.clone())),
                    Change::Put(Fact::Tuple(a)),
                ],
                1 => vec![Change::Put(Fact::Tuple(a)), Change::Put(Fact::Tuple(b))],
                2 => vec![Change::Put(Fact::ExpiringTuple {
                    tuple: a,
                    until: until(i64::try_from(number).expect("small")),
                })],
                _ => vec![Change::Delete(Fact::Tuple(b)), Change::Delete(Fact::Tuple(a))],
            };
            advance(&replica, &mut past, number, changes);
            states.push(facts(replica.load().graph()));
        }
        for (number, facts_then) in (0_u64..199).zip(&states) {
            let graph = graph_at(&replica, &past, at(number)).expect("not too old");
            assert_eq!(&facts(&graph), facts_then, "at {number}");
        }
        assert!(graph_at(&replica, &past, at(500)).is_none(), "not yet");
        assert!(graph_at(&replica, &past, Revision { epoch: 2, number: 7 }).is_none());

        tokio::time::advance(BACK + Duration::from_secs(1)).await;
        advance(
            &replica,
            &mut past,
            200,
            vec![Change::Put(Fact::Tuple(tuple(50)))],
        );
        assert!(graph_at(&replica, &past, at(198)).is_none(), "too old");
        assert!(graph_at(&replica, &past, at(199)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_leads_back_over_another_model_or_a_gap() {
        let (replica, mut past) = (replica(), Past::default());
        advance(&replica, &mut past, 1, vec![Change::Put(Fact::Tuple(tuple(1)))]);
        let (old, known) = (replica.load_full(), past.known());
        past.hold(&name("docs"), at(0), old.graph(), known);
        advance(&replica, &mut past, 2, vec![Change::Put(model(2))]);
        assert!(graph_at(&replica, &past, at(0)).is_none());
        assert!(past.held(at(0)).is_none());
        past.hold(&name("docs"), at(0), old.graph(), known);
        assert!(
            past.held(at(0)).is_none(),
            "a page that was begun before does not bring it back"
        );
        advance(&replica, &mut past, 3, vec![Change::Put(Fact::Tuple(tuple(2)))]);
        assert!(graph_at(&replica, &past, at(2)).is_some());
        replica
            .advance(at(4), vec![Change::Put(Fact::Tuple(tuple(3)))])
            .expect("applies, and is not noted");
        assert!(graph_at(&replica, &past, at(2)).is_none());
        advance(&replica, &mut past, 5, vec![Change::Put(Fact::Tuple(tuple(4)))]);
        assert!(graph_at(&replica, &past, at(2)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn few_graphs_are_kept_and_not_for_long() {
        let (graph, mut past) = (replica().load().graph().clone(), Past::default());
        for number in 0..100 {
            let known = past.known();
            past.hold(&name("docs"), at(number), &graph, known);
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(past.held(at(0)).is_some(), "what is read stays");
        }
        assert_eq!(past.held.len(), HELD_OF_SERVICE);
        assert!(past.held(at(50)).is_none(), "what is not read goes first");
        for _ in 0..20 {
            tokio::time::advance(UNUSED.saturating_sub(Duration::from_secs(1))).await;
            past.held(at(0));
        }
        assert!(past.held(at(0)).is_none(), "nothing is kept for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn no_service_pushes_out_what_another_reads() {
        let (graph, mut past) = (replica().load().graph().clone(), Past::default());
        let known = past.known();
        past.hold(&name("quiet"), at(1_000), &graph, known);
        for number in 0..100 {
            tokio::time::advance(Duration::from_millis(1)).await;
            let service = format!("service-{}", number % 7);
            past.hold(&name(&service), at(number), &graph, known);
        }
        assert_eq!(past.held.len(), HELD);
        assert!(past.held(at(1_000)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_way_back_has_a_bounded_size() {
        let (replica, mut past) = (replica(), Past::default());
        for number in 1..=6 {
            let base = number * 100_000;
            let changes = (base..base + 10_000).map(|user| Change::Put(Fact::Tuple(tuple(user))));
            advance(&replica, &mut past, number, changes.collect());
        }
        assert!(past.changes <= CHANGES);
        assert!(graph_at(&replica, &past, at(0)).is_none());
        let graph = graph_at(&replica, &past, at(1)).expect("50,000 changes");
        assert_eq!(graph.len(), 10_000);
    }
}
