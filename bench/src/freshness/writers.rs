//! Writes that begin at a steady rate, whether the ones before were answered or not.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sentinel_core::Revision;
use sentinel_quickstart::http::Http;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use crate::fleet::{Change, Fleet, Tuples};

/// How many writes are under way at the same time, at most. Where the control plane does not keep up there are fewer of
/// them in a second, and the table says so.
const AT_ONCE: usize = 128;

/// A write that was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) revision: Revision,
    pub(super) sent: Instant,
    pub(super) answered: Instant,
}

/// Whoever writes.
pub(super) struct Writers {
    tuples: Tuples,
    http: Http,
    run: &'static str,
    per_second: u32,
}

impl Writers {
    /// Whoever writes in a run of that name; no two runs may have one.
    pub(super) fn new(fleet: &Fleet, run: &'static str, per_second: u32) -> Self {
        Self {
            tuples: fleet.tuples(),
            http: fleet.http.clone(),
            run,
            per_second,
        }
    }

    /// Writes for a while. Each write shares a folder of its own with somebody.
    pub(super) async fn run(self, time: Duration) -> Result<Vec<Written>> {
        let mut ticks = interval(Duration::from_secs(1) / self.per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let end = Instant::now() + time;
        let mut running = JoinSet::new();
        let mut written = Vec::new();
        for number in 0_u128.. {
            if Instant::now() >= end {
                break;
            }
            ticks.tick().await;
            let turn = Arc::clone(&room).acquire_owned().await?;
            let (tuples, http, run) = (self.tuples.clone(), self.http.clone(), self.run);
            running.spawn(async move {
                let _turn = turn;
                write(&tuples, &http, run, number).await
            });
            while let Some(ended) = running.try_join_next() {
                written.push(ended.context("a writer's task broke")??);
            }
        }
        while let Some(ended) = running.join_next().await {
            written.push(ended.context("a writer's task broke")??);
        }
        Ok(written)
    }
}

async fn write(tuples: &Tuples, http: &Http, run: &str, number: u128) -> Result<Written> {
    let id = format!("{run}-{number}");
    let change = Change {
        holds: true,
        object: format!("folder:{id}"),
        relation: "viewer",
        subject: format!("user:{}", Uuid::from_u128(number)),
    };
    let sent = Instant::now();
    let revision = tuples.write(http, &id, &[change]).await?;
    Ok(Written {
        revision: revision.context("the control plane did not answer a write")?,
        sent,
        answered: Instant::now(),
    })
}
