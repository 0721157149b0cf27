//! The database: what it is connected to, and its three kinds of transaction.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use sentinel_core::{Clock, Revision, Timestamp};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::config::DatabaseConfig;
use crate::error::StoreError;
use crate::follow::{Follower, Look};
use crate::tx::{Inner, Tx, no_head, revision};
use crate::write::WriteTx;
use crate::{postgres, sqlite};

/// Begins one consistent look on PostgreSQL.
const LOOK_ONLY: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// How long a replicating write waits for those before it.
const TURN: Duration = Duration::from_secs(10);

/// How long the next look at the head may take.
const LOOK: Duration = Duration::from_secs(5);

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
    /// The follower's last look at the head that was answered.
    looked: watch::Sender<Option<Look>>,
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
                looked: watch::Sender::new(None),
                follower: OnceLock::new(),
            }),
        })
    }

    /// One consistent look at everything. It cannot write.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        let inner = match &self.shared.backend {
            Backend::Postgres(pools) => Inner::Postgres(begun(pools.main.begin_with(LOOK_ONLY).await)?),
            Backend::Sqlite(pools) => Inner::Sqlite(begun(pools.readers.begin().await)?),
        };
        Ok(Tx::new(inner))
    }

    /// As [`read`](Self::read), on connections that no request can take away: for whoever keeps a replica up, and for
    /// nobody else.
    pub async fn follow(&self) -> Result<Tx, StoreError> {
        let inner = match &self.shared.backend {
            Backend::Postgres(pools) => Inner::Postgres(begun(pools.follow.begin_with(LOOK_ONLY).await)?),
            Backend::Sqlite(pools) => Inner::Sqlite(begun(pools.follow.begin().await)?),
        };
        Ok(Tx::new(inner))
    }

    /// A transaction for rows that no edge knows. Others may write at the same time on PostgreSQL, so what must not
    /// change between a look and a write is one statement, or locked by [`sql_for_update!`](crate::sql_for_update).
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let inner = match &self.shared.backend {
            Backend::Postgres(pools) => {
                const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
                Inner::Postgres(begun(pools.main.begin_with(WRITE).await)?)
            }
            // Deferred, it would fail when it first writes while another one does.
            Backend::Sqlite(pools) => Inner::Sqlite(begun(pools.writer.begin_with("BEGIN IMMEDIATE").await)?),
        };
        Ok(Tx::new(inner))
    }

    /// A transaction for rows that edges know. It waits for its turn, and then is the only one of its kind.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] if its turn does not come in ten seconds, or then no connection in five.
    pub async fn write(&self) -> Result<WriteTx, StoreError> {
        let turn = timeout(TURN, Arc::clone(&self.shared.turn).acquire_owned())
            .await
            .map_err(|late| StoreError::Busy(late.into()))?
            .map_err(|closed| StoreError::Unavailable(closed.into()))?;
        WriteTx::lock(self.begin().await?, self.clone(), turn).await
    }

    /// The newest committed revision. What strangers can ask for is asked of [`newest`](Self::newest) instead.
    pub async fn head(&self) -> Result<Revision, StoreError> {
        let mut tx = self.read().await?;
        tx.head().await
    }

    /// The newest revision that was committed when this is called, or one that was committed meanwhile: what the next
    /// look of the follower finds, in a tenth of a second. However many wait for it, the database is asked once, on a
    /// connection of the follower.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the database does not answer the follower for five seconds.
    pub async fn newest(&self) -> Result<Revision, StoreError> {
        let asked = Instant::now();
        self.follower();
        let mut looked = self.shared.looked.subscribe();
        let next = looked.wait_for(|look| look.as_ref().is_some_and(|look| look.began >= asked));
        let look = timeout(LOOK, next)
            .await
            .map_err(|late| StoreError::Unavailable(late.into()))?
            .map_err(|closed| StoreError::Unavailable(closed.into()))?;
        Ok(look.as_ref().map_or(Revision::ZERO, |look| look.head))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.shared.backend.head().await.map(drop)
    }

    /// The newest revision as this process knows it, to be waited on: another process' commit is seen within 100 ms,
    /// and at once on PostgreSQL. [`Revision::ZERO`] until the first look.
    pub fn subscribe(&self) -> watch::Receiver<Revision> {
        self.follower();
        self.shared.head.subscribe()
    }

    /// Sees to it that the database is followed.
    fn follower(&self) {
        self.shared.follower.get_or_init(|| {
            let shared = &self.shared;
            Follower::start(&shared.backend, shared.head.clone(), shared.looked.clone())
        });
    }

    /// Closes every connection, after what runs on them has ended.
    pub async fn close(&self) {
        // From this moment on nothing begins on any of them, whichever has ended first.
        match &self.shared.backend {
            Backend::Postgres(pools) => {
                tokio::join!(pools.follow.close(), pools.main.close());
            }
            Backend::Sqlite(pools) => {
                tokio::join!(pools.follow.close(), pools.readers.close(), pools.writer.close());
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
            Self::Sqlite(pools) => pools.follow.is_closed(),
        }
    }

    /// The newest revision, by a connection of those that follow.
    pub(crate) async fn head(&self) -> Result<Revision, StoreError> {
        const HEAD: &str = "SELECT epoch, revision FROM replication_head WHERE id = 1";
        let row: Option<(i64, i64)> = match self {
            Self::Postgres(pools) => sqlx::query_as(HEAD).fetch_optional(&pools.follow).await?,
            Self::Sqlite(pools) => sqlx::query_as(HEAD).fetch_optional(&pools.follow).await?,
        };
        row.map_or_else(|| Err(no_head()), revision)
    }
}

/// A transaction, if it could begin.
fn begun<T>(result: sqlx::Result<T>) -> Result<T, StoreError> {
    result.map_err(StoreError::beginning)
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
