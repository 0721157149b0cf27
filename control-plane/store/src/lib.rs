//! What the control plane keeps: database connections and transactions, the change log, the schema's steps, and
//! short-lived state.
//!
//! PostgreSQL and SQLite behave alike behind [`Database`], Redis and memory behind [`ShortLived`]; nobody who uses this
//! crate asks which one it is. What differs sits in here, and every test runs on both.
//!
//! # Transactions
//!
//! | | for | other writers |
//! |---|---|---|
//! | [`Database::read`] | one consistent look at everything | go on |
//! | [`Database::follow`] | the same, for whoever keeps a replica up | go on |
//! | [`Database::begin`] | rows that no edge knows: sessions, refresh tokens, the activity log | go on (PostgreSQL) |
//! | [`Database::write`] | rows that edges know; gets a revision if changes were recorded | wait: one at a time |
//!
//! A task holds one transaction at a time: a second one, begun while the first is open, may wait for it in vain.
//!
//! # Statements
//!
//! Statements are constant texts with `$1`, `$2` …, run by [`fetch_all!`], [`fetch_one!`], [`fetch_optional!`],
//! [`fetch_scalar!`], [`fetch_scalar_optional!`], [`fetch_scalar_all!`] and [`execute!`], each of which is awaited by
//! its caller. Rows are `#[derive(sqlx::FromRow)]`.
//!
//! One text serves both databases if it keeps to this:
//!
//! - Whole numbers are `BIGINT` and `i64`: write `CAST(0 AS BIGINT)` and `CAST(SUM(n) AS BIGINT)`.
//! - Times are bound, from the [`Clock`](sentinel_core::Clock): never `now()` or `CURRENT_TIMESTAMP`.
//! - Ids are bound, made by the program.
//! - A value that may be null and decides by itself says its type: `CAST($1 AS TEXT) IS NULL OR name = $1`.
//! - Lists are [`sql_any_uuid!`] and [`sql_any_text!`]; a row lock is [`sql_for_update!`].
//! - `INSERT … SELECT … ON CONFLICT` needs a `WHERE` (`WHERE true` will do).
//! - Search is `lower(name) LIKE $1`, because SQLite's `LIKE` does not mind case and PostgreSQL's does.
//! - Texts sort, compare and fold by bytes on both, so that `lower` knows ASCII only; what is unique whatever its case
//!   is folded by the program. PostgreSQL takes no text with a NUL in it: names are parsed before they come here.
//! - JSON is opaque: no operators on it.
//!
//! An error ends its transaction on both databases: every further statement and the commit answer
//! [`StoreError::Poisoned`]. Where a duplicate is to be expected, write `ON CONFLICT … DO NOTHING`.

mod chain;
mod change_log;
mod config;
mod database;
mod error;
mod follow;
mod macros;
mod migrate;
mod postgres;
pub mod short_lived;
mod sql;
mod sqlite;
pub mod testing;
mod tx;
mod write;

pub use chain::{Chain, Mark};
pub use change_log::{ChangesAfter, Continuation, LoggedChanges};
pub use config::DatabaseConfig;
pub use database::Database;
pub use error::StoreError;
pub use migrate::SchemaState;
pub use short_lived::{Memory, Redis, RedisConfig, ShortLived};
pub use sql::{Sql, Texts, Uuids};
pub use tx::Tx;
pub use write::WriteTx;

/// What the macros of this crate expand to. Not for use by hand.
#[doc(hidden)]
pub mod expand {
    pub use sqlx;

    pub use crate::tx::Connection;
}
