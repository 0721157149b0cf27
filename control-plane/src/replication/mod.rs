//! This control plane's own replica: loaded from the tables, then kept up by the change log, and fed to the edges.
//!
//! The change log is the only way in: also what this very process has committed is applied from there, in order, so that
//! all control planes on one database and all edges go through the same states.

mod history;
mod past;
mod source;
mod tail;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sentinel_access::Access;
use sentinel_authz::Graph;
use sentinel_core::name::ServiceName;
use sentinel_core::{Change, Revision};
use sentinel_feed::{ApplyError, Frame, Replica, ReplicaState};
use sentinel_store::{Database, Mark};
use tokio::sync::{broadcast, watch};

pub use source::Source;

use history::History;
pub use past::Known;
use past::Past;

/// How many frames a slow subscriber may be behind before it has to catch up by itself.
const CHANNEL: usize = 1024;

/// The replica with what feeds it and what it feeds.
pub struct Replication {
    database: Database,
    replica: Replica,
    recent: Mutex<Recent>,
    /// How often it could not be said any more that what comes continues what was there.
    editions: watch::Sender<u64>,
}

struct Recent {
    /// Where in which history the replica is. The revision alone would not tell one history from another.
    mark: Mark,
    history: History,
    past: Past,
    /// `None` once the process is stopping, which ends every subscription.
    frames: Option<broadcast::Sender<Arc<Frame>>>,
}

impl Replication {
    /// A replica that knows nothing yet.
    pub fn new(database: Database) -> Self {
        let (frames, _) = broadcast::channel(CHANNEL);
        Self {
            database,
            replica: Replica::new(),
            editions: watch::Sender::new(0),
            recent: Mutex::new(Recent {
                mark: Mark::NOWHERE,
                history: History::default(),
                past: Past::default(),
                frames: Some(frames),
            }),
        }
    }

    /// The replica.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Ends every subscription: the process is stopping, and edges go to another control plane or wait.
    pub fn stop(&self) {
        self.recent().frames = None;
    }

    /// The frames from now on. It ends when the process is stopping.
    pub(crate) fn frames(&self) -> broadcast::Receiver<Arc<Frame>> {
        match &self.recent().frames {
            Some(frames) => frames.subscribe(),
            // A channel without a sender: the subscription ends at once.
            None => broadcast::channel(1).1,
        }
    }

    /// The edition of the history, as it changes: whoever tells somebody else what comes after a revision has to end when it
    /// does, since the same numbers may mean something else from then on. It changes before anything of another history is
    /// handed on.
    pub(crate) fn editions(&self) -> watch::Receiver<u64> {
        self.editions.subscribe()
    }

    /// What comes from now on does not continue what was there, as far as can be said.
    fn end_edition(&self) {
        self.editions.send_modify(|edition| *edition += 1);
    }

    fn frames_since(&self, revision: Revision) -> Option<Vec<Arc<Frame>>> {
        self.recent()
            .history
            .since(revision, self.replica.load().revision())
    }

    /// The tuples as they were at a revision of the last minute; `None` if the way back is not known any more. Going back
    /// takes time in proportion to the changes since.
    pub fn graph_at(&self, revision: Revision) -> Option<(Graph, Known)> {
        let (present, steps, known) = {
            let mut recent = self.recent();
            let known = recent.past.known();
            let present = self.replica.load_full();
            if present.revision() == revision {
                return Some((present.graph().clone(), known));
            }
            if let Some(graph) = recent.past.held(revision) {
                return Some((graph, known));
            }
            let steps = recent.past.steps(revision, present.revision())?;
            (present, steps, known)
        };
        Some((past::undone(present.graph(), &steps)?, known))
    }

    /// What [`hold`](Self::hold) needs of a state that is at hand; `None` if the way back to it is not known any more.
    pub fn known(&self, revision: Revision) -> Option<Known> {
        let mut recent = self.recent();
        let present = self.replica.load().revision();
        let is_known = present == revision
            || recent.past.held(revision).is_some()
            || recent.past.steps(revision, present).is_some();
        is_known.then(|| recent.past.known())
    }

    /// Keeps the tuples of a revision for a while, for the next page of a list of the service. Not if everything was
    /// forgotten since they were found.
    pub fn hold(&self, service: &ServiceName, revision: Revision, graph: &Graph, known: Known) {
        self.recent().past.hold(service, revision, graph, known);
    }

    /// Applies what the change log has next and hands it on. In one step for whoever asks for the frames since a revision:
    /// a revision that the replica has is in the history.
    fn advance(&self, to: Mark, changes: Vec<Change>) -> Result<(), ApplyError> {
        let mut recent = self.recent();
        let before = self.replica.load_full();
        let frame = self.replica.advance(to.revision, changes)?;
        recent.mark = to;
        recent.past.push(&before, &frame);
        recent.history.push(Arc::clone(&frame));
        if let Some(frames) = &recent.frames {
            // Nobody listening is no error.
            let _ = frames.send(frame);
        }
        Ok(())
    }

    /// Replaces the state, and forgets how the one before came about.
    fn install(&self, state: ReplicaState, mark: Mark) {
        let mut recent = self.recent();
        recent.mark = mark;
        recent.history.clear();
        recent.past.clear();
        self.replica.install(state);
        // Once more, for whoever began since that was noticed, and began with the state before.
        self.end_edition();
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that edges must know, as the tables have it in this transaction.
async fn facts(tx: &mut sentinel_store::Tx) -> Result<Vec<sentinel_core::Fact>, tail::TailError> {
    let mut facts = sentinel_access::facts(tx).await?;
    facts.extend(sentinel_identity::facts(tx).await?);
    Ok(facts)
}

/// What the feed asks the domain services for.
#[derive(Clone)]
pub struct Enrolment {
    /// The database.
    pub database: Database,
    /// The edges.
    pub access: Access,
}
