//! The edge as a process: follows the control plane, serves, and ends when the operating system says so.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use secrecy::ExposeSecret as _;
use sentinel_config::edge::{Config, Replicate, Scope};
use sentinel_core::{SystemClock, SystemRandom};
use sentinel_feed::{Extent, Follower, FollowerConfig, Interest, Replica};
use sentinel_token::PlainEdgeKey;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::assertion::Assertions;
use crate::descriptors;
use crate::doorway::Limits;
use crate::relations::Wanted;
use crate::routes::Table;
use crate::serve::{self, Parts};
use crate::workers::Workers;

/// Runs until a signal ends it.
///
/// # Errors
/// It cannot start.
pub fn run(config: &Config) -> Result<()> {
    create_private(&config.state_dir)?;
    // First of all: the threads need files themselves.
    let files = descriptors::raise();
    let workers = Workers::for_each_core().context("the threads that serve requests cannot be started")?;
    let wanted = Limits::of(config);
    let limits = Limits {
        connections: descriptors::connections(files, workers.len(), wanted.connections),
        ..wanted
    };
    tracing::info!(
        limits.connections = limits.connections,
        "this many connections are taken at once"
    );
    // What is not a request: two threads, so that nobody waits at the door while the replica is brought up to date.
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("edge")
        .enable_all()
        .build()
        .context("the runtime cannot be started")?
        .block_on(serve_until_signalled(config, limits, workers))
}

async fn serve_until_signalled(config: &Config, limits: Limits, workers: Workers) -> Result<()> {
    let mut parts = Parts {
        replica: Replica::new(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        asks: None,
        feed: None,
        workers,
    };
    let follower = follower(config, &parts)?;
    parts.asks = Some(Arc::new(follower.asker()));
    parts.feed = Some(follower.status());
    // Before anything is served, so that no signal is missed.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (replica, stop_following) = (parts.replica.clone(), Arc::new(Notify::new()));
    let running = serve::start_with(config, parts, limits).await?;
    let stopped = Arc::clone(&stop_following);
    let following = tokio::spawn(async move { follower.run(replica, stopped.notified()).await });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the edge was told to stop");
    running.stop().await;
    // The replica is followed as long as requests are decided, and what it learned is written down at the end.
    stop_following.notify_one();
    following.await.context("following the control plane failed")
}

fn follower(config: &Config, parts: &Parts) -> Result<Follower> {
    let control_plane = &config.control_plane;
    let edge_key: PlainEdgeKey = control_plane.edge_key.expose_secret().trim().parse().context(
        "`control_plane.edge_key` cannot be used: take the whole line that enrolling this edge printed",
    )?;
    let follower = Follower::new(
        FollowerConfig {
            url: control_plane.url.as_str().to_owned(),
            edge_key,
            state_dir: config.state_dir.clone(),
            ca_certificate: None,
            danger_plaintext: control_plane.danger_plaintext,
            assertion_key: Assertions::of(config, &*parts.random)?.map(|assertions| assertions.public_key()),
            interest: interest(config),
            needs: Wanted::all(&Table::compile(config)?)
                .iter()
                .map(Wanted::announced)
                .collect(),
        },
        Arc::clone(&parts.clock),
        Arc::clone(&parts.random),
    )?;
    Ok(follower)
}

/// Which part of what the control plane knows is kept here.
pub(crate) fn interest(config: &Config) -> Interest {
    let Replicate {
        services, workspaces, ..
    } = &config.replicate;
    Interest::new(extent(services), extent(workspaces))
}

fn extent<T: Clone + Ord>(scope: &Scope<T>) -> Extent<T> {
    match scope {
        Scope::All => Extent::All,
        Scope::Only(some) => Extent::Of(some.clone()),
    }
}

/// A directory that nobody else may look into: it holds the replica.
fn create_private(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("the directory `{}` cannot be created", path.display()))
}
