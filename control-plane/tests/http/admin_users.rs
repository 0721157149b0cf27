//! The admin API of accounts: lists, details, changes of one and of many, and the end of sessions.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Response};
use sentinel_core::WorkspaceRole::Viewer;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, is_moment, members, send};
use crate::common::oidc::{Person, Provider, Twist};
use crate::common::{As, Options, Pair, TestApp};

/// What an administrator asks.
async fn get(app: &TestApp, cookie: &str, path: &str) -> Answer {
    send(app.get(path).admin(cookie)).await
}

/// What an administrator does.
async fn call(app: &TestApp, cookie: &str, method: Method, path: &str, body: Value) -> Answer {
    send(app.request(method, path).admin(cookie).json(&body)).await
}

/// The addresses on a page of accounts.
fn emails(answer: &Answer) -> Vec<&str> {
    let items = answer.body["items"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer:?}"));
    items
        .iter()
        .map(|item| item["email"].as_str().expect("address"))
        .collect()
}

/// The actions in the activity log about an account, in the order of the alphabet.
async fn actions(app: &TestApp, cookie: &str, target: impl std::fmt::Display) -> Vec<String> {
    let log = get(app, cookie, "/admin/activity?page_size=100").await;
    let target = target.to_string();
    let rows = log.body["items"].as_array().expect("rows");
    let mut actions: Vec<String> = rows
        .iter()
        .filter(|row| row["target_id"] == json!(target))
        .map(|row| row["action"].as_str().expect("word").to_owned())
        .collect();
    actions.sort_unstable();
    actions
}

/// Whether the access token counts, and whether the refresh token does.
async fn alive(app: &TestApp, pair: &Pair) -> (bool, bool) {
    let access = send(app.get("/users/me").bearer(pair)).await.status;
    let body = json!({ "refresh_token": pair.refresh });
    let refresh = send(app.post("/auth/refresh").json(&body)).await.status;
    (access == 200, refresh == 200)
}

fn header(response: &Response, name: &str) -> String {
    response.headers()[name].to_str().expect("text").to_owned()
}

on_both_backends! {
    async fn accounts_are_listed_newest_first_in_pages(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        for name in ["ann", "bob", "carol"] {
            app.clock.advance(Duration::from_secs(1));
            app.user(&format!("{name}@example.com")).await;
        }
        let ann = get(&app, &cookie, "/admin/users?search=ann@").await;
        let ann: sentinel_core::id::UserId = ann.body["items"][0]["id"].as_str().expect("id").parse().expect("id");
        app.workspace(ann, "acme").await;

        let first = get(&app, &cookie, "/admin/users?page_size=3").await;
        assert_eq!(members(&first.body), ["items", "page", "page_size", "total"]);
        assert_eq!(emails(&first), ["carol@example.com", "bob@example.com", "ann@example.com"]);
        assert_eq!((&first.body["total"], &first.body["page"]), (&json!(4), &json!(1)));
        let row = &first.body["items"][2];
        assert_eq!(members(row), [
            "avatar_url", "created_at", "email", "id", "is_active", "is_admin", "name", "workspace_count",
        ]);
        assert_eq!((&row["workspace_count"], &row["is_admin"]), (&json!(1), &json!(false)));
        assert!(is_moment(&row["created_at"]));
        let second = get(&app, &cookie, "/admin/users?page_size=3&page=2").await;
        assert_eq!(emails(&second), ["admin@example.com"]);
        assert_eq!(emails(&get(&app, &cookie, "/admin/users?page=4294967295").await), [] as [&str; 0]);
        for bad in ["page=0", "page_size=101", "search=%00", &format!("search={}", "x".repeat(256))] {
            assert_eq!(get(&app, &cookie, &format!("/admin/users?{bad}")).await.status, 422, "{bad}");
        }
    }

    async fn accounts_are_found_by_parts_of_name_and_address(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        for (email, name) in [
            ("mesut@example.com", "Mesut \u{d6}zil"),
            ("percent@example.org", "100% Anna_Lee"),
            ("anna@example.org", "Anna Lee"),
            ("elodie@example.org", "\u{c9}lodie McFly"),
        ] {
            app.clock.advance(Duration::from_secs(1));
            let user = app.user(email).await;
            let path = format!("/admin/users/{}", user.id);
            assert_eq!(call(&app, &cookie, Method::PATCH, &path, json!({ "name": name })).await.status, 200);
        }
        for (search, expected) in [
            ("ANNA", &["anna@example.org", "percent@example.org"][..]),
            ("a_l", &["percent@example.org"]),
            ("%25", &["percent@example.org"]),
            ("Example.ORG", &["elodie@example.org", "anna@example.org", "percent@example.org"]),
            ("%C3%B6zil", &["mesut@example.com"]),
            ("%C3%96ZIL", &["mesut@example.com"]),
            ("t%20%C3%96z", &["mesut@example.com"]),
            ("%C3%A9lodie%20mcfly", &["elodie@example.org"]),
            ("!", &[]),
            ("nobody", &[]),
        ] {
            let found = get(&app, &cookie, &format!("/admin/users?search={search}")).await;
            assert_eq!(emails(&found), expected, "{search}");
            assert_eq!(found.body["total"], json!(expected.len()), "{search}");
        }
        assert_eq!(get(&app, &cookie, "/admin/users?search=").await.body["total"], 5);
    }

    async fn an_account_is_shown_with_everything_that_belongs_to_it(store: TestStore) {
        let provider = Provider::start(Arc::clone(&store.clock)).await;
        let options = Options {
            providers: vec![provider.settings("demo")],
            admin_emails: vec!["root@example.com".to_owned()],
            ..Options::default()
        };
        let app = TestApp::start_with(store, options).await;
        provider.next(Person::new("root-1", "root@example.com"), Twist::None);
        let away = app.get("/auth/admin/login/demo").send().await.expect("login");
        let state = header(&away, "set-cookie").split(';').next().expect("pair").to_owned();
        let there = app.http.get(header(&away, "location")).send().await.expect("provider");
        let back = app.http.get(header(&there, "location")).header("cookie", state).send().await.expect("callback");
        let cookie = back
            .headers()
            .get_all("set-cookie")
            .iter()
            .filter_map(|value| value.to_str().ok()?.split(';').next())
            .find(|pair| pair.starts_with("admin_token="))
            .expect("the panel's cookie")
            .to_owned();

        let listed = get(&app, &cookie, "/admin/users?search=root@example.com").await;
        let id = listed.body["items"][0]["id"].as_str().expect("id").to_owned();
        let workspace = app.workspace(id.parse().expect("id"), "acme").await;
        let shown = get(&app, &cookie, &format!("/admin/users/{id}")).await;
        assert_eq!(members(&shown.body), [
            "avatar_url", "created_at", "email", "id", "is_active", "is_admin", "memberships", "name",
            "social_accounts", "updated_at", "workspace_count",
        ]);
        let account = &shown.body["social_accounts"][0];
        assert_eq!(members(account), ["id", "provider", "provider_user_id"]);
        assert_eq!((&account["provider"], &account["provider_user_id"]), (&json!("demo"), &json!("root-1")));
        let membership = &shown.body["memberships"][0];
        assert_eq!(members(membership), ["joined_at", "role", "workspace_id", "workspace_name", "workspace_slug"]);
        assert_eq!((&membership["workspace_id"], &membership["role"]), (&json!(workspace), &json!("owner")));
        assert!(is_moment(&membership["joined_at"]) && is_moment(&shown.body["updated_at"]));
        let nobody = get(&app, &cookie, &format!("/admin/users/{}", Uuid::nil())).await;
        assert_eq!(nobody.problem(), (404, "User not found"));
    }

    async fn each_change_of_an_account_leaves_one_row(store: TestStore) {
        let app = TestApp::start(store).await;
        let (admin, cookie) = app.admin("admin@example.com").await;
        let bob = app.user("bob@example.com").await;
        let path = format!("/admin/users/{}", bob.id);
        let patch = |body: Value| call(&app, &cookie, Method::PATCH, &path, body);
        let all = json!({ "name": "Robert", "is_admin": true, "is_active": false });
        assert_eq!(patch(all.clone()).await.status, 200);
        assert_eq!(actions(&app, &cookie, bob.id).await, ["user_deactivated", "user_promoted_admin", "user_updated"]);
        assert_eq!(patch(all).await.status, 200);
        assert_eq!(actions(&app, &cookie, bob.id).await.len(), 3, "nothing changed, nothing is written down");
        assert_eq!(patch(json!({ "name": null })).await.text("name"), "Robert");
        assert_eq!(patch(json!({ "name": "<b></b>" })).await.status, 422);
        assert_eq!(patch(json!({ "is_admin": false, "is_active": true })).await.status, 200);
        let own = format!("/admin/users/{}", admin.id);
        let refused = call(&app, &cookie, Method::PATCH, &own, json!({ "name": "Me", "is_admin": false })).await;
        assert_eq!(refused.problem(), (403, "Administrators cannot demote or deactivate themselves"));
        assert_eq!(get(&app, &cookie, &own).await.text("name"), "admin", "nothing of it was done");
    }

    async fn a_demoted_administrator_is_out_of_the_panel_and_signed_out(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let (other, his) = app.admin("other@example.com").await;
        let workspace = app.workspace(other.id, "acme").await;
        let pair = app.tokens(other.id, workspace).await;
        let path = format!("/admin/users/{}", other.id);
        assert_eq!(call(&app, &cookie, Method::PATCH, &path, json!({ "is_admin": false })).await.status, 200);
        assert_eq!(get(&app, &his, "/admin/users").await.status, 401);
        assert_eq!(alive(&app, &pair).await, (false, false));
    }

    async fn many_accounts_are_deactivated_at_once_or_none(store: TestStore) {
        let app = TestApp::start(store).await;
        let (admin, cookie) = app.admin("admin@example.com").await;
        let (bob, _, his) = app.owner("bob@example.com", "bobs").await;
        let (carol, _, hers) = app.owner("carol@example.com", "carols").await;
        let nobody = Uuid::from_u128(1);
        let set = |ids: Value, is_active: bool| {
            let body = json!({ "user_ids": ids, "is_active": is_active });
            call(&app, &cookie, Method::POST, "/admin/users/bulk-status", body)
        };
        let refused = set(json!([bob.id, admin.id]), false).await;
        assert_eq!(refused.problem(), (403, "Administrators cannot demote or deactivate themselves"));
        assert!(alive(&app, &his).await.0, "all or none");

        let off = set(json!([bob.id, carol.id, nobody, bob.id]), false).await;
        assert_eq!((off.status, &off.body), (200, &json!({ "status": "ok", "affected": 2 })));
        assert!(off.revision.is_some());
        assert_eq!(alive(&app, &hers).await, (false, false));
        assert!(!app.app.replica().load().is_user_disabled(nobody.into()), "nobody is remembered");
        assert!(app.app.replica().load().is_user_disabled(bob.id));
        assert_eq!(actions(&app, &cookie, bob.id).await, ["user_deactivated"]);
        let log = get(&app, &cookie, "/admin/activity?action=bulk_status_change").await;
        assert_eq!((&log.body["total"], &log.body["items"][0]["detail"]), (&json!(1), &json!({ "user_count": 2, "is_active": false })));

        assert_eq!(set(json!([bob.id]), true).await.body["affected"], 1);
        assert!(!app.app.replica().load().is_user_disabled(bob.id));
        assert_eq!(set(json!([]), true).await.body["affected"], 0);
        let many: Vec<Uuid> = (1..=501).map(Uuid::from_u128).collect();
        assert_eq!(set(json!(many[..500]), false).await.body["affected"], 0);
        assert_eq!(set(json!(many), false).await.status, 422);
        assert_eq!(set(json!(["bob"]), false).await.status, 422);
    }

    async fn an_account_is_put_into_a_workspace(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let (_, workspace, _) = app.owner("alice@example.com", "acme").await;
        app.clock.advance(Duration::from_secs(1));
        let bob = app.user("bob@example.com").await;
        let add = async |user: Uuid, body: Value| {
            call(&app, &cookie, Method::POST, &format!("/admin/users/{user}/workspaces"), body).await
        };
        let added = add(bob.id.as_uuid(), json!({ "workspace_id": workspace })).await;
        assert_eq!((added.status, &added.body), (201, &json!({ "status": "ok" })));
        let his = app.tokens(bob.id, workspace).await;
        let path = format!("/workspaces/{workspace}/members");
        let listed = send(app.get(&path).bearer(&his)).await;
        assert_eq!(listed.body[1]["role"], "viewer");
        let again = add(bob.id.as_uuid(), json!({ "workspace_id": workspace, "role": "owner" })).await;
        assert_eq!(again.problem(), (400, "User is already a member of this workspace"));
        let nobody = add(Uuid::nil(), json!({ "workspace_id": workspace })).await;
        assert_eq!(nobody.problem(), (400, "User not found"));
        let nowhere = add(bob.id.as_uuid(), json!({ "workspace_id": Uuid::nil() })).await;
        assert_eq!(nowhere.problem(), (404, "Workspace not found"));
        assert_eq!(add(bob.id.as_uuid(), json!({ "workspace_id": workspace, "role": "king" })).await.status, 422);
        assert_eq!(actions(&app, &cookie, bob.id).await, ["member_invited"]);
    }

    async fn all_tokens_of_an_account_are_revoked(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let (alice, acme, hers) = app.owner("alice@example.com", "acme").await;
        let bob = app.user("bob@example.com").await;
        app.member(acme, "bob@example.com", Viewer).await;
        let other = app.workspace(bob.id, "other").await;
        let (first, second) = (app.tokens(bob.id, acme).await, app.tokens(bob.id, other).await);
        let path = format!("/admin/users/{}/revoke-tokens", bob.id);
        let revoke = || send(app.post(&path).admin(&cookie));
        let revoked = revoke().await;
        assert_eq!((revoked.status, &revoked.body), (200, &json!({ "status": "ok", "tokens_revoked": 2 })));
        assert_eq!(alive(&app, &first).await, (false, false));
        assert_eq!(alive(&app, &second).await, (false, false));
        assert_eq!(alive(&app, &hers).await, (true, true), "hers go on");
        assert_eq!(revoke().await.body["tokens_revoked"], 0);
        assert_eq!(actions(&app, &cookie, bob.id).await, ["member_invited", "tokens_revoked", "tokens_revoked"]);
        assert!(actions(&app, &cookie, alice.id).await.is_empty());
        let nobody = send(app.post(&format!("/admin/users/{}/revoke-tokens", Uuid::nil())).admin(&cookie)).await;
        assert_eq!(nobody.problem(), (404, "User not found"));
    }
}
