//! The admin API of workspaces, their members and their groups, and of how much there is.

use std::time::Duration;

use reqwest::Method;
use sentinel_core::WorkspaceRole::Viewer;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, is_moment, members, send};
use crate::common::{As, TestApp};

async fn get(app: &TestApp, cookie: &str, path: &str) -> Answer {
    send(app.get(path).admin(cookie)).await
}

async fn call(app: &TestApp, cookie: &str, method: Method, path: &str, body: Value) -> Answer {
    send(app.request(method, path).admin(cookie).json(&body)).await
}

async fn delete(app: &TestApp, cookie: &str, path: &str) -> Answer {
    send(app.request(Method::DELETE, path).admin(cookie)).await
}

/// How often each of the actions is in the activity log.
async fn noted<const N: usize>(app: &TestApp, cookie: &str, actions: [&str; N]) -> [i64; N] {
    let mut counts = [0; N];
    for (count, action) in counts.iter_mut().zip(actions) {
        let log = get(app, cookie, &format!("/admin/activity?action={action}")).await;
        *count = log.body["total"].as_i64().expect("a number");
    }
    counts
}

on_both_backends! {
    async fn a_workspace_is_made_shown_changed_and_deleted(store: TestStore) {
        let app = TestApp::start(store).await;
        let (admin, cookie) = app.admin("admin@example.com").await;
        let create = |body: Value| call(&app, &cookie, Method::POST, "/admin/workspaces", body);
        let made = create(json!({ "name": "beta", "slug": "beta" })).await;
        assert_eq!(made.status, 201);
        assert_eq!(members(&made.body), ["created_at", "created_by", "description", "id", "member_count", "name", "slug"]);
        let taken = create(json!({ "name": "beta", "slug": "beta" })).await;
        assert_eq!(taken.problem(), (409, "A workspace with this slug already exists"));
        assert_eq!(create(json!({ "name": "beta", "slug": "-" })).await.status, 422);
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(create(json!({ "name": "Alpha", "slug": "zz" })).await.status, 201);

        let listed = get(&app, &cookie, "/admin/workspaces?page_size=1").await;
        assert_eq!((&listed.body["total"], &listed.body["items"][0]["slug"]), (&json!(2), &json!("zz")));
        let all = get(&app, &cookie, "/admin/workspaces/all").await;
        assert_eq!(members(&all.body[0]), ["id", "name", "slug"]);
        assert_eq!((&all.body[0]["name"], &all.body[1]["name"]), (&json!("Alpha"), &json!("beta")), "by name, in whatever case");

        let path = format!("/admin/workspaces/{}", made.text("id"));
        let group = call(&app, &cookie, Method::POST, &format!("{path}/groups"), json!({ "name": "Eng" })).await;
        assert_eq!(group.status, 201);
        let shown = get(&app, &cookie, &path).await;
        assert_eq!(members(&shown.body), [
            "created_at", "created_by", "description", "group_count", "id", "member_count", "name", "slug",
        ]);
        assert_eq!((&shown.body["member_count"], &shown.body["group_count"]), (&json!(1), &json!(1)));
        assert_eq!(shown.text("created_by"), admin.id.to_string());
        let changed = call(&app, &cookie, Method::PATCH, &path, json!({ "description": "All of it" })).await;
        assert_eq!((changed.status, changed.text("name"), changed.text("description")), (200, "beta", "All of it"));

        let pair = app.tokens(admin.id, made.text("id").parse().expect("id")).await;
        assert_eq!(delete(&app, &cookie, &path).await.status, 204);
        assert_eq!(send(app.get("/users/me").bearer(&pair)).await.problem(), (401, "Token has been revoked"));
        for gone in [
            get(&app, &cookie, &path).await,
            call(&app, &cookie, Method::PATCH, &path, json!({ "name": "x" })).await,
            delete(&app, &cookie, &path).await,
        ] {
            assert_eq!(gone.problem(), (404, "Workspace not found"));
        }
        let words = ["workspace_created", "workspace_updated", "workspace_deleted", "group_created"];
        assert_eq!(noted(&app, &cookie, words).await, [2, 1, 1, 1]);
    }

    async fn members_are_promoted_and_removed_but_never_the_last_owner(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let (alice, workspace, _) = app.owner("alice@example.com", "acme").await;
        app.clock.advance(Duration::from_secs(1));
        let bob = app.user("bob@example.com").await;
        app.member(workspace, "bob@example.com", Viewer).await;
        let his = app.tokens(bob.id, workspace).await;
        let path = format!("/admin/workspaces/{workspace}/members");
        let one = |user: &dyn std::fmt::Display| format!("{path}/{user}");
        let listed = get(&app, &cookie, &path).await;
        assert_eq!(members(&listed.body[1]), ["avatar_url", "email", "joined_at", "name", "role", "user_id"]);
        assert_eq!(listed.body[1]["email"], "bob@example.com");

        let role = json!({ "role": "editor" });
        let changed = call(&app, &cookie, Method::PATCH, &one(&bob.id), role.clone()).await;
        assert_eq!((changed.status, &changed.body), (200, &json!({ "status": "ok" })));
        let refreshed = send(app.post("/auth/refresh").json(&json!({ "refresh_token": his.refresh }))).await;
        assert_eq!(refreshed.status, 401, "his tokens said viewer");
        let his = app.tokens(bob.id, workspace).await;
        let members_of = format!("/workspaces/{workspace}/members");
        assert_eq!(send(app.get(&members_of).bearer(&his)).await.status, 200);

        let demoted = call(&app, &cookie, Method::PATCH, &one(&alice.id), role.clone()).await;
        assert_eq!(demoted.problem(), (403, "Cannot demote the last workspace owner"));
        let removed = delete(&app, &cookie, &one(&alice.id)).await;
        assert_eq!(removed.problem(), (403, "Cannot remove the last workspace owner"));
        assert_eq!(delete(&app, &cookie, &one(&bob.id)).await.status, 204);
        assert_ne!(send(app.get(&members_of).bearer(&his)).await.status, 200, "at once");
        assert_eq!(noted(&app, &cookie, ["member_removed", "member_role_changed"]).await, [1, 1]);

        for gone in [
            call(&app, &cookie, Method::PATCH, &one(&bob.id), role.clone()).await,
            delete(&app, &cookie, &one(&bob.id)).await,
        ] {
            assert_eq!(gone.problem(), (404, "Membership not found"));
        }
        let nowhere = format!("/admin/workspaces/{}/members", Uuid::nil());
        for gone in [
            get(&app, &cookie, &nowhere).await,
            call(&app, &cookie, Method::PATCH, &format!("{nowhere}/{}", bob.id), role).await,
            delete(&app, &cookie, &format!("{nowhere}/{}", bob.id)).await,
        ] {
            assert_eq!(gone.problem(), (404, "Workspace not found"));
        }
    }

    async fn groups_of_every_workspace_are_managed(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let (alice, workspace, hers) = app.owner("alice@example.com", "acme").await;
        let bob = app.user("bob@example.com").await;
        let path = format!("/admin/workspaces/{workspace}/groups");
        let create = |body: Value| call(&app, &cookie, Method::POST, &path, body);
        let made = create(json!({ "name": "Eng", "description": "Engineers" })).await;
        assert_eq!(made.status, 201);
        assert_eq!(members(&made.body), ["created_at", "created_by", "description", "id", "name", "workspace_id"]);
        assert!(is_moment(&made.body["created_at"]));
        let taken = (409, "A group with this name already exists in this workspace");
        assert_eq!(create(json!({ "name": "Eng" })).await.problem(), taken);
        app.clock.advance(Duration::from_secs(1));
        let second = create(json!({ "name": "Ops" })).await;
        let listed = get(&app, &cookie, &path).await;
        assert_eq!(listed.body, json!([made.body, second.body]));
        let seen = send(app.get(&format!("/workspaces/{workspace}/groups")).bearer(&hers)).await;
        assert_eq!(seen.body, listed.body, "as its members see them");
        let nowhere = format!("/admin/workspaces/{}/groups", Uuid::nil());
        for gone in [
            get(&app, &cookie, &nowhere).await,
            call(&app, &cookie, Method::POST, &nowhere, json!({ "name": "Eng" })).await,
        ] {
            assert_eq!(gone.problem(), (404, "Workspace not found"));
        }

        let one = format!("/admin/groups/{}", made.text("id"));
        let patch = |body: Value| call(&app, &cookie, Method::PATCH, &one, body);
        assert_eq!(patch(json!({ "name": "Ops" })).await.problem(), taken);
        let renamed = patch(json!({ "name": "Engineering" })).await;
        assert_eq!((renamed.text("name"), renamed.text("description")), ("Engineering", "Engineers"));

        let member = |user: &dyn std::fmt::Display| format!("{one}/members/{user}");
        let add = |path: String| send(app.post(&path).admin(&cookie));
        let stranger = add(member(&bob.id)).await;
        assert_eq!(stranger.problem(), (400, "User is not a member of this workspace"));
        let added = add(member(&alice.id)).await;
        assert_eq!((added.status, &added.body), (201, &json!({ "status": "ok" })));
        assert_eq!(add(member(&alice.id)).await.problem(), (400, "User is already a member of this group"));
        let inside = get(&app, &cookie, &format!("{one}/members")).await;
        assert_eq!(members(&inside.body[0]), ["added_at", "email", "name", "user_id"]);
        assert_eq!(delete(&app, &cookie, &member(&alice.id)).await.status, 204);
        assert_eq!(delete(&app, &cookie, &member(&alice.id)).await.problem(), (404, "Group membership not found"));
        assert_eq!(delete(&app, &cookie, &one).await.status, 204);
        for gone in [
            patch(json!({ "name": "x" })).await,
            delete(&app, &cookie, &one).await,
            get(&app, &cookie, &format!("{one}/members")).await,
            add(member(&alice.id)).await,
            delete(&app, &cookie, &member(&alice.id)).await,
        ] {
            assert_eq!(gone.problem(), (404, "Group not found"));
        }
        let words = ["group_created", "group_updated", "group_deleted", "group_member_added", "group_member_removed"];
        assert_eq!(noted(&app, &cookie, words).await, [2, 1, 1, 1, 1]);
    }

    async fn how_much_there_is_is_counted(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let (alice, small, _) = app.owner("alice@example.com", "small").await;
        let large = app.workspace(alice.id, "large").await;
        for number in 0..5 {
            app.clock.advance(Duration::from_secs(1));
            let email = format!("user{number}@example.com");
            let user = app.user(&email).await;
            if number > 2 {
                app.member(large, &email, Viewer).await;
            }
            if number == 0 {
                let body = json!({ "is_active": false });
                let path = format!("/admin/users/{}", user.id);
                assert_eq!(call(&app, &cookie, Method::PATCH, &path, body).await.status, 200);
            }
        }
        let group = format!("/admin/workspaces/{small}/groups");
        assert_eq!(call(&app, &cookie, Method::POST, &group, json!({ "name": "Eng" })).await.status, 201);
        let stats = get(&app, &cookie, "/admin/stats").await;
        assert_eq!(members(&stats.body), [
            "active_users", "inactive_users", "recent_users", "top_workspaces", "total_groups", "total_resources",
            "total_users", "total_workspaces",
        ]);
        let count = |name: &str| stats.body[name].as_i64().expect("a number");
        assert_eq!((count("total_users"), count("active_users"), count("inactive_users")), (7, 6, 1));
        assert_eq!((count("total_workspaces"), count("total_groups"), count("total_resources")), (2, 1, 0));
        let recent = stats.body["recent_users"].as_array().expect("users");
        assert_eq!((recent.len(), &recent[0]["email"]), (5, &json!("user4@example.com")));
        assert_eq!(stats.body["top_workspaces"], json!([
            { "id": large, "name": "large", "slug": "large", "member_count": 3 },
            { "id": small, "name": "small", "slug": "small", "member_count": 1 },
        ]));
    }
}
