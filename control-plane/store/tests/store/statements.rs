//! One statement text, two databases, the same answers: the traps that differ between them, one by one.

use chrono::{DateTime, Duration, Utc};
use sentinel_core::{Clock as _, SystemClock};
use sentinel_store::{
    Sql, StoreError, Texts, Tx, Uuids, execute, fetch_all, fetch_one, fetch_optional, fetch_scalar,
    fetch_scalar_all, fetch_scalar_optional, on_both_backends, sql_any_text, sql_any_uuid, sql_for_update,
};
use sqlx::types::Json;
use uuid::Uuid;

use crate::id;

#[derive(Debug, PartialEq, sqlx::FromRow)]
struct App {
    id: Uuid,
    name: String,
    allowed_origins: Json<Vec<String>>,
    is_active: bool,
    created_by: Option<Uuid>,
    created_at: DateTime<Utc>,
}

const INSERT_APP: &str = "INSERT INTO service_apps
        (id, name, service_name, allowed_origins, allowed_idp_audiences, is_active, created_by, created_at, updated_at)
    VALUES ($1, $2, $2, $3, $3, $4, NULL, $5, $5) RETURNING *";

const BY_ID: Sql = sql_any_uuid!(
    "SELECT name FROM service_apps WHERE id",
    1,
    "AND is_active = $2 ORDER BY name"
);

const BY_NAME: Sql = sql_any_text!("SELECT name FROM service_apps WHERE name", 1, "ORDER BY name");

const FIND: &str = "SELECT name FROM service_apps
    WHERE (CAST($1 AS TEXT) IS NULL OR lower(name) LIKE $1) ORDER BY name LIMIT $2 OFFSET $3";

const LOCKED: Sql = sql_for_update!("SELECT name FROM service_apps WHERE id = $1");

async fn app(tx: &mut Tx, name: &str, at: DateTime<Utc>) -> App {
    let origins = Json(vec!["https://a.example".to_owned()]);
    fetch_one!(tx, App, INSERT_APP, id(), name, origins, true, at)
        .await
        .expect("insert")
}

on_both_backends! {
    async fn every_type_survives_a_round_trip(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let at = SystemClock.now();
        let inserted = app(&mut tx, "docs", at).await;
        assert_eq!(inserted.created_at, at, "the clock's microseconds are kept");
        assert_eq!(inserted.allowed_origins.0, ["https://a.example"]);
        assert!(inserted.is_active && inserted.created_by.is_none());
        let digest = vec![0_u8, 255, 7];
        execute!(
            tx,
            "INSERT INTO service_keys (id, service_app_id, slot, digest, prefix, created_at)
             VALUES ($1, $2, 1, $3, 'sk', $4)",
            id(), inserted.id, &digest, at,
        )
        .await
        .expect("insert");
        tx.commit().await.expect("commit");

        let mut tx = store.db.read().await.expect("read");
        let found = fetch_optional!(
            tx,
            App,
            "SELECT * FROM service_apps WHERE service_name = $1",
            "docs"
        )
        .await;
        assert_eq!(found.expect("select"), Some(inserted));
        let found = fetch_optional!(
            tx,
            App,
            "SELECT * FROM service_apps WHERE service_name = $1",
            "no"
        )
        .await;
        assert_eq!(found.expect("select"), None);
        let key = "SELECT digest FROM service_keys WHERE digest = $1";
        assert_eq!(
            fetch_scalar!(tx, Vec<u8>, key, &digest).await.expect("bytes"),
            digest
        );
        let none = fetch_scalar_optional!(tx, Vec<u8>, key, &digest[..1])
            .await
            .expect("bytes");
        assert_eq!(none, None);
    }

    async fn times_compare_as_times_whatever_their_fraction(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let whole = DateTime::<Utc>::from_timestamp(1_800_000_000, 0).expect("in range");
        let moments = [0, 1, 500, 999, 1_000, 500_000, 999_999, 1_000_000]
            .map(|micros| whole + Duration::microseconds(micros));
        for (n, at) in moments.iter().enumerate() {
            app(&mut tx, &format!("app-{n}"), *at).await;
        }
        let sorted = fetch_scalar_all!(
            tx,
            DateTime<Utc>,
            "SELECT created_at FROM service_apps ORDER BY created_at"
        );
        assert_eq!(sorted.await.expect("select"), moments);
        for (n, at) in moments.iter().enumerate() {
            let until = "SELECT COUNT(*) FROM service_apps WHERE created_at <= $1";
            assert_eq!(
                fetch_scalar!(tx, i64, until, at).await.expect("count"),
                i64::try_from(n + 1).expect("few")
            );
        }
    }

    async fn whole_numbers_are_wide(store: TestStore) {
        let mut tx = store.db.read().await.expect("read");
        let wide: (i64, i64) = fetch_one!(tx, (i64, i64), "SELECT CAST(0 AS BIGINT), COUNT(*) FROM users")
            .await
            .expect("select");
        assert_eq!(wide, (0, 0));
        let sum = fetch_scalar!(
            tx,
            i64,
            "SELECT CAST(SUM(revision) AS BIGINT) FROM replication_head"
        )
        .await;
        assert_eq!(sum.expect("sum"), 0);
        let big = fetch_scalar!(tx, i64, "SELECT CAST($1 AS BIGINT)", i64::MAX).await;
        assert_eq!(big.expect("echo"), i64::MAX);
    }

    async fn placeholders_repeat_and_come_in_any_order(store: TestStore) {
        let mut tx = store.db.read().await.expect("read");
        let row: (String, String, String) = fetch_one!(
            tx,
            (String, String, String),
            "SELECT CAST($2 AS TEXT), CAST($1 AS TEXT), CAST($2 AS TEXT)",
            "a",
            "b",
        )
        .await
        .expect("select");
        assert_eq!(row, ("b".into(), "a".into(), "b".into()));
    }

    async fn a_missing_value_is_an_error_and_not_null(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let missing =
            fetch_scalar_all!(tx, Uuid, "SELECT id FROM users WHERE id = $1 OR id = $2", id()).await;
        assert!(matches!(
            missing,
            Err(StoreError::Placeholders {
                expected: 2,
                given: 1,
                ..
            })
        ));
        assert!(matches!(tx.commit().await, Err(StoreError::Poisoned)));
    }

    async fn lists_are_one_value(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let at = SystemClock.now();
        let mut ids = Vec::new();
        for name in ["a", "b'\"\\", "c,é"] {
            ids.push(app(&mut tx, name, at).await.id);
        }
        let two: Uuids = ids.iter().copied().take(2).collect();
        assert_eq!(
            fetch_scalar_all!(tx, String, BY_ID, &two, true)
                .await
                .expect("by id"),
            ["a", "b'\"\\"]
        );
        let none = Uuids::default();
        assert!(
            fetch_scalar_all!(tx, String, BY_ID, none, true)
                .await
                .expect("none")
                .is_empty()
        );
        let names: Texts = ["b'\"\\", "c,é", "absent"].into_iter().collect();
        assert_eq!(
            fetch_scalar_all!(tx, String, BY_NAME, names)
                .await
                .expect("by name"),
            ["b'\"\\", "c,é"]
        );
    }

    async fn an_optional_filter_is_one_text(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        for name in ["Alpha", "beta"] {
            app(&mut tx, name, SystemClock.now()).await;
        }
        let all = fetch_scalar_all!(tx, String, FIND, None::<&str>, 10_i64, 0_i64)
            .await
            .expect("all");
        assert_eq!(all.len(), 2);
        let some = fetch_scalar_all!(tx, String, FIND, Some("alp%"), 10_i64, 0_i64)
            .await
            .expect("some");
        assert_eq!(some, ["Alpha"]);
    }

    async fn keyset_pages_conflicts_and_locks_are_one_text(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let at = SystemClock.now();
        let first = app(&mut tx, "a", at).await;
        app(&mut tx, "b", at).await;
        let page = "SELECT name FROM service_apps WHERE (created_at, id) > ($1, $2) ORDER BY created_at, id";
        let rest = fetch_scalar_all!(tx, String, page, at, first.id)
            .await
            .expect("page");
        assert!(rest.len() <= 1 && !rest.contains(&"a".to_owned()));
        let touched = execute!(
            tx,
            "INSERT INTO service_apps SELECT * FROM service_apps WHERE true ON CONFLICT (id) DO NOTHING",
        )
        .await
        .expect("upsert");
        assert_eq!(touched, 0);
        assert_eq!(
            fetch_scalar!(tx, String, LOCKED, first.id).await.expect("locked"),
            "a"
        );
        let renamed = "UPDATE service_apps SET name = $2 WHERE id = $1 RETURNING *";
        let rows = fetch_all!(tx, App, renamed, first.id, "z")
            .await
            .expect("returning");
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].name, "z");
    }

    async fn texts_sort_compare_and_fold_by_bytes(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let mut names = ["a-b", "ab", "B", "a_b", "A", "ä", "Ä", "z", "Z", "a b"].map(str::to_owned);
        for name in &names {
            app(&mut tx, name, SystemClock.now()).await;
        }
        names.sort();
        let sorted = fetch_scalar_all!(tx, String, "SELECT name FROM service_apps ORDER BY name")
            .await
            .expect("sorted");
        assert_eq!(sorted, names);
        let after = fetch_scalar_all!(
            tx,
            String,
            "SELECT name FROM service_apps WHERE name > $1 ORDER BY name",
            "a b"
        );
        assert_eq!(
            after.await.expect("page"),
            names[names.iter().position(|name| name == "a b").expect("in it") + 1..]
        );
        let folded = fetch_scalar!(
            tx,
            String,
            "SELECT lower(name) FROM service_apps WHERE name = $1",
            "Ä"
        )
        .await;
        assert_eq!(
            folded.expect("folded"),
            "Ä",
            "only ASCII has lower case here: fold in the program"
        );
    }

    async fn a_value_of_the_wrong_type_is_refused(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        let insert = "INSERT INTO revocations (kind, id, until, created_at) VALUES ('token', $1, $2, $2)";
        let wrong = execute!(tx, insert, id().to_string(), SystemClock.now()).await;
        assert!(matches!(wrong, Err(StoreError::Other(_))), "a text is no id");
    }
}
