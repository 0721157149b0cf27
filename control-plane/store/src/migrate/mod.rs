//! Brings a database to the schema of this program, step by step. The steps are the files in `migrations/`, compiled
//! in.
//!
//! Steps run under a lock, so that several programs may start at once: each step in a transaction on PostgreSQL, all of
//! them in one on SQLite.

mod steps;
mod translate;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection as _, Executor as _};

use crate::database::{Backend, Database};
use crate::error::StoreError;
use crate::sql::Sql;
use crate::{execute, fetch_scalar, fetch_scalar_all};
pub(crate) use steps::text;
use steps::{Dialect, Steps};

/// How a database's schema stands to the one of this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// It is the one that this program needs.
    Current,
    /// These steps are still to be made.
    Behind(Vec<i64>),
    /// A newer program has made these steps, which this one does not know.
    Ahead(Vec<i64>),
}

impl Database {
    /// Makes the steps that are missing, and begins the history if there is none. Does nothing when done before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Schema`] if the database was made by a newer program or by another text of a step.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match self.backend() {
            Backend::Postgres(pools) => {
                // A connection of its own: closed afterwards, it leaves no lock and no setting behind.
                let mut connection = pools.main.acquire().await?.detach();
                connection
                    .execute("SET statement_timeout = 0; SET lock_timeout = 0")
                    .await?;
                let migrator = migrator(Dialect::Postgres).await?;
                migrator
                    .run_direct(None, &mut connection, false)
                    .await
                    .map_err(schema)?;
                connection.close().await?;
            }
            Backend::Sqlite(pools) => {
                let mut tx = pools.writer.begin_with("BEGIN IMMEDIATE").await?;
                let migrator = migrator(Dialect::Sqlite).await?;
                migrator.run_direct(None, &mut *tx, false).await.map_err(schema)?;
                tx.commit().await?;
            }
        }
        let mut tx = self.begin().await?;
        execute!(
            tx,
            "INSERT INTO replication_head (id, epoch, revision) VALUES (1, $1, 0) ON CONFLICT (id) DO NOTHING",
            self.now().timestamp().max(1),
        )
        .await?;
        tx.commit().await
    }

    /// How the schema stands, without changing anything.
    pub async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        const EXISTS: Sql = Sql::each(
            "SELECT to_regclass('_sqlx_migrations') IS NOT NULL",
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations')",
        );
        let mut tx = self.read().await?;
        let made = if fetch_scalar!(tx, bool, EXISTS).await? {
            fetch_scalar_all!(tx, i64, "SELECT version FROM _sqlx_migrations ORDER BY version").await?
        } else {
            Vec::new()
        };
        tx.commit().await?;
        let known = steps::versions();
        let ahead: Vec<i64> = made
            .iter()
            .copied()
            .filter(|step| !known.contains(step))
            .collect();
        let behind: Vec<i64> = known.into_iter().filter(|step| !made.contains(step)).collect();
        Ok(match (ahead.is_empty(), behind.is_empty()) {
            (false, _) => SchemaState::Ahead(ahead),
            (true, false) => SchemaState::Behind(behind),
            (true, true) => SchemaState::Current,
        })
    }
}

async fn migrator(dialect: Dialect) -> Result<Migrator, StoreError> {
    Migrator::new(Steps(dialect)).await.map_err(schema)
}

fn schema(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => error.into(),
        MigrateError::VersionMissing(step) => StoreError::Schema(format!(
            "a newer program has made step {step}: use a program at least as new as the database"
        )),
        MigrateError::VersionMismatch(step) => StoreError::Schema(format!(
            "step {step} was made from another text than this program has: steps are never edited after release"
        )),
        other => StoreError::Other(other.into()),
    }
}
