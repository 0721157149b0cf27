//! The own replica and the feed: what one control plane writes the other knows, and so do the edges; and what cannot be
//! known is not answered.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::Revision;
use sentinel_feed::{Digest, Replica, ReplicaState};
use sentinel_store::testing::TestStore;
use sentinel_store::{Mark, Redis, RedisConfig, execute, on_both_backends};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::{As, Options, TestApp};

/// Waits for a condition, and gives up loudly.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
}

/// The digest of what the tables say, which the replica must have reached by applying changes.
pub(crate) async fn digest_of_tables(app: &TestApp) -> Digest {
    let mut tx = app.app.database().read().await.expect("tx");
    let head = tx.head().await.expect("head");
    let mut facts = sentinel_access::facts(&mut tx).await.expect("facts");
    facts.extend(sentinel_identity::facts(&mut tx).await.expect("facts"));
    ReplicaState::from_snapshot(head, facts)
        .expect("facts are a state")
        .digest()
}

async fn status(request: reqwest::RequestBuilder) -> u16 {
    request.send().await.expect("answer").status().as_u16()
}

/// As after a restored backup to which something else was written at once: everything after `back` was never so, and up to
/// revision `number` other things were.
pub(crate) async fn replace_history(app: &TestApp, back: Mark, number: u64) -> Revision {
    let until = app.app.now() + Duration::from_hours(1);
    let mut tx = app.app.database().begin().await.expect("tx");
    let as_number = |number: u64| i64::try_from(number).expect("small");
    execute!(tx, "DELETE FROM revocations")
        .await
        .expect("rolled back");
    let log = "DELETE FROM change_log WHERE revision > $1";
    execute!(tx, log, as_number(back.revision.number))
        .await
        .expect("rolled back");
    let (mut chain, mut revision) = (back.chain, back.revision);
    for number in back.revision.number + 1..=number {
        let token = Uuid::from_u128(number.into());
        revision = Revision { number, ..revision };
        let line = format!("+revoked-token {token} {}", until.timestamp_micros());
        chain = chain.next(revision, &line);
        let insert = "INSERT INTO revocations (kind, id, until, created_at) VALUES ('token', $1, $2, $2)";
        execute!(tx, insert, token, until).await.expect("written");
        let insert = "INSERT INTO change_log (revision, changes, chain, created_at) VALUES ($1, $2, $3, $4)";
        execute!(
            tx,
            insert,
            as_number(number),
            line,
            chain.as_bytes().to_vec(),
            until
        )
        .await
        .expect("written");
    }
    let head = "UPDATE replication_head SET revision = $1, chain = $2 WHERE id = 1";
    execute!(tx, head, as_number(revision.number), chain.as_bytes().to_vec())
        .await
        .expect("written");
    tx.commit().await.expect("commit");
    revision
}

/// A running control plane and an edge are given another history, which has so many revisions more than the one they know.
async fn replaced(store: TestStore, more: u64) {
    let app = TestApp::start(store).await;
    let (_, key) = app.enrol("edge").await;
    let (directory, replica) = (tempfile::tempdir().expect("directory"), Replica::new());
    let follower = app.follower(key, directory.path());
    let following = tokio::spawn(follower.run(replica.clone(), std::future::pending()));
    let mut users = Vec::new();
    for name in ["ann", "bob", "eve"] {
        users.push(app.owner(&format!("{name}@example.com"), name).await.0.id);
    }
    let back = app.app.database().read().await.expect("tx").mark().await;
    for user in &users[..2] {
        let ended = app.app.sessions.logout(*user, None).await;
        ended.expect("logged out").expect("a change");
    }
    app.settle().await;
    let old = app.app.replica().load_full();
    assert!(
        replica.wait_for(old.revision(), Duration::from_secs(10)).await,
        "the edge is told"
    );

    let head = replace_history(&app, back.expect("mark"), old.revision().number + more).await;
    let tables = digest_of_tables(&app).await;
    assert_ne!(tables, old.digest());
    let is_new = |replica: &Replica| {
        let state = replica.load();
        state.revision() == head && state.digest() == tables
    };
    eventually("the control plane has the new history", async || {
        is_new(app.app.replica())
    })
    .await;
    eventually("the edge has the new history", async || is_new(&replica)).await;
    eventually("the edge is in touch", async || replica.is_ready()).await;
    app.settle().await;
    let ended = app.app.sessions.logout(users[2], None).await;
    let revision = ended.expect("logged out").expect("a change");
    assert!(
        replica.wait_for(revision, Duration::from_secs(10)).await,
        "and it goes on"
    );
    assert_eq!(replica.load().digest(), digest_of_tables(&app).await);
    following.abort();
}

on_both_backends! {
    async fn a_replica_that_followed_equals_one_that_was_loaded(store: TestStore) {
        let app = TestApp::start(store).await;
        let (ann, workspace, pair) = app.owner("ann@example.com", "acme").await;
        app.service("docs").await;
        app.app.keys.rotate().await.expect("rotated");
        app.user("bob@example.com").await;
        app.member(workspace, "bob@example.com", sentinel_core::WorkspaceRole::Editor).await;
        let mut tx = app.app.database().write().await.expect("tx");
        app.app.access().users.set_active(&mut tx, None, ann.id, false).await.expect("deactivated");
        tx.commit().await.expect("commit");
        app.app.sessions.logout(ann.id, None).await.expect("logged out");
        app.clock.advance(Duration::from_hours(2));
        app.app.sessions.sweep().await.expect("swept");
        app.settle().await;
        assert_eq!(app.app.replica().load().digest(), digest_of_tables(&app).await);
        assert_eq!(status(app.get("/users/me").bearer(&pair)).await, 401);
    }

    async fn what_one_control_plane_ends_the_other_refuses(store: TestStore) {
        let other = store.another_process().await;
        let (clock, short_lived) = (Arc::clone(&store.clock), Arc::clone(&store.short_lived));
        let first = TestApp::start(store).await;
        let second = TestApp::beside(&first, other, short_lived, clock, Options::default()).await;
        let (_, _, pair) = first.owner("ann@example.com", "acme").await;
        // The token was minted a moment ago by the other one: the answer waits for its revision.
        assert_eq!(status(second.get("/users/me").bearer(&pair)).await, 200);
        let out = first.post("/auth/logout").bearer(&pair).send().await.expect("answer");
        let revision = out.headers()["x-sentinel-revision"].clone();
        let asked = second.get("/users/me").bearer(&pair).header("x-sentinel-revision", revision);
        assert_eq!(status(asked).await, 401);
        let refresh = second.post("/auth/refresh").json(&json!({ "refresh_token": pair.refresh }));
        assert_eq!(status(refresh).await, 401);
    }

    async fn a_new_history_is_loaded_anew(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, _, pair) = app.owner("ann@example.com", "acme").await;
        let begun = app.app.database().begin_new_epoch().await.expect("epoch");
        app.settle().await;
        assert!(app.app.replica().load().revision() >= begun);
        assert_eq!(app.app.replica().load().digest(), digest_of_tables(&app).await);
        assert_eq!(status(app.get("/users/me").bearer(&pair)).await, 200);
    }

    async fn a_database_that_has_lost_commits_is_loaded_anew(store: TestStore) {
        let app = TestApp::start(store).await;
        let (ann, _, _) = app.owner("ann@example.com", "acme").await;
        app.settle().await;
        let kept = app.app.replica().load().revision();
        let lost = app.app.sessions.logout(ann.id, None).await.expect("logged out").expect("a change");
        app.settle().await;
        assert!(app.app.replica().load().revision() >= lost);
        // As a failover to a replica that was behind does: the same epoch, fewer revisions.
        let mut tx = app.app.database().begin().await.expect("tx");
        let number = i64::try_from(kept.number).expect("small");
        execute!(tx, "DELETE FROM revocations").await.expect("rolled back");
        execute!(tx, "DELETE FROM change_log WHERE revision > $1", number).await.expect("rolled back");
        execute!(tx, "UPDATE replication_head SET revision = $1 WHERE id = 1", number).await.expect("rolled back");
        tx.commit().await.expect("commit");
        eventually("the replica goes back", async || app.app.replica().load().revision() == kept).await;
        app.settle().await;
        assert_eq!(app.app.replica().load().digest(), digest_of_tables(&app).await);
    }

    async fn a_history_that_was_replaced_is_not_gone_on_in(store: TestStore) {
        replaced(store, 3).await;
    }

    async fn a_history_of_as_many_revisions_is_another_one_all_the_same(store: TestStore) {
        replaced(store, 0).await;
    }

    async fn without_the_database_nothing_is_answered_from_memory(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, _, pair) = app.owner("ann@example.com", "acme").await;
        let (_, key) = app.service("docs").await;
        app.app.database().close().await;
        eventually("503 for a user", async || {
            // What five seconds without the database come to, without waiting for them.
            app.app.replica().distrust();
            status(app.get("/users/me").bearer(&pair)).await == 503
        })
        .await;
        app.app.replica().distrust();
        let check = app.post("/permissions/check").header("x-service-key", &key).bearer(&pair).json(&json!({ "checks": [] }));
        assert_eq!(status(check).await, 503);
        let ready = app.http.get(format!("{}/readyz", app.operations)).send().await.expect("answer");
        assert_eq!(ready.status().as_u16(), 503);
        assert_eq!(status(app.get("/health")).await, 200, "the process lives");
        assert_eq!(status(app.get("/.well-known/jwks.json")).await, 503);
    }

    async fn without_the_short_lived_store_nobody_logs_in_and_everything_else_goes_on(store: TestStore) {
        let provider = crate::common::oidc::Provider::start(Arc::clone(&store.clock)).await;
        // Nobody listens there.
        let away = Redis::new(&RedisConfig::new("redis://127.0.0.1:1")).expect("url");
        let options = Options {
            providers: vec![provider.settings("demo")],
            short_lived: Some(Arc::new(away)),
            ..Options::default()
        };
        let app = TestApp::start_with(store, options).await;
        app.client_app("spa", &["https://spa.example.com/cb"]).await;
        let (_, _, pair) = app.owner("ann@example.com", "acme").await;
        let (_, key) = app.service("docs").await;
        let login = app.get("/auth/login/demo").query(&[
            ("redirect_uri", "https://spa.example.com/cb"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ]);
        assert_eq!(status(login).await, 503);
        assert_eq!(status(app.get("/users/me").bearer(&pair)).await, 200);
        let refreshed = app.post("/auth/refresh").json(&json!({ "refresh_token": pair.refresh }));
        assert_eq!(status(refreshed).await, 200);
        let check = app.post("/permissions/check").header("x-service-key", &key).bearer(&pair).json(&json!({ "checks": [] }));
        assert_eq!(status(check).await, 200);
        assert_eq!(status(app.post("/auth/logout").bearer(&pair)).await, 200);
        let ready = app.http.get(format!("{}/readyz", app.operations)).send().await.expect("answer");
        assert_eq!(ready.status().as_u16(), 200, "the rest is worth asking");
        let ready: Value = ready.json().await.expect("json");
        assert_eq!((&ready["short_lived"]["ok"], &ready["database"]["ok"]), (&json!(false), &json!(true)));
    }

    async fn an_edge_follows_over_the_same_port_until_its_key_is_withdrawn(store: TestStore) {
        let app = TestApp::start(store).await;
        let (edge, key) = app.enrol("edge").await;
        let directory = tempfile::tempdir().expect("directory");
        let replica = Replica::new();
        let following = tokio::spawn(app.follower(key, directory.path()).run(replica.clone(), std::future::pending()));
        let (user, _, _) = app.owner("ann@example.com", "acme").await;
        let revision = app.app.sessions.logout(user.id, None).await.expect("logged out").expect("a change");
        assert!(replica.wait_for(revision, Duration::from_secs(10)).await, "the edge is told");
        eventually("the edge is in touch", async || replica.is_ready()).await;
        assert_eq!(replica.load().digest(), digest_of_tables(&app).await);

        let mut tx = app.app.database().begin().await.expect("tx");
        app.app.access().edges.revoke(&mut tx, None, edge).await.expect("revoked");
        tx.commit().await.expect("commit");
        eventually("the edge is cut off", async || {
            replica.age().is_none_or(|age| age > Duration::from_secs(1))
        })
        .await;
        following.abort();
    }
}
