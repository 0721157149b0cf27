//! What strangers can ask for takes nothing away from the database: every answer here is given while no connection for
//! requests is free.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::RequestBuilder;
use sentinel_store::testing::Backend;
use sentinel_store::{Database, Tx, on_both_backends};
use serde_json::json;

use crate::answer::{Answer, send};
use crate::common::{As as _, TestApp};

/// How many connections a database of the tests has for requests.
const CONNECTIONS: usize = 10;

/// Takes all of them, those that write included.
async fn occupy(db: &Database, backend: Backend) -> Vec<Tx> {
    let mut taken = vec![db.begin().await.expect("writer")];
    let readers = match backend {
        Backend::SqliteMemory => CONNECTIONS,
        // One pool for both.
        Backend::PostgresRedis => CONNECTIONS - 1,
    };
    for _ in 0..readers {
        taken.push(db.read().await.expect("reader"));
    }
    taken
}

/// A token by a key that nobody has.
fn of_unknown_key() -> String {
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header = part(json!({ "alg": "RS256", "typ": "JWT", "kid": "nobody" }));
    format!(
        "{header}.{}.{}",
        part(json!({ "exp": 1 })),
        URL_SAFE_NO_PAD.encode([0; 256])
    )
}

async fn told(request: RequestBuilder) -> (u16, String) {
    let answer: Answer = send(request).await;
    (answer.status, answer.text("detail").to_owned())
}

on_both_backends! {
    async fn strangers_get_their_refusals_from_memory(store: TestStore) {
        let backend = store.backend;
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("root@example.com").await;
        let docs = json!({ "name": "Docs", "service_name": "docs", "allowed_origins": ["https://docs.example.com"] });
        let created = send(app.post("/admin/service-apps").admin(&cookie).json(&docs)).await;
        assert_eq!(created.status, 201, "{created:?}");
        // The list of origins is read for the first of them, and kept for a moment.
        let resolve = |origin: &str| {
            let body = json!({ "idp_token": "x", "provider": "demo" });
            app.post("/authz/resolve").header("origin", origin).json(&body)
        };
        let unregistered = (401, "Missing service API key or unregistered origin".to_owned());
        assert_eq!(told(resolve("https://evil.example")).await, unregistered);

        let _taken = occupy(app.app.database(), backend).await;
        assert_eq!(told(resolve("https://evil2.example")).await, unregistered);
        let path = format!("/permissions/resource/docs/document/{}", uuid::Uuid::nil());
        let page = app.get(&path).header("origin", "https://docs.example.com");
        assert_eq!(told(page).await, (401, "Service key required".to_owned()));
        let token = of_unknown_key();
        let invalid = (401, "Invalid or expired token".to_owned());
        assert_eq!(told(app.get("/users/me").bearer_auth(&token)).await, invalid);
        for token in ["x", &token] {
            assert_eq!(told(app.get("/auth/admin/me").admin(&format!("admin_token={token}"))).await, invalid);
            let refresh = app.post("/auth/refresh").json(&json!({ "refresh_token": token }));
            assert_eq!(told(refresh).await, (401, "Invalid refresh token".to_owned()));
        }
    }

    async fn a_revision_that_does_not_exist_is_refused_from_memory(store: TestStore) {
        let backend = store.backend;
        let app = TestApp::start(store).await;
        let (_, _, pair) = app.owner("ann@example.com", "acme").await;
        let (_, key) = app.service("docs").await;
        let head = app.app.database().head().await.expect("head");
        let _taken = occupy(app.app.database(), backend).await;
        let future = format!("{}.{}", head.epoch, head.number + 1);
        let user = app.get("/workspaces").bearer(&pair);
        let service = app.get("/realm/whoami").header("x-service-key", &key);
        for request in [user, service] {
            let answer = send(request.header("x-sentinel-revision", &future)).await;
            assert_eq!((answer.status, answer.text("code")), (503, "revision_not_reached"));
        }
    }

    async fn the_replica_follows_while_requests_have_every_connection(store: TestStore) {
        let other = store.another_process().await;
        let app = TestApp::start(store).await;
        let (ann, _, _) = app.owner("ann@example.com", "acme").await;
        let mut taken = Vec::new();
        for _ in 0..CONNECTIONS {
            taken.push(app.app.database().read().await.expect("reader"));
        }
        let mut tx = other.write().await.expect("tx");
        app.app.access().users.set_active(&mut tx, None, ann.id, false).await.expect("deactivated");
        let revision = tx.commit().await.expect("commit").expect("a revision");
        let replica = app.app.replica();
        assert!(replica.wait_for(revision, Duration::from_secs(30)).await);
        assert!(replica.load().is_user_disabled(ann.id));
        assert!(app.app.require_fresh().is_ok());
        drop(taken);
    }
}
