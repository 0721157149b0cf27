//! The keys that edges sign assertions with: announced over the feed by a real follower, published until the edge is revoked.

use std::time::Duration;

use sentinel_core::id::EdgeId;
use sentinel_feed::Replica;
use sentinel_store::on_both_backends;
use sentinel_token::AssertionKey;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::common::TestApp;

/// An enrolled edge that follows, and announces a key.
struct Edge {
    id: EdgeId,
    replica: Replica,
    following: JoinHandle<()>,
    _state: TempDir,
}

impl Edge {
    async fn start(app: &TestApp, name: &str, announces: AssertionKey) -> Self {
        let (id, key) = app.enrol(name).await;
        let state = tempfile::tempdir().expect("directory");
        let replica = Replica::new();
        let follower = app.follower_announcing(key, state.path(), Some(announces));
        let following = tokio::spawn(follower.run(replica.clone(), std::future::pending()));
        let edge = Self {
            id,
            replica,
            following,
            _state: state,
        };
        edge.is_in_touch().await;
        edge
    }

    async fn is_in_touch(&self) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !self.replica.is_ready() {
            assert!(tokio::time::Instant::now() < deadline, "the edge is in touch");
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.following.abort();
    }
}

fn key(number: u8) -> AssertionKey {
    AssertionKey::from_bytes([number; 32])
}

async fn document(app: &TestApp) -> Value {
    let answer = app
        .get("/.well-known/sentinel-edges/jwks.json")
        .send()
        .await
        .expect("answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["cache-control"], "public, max-age=60");
    answer.json().await.expect("json")
}

on_both_backends! {
    async fn an_edge_in_touch_has_its_key_published_until_it_is_revoked(store: TestStore) {
        let app = TestApp::start(store).await;
        assert_eq!(document(&app).await, json!({ "keys": [] }));
        let edge = Edge::start(&app, "edge-1", key(1)).await;
        assert_eq!(document(&app).await, json!({ "keys": [key(1).to_jwk("edge-1")] }));
        let other = Edge::start(&app, "edge-2", key(2)).await;
        let both = json!({ "keys": [key(1).to_jwk("edge-1"), key(2).to_jwk("edge-2")] });
        assert_eq!(document(&app).await, both);

        let mut tx = app.app.database().begin().await.expect("tx");
        app.app.access().edges.revoke(&mut tx, None, edge.id).await.expect("revoked");
        tx.commit().await.expect("commit");
        assert_eq!(document(&app).await, json!({ "keys": [key(2).to_jwk("edge-2")] }));
        drop(other);

        // Enrolled again with the key that may have been copied, it is served and not believed.
        let again = Edge::start(&app, "edge-3", key(1)).await;
        assert_eq!(document(&app).await, json!({ "keys": [key(2).to_jwk("edge-2")] }));
        drop(again);
    }

    async fn a_key_that_is_another_edges_is_not_taken_over_and_keeps_nobody_out(store: TestStore) {
        let app = TestApp::start(store).await;
        let _first = Edge::start(&app, "edge-1", key(1)).await;
        let _second = Edge::start(&app, "edge-2", key(1)).await;
        assert_eq!(document(&app).await, json!({ "keys": [key(1).to_jwk("edge-1")] }));
    }

    async fn without_the_database_no_key_is_published(store: TestStore) {
        let app = TestApp::start(store).await;
        app.app.database().close().await;
        let answer = app.get("/.well-known/sentinel-edges/jwks.json").send().await.expect("answer");
        assert_eq!(answer.status().as_u16(), 503);
    }
}
