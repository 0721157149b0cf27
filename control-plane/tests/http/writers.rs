//! Writers take turns, all users together: who may not write does not get the turn, and nobody keeps it to himself.

use std::sync::Arc;

use reqwest::Method;
use sentinel_core::WorkspaceRole;
use sentinel_store::on_both_backends;
use sentinel_store::short_lived::{Redis, RedisConfig};
use serde_json::{Value, json};

use crate::answer::send;
use crate::common::{As as _, Options, TestApp};

on_both_backends! {
    async fn whoever_may_not_write_does_not_wait_for_the_turn(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, workspace, _) = app.owner("alice@example.com", "acme").await;
        let (bob, _, elsewhere) = app.owner("bob@example.com", "other").await;
        app.member(workspace, "bob@example.com", WorkspaceRole::Editor).await;
        let editor = app.tokens(bob.id, workspace).await;
        let (base, some) = (format!("/workspaces/{workspace}"), uuid::Uuid::from_u128(7));
        let role = json!({ "role": "viewer" });
        let calls = [
            (Method::PATCH, base.clone(), json!({ "name": "Mine" })),
            (Method::DELETE, base.clone(), Value::Null),
            (Method::POST, format!("{base}/members/invite"), json!({ "email": "eve@example.com" })),
            (Method::PATCH, format!("{base}/members/{}", bob.id), role),
            (Method::DELETE, format!("{base}/members/{}", bob.id), Value::Null),
            (Method::DELETE, format!("{base}/invitations/{some}"), Value::Null),
            (Method::POST, format!("{base}/groups"), json!({ "name": "Eng" })),
            (Method::PATCH, format!("{base}/groups/{some}"), json!({ "name": "Eng" })),
            (Method::DELETE, format!("{base}/groups/{some}"), Value::Null),
            (Method::POST, format!("{base}/groups/{some}/members/{}", bob.id), Value::Null),
            (Method::DELETE, format!("{base}/groups/{some}/members/{}", bob.id), Value::Null),
        ];
        // Somebody else's turn, which does not end.
        let _turn = app.app.database().write().await.expect("turn");
        for (method, path, body) in calls {
            for (pair, detail) in [(&editor, "Insufficient role"), (&elsewhere, "Not a member of this workspace")] {
                let answer = send(app.request(method.clone(), &path).bearer(pair).json(&body)).await;
                assert_eq!(answer.problem(), (403, detail), "{method} {path}");
            }
        }
        let taken = app.post("/workspaces").bearer(&elsewhere).json(&json!({ "name": "Acme", "slug": "acme" }));
        assert_eq!(send(taken).await.problem(), (409, "A workspace with this slug already exists"));
    }

    async fn what_a_user_changes_is_counted_wherever_it_is(store: TestStore) {
        let app = TestApp::start_with(store, Options { writes_per_minute: 12, ..Options::default() }).await;
        let (alice, workspace, pair) = app.owner("alice@example.com", "acme").await;
        let (_, _, other) = app.owner("bob@example.com", "other").await;
        let (base, some) = (format!("/workspaces/{workspace}"), uuid::Uuid::from_u128(7));
        let nobody = format!("{base}/members/{some}");
        let calls = [
            (Method::PATCH, "/users/me".to_owned(), json!({ "name": "Alice" }), 200),
            (Method::POST, "/workspaces".to_owned(), json!({ "name": "New", "slug": "new" }), 201),
            (Method::PATCH, base.clone(), json!({ "name": "Acme" }), 200),
            (Method::POST, format!("{base}/members/invite"), json!({ "email": "eve@example.com" }), 202),
            (Method::PATCH, nobody.clone(), json!({ "role": "viewer" }), 404),
            (Method::DELETE, nobody, Value::Null, 404),
            (Method::DELETE, format!("{base}/invitations/{some}"), Value::Null, 404),
            (Method::POST, format!("{base}/groups"), json!({ "name": "Eng" }), 201),
            (Method::PATCH, format!("{base}/groups/{some}"), json!({ "name": "Eng" }), 404),
            (Method::DELETE, format!("{base}/groups/{some}"), Value::Null, 404),
            (Method::POST, format!("{base}/groups/{some}/members/{}", alice.id), Value::Null, 404),
            (Method::DELETE, format!("{base}/groups/{some}/members/{}", alice.id), Value::Null, 404),
        ];
        for (method, path, body, status) in calls {
            let answer = send(app.request(method.clone(), &path).bearer(&pair).json(&body)).await;
            assert_eq!(answer.status, status, "{method} {path} {answer:?}");
        }
        let rename = |pair| app.request(Method::PATCH, "/users/me").bearer(pair).json(&json!({ "name": "A" }));
        let limited = rename(&pair).send().await.expect("answer");
        assert_eq!(limited.status().as_u16(), 429);
        assert_eq!(limited.headers()["retry-after"], "60");
        let delete = send(app.request(Method::DELETE, &base).bearer(&pair)).await;
        assert_eq!((delete.status, delete.text("code")), (429, "too_many_requests"));
        assert_eq!(send(app.get("/users/me").bearer(&pair)).await.status, 200, "looking is no change");
        assert_eq!(send(rename(&other)).await.status, 200, "another user is counted by himself");
        app.clock.advance(std::time::Duration::from_mins(1));
        assert_eq!(send(rename(&pair)).await.status, 200);
    }

    async fn writing_goes_on_without_the_short_lived_store(store: TestStore) {
        // Nobody listens there.
        let away = Redis::new(&RedisConfig::new("redis://127.0.0.1:1")).expect("url");
        let options = Options { writes_per_minute: 1, short_lived: Some(Arc::new(away)), ..Options::default() };
        let app = TestApp::start_with(store, options).await;
        let (_, _, pair) = app.owner("alice@example.com", "acme").await;
        for slug in ["one", "two"] {
            let create = app.post("/workspaces").bearer(&pair).json(&json!({ "name": "New", "slug": slug }));
            assert_eq!(send(create).await.status, 201);
        }
    }
}
