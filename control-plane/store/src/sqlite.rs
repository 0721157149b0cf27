//! Connections to SQLite.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::error::StoreError;

/// How many connections follow the database: one that looks at the head, one that reads the change log, one that
/// looks edges up.
const FOLLOWERS: u32 = 3;

/// One connection that writes, for which writers queue in order, and several that can only read. Readers do not wait
/// for the writer, nor it for them (WAL). Those that follow the database have connections of their own, so that a busy
/// program does not keep its edges waiting.
#[derive(Clone)]
pub(crate) struct Pools {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    pub(crate) follow: SqlitePool,
}

pub(crate) async fn connect(url: &str, max_connections: u32) -> Result<Pools, StoreError> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|_| StoreError::Url("`sqlite:///directory/file.db` is expected".to_owned()))?;
    if url.contains(":memory:")
        || url.contains("mode=memory")
        || options.get_filename().as_os_str().is_empty()
    {
        return Err(StoreError::Url(
            "a database in memory is lost with the program: give `sqlite:///directory/file.db`".to_owned(),
        ));
    }
    create_private(options.get_filename()).map_err(|error| StoreError::Unavailable(error.into()))?;
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        // Every commit is on disk before it is answered; `NORMAL` may lose the last ones when the power fails.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("journal_size_limit", "67108864");
    let pool = |max: u32| {
        SqlitePoolOptions::new()
            .max_connections(max)
            .acquire_timeout(Duration::from_secs(10))
            .idle_timeout(None)
            .max_lifetime(None)
    };
    // The writer first: it makes the file a WAL one, which a reader may not.
    let writer = pool(1).connect_with(options.clone()).await?;
    let options = options.pragma("query_only", "ON");
    let readers = pool(max_connections.max(1)).connect_lazy_with(options.clone());
    let follow = pool(FOLLOWERS).connect_lazy_with(options);
    Ok(Pools {
        writer,
        readers,
        follow,
    })
}

/// Makes the file before SQLite does, readable by its owner only; SQLite gives its side files the same mode.
fn create_private(file: &Path) -> io::Result<()> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
    {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
