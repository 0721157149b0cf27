//! The database: what it is connected to, and its three kinds of transaction.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use sentinel_core::{Clock, Revision, Timestamp};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::config::DatabaseConfig;
use crate::error::StoreError;
use crate::follow::Follower;
use crate::tx::{Inner, Tx, no_head, revision};
use crate::write::WriteTx;
use crate::{postgres, sqlite};

/// How long a replicating write waits for those before it.
const TURN: Duration = Duration::from_secs(10);

/// A database, PostgreSQL or SQLite. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Backend,
    clock: Arc<dyn Clock>,
    /// One replicating writer at a time in this process; the head row's lock sees to the other processes.
    turn: Arc<Semaphore>,
    head: watch::Sender<Revision>,
    follower: OnceLock<Follower>,
}

#[derive(Clone)]
pub(crate) enum Backend {
    Postgres(postgres::Pools),
    Sqlite(sqlite::Pools),
}

impl Database {
    /// Connects. The schema is left as it is: see [`migrate`](Self::migrate).
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`] if the URL is of neither kind, [`StoreError::Unavailable`] if nobody answers.
    pub async fn connect(config: &DatabaseConfig, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let url = config.url.expose_secret();
        let backend = match url.split_once(':') {
            Some(("postgres" | "postgresql", _)) => {
                Backend::Postgres(postgres::connect(url, config.max_connections).await?)
            }
            Some(("sqlite", _)) => Backend::Sqlite(sqlite::connect(url, config.max_connections).await?),
            _ => {
                return Err(StoreError::Url(
                    "it must begin with `postgres://` or `sqlite://`".to_owned(),
                ));
            }
        };
        Ok(Self {
            shared: Arc::new(Shared {
                backend,
                clock,
                turn: Arc::new(Semaphore::new(1)),
                head: watch::Sender::new(Revision::ZERO),
                follower: OnceLock::new(),
            }),
        })
    }

    /// One consistent look at everything. It cannot write.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        let inner = match &self.shared.backend {
            Backend::Postgres(pools) => Inner::Postgres(
                pools
                    .main
                    .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
            Backend::Sqlite(pools) => Inner::Sqlite(pools.readers.begin().await?),
        };
        Ok(Tx::new(inner))
    }

    /// A transaction for rows that no edge knows. Others may write at the same time on PostgreSQL, so what must not
    /// change between a look and a write is one statement, or locked by [`sql_for_update!`](crate::sql_for_update).
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let inner = match &self.shared.backend {
            Backend::Postgres(pools) => Inner::Postgres(
                pools
                    .main
                    .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
                    .await?,
            ),
            // Deferred, it would fail when it first writes while another one does.
            Backend::Sqlite(pools) => match pools.writer.begin_with("BEGIN IMMEDIATE").await {
                Ok(tx) => Inner::Sqlite(tx),
                Err(late @ sqlx::Error::PoolTimedOut) => return Err(StoreError::Busy(late.into())),
                Err(error) => return Err(error.into()),
            },
        };
        Ok(Tx::new(inner))
    }

    /// A transaction for rows that edges know. It waits for its turn, and then is the only one of its kind.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] if its turn does not come in ten seconds.
    pub async fn write(&self) -> Result<WriteTx, StoreError> {
        let turn = timeout(TURN, Arc::clone(&self.shared.turn).acquire_owned())
            .await
            .map_err(|late| StoreError::Busy(late.into()))?
            .map_err(|closed| StoreError::Unavailable(closed.into()))?;
        WriteTx::lock(self.begin().await?, self.clone(), turn).await
    }

    /// The newest committed revision.
    pub async fn head(&self) -> Result<Revision, StoreError> {
        self.shared.backend.head().await
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.head().await.map(drop)
    }

    /// The newest revision as this process knows it, to be waited on: another process' commit is seen within 100 ms,
    /// and at once on PostgreSQL. [`Revision::ZERO`] until the first look.
    pub fn subscribe(&self) -> watch::Receiver<Revision> {
        self.shared
            .follower
            .get_or_init(|| Follower::start(&self.shared.backend, self.shared.head.clone()));
        self.shared.head.subscribe()
    }

    /// Waits until there is a revision newer than `known`, and says the newest.
    pub async fn wait_for_change(&self, known: Revision) -> Revision {
        let mut head = self.subscribe();
        // The sender lives as long as `self`, so that the wait can only end well.
        head.wait_for(|head| *head > known)
            .await
            .map_or(known, |head| *head)
    }

    /// Closes every connection, after what runs on them has ended.
    pub async fn close(&self) {
        match &self.shared.backend {
            Backend::Postgres(pools) => {
                pools.follow.close().await;
                pools.main.close().await;
            }
            Backend::Sqlite(pools) => {
                pools.readers.close().await;
                pools.writer.close().await;
            }
        }
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.shared.backend
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Tells this process' followers about a commit of its own.
    pub(crate) fn publish(&self, head: Revision) {
        advance(&self.shared.head, head);
    }
}

impl Backend {
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Postgres(pools) => pools.follow.is_closed(),
            Self::Sqlite(pools) => pools.readers.is_closed(),
        }
    }

    pub(crate) async fn head(&self) -> Result<Revision, StoreError> {
        const HEAD: &str = "SELECT epoch, revision FROM replication_head WHERE id = 1";
        let row: Option<(i64, i64)> = match self {
            Self::Postgres(pools) => sqlx::query_as(HEAD).fetch_optional(&pools.follow).await?,
            Self::Sqlite(pools) => sqlx::query_as(HEAD).fetch_optional(&pools.readers).await?,
        };
        row.map_or_else(|| Err(no_head()), revision)
    }
}

/// Moves the head that is waited on, forward only: looks and commits may overtake one another.
pub(crate) fn advance(head: &watch::Sender<Revision>, to: Revision) {
    head.send_if_modified(|known| {
        let newer = to > *known;
        if newer {
            *known = to;
        }
        newer
    });
}
