//! Users, workspaces, members and groups.

use reqwest::Method;
use sentinel_core::WorkspaceRole::Viewer;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};

use crate::answer::{is_moment, members, send};
use crate::common::{As, TestApp};

on_both_backends! {
    async fn a_profile_is_read_and_changed_by_its_owner(store: TestStore) {
        let app = TestApp::start(store).await;
        let (alice, _, pair) = app.owner("alice@example.com", "acme").await;
        let me = send(app.get("/users/me").bearer(&pair)).await;
        assert_eq!(me.status, 200);
        assert_eq!(members(&me.body), ["avatar_url", "created_at", "email", "id", "is_active", "name"]);
        assert_eq!(me.text("id"), alice.id.to_string());
        assert!(is_moment(&me.body["created_at"]), "{me:?}");
        let patch = |body: Value| send(app.request(Method::PATCH, "/users/me").bearer(&pair).json(&body));
        let changed = patch(json!({ "name": " <b>Alice</b> ", "avatar_url": "javascript:alert(1)" })).await;
        assert_eq!((changed.text("name"), &changed.body["avatar_url"]), ("Alice", &Value::Null));
        let changed = patch(json!({ "avatar_url": "https://example.com/a.png", "unknown": 1 })).await;
        assert_eq!((changed.text("name"), changed.text("avatar_url")), ("Alice", "https://example.com/a.png"));
        assert_eq!(patch(json!({ "name": "<b></b>" })).await.status, 422);
        assert_eq!(patch(json!({ "name": "a\u{0}b" })).await.status, 422);
        assert_eq!(send(app.get("/users/me")).await.problem(), (401, "Missing Bearer token"));
    }

    async fn a_workspace_lives_from_its_creation_to_its_deletion(store: TestStore) {
        let app = TestApp::start(store).await;
        let (alice, _, home) = app.owner("alice@example.com", "home").await;
        app.clock.advance(std::time::Duration::from_secs(1));
        let create = |body: Value| send(app.post("/workspaces").bearer(&home).json(&body));
        let made = create(json!({ "name": "Acme", "slug": "acme" })).await;
        assert_eq!(made.status, 201);
        assert!(made.revision.is_some(), "edges know the owner from this revision on");
        assert_eq!(members(&made.body), ["created_at", "created_by", "description", "id", "name", "slug"]);
        let again = create(json!({ "name": "Acme", "slug": "acme" })).await;
        assert_eq!(again.problem(), (409, "A workspace with this slug already exists"));
        for slug in ["a", "-a", "Acme", "a_b", ""] {
            assert_eq!(create(json!({ "name": "Acme", "slug": slug })).await.status, 422, "`{slug}`");
        }

        let listed = send(app.get("/workspaces").bearer(&home)).await;
        let slugs: Vec<_> = listed.body.as_array().expect("list").iter().map(|one| one["slug"].clone()).collect();
        assert_eq!(slugs, ["home", "acme"]);

        // The token is for the other workspace, though she owns this one too.
        let path = format!("/workspaces/{}", made.text("id"));
        assert_eq!(send(app.get(&path).bearer(&home)).await.problem(), (403, "Not a member of this workspace"));
        let acme = app.tokens(alice.id, made.text("id").parse().expect("id")).await;
        assert_eq!(send(app.get(&path).bearer(&acme)).await.body, made.body);
        let patched = send(app.request(Method::PATCH, &path).bearer(&acme).json(&json!({ "description": "All of it" }))).await;
        assert_eq!((patched.text("name"), patched.text("description")), ("Acme", "All of it"));
        let deleted = send(app.request(Method::DELETE, &path).bearer(&acme)).await;
        assert_eq!((deleted.status, deleted.body), (204, Value::Null));
        let gone = send(app.get(&path).bearer(&acme)).await;
        assert_eq!(gone.problem(), (401, "Token has been revoked"), "its sessions went with it");
        assert_eq!(send(app.get("/workspaces/not-an-id").bearer(&home)).await.status, 422);
    }

    async fn members_are_invited_found_promoted_and_removed(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, workspace, owner) = app.owner("alice@example.com", "acme").await;
        let bob = app.user("bob@example.com").await;
        let path = format!("/workspaces/{workspace}/members");
        let invite = |body: Value| send(app.post(&format!("{path}/invite")).bearer(&owner).json(&body));
        let invited = invite(json!({ "email": "bob@example.com" })).await;
        assert_eq!(invited.status, 201);
        assert_eq!(members(&invited.body), ["avatar_url", "email", "joined_at", "name", "role", "user_id"]);
        assert_eq!(invited.text("role"), "viewer");
        let again = invite(json!({ "email": "bob@example.com", "role": "editor" })).await;
        assert_eq!(again.problem(), (400, "User is already a member of this workspace"));
        assert_eq!(invite(json!({ "email": "nobody@example.com" })).await.status, 202, "she has no account yet");
        assert_eq!(invite(json!({ "email": "bob@example.com", "role": "king" })).await.status, 422);

        let found = send(app.get(&format!("{path}?q=BOB&limit=1000")).bearer(&owner)).await;
        assert_eq!(found.body.as_array().map(Vec::len), Some(1));
        assert_eq!(found.body[0]["user_id"], bob.id.to_string());
        let one = send(app.get(&format!("{path}?limit=0")).bearer(&owner)).await;
        assert_eq!(one.body.as_array().map(Vec::len), Some(1), "the limit is clamped to 1");
        let long = send(app.get(&format!("{path}?q={}", "x".repeat(101))).bearer(&owner)).await;
        assert_eq!(long.status, 422);

        let his = app.tokens(bob.id, workspace).await;
        let member = format!("{path}/{}", bob.id);
        let role = |pair, role: &str| send(app.request(Method::PATCH, &member).bearer(pair).json(&json!({ "role": role })));
        assert_eq!(role(&his, "admin").await.problem(), (403, "Insufficient role"));
        let promoted = role(&owner, "admin").await;
        assert_eq!(members(&promoted.body), ["id", "joined_at", "role", "user_id", "workspace_id"]);
        assert_eq!(role(&his, "owner").await.problem(), (401, "Token has been revoked"), "it says another role");
        let his = app.tokens(bob.id, workspace).await;
        assert_eq!(role(&his, "owner").await.problem(), (403, "Only workspace owners can grant the owner role"));
        assert_eq!(role(&his, "viewer").await.status, 200, "he may demote himself");
        assert_eq!(role(&his, "viewer").await.status, 401, "and needs another token then");
        let his = app.tokens(bob.id, workspace).await;

        let removed = send(app.request(Method::DELETE, &member).bearer(&owner)).await;
        assert_eq!(removed.status, 204);
        assert!(removed.revision.is_some());
        let refused = send(app.get(&path).bearer(&his)).await;
        assert_eq!(refused.problem(), (401, "Token has been revoked"), "at once");
        let refreshed = app.post("/auth/refresh").json(&json!({ "refresh_token": his.refresh }));
        assert_eq!(send(refreshed).await.status, 401, "his sessions there are over");
        let gone = send(app.request(Method::DELETE, &member).bearer(&owner)).await;
        assert_eq!(gone.problem(), (404, "Membership not found"));
    }

    async fn the_last_owner_stays(store: TestStore) {
        let app = TestApp::start(store).await;
        let (alice, workspace, owner) = app.owner("alice@example.com", "acme").await;
        let own = format!("/workspaces/{workspace}/members/{}", alice.id);
        let demoted = send(app.request(Method::PATCH, &own).bearer(&owner).json(&json!({ "role": "admin" }))).await;
        assert_eq!(demoted.problem(), (403, "Cannot demote the last workspace owner"));
        let removed = send(app.request(Method::DELETE, &own).bearer(&owner)).await;
        assert_eq!(removed.problem(), (403, "Cannot remove the last workspace owner"));
    }

    async fn groups_are_managed_by_admins_and_seen_by_members(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, workspace, owner) = app.owner("alice@example.com", "acme").await;
        let bob = app.user("bob@example.com").await;
        app.member(workspace, "bob@example.com", Viewer).await;
        let viewer = app.tokens(bob.id, workspace).await;
        let path = format!("/workspaces/{workspace}/groups");
        let create = |pair, body: Value| send(app.post(&path).bearer(pair).json(&body));
        assert_eq!(create(&viewer, json!({ "name": "Eng" })).await.problem(), (403, "Insufficient role"));
        let group = create(&owner, json!({ "name": "Eng", "description": "Engineers" })).await;
        assert_eq!(group.status, 201);
        assert_eq!(members(&group.body), ["created_at", "created_by", "description", "id", "name", "workspace_id"]);
        let again = create(&owner, json!({ "name": "Eng" })).await;
        assert_eq!(again.problem(), (409, "A group with this name already exists in this workspace"));
        assert_eq!(send(app.get(&path).bearer(&viewer)).await.body, json!([group.body]));

        let one = format!("{path}/{}", group.text("id"));
        let member = format!("{one}/members/{}", bob.id);
        let added = send(app.post(&member).bearer(&owner)).await;
        assert_eq!((added.status, &added.body), (201, &json!({ "status": "ok" })));
        let again = send(app.post(&member).bearer(&owner)).await;
        assert_eq!(again.problem(), (400, "User is already a member of this group"));
        let listed = send(app.get(&format!("{one}/members")).bearer(&viewer)).await;
        assert_eq!(members(&listed.body[0]), ["added_at", "email", "name", "user_id"]);
        assert_eq!(send(app.request(Method::DELETE, &member).bearer(&owner)).await.status, 204);
        let gone = send(app.request(Method::DELETE, &member).bearer(&owner)).await;
        assert_eq!(gone.problem(), (404, "Group membership not found"));
        let renamed = send(app.request(Method::PATCH, &one).bearer(&owner).json(&json!({ "name": "Engineering" }))).await;
        assert_eq!((renamed.text("name"), renamed.text("description")), ("Engineering", "Engineers"));
        assert_eq!(send(app.request(Method::DELETE, &one).bearer(&owner)).await.status, 204);
        let gone = send(app.request(Method::DELETE, &one).bearer(&owner)).await;
        assert_eq!(gone.problem(), (404, "Group not found"));
    }
}
