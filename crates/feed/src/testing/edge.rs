//! An edge: a replica that a real follower keeps up to date.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::{Clock, Revision, SystemClock, SystemRandom};
use sentinel_token::{AssertionKey, PlainEdgeKey};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::client::{Asker, Follower, FollowerConfig, FollowerStatus};
use crate::interest::Interest;
use crate::replica::Replica;
use crate::state::ReplicaState;

/// The key that edges of these tests announce.
pub(crate) fn assertion_key() -> AssertionKey {
    AssertionKey::from_bytes([7; 32])
}

/// Nothing in these tests takes that long unless it is broken.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Edge {
    pub(crate) replica: Replica,
    pub(crate) status: watch::Receiver<FollowerStatus>,
    pub(crate) asker: Asker,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Edge {
    pub(crate) fn start(url: String, key: &PlainEdgeKey, dir: &Path) -> Self {
        Self::start_with_clock(url, key, dir, Arc::new(SystemClock))
    }

    pub(crate) fn start_with_clock(
        url: String,
        key: &PlainEdgeKey,
        dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::start_with(Self::config(url, key, dir), clock)
    }

    /// One that keeps a part.
    pub(crate) fn start_of(interest: Interest, url: String, key: &PlainEdgeKey, dir: &Path) -> Self {
        let config = FollowerConfig {
            interest,
            ..Self::config(url, key, dir)
        };
        Self::start_with(config, Arc::new(SystemClock))
    }

    pub(crate) fn config(url: String, key: &PlainEdgeKey, dir: &Path) -> FollowerConfig {
        FollowerConfig {
            url,
            edge_key: key.clone(),
            state_dir: dir.to_owned(),
            ca_certificate: None,
            danger_plaintext: false,
            assertion_key: Some(assertion_key()),
            interest: Interest::all(),
            needs: Vec::new(),
        }
    }

    pub(crate) fn start_with(config: FollowerConfig, clock: Arc<dyn Clock>) -> Self {
        Self::start_follower(Self::follower(config, clock))
    }

    pub(crate) fn follower(config: FollowerConfig, clock: Arc<dyn Clock>) -> Follower {
        Follower::new(config, clock, Arc::new(SystemRandom)).expect("a good configuration")
    }

    /// One whose subscriptions are renewed after so long, and given up after so long.
    pub(crate) fn start_renewing(config: FollowerConfig, after: Duration, at_most: Duration) -> Self {
        Self::start_follower(Self::follower(config, Arc::new(SystemClock)).staying(after, at_most))
    }

    fn start_follower(follower: Follower) -> Self {
        let (status_of, asker, replica) = (follower.status(), follower.asker(), Replica::new());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(follower.run(replica.clone(), async {
            stopped.await.ok();
        }));
        Self {
            replica,
            status: status_of,
            asker,
            stop,
            task,
        }
    }

    /// Waits until it is there.
    pub(crate) async fn reaches(&self, revision: Revision) {
        let reached = self.replica.wait_for(revision, DEADLINE).await;
        assert!(
            reached,
            "stuck: {:?}, {:?}",
            self.replica.load(),
            self.status.borrow()
        );
    }

    /// Waits until its follower's status is so.
    pub(crate) async fn status_is(&mut self, is_so: impl FnMut(&FollowerStatus) -> bool) {
        let waited = tokio::time::timeout(DEADLINE, self.status.wait_for(is_so)).await;
        assert!(waited.is_ok_and(|is| is.is_ok()), "{:?}", self.status.borrow());
    }

    /// Waits until a connection ended for a reason that contains `reason`.
    pub(crate) async fn fails_with(&mut self, reason: &str) {
        self.status_is(|status| {
            status
                .last_error
                .as_ref()
                .is_some_and(|error| error.contains(reason))
        })
        .await;
    }

    /// Waits until it is in touch.
    pub(crate) async fn is_in_touch(&mut self) {
        self.status_is(|status| status.connected).await;
    }

    pub(crate) fn age(&self) -> Option<Duration> {
        self.replica.age()
    }

    /// Stops it as a signal does, and waits until its files are written.
    pub(crate) async fn stop(self) {
        self.stop.send(()).ok();
        self.task.await.expect("no panic");
    }
}

/// The same revision, the same digest, the same facts.
pub(crate) fn assert_equal(a: &ReplicaState, b: &ReplicaState) {
    let lines = |state: &ReplicaState| {
        let mut lines: Vec<String> = state.facts().map(|fact| fact.to_string()).collect();
        lines.sort();
        lines
    };
    assert_eq!((a.revision(), a.digest()), (b.revision(), b.digest()));
    assert_eq!(lines(a), lines(b));
}

/// Waits until something is so that cannot be waited for otherwise.
pub(crate) async fn eventually(mut so: impl FnMut() -> bool) {
    let polled = tokio::time::timeout(DEADLINE, async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(polled.await.is_ok(), "it never came to be so");
}
