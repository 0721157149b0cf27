//! Connections to PostgreSQL.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::error::StoreError;

/// Limits of every connection, so that nothing is held for ever by a statement that hangs, a lock that is not given
/// back, or a program that went away in the middle.
const LIMITS: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
                      SET idle_in_transaction_session_timeout = '60s'";

/// How long a caller waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);

/// How many connections follow the database: one that listens, one that looks at the head, one that reads the change
/// log, one that looks edges up.
const FOLLOWERS: u32 = 4;

/// The pool of transactions, and a small one of its own for those that follow the database, so that a busy program does
/// not keep its edges waiting.
#[derive(Clone)]
pub(crate) struct Pools {
    pub(crate) main: PgPool,
    pub(crate) follow: PgPool,
}

pub(crate) async fn connect(url: &str, max_connections: u32) -> Result<Pools, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        StoreError::Url("`postgres://user:password@host:port/database` is expected".to_owned())
    })?;
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("sentinel-control-plane"),
    };
    let pool = |max: u32| {
        PgPoolOptions::new()
            .max_connections(max)
            .acquire_timeout(ACQUIRE)
            .idle_timeout(Duration::from_mins(10))
            .max_lifetime(Duration::from_mins(30))
            .after_connect(|connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(LIMITS).execute(connection).await?;
                    Ok(())
                })
            })
    };
    Ok(Pools {
        main: pool(max_connections.max(1)).connect_with(options.clone()).await?,
        follow: pool(FOLLOWERS).connect_lazy_with(options),
    })
}
