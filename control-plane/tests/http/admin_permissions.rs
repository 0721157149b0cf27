//! The admin API of permission records.

use std::time::Duration;

use reqwest::Method;
use sentinel_core::WorkspaceRole::Viewer;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_store::on_both_backends;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, is_moment, members, send};
use crate::common::{As, Pair, TestApp};

const FIRST: &str = "018f4e7a-1111-7000-8000-000000000001";
const SECOND: &str = "018f4e7a-2222-7000-8000-000000000002";
const OTHER: &str = "abcdef00-1111-7000-8000-000000000003";

async fn get(app: &TestApp, cookie: &str, path: &str) -> Answer {
    send(app.get(path).admin(cookie)).await
}

async fn call(app: &TestApp, cookie: &str, method: Method, path: &str, body: Value) -> Answer {
    send(app.request(method, path).admin(cookie).json(&body)).await
}

/// Registers a private document; its record's id.
async fn register(
    app: &TestApp,
    (service, key): (&str, &str),
    resource: &str,
    workspace: WorkspaceId,
    owner: UserId,
) -> String {
    let body = json!({
        "service_name": service, "resource_type": "document", "resource_id": resource,
        "workspace_id": workspace, "owner_id": owner, "visibility": "private",
    });
    app.clock.advance(Duration::from_secs(1));
    let made = send(
        app.post("/permissions/register")
            .header("x-service-key", key)
            .json(&body),
    )
    .await;
    assert_eq!(made.status, 201, "{made:?}");
    made.text("id").to_owned()
}

/// Whether the user may view the document, and whether he may edit it.
async fn may(app: &TestApp, key: &str, pair: &Pair, resource: &str) -> (bool, bool) {
    let item = |action: &str| {
        json!({
            "service_name": "docs", "resource_type": "document", "resource_id": resource, "action": action,
        })
    };
    let body = json!({ "checks": [item("view"), item("edit")] });
    let request = app.post("/permissions/check").header("x-service-key", key);
    let answer = send(request.bearer(pair).json(&body)).await;
    let allowed = |at: usize| answer.body["results"][at]["allowed"] == json!(true);
    (allowed(0), allowed(1))
}

/// The actions in the activity log about a record, in the order of the alphabet.
async fn actions(app: &TestApp, cookie: &str, record: &str) -> Vec<String> {
    let log = get(app, cookie, "/admin/activity?target_type=resource_permission").await;
    let rows = log.body["items"].as_array().expect("rows");
    let mut actions: Vec<String> = rows
        .iter()
        .filter(|row| row["target_id"] == json!(record))
        .map(|row| row["action"].as_str().expect("word").to_owned())
        .collect();
    actions.sort_unstable();
    actions
}

on_both_backends! {
    async fn records_are_listed_filtered_and_sorted(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let (alice, acme, _) = app.owner("alice@example.com", "acme").await;
        let (bob, other, _) = app.owner("bob@example.com", "other").await;
        let (_, docs) = app.service("docs").await;
        let (_, wiki) = app.service("wiki").await;
        app.member(acme, "bob@example.com", Viewer).await;
        let one = register(&app, ("docs", &docs), FIRST, acme, alice.id).await;
        let two = register(&app, ("docs", &docs), SECOND, other, bob.id).await;
        let three = register(&app, ("wiki", &wiki), OTHER, acme, bob.id).await;
        let share = json!({ "grantee_type": "user", "grantee_id": bob.id, "permission": "view" });
        let shared = call(&app, &cookie, Method::POST, &format!("/admin/permissions/{one}/share"), share).await;
        assert_eq!(shared.status, 201, "{shared:?}");

        let listed = get(&app, &cookie, "/admin/permissions").await;
        assert_eq!(members(&listed.body), ["items", "page", "page_size", "total"]);
        assert_eq!(members(&listed.body["items"][0]), [
            "created_at", "id", "owner_email", "owner_id", "resource_id", "resource_type", "service_name", "share_count",
            "visibility", "workspace_id",
        ]);
        let newest = [three.as_str(), &two, &one];
        for (query, expected) in [
            (String::new(), &newest[..]),
            ("sort_order=asc".to_owned(), &[&one, &two, &three]),
            ("sort_by=shares".to_owned(), &[&one, &three, &two]),
            ("sort_by=shares&sort_order=asc".to_owned(), &[&two, &three, &one]),
            ("page_size=1&page=2".to_owned(), &[&two]),
            (format!("workspace_id={acme}"), &[&three, &one]),
            ("service_name=docs&owner=".to_owned(), &[&two, &one]),
            ("resource_id=018f4e7a".to_owned(), &[&two, &one]),
            ("resource_id=018F4E7A-1".to_owned(), &[&one]),
            (format!("resource_id={OTHER}"), &[&three]),
            ("resource_id=nonsense".to_owned(), &[]),
            ("owner=BOB@".to_owned(), &[&three, &two]),
            ("owner=%25".to_owned(), &[]),
            (format!("workspace_id={acme}&owner=bob&service_name=wiki"), &[&three]),
            (format!("workspace_id={}", Uuid::nil()), &[]),
        ] {
            let found = get(&app, &cookie, &format!("/admin/permissions?{query}")).await;
            let items = found.body["items"].as_array().unwrap_or_else(|| panic!("{query}: {found:?}"));
            let ids: Vec<&str> = items.iter().map(|item| item["id"].as_str().expect("id")).collect();
            assert_eq!(ids, expected, "{query}");
            let total = if query.starts_with("page_size") { 3 } else { expected.len() };
            assert_eq!(found.body["total"], json!(total), "{query}");
        }
        for bad in ["sort_by=name", "sort_order=up", "service_name=Docs", "owner=%00", "workspace_id=1", "page=0"] {
            assert_eq!(get(&app, &cookie, &format!("/admin/permissions?{bad}")).await.status, 422, "{bad}");
        }
    }

    async fn a_record_is_shown_opened_shared_and_closed(store: TestStore) {
        let app = TestApp::start(store).await;
        let (admin, cookie) = app.admin("admin@example.com").await;
        let (alice, acme, hers) = app.owner("alice@example.com", "acme").await;
        let (stranger, _, _) = app.owner("stranger@example.com", "other").await;
        let bob = app.user("bob@example.com").await;
        app.member(acme, "bob@example.com", Viewer).await;
        let his = app.tokens(bob.id, acme).await;
        let (_, key) = app.service("docs").await;
        let id = register(&app, ("docs", &key), FIRST, acme, alice.id).await;
        let path = format!("/admin/permissions/{id}");

        let set = async |visibility: &str| {
            let body = json!({ "visibility": visibility });
            call(&app, &cookie, Method::PATCH, &format!("{path}/visibility"), body).await
        };
        let opened = set("workspace").await;
        assert_eq!((opened.status, &opened.body), (200, &json!({ "status": "ok", "visibility": "workspace" })));
        assert_eq!(may(&app, &key, &his, FIRST).await, (true, false));
        assert_eq!(set("private").await.status, 200);
        assert_eq!(set("private").await.status, 200);
        assert_eq!(may(&app, &key, &his, FIRST).await, (false, false));
        assert_eq!(set("public").await.status, 422);

        let share = format!("{path}/share");
        let give = |kind: &str, to: Uuid, level: &str| {
            let body = json!({ "grantee_type": kind, "grantee_id": to, "permission": level });
            send(app.post(&share).admin(&cookie).json(&body))
        };
        for level in ["view", "edit"] {
            let given = give("user", bob.id.as_uuid(), level).await;
            assert_eq!((given.status, &given.body), (201, &json!({ "status": "ok" })));
        }
        assert_eq!(may(&app, &key, &his, FIRST).await, (true, true), "sharing again changes the level");
        let refused = give("user", stranger.id.as_uuid(), "view").await;
        assert_eq!(refused.problem(), (400, "Grantee user is not a member of the resource's workspace"));
        let refused = give("group", bob.id.as_uuid(), "view").await;
        assert_eq!(refused.problem(), (400, "Grantee group does not belong to the resource's workspace"));
        assert_eq!(give("team", bob.id.as_uuid(), "view").await.status, 422);

        let shown = get(&app, &cookie, &path).await;
        assert_eq!(members(&shown.body), [
            "created_at", "id", "owner_email", "owner_id", "resource_id", "resource_type", "service_name", "share_count",
            "shares", "visibility", "workspace_id",
        ]);
        let one = &shown.body["shares"][0];
        assert_eq!(members(one), ["granted_at", "granted_by", "grantee_id", "grantee_type", "id", "permission"]);
        assert_eq!((&one["granted_by"], &one["permission"]), (&json!(admin.id), &json!("edit")));
        assert!(is_moment(&one["granted_at"]));
        assert_eq!((shown.text("owner_email"), &shown.body["share_count"]), ("alice@example.com", &json!(1)));

        let take = || {
            let query = format!("{share}?grantee_type=user&grantee_id={}", bob.id);
            send(app.request(Method::DELETE, &query).admin(&cookie))
        };
        let taken = take().await;
        assert_eq!((taken.status, &taken.body), (200, &json!({ "status": "ok" })));
        assert_eq!(may(&app, &key, &his, FIRST).await, (false, false));
        assert_eq!(may(&app, &key, &hers, FIRST).await, (true, true), "it is hers");
        assert_eq!(take().await.problem(), (404, "Share not found"));
        assert_eq!(send(app.request(Method::DELETE, &share).admin(&cookie)).await.status, 422);
        assert_eq!(actions(&app, &cookie, &id).await, [
            "permission_revoked", "permission_shared", "permission_shared", "permission_visibility_changed",
            "permission_visibility_changed",
        ]);

        let nowhere = format!("/admin/permissions/{}", Uuid::nil());
        let body = json!({ "grantee_type": "user", "grantee_id": bob.id, "permission": "view" });
        let query = format!("{nowhere}/share?grantee_type=user&grantee_id={}", bob.id);
        for gone in [
            get(&app, &cookie, &nowhere).await,
            call(&app, &cookie, Method::PATCH, &format!("{nowhere}/visibility"), json!({ "visibility": "private" })).await,
            call(&app, &cookie, Method::POST, &format!("{nowhere}/share"), body).await,
            send(app.request(Method::DELETE, &query).admin(&cookie)).await,
        ] {
            assert_eq!(gone.problem(), (404, "Permission not found"));
        }
    }

    async fn everything_of_a_service_is_forgotten_at_once(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let (alice, acme, hers) = app.owner("alice@example.com", "acme").await;
        let (_, docs) = app.service("docs").await;
        let (_, wiki) = app.service("wiki").await;
        register(&app, ("docs", &docs), FIRST, acme, alice.id).await;
        register(&app, ("docs", &docs), SECOND, acme, alice.id).await;
        let kept = register(&app, ("wiki", &wiki), OTHER, acme, alice.id).await;
        assert_eq!(may(&app, &docs, &hers, FIRST).await, (true, true));
        let purge = |name: &str| {
            let path = format!("/admin/permissions/service/{name}");
            send(app.request(Method::DELETE, &path).admin(&cookie))
        };
        let purged = purge("docs").await;
        assert_eq!((purged.status, &purged.body), (200, &json!({ "status": "ok", "deleted_count": 2 })));
        assert_eq!(may(&app, &docs, &hers, FIRST).await, (false, false));
        let left = get(&app, &cookie, "/admin/permissions").await;
        assert_eq!((&left.body["total"], &left.body["items"][0]["id"]), (&json!(1), &json!(kept)));
        let log = get(&app, &cookie, "/admin/activity?action=permissions_purged").await;
        assert_eq!(log.body["items"][0]["detail"], json!({ "service_name": "docs", "deleted_count": 2 }));
        assert_eq!(purge("docs").await.body["deleted_count"], 0);
        assert_eq!(purge("Docs").await.status, 422);
    }
}
