//! Invitations over HTTP: what the inviter and the administrator see, and what becomes of one at the sign-in.

use std::time::Duration;

use reqwest::Method;
use sentinel_core::WorkspaceRole::Admin;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};

use crate::answer::{is_moment, members, send};
use crate::common::oidc::{Person, Twist};
use crate::common::{As, TestApp};
use crate::login::{REDIRECT, VERIFIER, code_of, start, to_callback};

on_both_backends! {
    async fn an_invitation_waits_is_listed_and_taken_back(store: TestStore) {
        let app = TestApp::start(store).await;
        let (alice, workspace, owner) = app.owner("alice@example.com", "acme").await;
        let base = format!("/workspaces/{workspace}");
        let invite = |body: Value| send(app.post(&format!("{base}/members/invite")).bearer(&owner).json(&body));
        let invited = invite(json!({ "email": " Bob@Example.com ", "role": "editor" })).await;
        assert_eq!(invited.status, 202);
        assert_eq!(members(&invited.body), ["created_at", "email", "expires_at", "id", "invited_by", "role", "status"]);
        assert_eq!((invited.text("status"), invited.text("email"), invited.text("role")), ("pending", "Bob@Example.com", "editor"));
        assert_eq!(invited.text("invited_by"), alice.id.to_string());
        assert!(is_moment(&invited.body["created_at"]) && is_moment(&invited.body["expires_at"]), "{invited:?}");
        let again = invite(json!({ "email": "bob@example.com" })).await;
        assert_eq!(again.problem(), (409, "An invitation for this address is already pending"));
        assert_eq!(again.text("code"), "already_invited");
        assert_eq!(invite(json!({ "email": "not an address" })).await.status, 422);

        let list = || send(app.get(&format!("{base}/invitations")).bearer(&owner));
        assert_eq!(list().await.body, json!([invited.body]));
        let one = format!("{base}/invitations/{}", invited.text("id"));
        let revoke = || send(app.request(Method::DELETE, &one).bearer(&owner));
        assert_eq!(revoke().await.status, 204);
        assert_eq!(revoke().await.problem(), (404, "Invitation not found"));
        assert_eq!(list().await.body, json!([]));
        assert_eq!(invite(json!({ "email": "bob@example.com" })).await.status, 202, "anew");
        app.clock.advance(Duration::from_hours(7 * 24));
        let owner = app.tokens(alice.id, workspace).await;
        let later = send(app.get(&format!("{base}/invitations")).bearer(&owner)).await;
        assert_eq!(later.body, json!([]), "a week later");
    }

    async fn an_administrator_invites_whom_he_likes(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, workspace, owner) = app.owner("alice@example.com", "acme").await;
        let (root, cookie) = app.admin("root@example.com").await;
        app.user("bob@example.com").await;
        let path = format!("/admin/workspaces/{workspace}/members/invite");
        let invite = |body: Value| send(app.post(&path).admin(&cookie).json(&body));
        let at_once = invite(json!({ "email": "bob@example.com" })).await;
        assert_eq!((at_once.status, &at_once.body), (201, &json!({ "status": "ok" })));
        let waits = invite(json!({ "email": "carol@example.com", "role": "owner" })).await;
        assert_eq!((waits.status, waits.text("status")), (202, "pending"));
        assert_eq!(waits.text("invited_by"), root.id.to_string());
        assert_eq!(invite(json!({ "email": "carol@example.com" })).await.status, 409);
        let listed = send(app.get(&format!("/workspaces/{workspace}/invitations")).bearer(&owner)).await;
        assert_eq!(listed.body, json!([waits.body]));
    }

    async fn the_first_verified_login_accepts(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        let (_, workspace, owner) = app.owner("alice@example.com", "acme").await;
        let path = format!("/workspaces/{workspace}/members/invite");
        let body = json!({ "email": "bob@example.com", "role": "admin" });
        assert_eq!(send(app.post(&path).bearer(&owner).json(&body)).await.status, 202);

        let sign_in = async |person: Person| {
            provider.next(person, Twist::None);
            let (callback, cookie) = to_callback(&app, REDIRECT).await;
            app.http.get(callback).header("cookie", cookie).send().await.expect("answer")
        };
        let refused = sign_in(Person::new("1", "bob@example.com").with("email_verified", json!(false))).await;
        assert_eq!(refused.status().as_u16(), 403);
        let code = code_of(&sign_in(Person::new("1", "BOB@example.com")).await);
        let body = json!({ "code": code, "code_verifier": VERIFIER });
        let choices = send(app.post("/auth/workspaces").json(&body)).await;
        assert_eq!(choices.body, json!([{ "id": workspace.to_string(), "name": "acme", "slug": "acme", "role": "admin" }]));
        let body = json!({ "code": code, "workspace_id": workspace, "code_verifier": VERIFIER });
        let tokens = send(app.post("/auth/token").json(&body)).await;
        assert_eq!(tokens.status, 200, "{tokens:?}");
        let invitations = format!("/workspaces/{workspace}/invitations");
        let seen = send(app.get(&invitations).bearer_auth(tokens.text("access_token"))).await;
        assert_eq!((seen.status, seen.body), (200, json!([])), "he is an admin, at once and live");
    }

    async fn what_is_over_is_removed(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, workspace, owner) = app.owner("alice@example.com", "acme").await;
        app.user("admin@example.com").await;
        app.member(workspace, "admin@example.com", Admin).await;
        let path = format!("/workspaces/{workspace}/members/invite");
        let body = json!({ "email": "bob@example.com" });
        assert_eq!(send(app.post(&path).bearer(&owner).json(&body)).await.status, 202);
        app.clock.advance(Duration::from_hours(7 * 24));
        let keep = sentinel_control_plane::jobs::janitor::Keep { younger_than: Duration::from_hours(1), at_least: 100 };
        sentinel_control_plane::jobs::janitor::once(&app.app, keep).await.expect("swept");
        let mut tx = app.app.database().write().await.expect("tx");
        let left = app.app.access().invitations.purge_expired(&mut tx).await.expect("purged");
        assert_eq!(left, 0, "the janitor was there");
    }
}
