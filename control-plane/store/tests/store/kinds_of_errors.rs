//! The same mistake is the same error, under the same name, on both databases.

use sentinel_core::{Clock as _, SystemClock};
use sentinel_store::testing::{Backend, TestStore, run, server};
use sentinel_store::{StoreError, Tx, execute, fetch_one, fetch_scalar, on_both_backends};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::id;

async fn workspace(tx: &mut Tx, slug: &str) -> Result<Uuid, StoreError> {
    let id = id();
    let insert = "INSERT INTO workspaces (id, slug, name, created_at) VALUES ($1, $2, $2, $3)";
    execute!(tx, insert, id, slug, SystemClock.now())
        .await
        .map(|_| id)
}

async fn membership(tx: &mut Tx, workspace: Uuid, user: Uuid, role: &str) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO workspace_memberships (id, workspace_id, user_id, role, joined_at) VALUES ($1, $2, $3, $4, $5)",
        id(), workspace, user, role, SystemClock.now(),
    )
    .await
    .map(drop)
}

async fn user(tx: &mut Tx, email: &str) -> Result<Uuid, StoreError> {
    let id = id();
    execute!(
        tx,
        "INSERT INTO users (id, email, email_key, name, is_active, is_admin, created_at, updated_at)
         VALUES ($1, $2, $2, $2, TRUE, FALSE, $3, $3)",
        id,
        email,
        SystemClock.now(),
    )
    .await
    .map(|_| id)
}

on_both_backends! {
    async fn a_conflict_names_its_constraint(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        workspace(&mut tx, "acme").await.expect("first");
        let error = workspace(&mut tx, "acme").await.expect_err("second");
        assert!(error.is_conflict_on("workspaces__slug"), "{error:?}");
        assert_eq!(error.to_string(), "`workspaces__slug` is already taken");
    }

    async fn a_conflict_over_two_columns_names_both(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let (acme, ann) = (
            workspace(&mut tx, "acme").await.expect("w"),
            user(&mut tx, "ann@example.com").await.expect("u"),
        );
        membership(&mut tx, acme, ann, "viewer").await.expect("first");
        let error = membership(&mut tx, acme, ann, "owner").await.expect_err("second");
        assert!(
            error.is_conflict_on("workspace_memberships__workspace_id__user_id"),
            "{error:?}"
        );
    }

    async fn a_primary_key_is_named_like_any_other(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let insert = "INSERT INTO revocations (kind, id, until, created_at) VALUES ('token', $1, $2, $2)";
        let token = id();
        execute!(tx, insert, token, SystemClock.now())
            .await
            .expect("first");
        let error = execute!(tx, insert, token, SystemClock.now())
            .await
            .expect_err("second");
        assert!(error.is_conflict_on("revocations__kind__id"), "{error:?}");
        drop(tx);
        let mut tx = store.db.begin().await.expect("begin");
        let error = execute!(
            tx,
            "INSERT INTO replication_head (id, epoch, revision) VALUES (1, 1, 1)"
        )
        .await
        .expect_err("second");
        assert!(error.is_conflict_on("replication_head__id"), "{error:?}");
    }

    async fn a_second_current_signing_key_is_a_conflict(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let insert = "INSERT INTO signing_keys (kid, kind, algorithm, public_jwk, position, created_at)
                           VALUES ($1, $2, 'RS256', '{}', 0, $3)";
        execute!(tx, insert, "a", "token", SystemClock.now())
            .await
            .expect("first");
        execute!(tx, insert, "b", "feed", SystemClock.now())
            .await
            .expect("another kind");
        let error = execute!(tx, insert, "c", "token", SystemClock.now())
            .await
            .expect_err("second");
        assert!(error.is_conflict_on("signing_keys__kind"), "{error:?}");
    }

    async fn a_missing_parent_and_a_parent_that_is_needed_are_foreign_key_errors(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let ann = user(&mut tx, "ann@example.com").await.expect("u");
        let orphan = membership(&mut tx, id(), ann, "viewer").await;
        assert!(matches!(orphan, Err(StoreError::ForeignKey)), "{orphan:?}");
        drop(tx);

        let mut tx = store.db.begin().await.expect("begin");
        let (acme, ann) = (
            workspace(&mut tx, "acme").await.expect("w"),
            user(&mut tx, "ann@example.com").await.expect("u"),
        );
        membership(&mut tx, acme, ann, "viewer").await.expect("first");
        let needed = execute!(tx, "DELETE FROM workspaces WHERE id = $1", acme).await;
        assert!(matches!(needed, Err(StoreError::ForeignKey)), "{needed:?}");
    }

    async fn a_broken_rule_is_named(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let (acme, ann) = (
            workspace(&mut tx, "acme").await.expect("w"),
            user(&mut tx, "ann@example.com").await.expect("u"),
        );
        let error = membership(&mut tx, acme, ann, "emperor")
            .await
            .expect_err("no role");
        assert!(
            matches!(&error, StoreError::Check { constraint } if constraint == "workspace_memberships__role"),
            "{error:?}"
        );
    }

    async fn a_row_that_must_be_there_and_is_not_is_an_error(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let none = fetch_one!(tx, (String,), "SELECT slug FROM workspaces WHERE id = $1", id()).await;
        assert!(matches!(none, Err(StoreError::Other(_))));
    }

    async fn a_read_cannot_write(store: TestStore) {
        let mut tx = store.db.read().await.expect("read");
        assert!(matches!(
            workspace(&mut tx, "acme").await,
            Err(StoreError::Other(_))
        ));
        drop(tx);
        let mut tx = store.db.begin().await.expect("the connection can write again");
        workspace(&mut tx, "acme").await.expect("insert");
    }
}

/// A database that takes no connection is away, whatever words it has for it: not a fault of the program.
#[test]
fn a_database_that_lets_nobody_in_is_unavailable() {
    run(Backend::PostgresRedis, |store: TestStore| async move {
        let mut tx = store.db.read().await.expect("read");
        let name = fetch_scalar!(tx, String, "SELECT CAST(current_database() AS TEXT)")
            .await
            .expect("name");
        drop(tx);
        let url = server("SENTINEL_TEST_POSTGRES_URL");
        let mut other = PgConnection::connect(&url).await.expect("the server answers");
        let mut administer = async |statement: String| {
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut other)
                .await
                .expect("done");
        };
        administer(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
        administer(format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ))
        .await;
        for _ in 0..3 {
            for begun in [store.db.read().await, store.db.begin().await] {
                let error = begun.map(drop).expect_err("nobody gets in");
                assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            }
        }
        administer(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
        store.db.read().await.expect("it goes on by itself");
    });
}
