//! The edge as its program runs it, but with a replica that is filled here and not by a control plane: the same library,
//! the same threads, the same log.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sentinel_config::load_edge;
use sentinel_core::{Revision, SystemClock, SystemRandom};
use sentinel_feed::{Replica, ReplicaState};
use sentinel_proxy::cli::init_log;
use sentinel_proxy::doorway::Limits;
use sentinel_proxy::serve::{Parts, start_with};
use sentinel_proxy::workers::Workers;

use super::world::World;

/// How often a control plane without news says so.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The name of the configuration within the directory that edge and measurement share.
pub(super) const CONFIG: &str = "edge.yaml";

/// Serves until the process is ended. `dir` holds what the measurement has written there.
///
/// # Errors
/// It cannot start.
pub fn run(dir: &Path, tuples: usize) -> Result<()> {
    let config = load_edge(&dir.join(CONFIG), &BTreeMap::new())?;
    let _writing = init_log(&config.log)?;
    let facts = World::read(dir, tuples)?.facts()?;
    let revision = Revision { epoch: 1, number: 1 };
    let state = ReplicaState::from_snapshot(revision, facts)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?
        .block_on(async {
            let replica = Replica::new();
            replica.install(state);
            replica.touch();
            let parts = Parts {
                replica: replica.clone(),
                clock: Arc::new(SystemClock),
                random: Arc::new(SystemRandom),
                asks: None,
                feed: None,
                workers: Workers::for_each_core().context("the edge's threads cannot be started")?,
            };
            let _running = start_with(&config, parts, Limits::default()).await?;
            loop {
                tokio::time::sleep(HEARTBEAT).await;
                replica.touch();
            }
        })
}
