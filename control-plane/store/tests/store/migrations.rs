//! The schema is the same on both databases, and the steps can be made by many at once and twice.

use std::collections::{BTreeMap, BTreeSet};

use sentinel_store::testing::{Backend, TestStore, run};
use sentinel_store::{
    SchemaState, Sql, StoreError, Tx, execute, fetch_all, fetch_scalar_all, on_both_backends,
};

/// Every table of the product.
const TABLES: &[&str] = &[
    "activity_logs",
    "change_log",
    "client_apps",
    "edge_assertion_keys",
    "edge_routes",
    "edges",
    "group_memberships",
    "group_roles",
    "groups",
    "idempotency_keys",
    "invitations",
    "refresh_tokens",
    "relation_tuples",
    "replication_head",
    "resource_permissions",
    "resource_shares",
    "revocations",
    "role_actions",
    "roles",
    "service_actions",
    "service_apps",
    "service_keys",
    "service_models",
    "sessions",
    "signing_keys",
    "social_accounts",
    "user_roles",
    "users",
    "workspace_memberships",
    "workspaces",
];

async fn tables(tx: &mut Tx) -> Vec<String> {
    const TABLES: Sql = Sql::each(
        "SELECT CAST(table_name AS TEXT) FROM information_schema.tables
          WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations' ORDER BY table_name",
        "SELECT name FROM sqlite_master
          WHERE type = 'table' AND name <> '_sqlx_migrations' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    );
    fetch_scalar_all!(tx, String, TABLES).await.expect("tables")
}

/// Table, column, and whether it may be null.
async fn columns(tx: &mut Tx) -> BTreeSet<(String, String, bool)> {
    const COLUMNS: Sql = Sql::each(
        "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT), is_nullable = 'YES'
           FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'",
        "SELECT t.name, c.name, c.\"notnull\" = 0 FROM sqlite_master AS t, pragma_table_info(t.name) AS c
          WHERE t.type = 'table' AND t.name <> '_sqlx_migrations'",
    );
    fetch_all!(tx, (String, String, bool), COLUMNS)
        .await
        .expect("columns")
        .into_iter()
        .collect()
}

on_both_backends! {
    async fn all_tables_are_there_and_the_schema_is_current(store: TestStore) {
        assert_eq!(
            store.db.schema_state().await.expect("state"),
            SchemaState::Current
        );
        let mut tx = store.db.read().await.expect("read");
        assert_eq!(tables(&mut tx).await, TABLES);
    }

    async fn a_database_of_a_newer_program_is_refused(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        execute!(
            tx,
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'of the future', TRUE, $1, 0)",
            vec![0_u8],
        )
        .await
        .expect("insert");
        tx.commit().await.expect("commit");
        assert_eq!(
            store.db.schema_state().await.expect("state"),
            SchemaState::Ahead(vec![9999])
        );
        let error = store.db.migrate().await.expect_err("newer");
        assert_eq!(
            error.to_string(),
            "the schema does not fit: a newer program has made step 9999: use a program at least as new as the database"
        );
    }

    async fn a_step_of_another_text_is_refused(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        execute!(
            tx,
            "UPDATE _sqlx_migrations SET checksum = $1 WHERE version = 1",
            vec![0_u8]
        )
        .await
        .expect("update");
        tx.commit().await.expect("commit");
        assert!(matches!(store.db.migrate().await, Err(StoreError::Schema(_))));
    }

    async fn many_programs_may_start_at_once_on_an_empty_database(store: TestStore) {
        let store = TestStore::unmigrated(store.backend).await;
        let SchemaState::Behind(steps) = store.db.schema_state().await.expect("state") else {
            panic!("it is empty")
        };
        assert_eq!(steps.first(), Some(&1));
        let mut programs = Vec::new();
        for _ in 0..4 {
            let db = store.another_process().await;
            programs.push(tokio::spawn(async move { db.migrate().await }));
        }
        for program in programs {
            program.await.expect("task").expect("migrate");
        }
        assert_eq!(
            store.db.schema_state().await.expect("state"),
            SchemaState::Current
        );
        assert_eq!(store.db.head().await.expect("head").number, 0);
    }

    async fn nothing_that_edges_know_is_deleted_or_emptied_by_a_foreign_key(store: TestStore) {
        const ACTIONS: Sql = Sql::each(
            "SELECT CAST(c.conrelid AS regclass)::text, CAST(c.confdeltype AS TEXT) FROM pg_constraint AS c
              WHERE c.contype = 'f' AND c.confdeltype IN ('c', 'n') AND EXISTS
                    (SELECT 1 FROM pg_attribute AS a WHERE a.attrelid = c.conrelid AND a.attnum = ANY(c.conkey)
                        AND a.attname NOT IN ('created_by', 'granted_by', 'assigned_by', 'invited_by'))",
            "SELECT t.name, k.on_delete FROM sqlite_master AS t, pragma_foreign_key_list(t.name) AS k
              WHERE t.type = 'table' AND k.on_delete <> 'NO ACTION'
                AND k.\"from\" NOT IN ('created_by', 'granted_by', 'assigned_by', 'invited_by')",
        );
        let mut tx = store.db.read().await.expect("read");
        let tables: BTreeSet<String> = fetch_all!(tx, (String, String), ACTIONS)
            .await
            .expect("keys")
            .into_iter()
            .map(|(table, _)| table)
            .collect();
        let unknown_to_edges = ["refresh_tokens", "sessions", "social_accounts"].map(str::to_owned);
        assert_eq!(tables, BTreeSet::from(unknown_to_edges));
    }
}

#[test]
fn both_databases_have_the_same_columns() {
    run(Backend::SqliteMemory, |sqlite: TestStore| async move {
        let postgres = TestStore::start(Backend::PostgresRedis).await;
        let mut tx = sqlite.db.read().await.expect("read");
        let of_sqlite = columns(&mut tx).await;
        let mut tx = postgres.db.read().await.expect("read");
        assert_eq!(of_sqlite, columns(&mut tx).await);
    });
}

/// The test's server may sort by bytes anyway; a deployment's may not.
#[test]
fn every_text_of_postgres_has_the_collation_of_bytes() {
    run(Backend::PostgresRedis, |store: TestStore| async move {
        let sql = "SELECT CAST(table_name || '.' || column_name AS TEXT) FROM information_schema.columns
                    WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'
                      AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'";
        let mut tx = store.db.read().await.expect("read");
        assert_eq!(
            fetch_scalar_all!(tx, String, sql).await.expect("columns"),
            [""; 0]
        );
    });
}

/// What a conflict is called follows from the columns, on PostgreSQL too: so names must be given by that rule.
#[test]
fn unique_constraints_are_named_after_their_columns() {
    run(Backend::PostgresRedis, |store: TestStore| async move {
        let sql = "SELECT i.indexrelid::regclass::text, i.indrelid::regclass::text, a.attname::text
                     FROM pg_index AS i
                     JOIN pg_class AS t ON t.oid = i.indrelid
                     JOIN pg_namespace AS n ON n.oid = t.relnamespace AND n.nspname = 'public'
                    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
                     JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                    WHERE i.indisunique AND t.relname <> '_sqlx_migrations'
                    ORDER BY 1, k.place";
        let mut tx = store.db.read().await.expect("read");
        let mut expected: BTreeMap<String, String> = BTreeMap::new();
        for (index, table, column) in fetch_all!(tx, (String, String, String), sql)
            .await
            .expect("indexes")
        {
            let name = expected.entry(index).or_insert(table);
            name.push_str("__");
            name.push_str(&column);
        }
        assert!(expected.len() > 30, "all of them: {}", expected.len());
        for (name, by_rule) in expected {
            assert_eq!(name, by_rule);
        }
    });
}
