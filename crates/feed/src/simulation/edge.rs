//! An edge: the real follower with its files, and those who ask it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sentinel_core::{Clock, Random, Revision};
use sentinel_token::PlainEdgeKey;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::chance::Chance;
use super::clock::WallClock;
use super::keeps::Keeps;
use super::now;
use super::plane::lock;
use super::witness::Witness;
use crate::client::{Follower, FollowerConfig, FollowerStatus};
use crate::replica::Replica;
use crate::state::ReplicaState;

/// How often an edge is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long the subscription of an edge that renews stays until then, and at most: much shorter than outside, so that it
/// happens amid everything that goes wrong.
const RENEWED: Duration = Duration::from_secs(2);
const STAY: Duration = Duration::from_secs(20);

/// How long a request with a revision waits for it.
const WAIT: Duration = Duration::from_millis(50);

/// What stays of an edge while its process comes and goes.
pub(crate) struct Edge {
    pub(crate) number: usize,
    pub(crate) key: PlainEdgeKey,
    pub(crate) keeps: Keeps,
    /// Whether it renews its subscriptions within a run.
    pub(crate) renews: bool,
    pub(crate) clock: Arc<WallClock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) chance: Mutex<Chance>,
    /// The revisions that writers were told last, by which askers ask.
    pub(crate) told: Arc<Mutex<Vec<Revision>>>,
    pub(crate) witness: Arc<Witness>,
    /// What its process publishes, for the end of the run.
    pub(crate) published: Mutex<Option<Replica>>,
    /// Tells the process to stop in order.
    pub(crate) stop: Notify,
}

impl Edge {
    pub(crate) fn host(number: usize) -> String {
        format!("edge-{number}")
    }

    pub(crate) fn state_dir(number: usize) -> PathBuf {
        PathBuf::from(format!("/simulated/edge-{number}"))
    }

    pub(crate) fn state(&self) -> Option<Arc<ReplicaState>> {
        lock(&self.published).as_ref().map(Replica::load_full)
    }

    /// Runs until its host is stopped.
    pub(crate) async fn run(self: Arc<Self>) -> turmoil::Result {
        let config = FollowerConfig {
            url: "http://planes:9003".to_owned(),
            edge_key: self.key.clone(),
            state_dir: Self::state_dir(self.number),
            ca_certificate: None,
            danger_plaintext: true,
            assertion_key: None,
            interest: self.keeps.interest(),
            needs: Vec::new(),
        };
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let mut follower = Follower::new(config, clock, Arc::clone(&self.random))?;
        if self.renews {
            follower = follower.staying(RENEWED, STAY);
        }
        let status = follower.status();
        let replica = Replica::new();
        self.witness.started(self.number);
        lock(&self.published).replace(replica.clone());
        tokio::spawn(Arc::clone(&self).watch(replica.clone(), status));
        tokio::spawn(Arc::clone(&self).ask(replica.clone()));
        follower.run(replica, self.stop.notified()).await;
        self.witness.count("orderly stops", 1);
        Ok(())
    }

    async fn watch(self: Arc<Self>, replica: Replica, status: watch::Receiver<FollowerStatus>) {
        let mut last = FollowerStatus::default();
        loop {
            let (age, state) = replica.sight();
            self.witness.saw(self.number, &self.keeps, now(), age, &state);
            let present = status.borrow().clone();
            self.witness
                .count("connections", present.sessions - last.sessions);
            self.witness
                .count("snapshots", present.snapshots - last.snapshots);
            let renewals = present.renewals - last.renewals;
            if renewals > 0 {
                self.witness.count("renewals", renewals);
            }
            self.witness.count("frames", present.frames - last.frames);
            let merged = present.merged - last.merged;
            if merged > 0 {
                self.witness.count("frames over several revisions", merged);
            }
            if present.last_error != last.last_error
                && let Some(error) = &present.last_error
            {
                self.witness.failed(self.number, now(), error);
            }
            last = present;
            sleep(LOOK).await;
        }
    }

    /// Asks with revisions that writers were told, the newest more often than not.
    async fn ask(self: Arc<Self>, replica: Replica) {
        loop {
            let (pause, wanted) = {
                let mut chance = lock(&self.chance);
                let told = lock(&self.told);
                let back = if chance.one_in(3) { chance.below(20) } else { 0 };
                let wanted = told
                    .len()
                    .checked_sub(back + 1)
                    .and_then(|place| told.get(place).copied());
                (chance.millis(5, 150), wanted)
            };
            if let Some(wanted) = wanted
                && replica.wait_for(wanted, WAIT).await
            {
                let (_, state) = replica.sight();
                self.witness
                    .answered(self.number, now(), wanted, state.revision());
            }
            sleep(pause).await;
        }
    }
}
