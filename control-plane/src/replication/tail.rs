//! The loop that keeps the replica up: load everything once, then apply what the change log has after it.

use std::time::Duration;

use sentinel_access::AccessError;
use sentinel_core::Revision;
use sentinel_feed::{ApplyError, ReplicaState};
use sentinel_identity::IdentityError;
use sentinel_store::{ChangesAfter, StoreError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::{Replication, facts};

/// How many revisions are read at once. Each may have a thousand changes.
const BATCH: u32 = 50;
/// The database is asked at least this often, so that edges and our own answers know how old the state is.
const ASK: Duration = Duration::from_millis(100);
/// How long to wait after an error.
const RETRY: Duration = Duration::from_millis(250);

/// Why the replica could not be loaded or kept up.
#[derive(Debug, thiserror::Error)]
pub(super) enum TailError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// What one look at the change log came to.
enum Look {
    /// Everything there was has been applied.
    UpToDate,
    /// There is more.
    More,
}

impl Replication {
    /// Loads the state once.
    pub async fn load(&self) -> anyhow::Result<()> {
        Ok(self.reload().await?)
    }

    /// Keeps the replica up until `stopping` turns true. Errors are logged and tried again for ever; meanwhile the
    /// replica's age grows, and what is asked of it is answered accordingly.
    pub async fn run(&self, mut stopping: watch::Receiver<bool>) {
        let mut head = self.database.subscribe();
        let mut failing = false;
        while !*stopping.borrow() {
            let wait = match self.look().await {
                Ok(look) => {
                    if failing {
                        tracing::info!("the replica follows the database again");
                        failing = false;
                    }
                    match look {
                        Look::More => continue,
                        Look::UpToDate => ASK,
                    }
                }
                Err(error) => {
                    if !failing {
                        tracing::error!(error = %chain(&error), "the replica cannot follow the database");
                        failing = true;
                    }
                    self.after(&error).await;
                    RETRY
                }
            };
            tokio::select! {
                _ = timeout(wait, head.changed()) => {
                    if failing {
                        sleep(RETRY).await;
                    }
                }
                _ = stopping.changed() => {}
            }
        }
    }

    async fn look(&self) -> Result<Look, TailError> {
        let asked = Instant::now();
        let known = self.replica.load().revision();
        if known == Revision::ZERO {
            self.reload().await?;
            return Ok(Look::More);
        }
        let changes = match self.database.changes_after(known, BATCH).await? {
            ChangesAfter::Changes(changes) => changes,
            ChangesAfter::TooOld => {
                let head = self.database.follow().await?.head().await?;
                self.explain(known, head);
                self.reload().await?;
                return Ok(Look::More);
            }
        };
        let whole_batch = changes.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX);
        for logged in changes {
            self.advance(logged.revision, logged.changes)?;
        }
        if whole_batch {
            return Ok(Look::More);
        }
        // As of when the question was asked: what was committed after that may be missing.
        self.replica.touched_ago(asked.elapsed());
        Ok(Look::UpToDate)
    }

    /// Why the change log does not continue from `known`. A head that went back means that commits were lost, and that
    /// what they said is not to be decided from any more.
    fn explain(&self, known: Revision, head: Revision) {
        if head >= known {
            tracing::warn!(revision = %known, %head, "the change log does not continue from here; everything is loaded anew");
            return;
        }
        self.replica.distrust();
        tracing::error!(
            revision = %known,
            %head,
            "the database has gone back behind what it had; everything is loaded anew. Edges may know of lost commits and \
             refuse this history until a new one begins: run `sentinel-control-plane admin begin-epoch`"
        );
    }

    /// All facts at the head revision, from one transaction.
    async fn reload(&self) -> Result<(), TailError> {
        let asked = Instant::now();
        let mut tx = self.database.follow().await?;
        let head = tx.head().await?;
        let facts = facts(&mut tx).await?;
        drop(tx);
        let state = ReplicaState::from_snapshot(head, facts)?;
        self.install(state);
        self.replica.touched_ago(asked.elapsed());
        tracing::info!(revision = %head, "the replica was loaded");
        Ok(())
    }

    /// A change that does not apply means that state and log differ: nobody may decide from the state any more.
    async fn after(&self, error: &TailError) {
        if matches!(error, TailError::Apply(_)) {
            self.replica.distrust();
            if let Err(error) = self.reload().await {
                tracing::error!(error = %chain(&error), "the replica cannot be loaded anew");
            }
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
