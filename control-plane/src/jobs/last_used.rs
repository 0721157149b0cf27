//! When service keys were last used: noted in memory by each request, written down in batches. A request never writes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sentinel_core::Timestamp;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;

const EVERY: Duration = Duration::from_secs(30);

/// Uses since the last batch.
#[derive(Debug, Default)]
pub struct LastUsed(Mutex<HashMap<[u8; 32], Timestamp>>);

impl LastUsed {
    /// Notes a use of the key with this digest.
    pub fn note(&self, digest: [u8; 32], now: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = uses.entry(digest).or_insert(now);
        *at = now.max(*at);
    }

    fn take(&self) -> Vec<([u8; 32], Timestamp)> {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *uses).into_iter().collect()
    }
}

/// Writes batches until `stopping` turns true, and once more then.
pub async fn run(app: App, mut stopping: watch::Receiver<bool>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = false;
    while !last {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.changed() => last = true,
        }
        if let Err(error) = once(&app).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "the last use of service keys could not be written down"
            );
        }
    }
}

/// Writes one batch. A batch that could not be written is lost, and the next use is noted again.
pub async fn once(app: &App) -> anyhow::Result<()> {
    let uses = app.last_used.take();
    if uses.is_empty() {
        return Ok(());
    }
    let mut tx = app.database().begin().await?;
    app.access().service_apps.record_use(&mut tx, &uses).await?;
    Ok(tx.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_use_counts_and_a_batch_is_taken_once() {
        let at = |s: i64| Timestamp::from_timestamp(s, 0).expect("in range");
        let uses = LastUsed::default();
        uses.note([1; 32], at(10));
        uses.note([1; 32], at(5));
        uses.note([2; 32], at(7));
        let mut batch = uses.take();
        batch.sort();
        assert_eq!(batch, [([1; 32], at(10)), ([2; 32], at(7))]);
        assert!(uses.take().is_empty());
    }
}
