//! What must hold at every moment, whatever goes wrong. Time is the world's here, not any host's.
//!
//! - **Freshness.** The age that an edge claims is true: at some moment that is at most so long ago, its state was the
//!   newest. So whoever decides within a staleness bound decides by what was true within that bound.
//! - **Nothing lost, nothing made up.** A state that an edge publishes as revision R has exactly the facts that the
//!   database had at R.
//! - **No way back.** Within an epoch a running edge goes forward only, and never to an earlier epoch.
//! - **At least as fresh.** Who asks with revision R is never answered from an older state.
//!
//! And once everything is healed, all are equal in the end: that is for `run` to see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sentinel_core::Revision;

use super::database::Database;
use super::keeps::Keeps;
use super::plane::lock;
use crate::state::ReplicaState;

/// What a claimed age may be wrong by: the ticks of the world, in which a message arrives up to one late, and the quickest
/// way of a message, which nobody can tell from a difference of the clocks.
pub(crate) const SLACK: Duration = Duration::from_millis(30);

/// Ends of connections that are told apart, by what their messages have in common.
const KINDS: [&str; 13] = [
    "cannot be reached",
    "behind the",
    "refused",
    "nothing was heard",
    "late",
    "ended the stream",
    "does not allow",
    "a change is missing",
    "did not send it",
    "was set back",
    "while this process did not",
    "differs from the control plane's",
    "the changes since the state of this edge are not available",
];

/// Watches all edges of a run.
pub(crate) struct Witness {
    database: Arc<Mutex<Database>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    edges: BTreeMap<usize, Edge>,
    trace: Trace,
    violations: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
    diary: Vec<String>,
}

/// What one edge's running process was seen with.
struct Edge {
    state: Option<Arc<ReplicaState>>,
    lines: Arc<BTreeSet<String>>,
    /// The eras of the truth that the state is from, and how many there were when that was looked up.
    eras: (Vec<usize>, usize),
    highest: Revision,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            state: None,
            lines: Arc::default(),
            eras: (Vec::new(), 0),
            highest: Revision::ZERO,
        }
    }
}

/// Everything that was seen, as one number (FNV-1a).
struct Trace {
    hash: u64,
    length: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            length: 0,
        }
    }
}

impl Witness {
    pub(crate) fn new(database: Arc<Mutex<Database>>) -> Self {
        Self {
            database,
            seen: Mutex::default(),
        }
    }

    /// An edge's process begins with nothing in memory.
    pub(crate) fn started(&self, edge: usize) {
        lock(&self.seen).edges.insert(edge, Edge::default());
    }

    /// An edge would decide from this now.
    pub(crate) fn saw(
        &self,
        edge: usize,
        keeps: &Keeps,
        at: Duration,
        age: Option<Duration>,
        state: &Arc<ReplicaState>,
    ) {
        let database = lock(&self.database);
        let seen = &mut *lock(&self.seen);
        let known = seen.edges.entry(edge).or_default();
        let (revision, highest) = (state.revision(), known.highest);
        let news = known.state.as_ref().is_none_or(|last| !Arc::ptr_eq(last, state));
        if news {
            known.lines = Arc::new(state.facts().map(|fact| fact.to_string()).collect());
            known.state = Some(Arc::clone(state));
        }
        let eras = database.eras();
        if news || known.eras.1 != eras.len() {
            let same = |place: &usize| {
                eras.get(*place).is_some_and(|era| {
                    era.revision == revision && keeps.of(&era.lines).eq(known.lines.iter())
                })
            };
            known.eras = ((0..eras.len()).filter(same).collect(), eras.len());
        }
        known.highest = highest.max(revision);
        let newest = known
            .eras
            .0
            .iter()
            .filter_map(|place| eras.get(*place))
            .map(|era| era.until);
        let mut wrong = Vec::new();
        if revision < highest {
            wrong.push(format!("it went back from `{highest}` to `{revision}`"));
        }
        let is_nothing = revision == Revision::ZERO;
        if known.eras.0.is_empty() && !is_nothing {
            wrong.push(format!("the database never had what it has as `{revision}`"));
        }
        if is_nothing && age.is_some() {
            wrong.push("it claims an age and knows nothing".to_owned());
        }
        if let Some(age) = age
            && !is_nothing
            && let Some(until) = newest.clone().map(|until| until.unwrap_or(at)).max()
            && until + age + SLACK < at
        {
            let true_age = at.saturating_sub(until);
            wrong.push(format!(
                "it takes `{revision}` for {age:?} old, and it is {true_age:?} old"
            ));
        }
        seen.trace.add(edge, at, age, state);
        *seen.counts.entry("looks").or_default() += 1;
        if age.is_some_and(|age| age < Duration::from_secs(5)) {
            *seen.counts.entry("looks at a fresh edge").or_default() += 1;
        }
        for what in wrong {
            seen.violations.push(format!("{at:?}: edge-{edge}: {what}"));
        }
    }

    /// An edge answered who asked for at least a revision.
    pub(crate) fn answered(&self, edge: usize, at: Duration, asked: Revision, by: Revision) {
        let seen = &mut *lock(&self.seen);
        *seen.counts.entry("answers").or_default() += 1;
        if by < asked {
            let text = format!("{at:?}: edge-{edge}: asked with `{asked}`, it answered by `{by}`");
            seen.violations.push(text);
        }
    }

    /// Counts something that happened.
    pub(crate) fn count(&self, what: &'static str, times: u64) {
        *lock(&self.seen).counts.entry(what).or_default() += times;
    }

    /// An edge's connection ended.
    pub(crate) fn failed(&self, edge: usize, at: Duration, why: &str) {
        let seen = &mut *lock(&self.seen);
        seen.diary.push(format!("{at:?}: edge-{edge}: {why}"));
        let kind = KINDS.iter().find(|kind| why.contains(*kind));
        *seen.counts.entry(kind.unwrap_or(&"other ends")).or_default() += 1;
    }

    /// Writes down what happened to the world.
    pub(crate) fn note(&self, at: Duration, what: &str) {
        lock(&self.seen).diary.push(format!("{at:?}: {what}"));
    }

    /// What happened, in words.
    pub(crate) fn diary(&self) -> Vec<String> {
        lock(&self.seen).diary.clone()
    }

    /// What was wrong so far.
    pub(crate) fn violations(&self) -> Vec<String> {
        lock(&self.seen).violations.clone()
    }

    /// How often what happened.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.seen).counts.clone()
    }

    /// One number for everything that was seen.
    pub(crate) fn hash(&self) -> String {
        let seen = lock(&self.seen);
        let counts = format!("{:?}", seen.counts);
        let hash = seen.trace.with(&counts);
        format!("{hash:016x}/{}", seen.trace.length)
    }
}

impl Trace {
    /// The number with this after everything else.
    fn with(&self, line: &str) -> u64 {
        line.bytes().fold(self.hash, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    fn add(&mut self, edge: usize, at: Duration, age: Option<Duration>, state: &ReplicaState) {
        let age = age.map_or(-1, |age| i128::try_from(age.as_micros()).unwrap_or(i128::MAX));
        let (revision, digest) = (state.revision(), state.digest());
        let line = format!("{edge} {} {age} {revision} {digest}\n", at.as_micros());
        self.hash = self.with(&line);
        self.length += 1;
    }
}
