//! Tokens over HTTP: refresh, reuse, logout, revocation on the control plane's own endpoints, the admin cookie.

use std::time::Duration;

use sentinel_core::WorkspaceRole;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};

use crate::common::{As, Pair, TestApp};

async fn refresh(app: &TestApp, token: &str) -> (u16, Value) {
    let response = app
        .post("/auth/refresh")
        .json(&json!({ "refresh_token": token }))
        .send()
        .await
        .expect("answer");
    (response.status().as_u16(), response.json().await.expect("json"))
}

fn pair(body: &Value) -> Pair {
    Pair {
        access: body["access_token"].as_str().expect("token").to_owned(),
        refresh: body["refresh_token"].as_str().expect("token").to_owned(),
    }
}

async fn me(app: &TestApp, pair: &Pair) -> (u16, Value) {
    let response = app.get("/users/me").bearer(pair).send().await.expect("answer");
    (response.status().as_u16(), response.json().await.expect("json"))
}

on_both_backends! {
    async fn a_refresh_token_works_once_and_its_reuse_ends_the_session(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, _, first) = app.owner("ann@example.com", "acme").await;
        let (status, body) = refresh(&app, &first.refresh).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!((body["token_type"].as_str(), body["expires_in"].as_u64()), (Some("bearer"), Some(900)));
        let second = pair(&body);
        assert_eq!(me(&app, &second).await.0, 200);
        assert_eq!(me(&app, &first).await.0, 200, "the access token before goes on");
        let (status, again) = refresh(&app, &first.refresh).await;
        assert_eq!((status, &again["refresh_token"]), (200, &body["refresh_token"]), "the answer may have been lost");

        let (status, body) = refresh(&app, &first.refresh).await;
        assert_eq!((status, body["detail"].as_str()), (401, Some("Invalid refresh token")));
        app.settle().await;
        for pair in [&first, &second, &pair(&again)] {
            let (status, body) = me(&app, pair).await;
            assert_eq!((status, body["detail"].as_str()), (401, Some("Token has been revoked")));
        }
        assert_eq!(refresh(&app, &second.refresh).await.0, 401, "the whole family is over");
    }

    async fn logging_out_ends_every_session_at_once(store: TestStore) {
        let app = TestApp::start(store).await;
        let (user, workspace, first) = app.owner("ann@example.com", "acme").await;
        let second = app.tokens(user.id, workspace).await;
        let (bob, _, others) = app.owner("bob@example.com", "other").await;
        let response = app.post("/auth/logout").bearer(&first).send().await.expect("answer");
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["clear-site-data"], "\"cookies\", \"storage\"");
        let revision = response.headers()["x-sentinel-revision"].to_str().expect("text").to_owned();
        assert_eq!(revision, app.app.database().head().await.expect("head").to_string());
        assert_eq!(response.json::<Value>().await.expect("json"), json!({ "ok": true }));
        // The answer came after the own replica knew, so nothing is waited for here.
        for pair in [&first, &second] {
            assert_eq!(me(&app, pair).await.0, 401);
            assert_eq!(refresh(&app, &pair.refresh).await.0, 401);
        }
        assert_eq!(me(&app, &others).await.0, 200);
        assert_ne!(bob.id, user.id);
    }

    async fn bad_bearers_are_401_with_a_challenge(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, _, good) = app.owner("ann@example.com", "acme").await;
        let long = "a".repeat(9000);
        let (head, tail) = good.access.rsplit_once('.').expect("parts");
        let unsigned = format!("{head}.");
        let swapped = format!("{head}.{}", tail.chars().rev().collect::<String>());
        for (token, detail) in [
            ("", "Missing Bearer token"),
            (long.as_str(), "Token too large"),
            ("abc", "Invalid or expired token"),
            (unsigned.as_str(), "Invalid or expired token"),
            (swapped.as_str(), "Invalid or expired token"),
            (good.refresh.as_str(), "Invalid or expired token"),
        ] {
            let response = app.get("/users/me").bearer_auth(token).send().await.expect("answer");
            assert_eq!(response.status().as_u16(), 401, "{detail}");
            assert!(response.headers()["www-authenticate"].to_str().expect("text").starts_with("Bearer"));
            let body: Value = response.json().await.expect("json");
            assert_eq!(body["detail"], detail);
        }
        let twice = app.get("/users/me").bearer(&good).bearer(&good).send().await.expect("answer");
        assert_eq!(twice.status().as_u16(), 400);
    }

    async fn an_access_token_is_over_at_its_last_second(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, _, pair) = app.owner("ann@example.com", "acme").await;
        app.clock.advance(Duration::from_secs(899));
        assert_eq!(me(&app, &pair).await.0, 200);
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(me(&app, &pair).await.0, 401);
        assert_eq!(refresh(&app, &pair.refresh).await.0, 200);
    }

    async fn a_deactivated_user_is_refused_at_once(store: TestStore) {
        let app = TestApp::start(store).await;
        let (user, _, pair) = app.owner("ann@example.com", "acme").await;
        let mut tx = app.app.database().write().await.expect("tx");
        app.app.access().users.set_active(&mut tx, None, user.id, false).await.expect("deactivated");
        tx.commit().await.expect("commit");
        app.settle().await;
        let (status, body) = me(&app, &pair).await;
        assert_eq!((status, body["detail"].as_str()), (401, Some("User account is deactivated")));
        assert_eq!(refresh(&app, &pair.refresh).await.0, 401);
    }

    async fn who_was_removed_cannot_refresh(store: TestStore) {
        let app = TestApp::start(store).await;
        let (ann, workspace, _) = app.owner("ann@example.com", "acme").await;
        let bob = app.user("bob@example.com").await;
        app.member(workspace, "bob@example.com", WorkspaceRole::Viewer).await;
        let pair = app.tokens(bob.id, workspace).await;
        let by = sentinel_access::members::Authority::of_administrator(workspace, Some(ann.id));
        let mut tx = app.app.database().write().await.expect("tx");
        app.app.access().members.remove(&mut tx, &by, bob.id).await.expect("removed");
        tx.commit().await.expect("commit");
        assert_eq!(refresh(&app, &pair.refresh).await.0, 401);
    }

    async fn a_rotated_key_still_verifies_what_it_signed(store: TestStore) {
        let app = TestApp::start(store).await;
        let (user, workspace, before) = app.owner("ann@example.com", "acme").await;
        app.app.keys.rotate().await.expect("rotated");
        let after = app.tokens(user.id, workspace).await;
        // The new token names a key that the replica may not have yet: it is waited for.
        assert_eq!(me(&app, &after).await.0, 200);
        assert_eq!(me(&app, &before).await.0, 200);
        assert_eq!(refresh(&app, &before.refresh).await.0, 200);
    }

    async fn the_admin_cookie_is_checked_in_the_database_at_every_request(store: TestStore) {
        let app = TestApp::start(store).await;
        let (admin, cookie) = app.admin("root@example.com").await;
        app.admin("another@example.com").await;
        let get = || app.get("/auth/admin/me").header("cookie", &cookie).send();
        let body: Value = get().await.expect("answer").json().await.expect("json");
        assert_eq!(body["email"], "root@example.com");

        let no_csrf = app.post("/auth/admin/logout").header("cookie", &cookie).send().await.expect("answer");
        assert_eq!(no_csrf.status().as_u16(), 403);
        let body: Value = no_csrf.json().await.expect("json");
        assert_eq!(body["detail"], "Missing X-Requested-With header");

        let mut tx = app.app.database().write().await.expect("tx");
        app.app.access().users.set_admin(&mut tx, None, admin.id, false).await.expect("demoted");
        tx.commit().await.expect("commit");
        let refused: Value = get().await.expect("answer").json().await.expect("json");
        assert_eq!(refused["detail"], "Admin privileges revoked");

        let mut tx = app.app.database().write().await.expect("tx");
        app.app.access().users.set_admin(&mut tx, None, admin.id, true).await.expect("promoted");
        tx.commit().await.expect("commit");
        let out = app.post("/auth/admin/logout").admin(&cookie).send().await.expect("answer");
        assert_eq!(out.status().as_u16(), 200);
        assert!(out.headers()["set-cookie"].to_str().expect("text").contains("admin_token=; HttpOnly; Max-Age=0"));
        let refused: Value = get().await.expect("answer").json().await.expect("json");
        assert_eq!(refused["detail"], "Token has been revoked");
    }

    async fn an_admin_cookie_is_no_access_token_and_the_other_way_round(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("root@example.com").await;
        let (_, _, pair) = app.owner("ann@example.com", "acme").await;
        let token = cookie.trim_start_matches("admin_token=");
        let response = app.get("/users/me").bearer_auth(token).send().await.expect("answer");
        assert_eq!(response.status().as_u16(), 401);
        for token in [&pair.access, &pair.refresh] {
            let cookie = format!("admin_token={token}");
            let response = app.get("/auth/admin/me").header("cookie", cookie).send().await.expect("answer");
            assert_eq!(response.status().as_u16(), 401);
        }
    }

    async fn a_request_may_ask_for_a_revision(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, _, pair) = app.owner("ann@example.com", "acme").await;
        let head = app.app.database().head().await.expect("head");
        let get = |revision: String| app.get("/users/me").bearer(&pair).header("x-sentinel-revision", revision).send();
        assert_eq!(get(head.to_string()).await.expect("answer").status().as_u16(), 200);
        let future = format!("{}.{}", head.epoch, head.number + 1);
        assert_eq!(get(future).await.expect("answer").status().as_u16(), 503);
        assert_eq!(get("latest".into()).await.expect("answer").status().as_u16(), 400);
    }
}
