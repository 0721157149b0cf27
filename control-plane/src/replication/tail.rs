//! The loop that keeps the replica up: load everything once, then apply what the change log has after it.

use std::time::Duration;

use sentinel_access::AccessError;
use sentinel_core::Revision;
use sentinel_feed::{ApplyError, ReplicaState};
use sentinel_identity::IdentityError;
use sentinel_store::{Continuation, Mark, StoreError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::{Replication, facts};

/// How many revisions are read at once. Each may have two thousand changes.
const BATCH: u32 = 25;
/// The database is asked at least this often, so that edges and our own answers know how old the state is.
const ASK: Duration = Duration::from_millis(100);
/// It is asked sooner while somebody waits for a revision: another process on SQLite does not say that it committed.
const HURRY: Duration = Duration::from_millis(15);
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
#[derive(Debug)]
enum Look {
    /// Everything there was has been applied.
    UpToDate,
    /// There is more.
    More,
}

/// That the change log does not continue from where the replica is, as long as nothing could be loaded in place of that.
#[derive(Debug, PartialEq, Eq)]
struct Break {
    known: Mark,
    /// The head that this was found with; none if a change of the log does not apply.
    head: Option<Revision>,
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
        let mut noticed = None;
        while !*stopping.borrow() {
            let wait = match self.look(&mut noticed).await {
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
                    self.after(&error, &mut noticed).await;
                    RETRY
                }
            };
            tokio::select! {
                _ = timeout(wait, head.changed()) => {
                    if failing {
                        sleep(RETRY).await;
                    }
                }
                () = self.hurried(), if !failing => {}
                _ = stopping.changed() => {}
            }
        }
    }

    /// Waits until somebody has waited for a revision for a moment.
    async fn hurried(&self) {
        self.replica.awaited().await;
        sleep(HURRY).await;
    }

    /// Looks once. That everything has to be loaded anew is told once for a head, however often loading fails.
    async fn look(&self, noticed: &mut Option<Break>) -> Result<Look, TailError> {
        let asked = Instant::now();
        let known = self.recent().mark;
        if known == Mark::NOWHERE {
            self.reload().await?;
            return Ok(Look::More);
        }
        let changes = match self.database.continue_from(known, BATCH).await? {
            Continuation::Changes(changes) => changes,
            Continuation::TooOld(head) => {
                // First: who tells others what comes must not go on, whatever becomes of this.
                let is_news = self.notice(noticed, known, Some(head));
                // A head that went back means that commits were lost, and that what they said is not to be decided from any
                // more.
                if head < known.revision {
                    self.replica.distrust();
                }
                if is_news {
                    explain(known.revision, head);
                }
                self.reload().await?;
                *noticed = None;
                return Ok(Look::More);
            }
            Continuation::Replaced(head) => {
                let is_news = self.notice(noticed, known, Some(head));
                // What the replica knows was never so in this history, and is not to be decided from any more.
                self.replica.distrust();
                if is_news {
                    explain_another(known.revision, head);
                }
                self.reload().await?;
                *noticed = None;
                return Ok(Look::More);
            }
        };
        let whole_batch = changes.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX);
        for (to, changes) in changes {
            self.advance(to, changes)?;
        }
        if whole_batch {
            return Ok(Look::More);
        }
        // As of when the question was asked: what was committed after that may be missing.
        self.replica.touched_ago(asked.elapsed());
        Ok(Look::UpToDate)
    }

    /// All facts at the head revision, from one transaction.
    async fn reload(&self) -> Result<(), TailError> {
        let asked = Instant::now();
        let mut tx = self.database.follow().await?;
        let mark = tx.mark().await?;
        let head = mark.revision;
        let facts = facts(&mut tx).await?;
        drop(tx);
        let state = ReplicaState::from_snapshot(head, facts)?;
        self.install(state, mark);
        self.replica.touched_ago(asked.elapsed());
        tracing::info!(revision = %head, "the replica was loaded");
        Ok(())
    }

    /// A change that does not apply means that state and log differ: nobody may decide from the state any more.
    async fn after(&self, error: &TailError, noticed: &mut Option<Break>) {
        if matches!(error, TailError::Apply(_)) {
            self.notice(noticed, self.recent().mark, None);
            self.replica.distrust();
            match self.reload().await {
                Ok(()) => *noticed = None,
                Err(error) => {
                    tracing::error!(error = %chain(&error), "the replica cannot be loaded anew");
                }
            }
        }
    }

    /// Ends the edition, unless it was ended for this already: who began since then has to end once, when the state is
    /// replaced, and not each time that loading fails. Whether this is news.
    fn notice(&self, noticed: &mut Option<Break>, known: Mark, head: Option<Revision>) -> bool {
        let found = Break { known, head };
        if noticed.as_ref() == Some(&found) {
            return false;
        }
        self.end_edition();
        *noticed = Some(found);
        true
    }
}

/// Why the change log does not continue from `known`.
fn explain(known: Revision, head: Revision) {
    if head >= known {
        tracing::warn!(revision = %known, %head, "the change log does not continue from here; everything is loaded anew");
        return;
    }
    tracing::error!(
        revision = %known,
        %head,
        "the database has gone back behind what it had; everything is loaded anew. Edges may know of lost commits and \
         refuse this history until a new one begins: run `sentinel-control-plane admin begin-epoch`"
    );
}

/// The numbers would continue from `known`, and the history does not.
fn explain_another(known: Revision, head: Revision) {
    tracing::error!(
        revision = %known,
        %head,
        "the database was rolled back and written to since, under the same epoch: what it has is not what was followed; \
         everything is loaded anew. Clients may hold revisions that mean something else now until a new history begins: \
         run `sentinel-control-plane admin begin-epoch`"
    );
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

#[cfg(test)]
mod tests {
    use sentinel_store::testing::TestStore;
    use sentinel_store::{execute, on_both_backends};

    use super::*;

    async fn written(store: &TestStore, statement: &'static str) {
        let mut tx = store.db.begin().await.expect("tx");
        execute!(tx, statement).await.expect("done");
        tx.commit().await.expect("commit");
    }

    on_both_backends! {
        async fn who_follows_ends_once_however_often_loading_fails(store: TestStore) {
            let replication = Replication::new(store.db.clone());
            replication.load().await.expect("loaded");
            let (known, editions) = (replication.recent().mark, replication.editions());
            let (begun, mut noticed) = (*editions.borrow(), None);
            // The log was trimmed past the replica, and nothing can be loaded.
            written(&store, "UPDATE replication_head SET revision = revision + 5 WHERE id = 1").await;
            written(&store, "ALTER TABLE revocations RENAME TO elsewhere").await;
            for _ in 0..3 {
                replication.look(&mut noticed).await.expect_err("it cannot be loaded");
                assert_eq!(*editions.borrow(), begun + 1);
            }
            written(&store, "UPDATE replication_head SET revision = revision + 1 WHERE id = 1").await;
            for _ in 0..3 {
                replication.look(&mut noticed).await.expect_err("it cannot be loaded");
                assert_eq!(*editions.borrow(), begun + 2, "another head");
            }
            written(&store, "ALTER TABLE elsewhere RENAME TO revocations").await;
            replication.look(&mut noticed).await.expect("it was loaded");
            assert_eq!(*editions.borrow(), begun + 3, "for who began since");
            assert_eq!(noticed, None);
            assert_ne!(replication.recent().mark, known);
            replication.look(&mut noticed).await.expect("up to date");
            assert_eq!(*editions.borrow(), begun + 3);
        }

        async fn who_follows_ends_once_for_a_change_that_does_not_apply(store: TestStore) {
            let replication = Replication::new(store.db.clone());
            replication.load().await.expect("loaded");
            written(&store, "ALTER TABLE revocations RENAME TO elsewhere").await;
            let editions = replication.editions();
            let (begun, mut noticed) = (*editions.borrow(), None);
            let at = replication.replica.load().revision();
            for _ in 0..3 {
                let error = TailError::Apply(ApplyError::Gap { at, from: at, to: at });
                replication.after(&error, &mut noticed).await;
                assert_eq!(*editions.borrow(), begun + 1);
            }
            written(&store, "ALTER TABLE elsewhere RENAME TO revocations").await;
            let error = TailError::Apply(ApplyError::Gap { at, from: at, to: at });
            replication.after(&error, &mut noticed).await;
            assert_eq!((*editions.borrow(), noticed), (begun + 2, None));
        }
    }
}
