//! Edges that follow the control plane, and when each of them had which revision.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use sentinel_core::{Revision, SystemClock, SystemRandom};
use sentinel_feed::{Follower, FollowerConfig, Interest, Replica};
use sentinel_token::PlainEdgeKey;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::fleet::Fleet;

/// Edges that run until they are stopped.
pub(super) struct Edges {
    all: Vec<Edge>,
    /// Their own threads: the writers are not to wait for them.
    runtime: Option<Runtime>,
}

struct Edge {
    replica: Replica,
    seen: Arc<Mutex<Vec<(Revision, Instant)>>>,
    stop: oneshot::Sender<()>,
    following: JoinHandle<()>,
    watching: JoinHandle<()>,
}

impl Edges {
    /// Enrols and starts so many, connected to `address`, and returns when all of them are in touch.
    pub(super) async fn start(fleet: &Fleet, name: &str, count: usize, address: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("the edges' runtime cannot be started")?;
        let mut all = Vec::new();
        for number in 0..count {
            let name = format!("{name}-{number}");
            let key = fleet.enrol(&name).await?;
            all.push(Edge::start(
                &runtime,
                &key,
                &fleet.dir.path().join(&name),
                address,
            )?);
        }
        let edges = Self {
            all,
            runtime: Some(runtime),
        };
        for edge in &edges.all {
            let mut changes = edge.replica.changed();
            let known = changes.wait_for(|revision| *revision > Revision::ZERO);
            timeout(super::PATIENCE, known)
                .await
                .context("an edge does not get a snapshot")??;
        }
        Ok(edges)
    }

    /// The newest revision that one of them has.
    pub(super) fn newest(&self) -> Revision {
        let revisions = self.all.iter().map(|edge| edge.replica.load().revision());
        revisions.max().unwrap_or(Revision::ZERO)
    }

    /// Returns when all of them have a revision.
    pub(super) async fn await_revision(&self, revision: Revision, patience: Duration) -> Result<()> {
        for edge in &self.all {
            let reached = edge.replica.wait_for(revision, patience).await;
            anyhow::ensure!(reached, "an edge does not get to revision {revision}");
        }
        Ok(())
    }

    /// Stops them. When each of them had which revision.
    pub(super) async fn stop(mut self) -> Result<Vec<Vec<(Revision, Instant)>>> {
        let mut all = Vec::new();
        for edge in self.all.drain(..) {
            // It is there until it is told.
            let _ = edge.stop.send(());
            edge.following.await.context("an edge's task broke")?;
            edge.watching.abort();
            let seen = std::mem::take(&mut *edge.seen.lock().unwrap_or_else(PoisonError::into_inner));
            all.push(seen);
        }
        Ok(all)
    }
}

/// A runtime must not end by waiting within another one.
impl Drop for Edges {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Edge {
    fn start(runtime: &Runtime, key: &Path, dir: &Path, address: &str) -> Result<Self> {
        let key = std::fs::read_to_string(key).context("an edge's key cannot be read")?;
        let config = FollowerConfig {
            url: format!("http://{address}"),
            edge_key: key.trim().parse::<PlainEdgeKey>()?,
            state_dir: dir.to_path_buf(),
            ca_certificate: None,
            danger_plaintext: false,
            assertion_key: None,
            interest: Interest::all(),
            needs: Vec::new(),
        };
        let follower = Follower::new(config, Arc::new(SystemClock), Arc::new(SystemRandom))?;
        let replica = Replica::new();
        let (stop, stopped) = oneshot::channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let watching = runtime.spawn(watch(replica.clone(), Arc::clone(&seen)));
        let following = runtime.spawn(follower.run(replica.clone(), async {
            // Dropped or told: both are the end.
            let _ = stopped.await;
        }));
        Ok(Self {
            replica,
            seen,
            stop,
            following,
            watching,
        })
    }
}

/// Notes each revision that is published, and when.
async fn watch(replica: Replica, seen: Arc<Mutex<Vec<(Revision, Instant)>>>) {
    let mut changes = replica.changed();
    while changes.changed().await.is_ok() {
        let revision = *changes.borrow_and_update();
        let at = Instant::now();
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((revision, at));
    }
}
