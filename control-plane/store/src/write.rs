//! The transaction that changes what edges know.

use std::ops::{Deref, DerefMut};

use sentinel_core::{Change, Revision, Timestamp};
use tokio::sync::OwnedSemaphorePermit;

use crate::chain::Mark;
use crate::database::Database;
use crate::error::StoreError;
use crate::execute;
use crate::sql::Sql;
use crate::tx::{Connection, Tx};

/// Tells every other process that the head moved. Only PostgreSQL can.
pub(crate) const CHANNEL: &str = "sentinel_changes";

const LOCK_HEAD: Sql = Sql::each(
    "SELECT epoch, revision, chain FROM replication_head WHERE id = 1 FOR UPDATE",
    "SELECT epoch, revision, chain FROM replication_head WHERE id = 1",
);

/// A transaction that changes what edges know. There is one at a time, in all processes together, so what it has
/// checked holds until it commits; and revisions follow the order of commits without gaps.
///
/// Every statement is that of a [`Tx`], which it dereferences to. Dropped without a commit, it is rolled back.
pub struct WriteTx {
    tx: Tx,
    base: Mark,
    changes: Vec<Change>,
    database: Database,
    /// In this process, those who wait do so without holding a connection.
    _turn: OwnedSemaphorePermit,
}

impl WriteTx {
    /// Takes the lock first: on PostgreSQL what is read afterwards is what the writer before has committed.
    pub(crate) async fn lock(
        mut tx: Tx,
        database: Database,
        turn: OwnedSemaphorePermit,
    ) -> Result<Self, StoreError> {
        let base = tx.mark_by(LOCK_HEAD).await?;
        Ok(Self {
            tx,
            base,
            changes: Vec::new(),
            database,
            _turn: turn,
        })
    }

    /// Notes a change that edges must learn. Whoever writes a row that edges know notes it.
    pub fn record(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Notes several changes, in order.
    pub fn record_all(&mut self, changes: impl IntoIterator<Item = Change>) {
        self.changes.extend(changes);
    }

    /// The newest revision before this transaction.
    pub fn base(&self) -> Revision {
        self.base.revision
    }

    /// The revision that this transaction gets, if a change is recorded and it commits.
    pub fn next_revision(&self) -> Revision {
        Revision {
            epoch: self.base.revision.epoch,
            number: self.base.revision.number.saturating_add(1),
        }
    }

    /// Keeps what was done. If changes were recorded they get one revision, the next one, in the same transaction.
    ///
    /// # Errors
    ///
    /// As [`Tx::commit`].
    pub async fn commit(mut self) -> Result<Option<Revision>, StoreError> {
        if self.changes.is_empty() {
            self.tx.commit().await?;
            return Ok(None);
        }
        let lines = encode(&self.changes)?;
        let head = self.base.next(&lines);
        log(&mut self.tx, head, lines, self.database.now()).await?;
        self.tx.commit().await?;
        self.database.publish(head.revision);
        Ok(Some(head.revision))
    }

    /// Undoes what was done, and waits until it is undone.
    pub async fn rollback(self) -> Result<(), StoreError> {
        self.tx.rollback().await
    }
}

/// Moves the head and writes the log, which nobody else does: the writer holds the lock, so that what it read of the head
/// still is so. On PostgreSQL that is one statement, which wakes the other processes as well.
async fn log(tx: &mut Tx, head: Mark, lines: String, now: Timestamp) -> Result<(), StoreError> {
    let number = i64::try_from(head.revision.number).unwrap_or(i64::MAX);
    let link = head.chain.as_bytes().to_vec();
    if matches!(tx.connection(), Connection::Postgres(_)) {
        execute!(
            tx,
            "WITH head AS (UPDATE replication_head SET revision = $1, chain = $2 WHERE id = 1 RETURNING revision),
                  logged AS (INSERT INTO change_log (revision, changes, chain, created_at)
                             SELECT revision, $3, $2, $4 FROM head)
             SELECT pg_notify($5, '') FROM head",
            number,
            link,
            lines,
            now,
            CHANNEL,
        )
        .await?;
        return Ok(());
    }
    execute!(
        tx,
        "UPDATE replication_head SET revision = $1, chain = $2 WHERE id = 1",
        number,
        link.clone(),
    )
    .await?;
    execute!(
        tx,
        "INSERT INTO change_log (revision, changes, chain, created_at) VALUES ($1, $2, $3, $4)",
        number,
        lines,
        link,
        now,
    )
    .await?;
    Ok(())
}

/// Wakes the other processes when the transaction commits.
pub(crate) async fn notify(tx: &mut Tx) -> Result<(), StoreError> {
    if matches!(tx.connection(), Connection::Postgres(_)) {
        execute!(tx, "SELECT pg_notify($1, '')", CHANNEL).await?;
    }
    Ok(())
}

/// One line for each change. A change that would not read back as itself must not reach any edge.
fn encode(changes: &[Change]) -> Result<String, StoreError> {
    let mut lines = Vec::with_capacity(changes.len());
    for change in changes {
        let line = change.to_string();
        if line.contains('\n') || line.parse().as_ref() != Ok(change) {
            return Err(StoreError::Other(
                format!("`{line}` is not a change that reads back as itself").into(),
            ));
        }
        lines.push(line);
    }
    Ok(lines.join("\n"))
}

impl Deref for WriteTx {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for WriteTx {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}
