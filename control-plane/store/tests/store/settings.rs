//! What connections are told, so that nothing acknowledged is lost and nothing is held for ever.

use std::str::FromStr as _;
use std::time::Duration;

use sentinel_store::testing::{Backend, TestStore, run};
use sentinel_store::{StoreError, Tx, execute, fetch_scalar};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _};

use crate::id;

async fn text(tx: &mut Tx, sql: &'static str) -> String {
    fetch_scalar!(tx, String, sql).await.expect("setting")
}

async fn number(tx: &mut Tx, sql: &'static str) -> i64 {
    fetch_scalar!(tx, i64, sql).await.expect("setting")
}

#[test]
fn every_connection_to_postgres_has_limits_and_a_name() {
    run(Backend::PostgresRedis, |store: TestStore| async move {
        let mut tx = store.db.begin().await.expect("begin");
        assert_eq!(text(&mut tx, "SHOW statement_timeout").await, "30s");
        assert_eq!(text(&mut tx, "SHOW lock_timeout").await, "10s");
        assert_eq!(
            text(&mut tx, "SHOW idle_in_transaction_session_timeout").await,
            "1min"
        );
        assert_eq!(
            text(&mut tx, "SHOW application_name").await,
            "sentinel-control-plane"
        );
        assert_eq!(
            text(&mut tx, "SHOW transaction_isolation").await,
            "read committed"
        );
        let mut look = store.db.read().await.expect("read");
        assert_eq!(
            text(&mut look, "SHOW transaction_isolation").await,
            "repeatable read"
        );
        assert_eq!(text(&mut look, "SHOW transaction_read_only").await, "on");
    });
}

#[test]
fn every_connection_to_sqlite_is_durable_and_checks_references() {
    run(Backend::SqliteMemory, |store: TestStore| async move {
        for mut tx in [
            store.db.begin().await.expect("begin"),
            store.db.read().await.expect("read"),
        ] {
            assert_eq!(
                text(&mut tx, "SELECT journal_mode FROM pragma_journal_mode").await,
                "wal"
            );
            assert_eq!(
                number(&mut tx, "SELECT synchronous FROM pragma_synchronous").await,
                2,
                "FULL"
            );
            assert_eq!(
                number(&mut tx, "SELECT foreign_keys FROM pragma_foreign_keys").await,
                1
            );
            assert_eq!(
                number(&mut tx, "SELECT timeout FROM pragma_busy_timeout").await,
                10_000
            );
        }
    });
}

#[test]
fn what_takes_too_long_on_postgres_is_busy() {
    run(Backend::PostgresRedis, |store: TestStore| async move {
        let write = store.db.write().await.expect("write");
        for (limit, sql) in [
            (
                "SET LOCAL lock_timeout = 1",
                "UPDATE replication_head SET revision = revision",
            ),
            ("SET LOCAL statement_timeout = 1", "SELECT pg_sleep(60)"),
        ] {
            let mut tx = store.db.begin().await.expect("begin");
            execute!(tx, limit).await.expect("limit");
            let late = execute!(tx, sql).await;
            assert!(matches!(late, Err(StoreError::Busy(_))), "{late:?}");
        }
        drop(write);
    });
}

#[test]
fn a_lock_of_another_process_on_sqlite_is_busy() {
    run(Backend::SqliteMemory, |store: TestStore| async move {
        let _writing = store.db.begin().await.expect("begin");
        let impatient = SqliteConnectOptions::from_str(&store.url())
            .expect("url")
            .busy_timeout(Duration::ZERO);
        let mut other = impatient.connect().await.expect("connect");
        let error = other.execute("BEGIN IMMEDIATE").await.expect_err("locked");
        assert!(matches!(StoreError::from(error), StoreError::Busy(_)));
    });
}

#[test]
fn a_cancelled_statement_ends_its_transaction_on_postgres() {
    run(Backend::PostgresRedis, |store: TestStore| async move {
        let mut tx = store.db.begin().await.expect("begin");
        let insert = "INSERT INTO workspaces (id, slug, name, created_at) VALUES ($1, 'acme', 'Acme', $2)";
        execute!(tx, insert, id(), chrono::DateTime::<chrono::Utc>::UNIX_EPOCH)
            .await
            .expect("insert");
        let slow = tokio::time::timeout(Duration::from_millis(1), async {
            execute!(tx, "SELECT pg_sleep(60)").await
        });
        assert!(slow.await.is_err());
        assert!(matches!(tx.commit().await, Err(StoreError::Poisoned)));
        let mut tx = store.db.read().await.expect("read");
        assert_eq!(number(&mut tx, "SELECT COUNT(*) FROM workspaces").await, 0);
    });
}
