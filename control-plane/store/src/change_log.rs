//! The change log: what each revision changed, and how histories begin and their old part is forgotten.

use sentinel_core::{Change, Revision, Timestamp};

use crate::database::Database;
use crate::error::StoreError;
use crate::tx::{Tx, revision};
use crate::write::notify;
use crate::{execute, fetch_all, fetch_one, fetch_scalar};

/// What one revision changed, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedChanges {
    /// The revision.
    pub revision: Revision,
    /// Its changes; never empty.
    pub changes: Vec<Change>,
}

/// What happened after a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangesAfter {
    /// The next revisions, without a gap; empty if there are none yet.
    Changes(Vec<LoggedChanges>),
    /// The log cannot continue from there: that part was trimmed, or it is another history. A snapshot is needed.
    TooOld,
}

impl Database {
    /// What happened after `known`, oldest first, at most `limit` revisions; by a connection of those that
    /// [`follow`](Self::follow).
    pub async fn changes_after(&self, known: Revision, limit: u32) -> Result<ChangesAfter, StoreError> {
        let mut tx = self.follow().await?;
        let changes = tx.changes_after(known, limit).await?;
        tx.commit().await?;
        Ok(changes)
    }

    /// Forgets what is older than `older_than`, but keeps the newest `keep_at_least` revisions and never makes a hole.
    /// Says how many revisions it forgot.
    pub async fn trim_change_log(
        &self,
        older_than: Timestamp,
        keep_at_least: u32,
    ) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let trimmed = execute!(
            tx,
            "DELETE FROM change_log
              WHERE revision <= (SELECT revision FROM replication_head WHERE id = 1) - $2
                AND revision < COALESCE((SELECT MIN(revision) FROM change_log WHERE created_at >= $1), $3)",
            older_than,
            i64::from(keep_at_least),
            i64::MAX,
        )
        .await?;
        tx.commit().await?;
        Ok(trimmed)
    }

    /// Begins a new history, as is due after a backup was restored: edges that know revisions which the restored
    /// database does not are thereby told to fetch everything anew. The epoch is the present second, or one more than
    /// the last epoch.
    pub async fn begin_new_epoch(&self) -> Result<Revision, StoreError> {
        let mut write = self.write().await?;
        let epoch = i64::try_from(write.base().epoch)
            .unwrap_or(i64::MAX)
            .saturating_add(1)
            .max(self.now().timestamp());
        execute!(write, "DELETE FROM change_log").await?;
        let begun = fetch_one!(
            write,
            (i64, i64),
            "UPDATE replication_head SET epoch = $1, revision = 0 WHERE id = 1 RETURNING epoch, revision",
            epoch,
        )
        .await
        .and_then(revision)?;
        notify(&mut write).await?;
        write.commit().await?;
        self.publish(begun);
        Ok(begun)
    }
}

impl Tx {
    /// As [`Database::changes_after`], in this transaction.
    pub async fn changes_after(&mut self, known: Revision, limit: u32) -> Result<ChangesAfter, StoreError> {
        let head = self.head().await?;
        if known == head {
            return Ok(ChangesAfter::Changes(Vec::new()));
        }
        if known.epoch != head.epoch || known.number > head.number {
            return Ok(ChangesAfter::TooOld);
        }
        // `known` is smaller than the head, which is an i64.
        let after = i64::try_from(known.number).unwrap_or(i64::MAX);
        let oldest = fetch_scalar!(self, Option<i64>, "SELECT MIN(revision) FROM change_log").await?;
        if oldest.is_none_or(|oldest| oldest > after.saturating_add(1)) {
            return Ok(ChangesAfter::TooOld);
        }
        let rows = fetch_all!(
            self,
            (i64, String),
            "SELECT revision, changes FROM change_log WHERE revision > $1 ORDER BY revision LIMIT $2",
            after,
            i64::from(limit),
        )
        .await?;
        (known.number.saturating_add(1)..)
            .zip(rows)
            .map(|(number, row)| decode(head.epoch, number, row))
            .collect::<Result<_, _>>()
            .map(ChangesAfter::Changes)
    }
}

/// A row of the log, which must be the one of the expected number: a hole is never passed over.
fn decode(epoch: u64, number: u64, (stored, lines): (i64, String)) -> Result<LoggedChanges, StoreError> {
    if u64::try_from(stored) != Ok(number) {
        return Err(StoreError::corrupt("change_log", "revision", number));
    }
    let changes = lines
        .split('\n')
        .map(|line| {
            line.parse()
                .map_err(|_| StoreError::corrupt("change_log", "changes", number))
        })
        .collect::<Result<_, _>>()?;
    Ok(LoggedChanges {
        revision: Revision { epoch, number },
        changes,
    })
}
