//! Removes what can matter to nobody any more, once a minute, and trims the change log.

use std::time::Duration;

use sentinel_access::relations::MAX_CHANGES;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;

const EVERY: Duration = Duration::from_mins(1);

/// How much of the change log is kept.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Changes younger than this.
    pub younger_than: Duration,
    /// And at least so many of the latest.
    pub at_least: u32,
}

/// Runs until `stopping` turns true.
pub async fn run(app: App, keep: Keep, mut stopping: watch::Receiver<bool>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.changed() => return,
        }
        if let Err(error) = once(&app, keep).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "what is over could not be removed; it is tried again"
            );
        }
    }
}

/// One round.
pub async fn once(app: &App, keep: Keep) -> anyhow::Result<()> {
    let swept = app.sessions.sweep().await?;
    let mut tx = app.database().write().await?;
    let service_keys = app.access().service_apps.purge_expired_keys(&mut tx).await?;
    let invitations = app.access().invitations.purge_expired(&mut tx).await?;
    let idempotency_keys = app.access().relations.purge_idempotency_keys(&mut tx).await?;
    tx.commit().await?;
    let tuples = purge_tuples(app).await?;
    let changes = app
        .database()
        .trim_change_log(app.now() - keep.younger_than, keep.at_least)
        .await?;
    tracing::debug!(
        ?swept,
        service_keys,
        invitations,
        idempotency_keys,
        tuples,
        changes,
        "what is over was removed"
    );
    Ok(())
}

/// Deletes the tuples whose end has come, in turns with other writers.
async fn purge_tuples(app: &App) -> anyhow::Result<usize> {
    let mut all = 0_usize;
    loop {
        let mut tx = app.database().write().await?;
        let deleted = app.access().relations.purge_expired(&mut tx).await?;
        tx.commit().await?;
        all = all.saturating_add(deleted);
        if deleted < MAX_CHANGES {
            return Ok(all);
        }
    }
}
