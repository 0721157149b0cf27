//! The service surface of permissions.

use reqwest::{Method, RequestBuilder};
use sentinel_core::WorkspaceRole::Viewer;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_store::on_both_backends;
use serde_json::{Value, json};

use crate::answer::{Answer, is_moment, members, send};
use crate::common::{As, Pair, TestApp};

const DOCUMENT: &str = "018f4e7a-1111-7000-8000-000000000001";

trait WithKey {
    fn key(self, key: &str) -> Self;
}

impl WithKey for RequestBuilder {
    fn key(self, key: &str) -> Self {
        self.header("x-service-key", key)
    }
}

fn registration(workspace: WorkspaceId, owner: UserId, visibility: &str) -> Value {
    json!({
        "service_name": "docs", "resource_type": "document", "resource_id": DOCUMENT,
        "workspace_id": workspace, "owner_id": owner, "visibility": visibility,
    })
}

async fn register(
    app: &TestApp,
    key: &str,
    workspace: WorkspaceId,
    owner: UserId,
    visibility: &str,
) -> Answer {
    let body = registration(workspace, owner, visibility);
    send(app.post("/permissions/register").key(key).json(&body)).await
}

/// What the user may do with the document: view, edit.
async fn may(app: &TestApp, key: &str, pair: &Pair) -> (bool, bool) {
    let item = |action: &str| json!({ "service_name": "docs", "resource_type": "document", "resource_id": DOCUMENT, "action": action });
    let body = json!({ "checks": [item("view"), item("edit")] });
    let answer = send(app.post("/permissions/check").key(key).bearer(pair).json(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let allowed = |at: usize| {
        answer.body["results"][at]["allowed"]
            .as_bool()
            .expect("an answer")
    };
    (allowed(0), allowed(1))
}

on_both_backends! {
    async fn a_document_is_registered_shared_and_forgotten(store: TestStore) {
        let app = TestApp::start(store).await;
        let (alice, workspace, hers) = app.owner("alice@example.com", "acme").await;
        let bob = app.user("bob@example.com").await;
        app.member(workspace, "bob@example.com", Viewer).await;
        let his = app.tokens(bob.id, workspace).await;
        let (_, key) = app.service("docs").await;

        let made = register(&app, &key, workspace, alice.id, "private").await;
        assert_eq!(made.status, 201);
        assert!(made.revision.is_some());
        assert_eq!(members(&made.body), [
            "created_at", "id", "owner_id", "resource_id", "resource_type", "service_name", "shares", "visibility",
            "workspace_id",
        ]);
        let again = register(&app, &key, workspace, bob.id, "workspace").await;
        assert_eq!((again.status, &again.body), (201, &made.body), "the same, unchanged");
        assert_eq!(may(&app, &key, &hers).await, (true, true));
        assert_eq!(may(&app, &key, &his).await, (false, false));

        let share = format!("/permissions/{}/share", made.text("id"));
        let to_bob = |permission: &str| json!({ "grantee_type": "user", "grantee_id": bob.id, "permission": permission });
        let refused = send(app.post(&share).key(&key).bearer(&his).json(&to_bob("edit"))).await;
        assert_eq!(refused.problem(), (403, "Only the resource owner or workspace admin can share"));
        for (permission, expected) in [("view", (true, false)), ("edit", (true, true)), ("edit", (true, true))] {
            let shared = send(app.post(&share).key(&key).bearer(&hers).json(&to_bob(permission))).await;
            assert_eq!((shared.status, &shared.body), (201, &json!({ "status": "ok" })));
            assert_eq!(may(&app, &key, &his).await, expected, "read your writes");
        }

        let resource = format!("/permissions/resource/docs/document/{DOCUMENT}");
        let record = send(app.get(&resource).key(&key)).await;
        let shares = record.body["shares"].as_array().expect("shares");
        assert_eq!(shares.len(), 1);
        assert_eq!(members(&shares[0]), ["granted_at", "granted_by", "grantee_id", "grantee_type", "id", "permission"]);
        assert!(is_moment(&shares[0]["granted_at"]));
        let enriched = send(app.get(&format!("{resource}/enriched")).key(&key)).await;
        assert_eq!(enriched.text("owner_email"), "alice@example.com");
        assert_eq!(enriched.body["shares"][0]["grantee_name"], "bob");
        assert_eq!(enriched.body["shares"][0]["granted_by_name"], "alice");

        let unshared = send(app.request(Method::DELETE, &share).key(&key).json(&to_bob("view"))).await;
        assert_eq!((unshared.status, &unshared.body), (200, &json!({ "status": "ok" })));
        assert_eq!(may(&app, &key, &his).await, (false, false));
        let gone = send(app.request(Method::DELETE, &share).key(&key).json(&to_bob("view"))).await;
        assert_eq!(gone.problem(), (404, "Share not found"));

        let visibility = format!("/permissions/{}/visibility", made.text("id"));
        let opened = send(app.request(Method::PATCH, &visibility).key(&key).json(&json!({ "visibility": "workspace" }))).await;
        assert_eq!((opened.status, opened.text("visibility")), (200, "workspace"));
        assert_eq!(may(&app, &key, &his).await, (true, false));

        assert_eq!(send(app.request(Method::DELETE, &resource).key(&key)).await.status, 204);
        assert_eq!(may(&app, &key, &hers).await, (false, false));
        assert_eq!(send(app.get(&resource).key(&key)).await.problem(), (404, "Resource not found"));
    }

    async fn a_service_keeps_to_its_scope_in_every_call(store: TestStore) {
        let app = TestApp::start(store).await;
        let (alice, workspace, pair) = app.owner("alice@example.com", "acme").await;
        let (_, docs) = app.service("docs").await;
        let (_, wiki) = app.service("wiki").await;
        let made = register(&app, &docs, workspace, alice.id, "workspace").await;
        let share = json!({ "grantee_type": "user", "grantee_id": alice.id, "permission": "view" });
        let item = json!({ "service_name": "docs", "resource_type": "document", "resource_id": DOCUMENT, "action": "view" });
        let listing = json!({
            "service_name": "docs", "resource_type": "document", "action": "view", "workspace_id": workspace,
        });
        let id = made.text("id");
        let resource = format!("/permissions/resource/docs/document/{DOCUMENT}");
        let calls = [
            app.post("/permissions/register").json(&registration(workspace, alice.id, "private")),
            app.post("/permissions/check").bearer(&pair).json(&json!({ "checks": [item] })),
            app.post("/permissions/accessible").bearer(&pair).json(&listing),
            app.post(&format!("/permissions/{id}/share")).bearer(&pair).json(&share),
            app.request(Method::DELETE, &format!("/permissions/{id}/share")).json(&share),
            app.request(Method::PATCH, &format!("/permissions/{id}/visibility")).json(&json!({ "visibility": "private" })),
            app.get(&resource),
            app.get(&format!("{resource}/enriched")),
            app.request(Method::DELETE, &resource),
        ];
        for call in calls {
            let without = send(call.try_clone().expect("small")).await;
            assert_eq!(without.problem(), (401, "Missing service API key or unregistered origin"));
            let foreign = send(call.key(&wiki)).await;
            assert_eq!(foreign.problem(), (403, "Service key is not authorized for service 'docs'"));
        }
    }

    async fn a_resource_of_another_workspace_is_a_conflict_and_no_leak(store: TestStore) {
        let app = TestApp::start(store).await;
        let (alice, acme, _) = app.owner("alice@example.com", "acme").await;
        let (bob, other, his) = app.owner("bob@example.com", "other").await;
        let (_, key) = app.service("docs").await;
        let made = register(&app, &key, acme, alice.id, "workspace").await;
        let refused = register(&app, &key, other, bob.id, "workspace").await;
        assert_eq!(refused.problem(), (409, "Resource is already registered in another workspace"));
        assert!(!refused.body.to_string().contains(&acme.to_string()));
        assert_eq!(may(&app, &key, &his).await, (false, false));
        let share = json!({ "grantee_type": "user", "grantee_id": bob.id, "permission": "view" });
        let path = format!("/permissions/{}/share", made.text("id"));
        let across = send(app.post(&path).key(&key).bearer(&his).json(&share)).await;
        assert_eq!(across.problem(), (403, "Cross-workspace sharing not allowed"));
        let stranger = register(&app, &key, other, alice.id, "workspace").await;
        assert_eq!(stranger.problem(), (400, "Owner is not a member of this workspace"));
    }

    async fn questions_are_bounded_and_checked(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, workspace, pair) = app.owner("alice@example.com", "acme").await;
        let (_, key) = app.service("docs").await;
        let check = |body: Value| send(app.post("/permissions/check").key(&key).bearer(&pair).json(&body));
        let item = json!({ "service_name": "docs", "resource_type": "document", "resource_id": DOCUMENT, "action": "view" });
        assert_eq!(check(json!({ "checks": [] })).await.body, json!({ "results": [] }));
        assert_eq!(check(json!({ "checks": vec![item.clone(); 100] })).await.status, 200);
        assert_eq!(check(json!({ "checks": vec![item.clone(); 101] })).await.status, 422);
        for (field, value) in [
            ("service_name", json!("Docs")),
            ("resource_type", json!("")),
            ("resource_type", json!("t".repeat(255))),
            ("resource_id", json!("1")),
            ("action", json!("delete")),
        ] {
            let mut bad = item.clone();
            bad[field] = value;
            assert_eq!(check(json!({ "checks": [bad] })).await.status, 422, "{field}");
        }
        let answered = check(json!({ "checks": [item] })).await;
        let result = &answered.body["results"][0];
        assert_eq!(members(result), ["action", "allowed", "resource_id", "resource_type", "service_name"]);
        let listing = |limit: u32| {
            let body = json!({
                "service_name": "docs", "resource_type": "document", "action": "view", "workspace_id": workspace,
                "limit": limit,
            });
            send(app.post("/permissions/accessible").key(&key).bearer(&pair).json(&body))
        };
        assert_eq!(listing(0).await.status, 422);
        assert_eq!(listing(10_001).await.status, 422);
        assert_eq!(listing(1).await.body, json!({ "resource_ids": [], "has_full_access": true, "cursor": null }));
    }

    async fn what_is_accessible_comes_in_pages(store: TestStore) {
        let app = TestApp::start(store).await;
        let (alice, workspace, _) = app.owner("alice@example.com", "acme").await;
        let bob = app.user("bob@example.com").await;
        app.member(workspace, "bob@example.com", Viewer).await;
        let his = app.tokens(bob.id, workspace).await;
        let (_, key) = app.service("docs").await;
        let ids: Vec<String> = (1..=5).map(|n| format!("018f4e7a-1111-7000-8000-00000000000{n}")).collect();
        for id in ids.iter().rev() {
            let mut body = registration(workspace, alice.id, "workspace");
            body["resource_id"] = json!(id);
            assert_eq!(send(app.post("/permissions/register").key(&key).json(&body)).await.status, 201);
        }
        let page = |cursor: Value, limit: Value| {
            let body = json!({
                "service_name": "docs", "resource_type": "document", "action": "view", "workspace_id": workspace,
                "limit": limit, "cursor": cursor,
            });
            send(app.post("/permissions/accessible").key(&key).bearer(&his).json(&body))
        };
        let first = page(Value::Null, json!(3)).await;
        assert_eq!(first.body, json!({ "resource_ids": ids[..3], "has_full_access": false, "cursor": ids[2] }));
        let rest = page(first.body["cursor"].clone(), json!(3)).await;
        assert_eq!(rest.body, json!({ "resource_ids": ids[3..], "has_full_access": false, "cursor": null }));
        let all = page(Value::Null, Value::Null).await;
        assert_eq!(all.body["resource_ids"], json!(ids));
        assert_eq!(page(json!("not an id"), Value::Null).await.status, 422);
        let elsewhere = json!({
            "service_name": "docs", "resource_type": "document", "action": "view", "workspace_id": alice.id,
        });
        let refused = send(app.post("/permissions/accessible").key(&key).bearer(&his).json(&elsewhere)).await;
        assert_eq!(refused.problem(), (403, "Cross-workspace lookup not allowed"));
    }

    async fn removing_a_member_takes_everything_at_once(store: TestStore) {
        let app = TestApp::start(store).await;
        let (alice, workspace, hers) = app.owner("alice@example.com", "acme").await;
        let bob = app.user("bob@example.com").await;
        app.member(workspace, "bob@example.com", Viewer).await;
        let his = app.tokens(bob.id, workspace).await;
        let (_, key) = app.service("docs").await;
        let made = register(&app, &key, workspace, alice.id, "private").await;

        let groups = format!("/workspaces/{workspace}/groups");
        let group = send(app.post(&groups).bearer(&hers).json(&json!({ "name": "Eng" }))).await;
        let joined = format!("{groups}/{}/members/{}", group.text("id"), bob.id);
        assert_eq!(send(app.post(&joined).bearer(&hers)).await.status, 201);
        let share = json!({ "grantee_type": "group", "grantee_id": group.text("id"), "permission": "edit" });
        let path = format!("/permissions/{}/share", made.text("id"));
        assert_eq!(send(app.post(&path).key(&key).bearer(&hers).json(&share)).await.status, 201);
        assert_eq!(may(&app, &key, &his).await, (true, true), "through the group, with a token from before it");

        let member = format!("/workspaces/{workspace}/members/{}", bob.id);
        assert_eq!(send(app.request(Method::DELETE, &member).bearer(&hers)).await.status, 204);
        let check = app.post("/permissions/check").key(&key).bearer(&his).json(&json!({ "checks": [] }));
        assert_eq!(send(check).await.problem(), (401, "Token has been revoked"));
        app.member(workspace, "bob@example.com", Viewer).await;
        let his = app.tokens(bob.id, workspace).await;
        assert_eq!(may(&app, &key, &his).await, (false, false), "what he had does not come back with him");
    }
}
