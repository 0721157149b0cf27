//! A transaction on either database.

use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection, Transaction};

use sentinel_core::Revision;

use crate::chain::{Chain, Mark};
use crate::error::StoreError;
use crate::fetch_optional;
use crate::sql::Sql;

/// An open transaction. Dropped without a commit, it is rolled back.
pub struct Tx {
    inner: Inner,
    /// Set while a statement runs and left set if it fails, so that one which was cancelled counts as failed too:
    /// PostgreSQL answers "ok" to the commit of a transaction that it has rolled back, and SQLite commits the rest.
    poisoned: bool,
}

pub(crate) enum Inner {
    Postgres(Transaction<'static, Postgres>),
    Sqlite(Transaction<'static, Sqlite>),
}

/// The connection that a statement runs on.
#[doc(hidden)]
pub enum Connection<'a> {
    Postgres(&'a mut PgConnection),
    Sqlite(&'a mut SqliteConnection),
}

impl Tx {
    pub(crate) fn new(inner: Inner) -> Self {
        Self {
            inner,
            poisoned: false,
        }
    }

    /// Keeps what was done.
    ///
    /// # Errors
    ///
    /// [`StoreError::Poisoned`] if a statement failed before; nothing is kept then. After [`StoreError::Unavailable`]
    /// it is not known whether it was.
    pub async fn commit(self) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        match self.inner {
            Inner::Postgres(tx) => tx.commit().await?,
            Inner::Sqlite(tx) => tx.commit().await?,
        }
        Ok(())
    }

    /// Undoes what was done, and waits until it is undone.
    pub async fn rollback(self) -> Result<(), StoreError> {
        match self.inner {
            Inner::Postgres(tx) => tx.rollback().await?,
            Inner::Sqlite(tx) => tx.rollback().await?,
        }
        Ok(())
    }

    /// The newest revision that this transaction sees.
    pub async fn head(&mut self) -> Result<Revision, StoreError> {
        Ok(self.mark().await?.revision)
    }

    /// The newest revision that this transaction sees, and what the history has come to there.
    pub async fn mark(&mut self) -> Result<Mark, StoreError> {
        self.mark_by("SELECT epoch, revision, chain FROM replication_head WHERE id = 1".into())
            .await
    }

    pub(crate) async fn mark_by(&mut self, sql: Sql) -> Result<Mark, StoreError> {
        let (epoch, number, chain) = fetch_optional!(self, (i64, i64, Option<Vec<u8>>), sql)
            .await?
            .ok_or_else(no_head)?;
        let chain = chain.map(|link| Chain::stored(&link, "replication_head", 1));
        Ok(Mark {
            revision: revision((epoch, number))?,
            chain: chain.transpose()?.unwrap_or(Chain::START),
        })
    }

    #[doc(hidden)]
    pub fn start(&mut self, sql: Sql, values: usize) -> Result<&mut Self, StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        self.poisoned = true;
        sql.check_values(values)?;
        Ok(self)
    }

    #[doc(hidden)]
    pub fn connection(&mut self) -> Connection<'_> {
        match &mut self.inner {
            Inner::Postgres(tx) => Connection::Postgres(tx),
            Inner::Sqlite(tx) => Connection::Sqlite(tx),
        }
    }

    #[doc(hidden)]
    pub fn finish<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        self.poisoned = result.is_err();
        result.map_err(StoreError::from)
    }
}

/// The revision in a row of `replication_head`.
pub(crate) fn revision((epoch, number): (i64, i64)) -> Result<Revision, StoreError> {
    match (u64::try_from(epoch), u64::try_from(number)) {
        (Ok(epoch), Ok(number)) => Ok(Revision { epoch, number }),
        (Err(_), _) => Err(StoreError::corrupt("replication_head", "epoch", 1)),
        (_, Err(_)) => Err(StoreError::corrupt("replication_head", "revision", 1)),
    }
}

pub(crate) fn no_head() -> StoreError {
    StoreError::Schema("`replication_head` has no row: migrate the database first".to_owned())
}
