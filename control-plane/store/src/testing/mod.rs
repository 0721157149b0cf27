//! For tests, of this crate and of those that use it: a fresh, migrated database and short-lived state of its own for
//! every test, on both backends. Programs do not use it.
//!
//! ```text
//! on_both_backends! {
//!     async fn a_user_is_found_by_his_email(store: TestStore) {
//!         let mut tx = store.db.begin().await.expect("begin");
//!         // …
//!     }
//! }
//! ```
//!
//! makes two tests, `a_user_is_found_by_his_email::sqlite_memory` and `::postgres_redis`.

mod postgres;
mod redis;
mod sqlite;

use std::future::Future;
use std::sync::Arc;

use sentinel_core::{Clock, ManualClock, Random as _, SystemRandom, Timestamp};

use crate::short_lived::{Memory, Redis, ShortLived};
use crate::{Database, DatabaseConfig};

/// What a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A SQLite file and this process' memory.
    SqliteMemory,
    /// The PostgreSQL of `SENTINEL_TEST_POSTGRES_URL` and the Redis of `SENTINEL_TEST_REDIS_URL`.
    PostgresRedis,
}

/// A database and short-lived state that nobody else has. They are gone when it is dropped.
pub struct TestStore {
    /// The database, migrated.
    pub db: Database,
    /// The short-lived state.
    pub short_lived: Arc<dyn ShortLived>,
    /// The clock of `db`, at 2026-01-01 00:00 until it is moved.
    pub clock: Arc<ManualClock>,
    /// What it runs on.
    pub backend: Backend,
    home: Arc<Home>,
}

/// Where the test's state is, and who removes it.
enum Home {
    Sqlite(sqlite::Directory),
    Postgres {
        database: Box<postgres::Scratch>,
        _keys: redis::Keys,
    },
}

impl TestStore {
    /// A fresh database, migrated, and empty short-lived state.
    ///
    /// # Panics
    ///
    /// If it cannot be made; the message says what to do.
    pub async fn start(backend: Backend) -> Self {
        let store = Self::connect(backend, postgres::Contents::Tables).await;
        store.db.migrate().await.expect("the schema's steps");
        store
    }

    /// A database without any schema, to try [`Database::migrate`].
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub async fn unmigrated(backend: Backend) -> Self {
        Self::connect(backend, postgres::Contents::Nothing).await
    }

    async fn connect(backend: Backend, contents: postgres::Contents) -> Self {
        let start = Timestamp::from_timestamp(1_767_225_600, 0).expect("in range");
        let clock = Arc::new(ManualClock::at(start));
        let (home, short_lived): (Home, Arc<dyn ShortLived>) = match backend {
            Backend::SqliteMemory => (
                Home::Sqlite(sqlite::Directory::create()),
                Arc::new(Memory::default()),
            ),
            Backend::PostgresRedis => {
                let keys = redis::Keys::new();
                let redis = Redis::new(keys.config()).expect("SENTINEL_TEST_REDIS_URL is a URL of Redis");
                let home = Home::Postgres {
                    database: Box::new(postgres::Scratch::create(contents).await),
                    _keys: keys,
                };
                (home, Arc::new(redis))
            }
        };
        let db = connect(&home.url(), Arc::clone(&clock) as Arc<dyn Clock>).await;
        Self {
            db,
            short_lived,
            clock,
            backend,
            home: Arc::new(home),
        }
    }

    /// The present moment by `clock`.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The URL of the database, to connect to it as another process would.
    pub fn url(&self) -> String {
        self.home.url()
    }

    /// The same database as another process sees it: nothing is shared but what is stored.
    pub async fn another_process(&self) -> Database {
        connect(&self.home.url(), Arc::clone(&self.clock) as Arc<dyn Clock>).await
    }
}

impl Home {
    fn url(&self) -> String {
        match self {
            Self::Sqlite(directory) => directory.url(),
            Self::Postgres { database, .. } => database.url(),
        }
    }
}

async fn connect(url: &str, clock: Arc<dyn Clock>) -> Database {
    Database::connect(&DatabaseConfig::new(url), clock)
        .await
        .expect("the test's database answers")
}

/// Runs a test on a backend, in a runtime of its own. What [`on_both_backends!`](crate::on_both_backends) expands to.
///
/// # Panics
///
/// If the test does.
pub fn run<F: Future<Output = ()>>(backend: Backend, test: impl FnOnce(TestStore) -> F) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            let store = TestStore::start(backend).await;
            // The test may keep a part of it only, and drop the rest at once.
            let _home = Arc::clone(&store.home);
            test(store).await;
        });
}

/// The URL of a server for tests, from the environment variable of this name.
///
/// # Panics
/// There is no such variable: the tests were not started by `cargo xtask test`.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where the servers are"
)]
pub fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "`{variable}` is not set: run `cargo xtask test`, which starts PostgreSQL and Redis for the tests"
        )
    })
}

/// Cleans up from a destructor, whatever runtime it runs in, and waits until that is done. A failure only leaves
/// litter.
fn finish<E>(work: impl Future<Output = Result<(), E>> + Send + 'static) {
    let cleaner = std::thread::spawn(|| {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            let _ = runtime.block_on(work);
        }
    });
    let _ = cleaner.join();
}

/// A name that no other test uses.
fn unique_name() -> String {
    use std::fmt::Write as _;
    let mut bytes = [0_u8; 8];
    SystemRandom.fill(&mut bytes);
    bytes.iter().fold("sentinel_test_".to_owned(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// Makes of each function two tests, one for each [`Backend`], named after the function. The
/// function takes one [`TestStore`].
#[macro_export]
macro_rules! on_both_backends {
    ($($(#[$attribute:meta])* async fn $name:ident($($store:tt)+) $body:block)+) => {$(
        mod $name {
            use $crate::testing::TestStore;

            use super::*;

            async fn run($($store)+) $body

            $(#[$attribute])*
            #[test]
            fn sqlite_memory() {
                $crate::testing::run($crate::testing::Backend::SqliteMemory, run);
            }

            $(#[$attribute])*
            #[test]
            fn postgres_redis() {
                $crate::testing::run($crate::testing::Backend::PostgresRedis, run);
            }
        }
    )+};
}
