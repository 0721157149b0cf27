//! What a token of AuthZ mode is good for, where it is not, and when it is over.

use std::time::Duration;

use reqwest::Method;
use sentinel_core::WorkspaceRole;
use sentinel_core::id::WorkspaceId;
use sentinel_store::on_both_backends;
use serde_json::json;

use super::{Both, World, ann, bob};
use crate::answer::send;
use crate::common::{As, Pair};

const DOCUMENT: &str = "018f4e7a-1111-7000-8000-000000000001";
const REVOKED: (u16, &str) = (401, "Token has been revoked");

/// Ann, who owns a workspace, and Bob, who is a member: his token, and her other one.
struct Two {
    workspace: WorkspaceId,
    bob: sentinel_core::id::UserId,
    hers: Pair,
    his: String,
}

async fn two(world: &World) -> Two {
    let owner = world.user(&ann()).await;
    let workspace = world.app.workspace(owner, "acme").await;
    let bob_id = world.user(&bob()).await;
    world
        .app
        .member(workspace, "bob@example.com", WorkspaceRole::Viewer)
        .await;
    Two {
        workspace,
        bob: bob_id,
        hers: world.app.tokens(owner, workspace).await,
        his: world.mint(&bob(), workspace).await,
    }
}

on_both_backends! {
    async fn a_page_reads_with_it_what_its_user_may_read(store: TestStore) {
        let world = World::start(store).await;
        let Two { workspace, bob: id, hers, his } = two(&world).await;
        let app = &world.app;
        let made = send(app.post(&format!("/workspaces/{workspace}/groups")).bearer(&hers).json(&json!({ "name": "Crew" }))).await;
        let group = format!("/workspaces/{workspace}/groups/{}", made.text("id"));
        let me = send(app.get("/users/me").both(&his)).await;
        assert_eq!((me.status, me.text("id"), me.text("email")), (200, id.to_string().as_str(), "bob@example.com"));
        for path in [format!("/workspaces/{workspace}/members"), format!("/workspaces/{workspace}/groups"), format!("{group}/members")] {
            assert_eq!(send(app.get(&path).both(&his)).await.status, 200, "{path}");
            assert_eq!(send(app.get(&path).header("x-authz-token", &his)).await.status, 200, "{path}");
            // By way of the service, as the back end's client sends it.
            assert_eq!(send(app.get(&path).header("x-service-key", &world.key).bearer_auth(&his)).await.status, 200, "{path}");
            // A key that is none counts for nothing.
            assert_eq!(send(app.get(&path).header("x-service-key", "sk_no").both(&his)).await.status, 200, "{path}");
        }
        let elsewhere = app.workspace(id, "his").await;
        let refused = send(app.get(&format!("/workspaces/{elsewhere}/members")).both(&his)).await;
        assert_eq!(refused.problem(), (403, "Not a member of this workspace"));
    }

    async fn it_is_no_access_token(store: TestStore) {
        let world = World::start(store).await;
        let Two { workspace, his, .. } = two(&world).await;
        let app = &world.app;
        for request in [
            app.request(Method::PATCH, "/users/me").json(&json!({ "name": "X" })),
            app.get("/workspaces"),
            app.get(&format!("/workspaces/{workspace}")),
            app.post("/auth/logout"),
            app.post("/workspaces").json(&json!({ "name": "X", "slug": "xx" })),
        ] {
            let as_bearer = request.try_clone().expect("no stream").bearer_auth(&his);
            assert_eq!(send(as_bearer).await.problem(), (401, "Invalid or expired token"));
            assert_eq!(send(request.header("x-authz-token", &his)).await.problem(), (401, "Missing Bearer token"));
        }
        // Nor by itself in place of the bearer where both are read.
        let as_bearer = app.get("/users/me").bearer_auth(&his);
        assert_eq!(send(as_bearer).await.problem(), (401, "Invalid or expired token"));
    }

    async fn an_access_token_is_none_of_these(store: TestStore) {
        let world = World::start(store).await;
        let Two { hers, his, .. } = two(&world).await;
        let app = &world.app;
        for token in [hers.access.as_str(), hers.refresh.as_str(), "abc", "the.other.one"] {
            let refused = send(app.get("/users/me").header("x-authz-token", token)).await;
            assert_eq!(refused.problem(), (401, "Invalid or expired token"));
        }
        let long = send(app.get("/users/me").header("x-authz-token", "a".repeat(8193))).await;
        assert_eq!(long.problem(), (401, "Token too large"));
        let empty = send(app.get("/users/me").header("x-authz-token", "").bearer(&hers)).await;
        assert_eq!((empty.status, empty.text("email")), (200, "ann@example.com"));
        let twice = app.get("/users/me").header("x-authz-token", &his).header("x-authz-token", &his);
        assert_eq!(send(twice).await.status, 400);
        let keys = app.get("/users/me").header("x-service-key", &world.key).header("x-service-key", &world.key).both(&his);
        assert_eq!(send(keys).await.status, 400);
        // With a key the header is not looked at, good or bad.
        for own in [his.as_str(), "abc", &"a".repeat(9000)] {
            let me = send(app.get("/users/me").header("x-service-key", &world.key).header("x-authz-token", own).bearer(&hers)).await;
            assert_eq!((me.status, me.text("email")), (200, "ann@example.com"));
        }
    }

    async fn a_service_uses_what_was_made_for_it(store: TestStore) {
        let world = World::start(store).await;
        let Two { workspace, bob: id, hers, his } = two(&world).await;
        let app = &world.app;
        let (_, other) = app.service("wiki").await;
        let check = json!({ "checks": [] });
        let ask = async |key: &str| send(app.post("/permissions/check").header("x-service-key", key).bearer_auth(&his).json(&check)).await;
        assert_eq!(ask(&world.key).await.status, 200);
        let foreign = (403, "Authz token was issued for a different service");
        assert_eq!(ask(&other).await.problem(), foreign);
        let listed = send(app.get(&format!("/workspaces/{workspace}/members")).header("x-service-key", &other).bearer_auth(&his)).await;
        assert_eq!(listed.problem(), foreign);
        // On behalf of a user only the bearer counts.
        let by_header = app.post("/permissions/check").header("x-service-key", &world.key).header("x-authz-token", &his).json(&check);
        assert_eq!(send(by_header).await.problem(), (401, "Missing Bearer token"));
        let no_key = app.post("/permissions/check").both(&his).json(&check);
        assert_eq!(send(no_key).await.problem(), (401, "Missing service API key or unregistered origin"));

        // A share with a group counts in this mode too.
        let register = json!({
            "service_name": "docs", "resource_type": "document", "resource_id": DOCUMENT, "workspace_id": workspace,
            "owner_id": send(app.get("/users/me").bearer(&hers)).await.text("id"), "visibility": "private",
        });
        let made = send(app.post("/permissions/register").header("x-service-key", &world.key).json(&register)).await;
        let group = send(app.post(&format!("/workspaces/{workspace}/groups")).bearer(&hers).json(&json!({ "name": "Crew" }))).await;
        let (record, group) = (made.text("id"), group.text("id"));
        let joined = app.post(&format!("/workspaces/{workspace}/groups/{group}/members/{id}")).bearer(&hers);
        assert_eq!(send(joined).await.status, 201);
        let item = json!({ "service_name": "docs", "resource_type": "document", "resource_id": DOCUMENT, "action": "view" });
        let may = async || {
            let body = json!({ "checks": [item] });
            let answer = send(app.post("/permissions/check").header("x-service-key", &world.key).bearer_auth(&his).json(&body)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.body["results"][0]["allowed"] == true
        };
        assert!(!may().await);
        let share = json!({ "grantee_type": "group", "grantee_id": group, "permission": "view" });
        let owners = world.mint(&ann(), workspace).await;
        let shared = app.post(&format!("/permissions/{record}/share")).header("x-service-key", &world.key).bearer_auth(&owners).json(&share);
        assert_eq!(send(shared).await.status, 201);
        assert!(may().await);
        let listing = json!({ "service_name": "docs", "resource_type": "document", "action": "view", "workspace_id": workspace });
        let accessible = send(app.post("/permissions/accessible").header("x-service-key", &world.key).bearer_auth(&his).json(&listing)).await;
        assert_eq!(accessible.body["resource_ids"], json!([DOCUMENT]));
    }

    async fn it_is_over_at_its_last_second(store: TestStore) {
        let world = World::start(store).await;
        let Two { his, .. } = two(&world).await;
        let me = async || send(world.app.get("/users/me").both(&his)).await.status;
        world.app.clock.advance(Duration::from_secs(299));
        assert_eq!(me().await, 200);
        world.app.clock.advance(Duration::from_secs(1));
        assert_eq!(me().await, 401);
    }

    async fn a_member_who_is_removed_has_no_token_any_more(store: TestStore) {
        let world = World::start(store).await;
        let Two { workspace, bob: id, hers, his } = two(&world).await;
        let removed = world.app.request(Method::DELETE, &format!("/workspaces/{workspace}/members/{id}")).bearer(&hers);
        assert_eq!(send(removed).await.status, 204);
        // The answer came after the own replica knew, so nothing is waited for here.
        assert_eq!(send(world.app.get("/users/me").both(&his)).await.problem(), REVOKED);
        let check = world.app.post("/permissions/check").header("x-service-key", &world.key).bearer_auth(&his).json(&json!({ "checks": [] }));
        assert_eq!(send(check).await.problem(), REVOKED);
        let again = world.resolve(&world.asked(&bob(), workspace)).await;
        assert_eq!(again.problem(), (403, "User is not a member of this workspace"));
    }

    async fn a_user_who_signs_out_or_is_deactivated_has_no_token_any_more(store: TestStore) {
        let world = World::start(store).await;
        let Two { workspace, bob: id, his, .. } = two(&world).await;
        let (_, cookie) = world.app.admin("root@example.com").await;
        let me = async |token: &str| send(world.app.get("/users/me").both(token)).await;
        let pair = world.app.tokens(id, workspace).await;
        assert_eq!(send(world.app.post("/auth/logout").bearer(&pair)).await.status, 200);
        assert_eq!(me(&his).await.problem(), REVOKED);

        let next = world.mint(&bob(), workspace).await;
        assert_eq!(me(&next).await.status, 200, "the next sign-in is another session");
        let off = world.app.request(Method::PATCH, &format!("/admin/users/{id}")).admin(&cookie).json(&json!({ "is_active": false }));
        assert_eq!(send(off).await.status, 200);
        assert_eq!(me(&next).await.status, 401);
    }

    async fn a_service_app_that_is_deactivated_takes_its_tokens_along(store: TestStore) {
        let world = World::start(store).await;
        let Two { his, hers, .. } = two(&world).await;
        let (_, cookie) = world.app.admin("root@example.com").await;
        let off = world.app.request(Method::PATCH, &format!("/admin/service-apps/{}", world.service)).admin(&cookie).json(&json!({ "is_active": false }));
        assert_eq!(send(off).await.status, 200);
        assert_eq!(send(world.app.get("/users/me").both(&his)).await.problem(), REVOKED);
        assert_eq!(send(world.app.get("/users/me").bearer(&hers)).await.status, 200, "a login is another thing");
    }
}
