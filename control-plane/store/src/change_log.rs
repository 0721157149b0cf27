//! The change log: what each revision changed, and how histories begin and their old part is forgotten.

use sentinel_core::{Change, Revision, Timestamp};

use crate::chain::{Chain, Mark};
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
    /// The log cannot continue from there: that part was trimmed, the log does not reach to the head, or it is another
    /// history. A snapshot is needed.
    TooOld,
}

/// What happened after a place in a history that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Continuation {
    /// The changes of the next revisions, each with the place that it leads to, without a gap; empty if there are none yet.
    Changes(Vec<(Mark, Vec<Change>)>),
    /// The log cannot continue from there, as with [`ChangesAfter::TooOld`]; the head is here.
    TooOld(Revision),
    /// The numbers would continue, but not the history: the database was rolled back, and something else was written to it
    /// since. The head is here.
    Replaced(Revision),
}

impl Database {
    /// What happened after `known`, oldest first, at most `limit` revisions, if that is in the same history; by a connection
    /// of those that [`follow`](Self::follow).
    pub async fn continue_from(&self, known: Mark, limit: u32) -> Result<Continuation, StoreError> {
        let mut tx = self.follow().await?;
        let continuation = tx.continue_from(known, limit).await?;
        tx.commit().await?;
        Ok(continuation)
    }

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
            "UPDATE replication_head SET epoch = $1, revision = 0, chain = NULL WHERE id = 1 RETURNING epoch, revision",
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
    /// As [`Database::changes_after`], in this transaction. Of `known` only the number is looked at: whoever keeps what the
    /// changes lead to asks [`continue_from`](Self::continue_from).
    pub async fn changes_after(&mut self, known: Revision, limit: u32) -> Result<ChangesAfter, StoreError> {
        let head = self.head().await?;
        let Some(rows) = self.logged(known, head, limit).await? else {
            return Ok(ChangesAfter::TooOld);
        };
        let is_all = is_all(&rows, limit);
        let changes: Vec<LoggedChanges> = (known.number.saturating_add(1)..)
            .zip(rows)
            .map(|(number, row)| {
                Ok(LoggedChanges {
                    revision: Revision { number, ..head },
                    changes: row.changes(number)?,
                })
            })
            .collect::<Result<_, StoreError>>()?;
        let end = changes.last().map_or(known, |last| last.revision);
        Ok(if is_all && end != head {
            ChangesAfter::TooOld
        } else {
            ChangesAfter::Changes(changes)
        })
    }

    /// As [`Database::continue_from`], in this transaction.
    pub async fn continue_from(&mut self, known: Mark, limit: u32) -> Result<Continuation, StoreError> {
        let head = self.mark().await?;
        if known.revision == head.revision && known.chain != head.chain {
            return Ok(Continuation::Replaced(head.revision));
        }
        let Some(rows) = self.logged(known.revision, head.revision, limit).await? else {
            return Ok(Continuation::TooOld(head.revision));
        };
        let is_all = is_all(&rows, limit);
        let (mut at, mut changes) = (known, Vec::with_capacity(rows.len()));
        for row in rows {
            let number = at.revision.number.saturating_add(1);
            let next = at.next(&row.lines);
            let read = row.changes(number)?;
            let chain = match row.link(number)? {
                Some(link) if link != next.chain => return Ok(Continuation::Replaced(head.revision)),
                Some(link) => link,
                // Of a program that knew of no chain: what comes next is linked to what was before.
                None => at.chain,
            };
            at = Mark { chain, ..next };
            changes.push((at, read));
        }
        // A row without a link says nothing about what was before it: where the log ends it must have led to the head.
        if at.revision == head.revision && at.chain != head.chain {
            return Ok(Continuation::Replaced(head.revision));
        }
        if is_all && at.revision != head.revision {
            return Ok(Continuation::TooOld(head.revision));
        }
        Ok(Continuation::Changes(changes))
    }

    /// The rows behind `known`, without a gap; `None` if they are not all there.
    async fn logged(
        &mut self,
        known: Revision,
        head: Revision,
        limit: u32,
    ) -> Result<Option<Vec<Row>>, StoreError> {
        if known == head {
            return Ok(Some(Vec::new()));
        }
        if known.epoch != head.epoch || known.number > head.number {
            return Ok(None);
        }
        // `known` is smaller than the head, which is an i64.
        let after = i64::try_from(known.number).unwrap_or(i64::MAX);
        let rows = fetch_all!(
            self,
            Row,
            "SELECT revision, changes, chain FROM change_log WHERE revision > $1 ORDER BY revision LIMIT $2",
            after,
            i64::from(limit),
        )
        .await?;
        let is_next = |row: &Row| row.revision == after.saturating_add(1);
        if rows.first().is_some_and(is_next) {
            return Ok(Some(rows));
        }
        // Trimmed, unless there is something before it: then it is a hole, and never passed over.
        let oldest = fetch_scalar!(self, Option<i64>, "SELECT MIN(revision) FROM change_log").await?;
        Ok(oldest.is_some_and(|oldest| oldest <= after).then_some(rows))
    }
}

/// Whether these are all rows that there are: fewer than were asked for.
fn is_all(rows: &[Row], limit: u32) -> bool {
    u32::try_from(rows.len()).is_ok_and(|count| count < limit)
}

/// A row of the log.
#[derive(sqlx::FromRow)]
struct Row {
    revision: i64,
    #[sqlx(rename = "changes")]
    lines: String,
    chain: Option<Vec<u8>>,
}

impl Row {
    /// The changes of the row, which must be the one of the expected number: a hole is never passed over.
    fn changes(&self, number: u64) -> Result<Vec<Change>, StoreError> {
        if u64::try_from(self.revision) != Ok(number) {
            return Err(StoreError::corrupt("change_log", "revision", number));
        }
        self.lines
            .split('\n')
            .map(|line| {
                line.parse()
                    .map_err(|_| StoreError::corrupt("change_log", "changes", number))
            })
            .collect()
    }

    fn link(&self, number: u64) -> Result<Option<Chain>, StoreError> {
        let link = self.chain.as_deref();
        link.map(|link| Chain::stored(link, "change_log", number))
            .transpose()
    }
}
