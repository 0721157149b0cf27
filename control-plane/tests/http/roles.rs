//! Roles: the service surface, and the admin API behind it.

use reqwest::{Method, RequestBuilder};
use sentinel_core::WorkspaceRole::Viewer;
use sentinel_core::id::WorkspaceId;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, is_moment, members, send};
use crate::common::{As, Pair, TestApp};

trait WithKey {
    fn key(self, key: &str) -> Self;
}

impl WithKey for RequestBuilder {
    fn key(self, key: &str) -> Self {
        self.header("x-service-key", key)
    }
}

/// An administrator's request, with or without a body.
async fn admin(app: &TestApp, cookie: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = app.request(method, path).admin(cookie);
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn register(app: &TestApp, key: &str, actions: Value) -> Answer {
    let body = json!({ "service_name": "docs", "actions": actions });
    send(app.post("/roles/actions/register").key(key).json(&body)).await
}

async fn check(app: &TestApp, key: &str, pair: &Pair, workspace: WorkspaceId, action: &str) -> Answer {
    let body = json!({ "service_name": "docs", "action": action, "workspace_id": workspace });
    send(app.post("/roles/check-action").key(key).bearer(pair).json(&body)).await
}

fn allowed(roles: &[&str]) -> Value {
    json!({ "allowed": !roles.is_empty(), "roles": roles })
}

on_both_backends! {
    async fn a_service_registers_its_actions_as_often_as_it_likes(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, key) = app.service("docs").await;
        let (_, wiki) = app.service("wiki").await;
        let made = register(&app, &key, json!([
            { "action": "reports:export", "description": "first" },
            { "action": "archive" },
            { "action": "reports:export", "description": "last" },
        ])).await;
        assert_eq!(made.status, 201, "{made:?}");
        let rows = made.body.as_array().expect("a list");
        assert_eq!(rows.len(), 2);
        assert_eq!(members(&rows[0]), ["action", "created_at", "description", "id", "service_name"]);
        assert!(is_moment(&rows[0]["created_at"]));
        assert_eq!((&rows[0]["action"], &rows[0]["description"]), (&json!("archive"), &Value::Null));
        assert_eq!((&rows[1]["action"], &rows[1]["description"]), (&json!("reports:export"), &json!("last")));
        let again = register(&app, &key, json!([{ "action": "reports:export", "description": null }])).await;
        assert_eq!((again.status, &again.body[0]), (201, &rows[1]), "no description clears none");
        assert_eq!(register(&app, &key, json!([])).await.body, json!([]));

        assert_eq!(register(&app, &wiki, json!([])).await.problem(), (403, "Service key is not authorized for service 'docs'"));
        let without = send(app.post("/roles/actions/register").json(&json!({ "service_name": "docs", "actions": [] }))).await;
        assert_eq!(without.problem(), (401, "Missing service API key or unregistered origin"));
        for bad in [
            json!([{ "action": "Export" }]),
            json!([{ "action": "a".repeat(256) }]),
            json!([{ "action": "a", "description": "d".repeat(10_001) }]),
            json!([{ "description": "nameless" }]),
            json!(vec![json!({ "action": "a" }); 1001]),
            json!({}),
        ] {
            assert_eq!(register(&app, &key, bad).await.status, 422);
        }
        let longest = register(&app, &key, json!([{ "action": "a".repeat(255) }])).await;
        assert_eq!(longest.status, 201);
    }

    async fn a_role_works_at_once_and_stops_at_once(store: TestStore) {
        let app = TestApp::start(store).await;
        let (administrator, cookie) = app.admin("admin@example.com").await;
        let (alice, workspace, hers) = app.owner("alice@example.com", "acme").await;
        let bob = app.user("bob@example.com").await;
        app.member(workspace, "bob@example.com", Viewer).await;
        let his = app.tokens(bob.id, workspace).await;
        let (_, key) = app.service("docs").await;
        let export = "reports:export";
        let may = async |pair: &Pair| {
            let answer = check(&app, &key, pair, workspace, export).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.body
        };
        let call = async |method, path: &str, body| admin(&app, &cookie, method, path, body).await;
        assert_eq!(may(&his).await, allowed(&[]), "nobody has registered it");
        let registered = register(&app, &key, json!([{ "action": export }])).await;
        let action = registered.body[0]["id"].clone();
        assert_eq!(may(&his).await, allowed(&[]));

        let roles = format!("/admin/workspaces/{workspace}/roles");
        let made = call(Method::POST, &roles, Some(json!({ "name": "Writer", "description": "Writes" }))).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!(members(&made.body), [
            "action_count", "created_at", "created_by", "description", "group_count", "id", "member_count", "name",
            "workspace_id",
        ]);
        assert!(is_moment(&made.body["created_at"]));
        assert_eq!(made.text("created_by"), administrator.id.to_string());
        let role = format!("/admin/roles/{}", made.text("id"));
        let added = call(Method::POST, &format!("{role}/actions"), Some(json!({ "service_action_ids": [action] }))).await;
        assert_eq!((added.status, &added.body), (201, &json!({ "status": "ok" })));
        assert!(added.revision.is_some());
        assert_eq!(may(&his).await, allowed(&[]), "nobody has the role");

        let bob_in_role = format!("{role}/members/{}", bob.id);
        let given = call(Method::POST, &bob_in_role, None).await;
        assert_eq!((given.status, &given.body), (201, &json!({ "status": "ok" })));
        assert_eq!(may(&his).await, allowed(&["Writer"]), "read your writes");
        assert_eq!(may(&hers).await, allowed(&[]), "an owner has no actions");
        let lookup = format!("/roles/user-actions?workspace_id={workspace}&service_name=docs");
        let listed = send(app.get(&lookup).key(&key).bearer(&his)).await;
        assert_eq!((listed.status, &listed.body), (200, &json!({ "actions": [export] })));
        let listed = send(app.get(&lookup).key(&key).bearer(&hers)).await;
        assert_eq!(listed.body, json!({ "actions": [] }));
        let holders = call(Method::GET, &format!("{role}/members"), None).await;
        assert_eq!(members(&holders.body[0]), ["assigned_at", "assigned_by", "email", "name", "user_id"]);
        assert!(is_moment(&holders.body[0]["assigned_at"]));
        assert_eq!(holders.body[0]["user_id"], json!(bob.id));
        assert_eq!(call(Method::DELETE, &bob_in_role, None).await.status, 204);
        assert_eq!(may(&his).await, allowed(&[]));

        let groups = format!("/workspaces/{workspace}/groups");
        let group = send(app.post(&groups).bearer(&hers).json(&json!({ "name": "Eng" }))).await;
        let in_group = format!("{groups}/{}/members/{}", group.text("id"), bob.id);
        assert_eq!(send(app.post(&in_group).bearer(&hers)).await.status, 201);
        let group_in_role = format!("{role}/groups/{}", group.text("id"));
        let given = call(Method::POST, &group_in_role, None).await;
        assert_eq!((given.status, &given.body), (201, &json!({ "status": "ok" })));
        assert_eq!(may(&his).await, allowed(&["Writer"]), "with a token from before it");
        let holders = call(Method::GET, &format!("{role}/groups"), None).await;
        assert_eq!(members(&holders.body[0]), [
            "assigned_at", "assigned_by", "description", "group_id", "member_count", "name",
        ]);
        assert_eq!((&holders.body[0]["group_id"], &holders.body[0]["member_count"]), (&group.body["id"], &json!(1)));
        let rows = call(Method::GET, &roles, None).await;
        let counts = ["action_count", "member_count", "group_count"].map(|name| rows.body[0][name].as_i64());
        assert_eq!(counts, [Some(1), Some(0), Some(1)]);

        assert_eq!(send(app.request(Method::DELETE, &in_group).bearer(&hers)).await.status, 204);
        let fresh = app.tokens(bob.id, workspace).await;
        assert_eq!(may(&fresh).await, allowed(&[]), "out of the group, out of the role");
        let listed = send(app.get(&lookup).key(&key).bearer(&fresh)).await;
        assert_eq!(listed.body, json!({ "actions": [] }));
        assert_eq!(call(Method::DELETE, &group_in_role, None).await.status, 204);

        assert_eq!(call(Method::POST, &format!("{role}/members/{}", alice.id), None).await.status, 201);
        assert_eq!(may(&hers).await, allowed(&["Writer"]));
        let renamed = call(Method::PATCH, &role, Some(json!({ "name": "Author" }))).await;
        assert_eq!((renamed.status, renamed.text("name"), renamed.text("description")), (200, "Author", "Writes"));
        assert_eq!(may(&hers).await, allowed(&["Author"]));
        let action_in_role = format!("{role}/actions/{}", action.as_str().expect("id"));
        assert_eq!(call(Method::DELETE, &action_in_role, None).await.status, 204);
        assert_eq!(may(&hers).await, allowed(&[]));
        call(Method::POST, &format!("{role}/actions"), Some(json!({ "service_action_ids": [action] }))).await;
        assert_eq!(may(&hers).await, allowed(&["Author"]));
        assert_eq!(call(Method::DELETE, &role, None).await.status, 204);
        assert_eq!(may(&hers).await, allowed(&[]));
        assert_eq!(call(Method::GET, &roles, None).await.body, json!([]));
    }

    async fn forgetting_an_action_takes_it_from_every_role(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let (alice, workspace, hers) = app.owner("alice@example.com", "acme").await;
        let (_, key) = app.service("docs").await;
        let registered = register(&app, &key, json!([{ "action": "archive" }, { "action": "export" }])).await;
        let ids = [&registered.body[0]["id"], &registered.body[1]["id"]];
        let call = async |method, path: &str, body| admin(&app, &cookie, method, path, body).await;
        let made = call(Method::POST, &format!("/admin/workspaces/{workspace}/roles"), Some(json!({ "name": "R" }))).await;
        let role = format!("/admin/roles/{}", made.text("id"));
        let actions = format!("{role}/actions");
        call(Method::POST, &actions, Some(json!({ "service_action_ids": ids }))).await;
        call(Method::POST, &format!("{role}/members/{}", alice.id), None).await;
        assert_eq!(call(Method::GET, &actions, None).await.body, registered.body);
        let all = call(Method::GET, "/admin/service-actions", None).await;
        assert_eq!((all.status, &all.body), (200, &registered.body));
        assert_eq!(call(Method::GET, "/admin/service-actions?service_name=wiki", None).await.body, json!([]));
        assert_eq!(call(Method::GET, "/admin/service-actions?service_name=docs", None).await.body, registered.body);
        assert_eq!(check(&app, &key, &hers, workspace, "export").await.body, allowed(&["R"]));

        let path = format!("/admin/service-actions/{}", ids[1].as_str().expect("id"));
        let gone = call(Method::DELETE, &path, None).await;
        assert_eq!(gone.status, 204);
        assert!(gone.revision.is_some());
        assert_eq!(check(&app, &key, &hers, workspace, "export").await.body, allowed(&[]));
        assert_eq!(check(&app, &key, &hers, workspace, "archive").await.body, allowed(&["R"]));
        assert_eq!(call(Method::DELETE, &path, None).await.problem(), (404, "Service action not found"));
        let log = call(Method::GET, "/admin/activity?action=service_action_deleted", None).await;
        assert_eq!(log.body["items"][0]["detail"], json!({ "service_name": "docs", "action": "export" }));
    }

    async fn what_does_not_fit_is_refused(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let (alice, workspace, _) = app.owner("alice@example.com", "acme").await;
        let (carol, other, hers) = app.owner("carol@example.com", "other").await;
        let (_, key) = app.service("docs").await;
        let action = register(&app, &key, json!([{ "action": "export" }])).await.body[0]["id"].clone();
        let call = async |method, path: &str, body| admin(&app, &cookie, method, path, body).await;
        let nobody = Uuid::nil();
        let roles = format!("/admin/workspaces/{workspace}/roles");
        let named = |name: &str| Some(json!({ "name": name }));
        let made = call(Method::POST, &roles, named("Writer")).await;
        let second = call(Method::POST, &roles, named("Second")).await;
        let role = format!("/admin/roles/{}", made.text("id"));
        let taken = (409, "A role with this name already exists in this workspace");
        assert_eq!(call(Method::POST, &roles, named("Writer")).await.problem(), taken);
        let rename = call(Method::PATCH, &format!("/admin/roles/{}", second.text("id")), named("Writer")).await;
        assert_eq!(rename.problem(), taken);
        for bad in [json!({}), json!({ "name": "" }), json!({ "name": "n".repeat(256) })] {
            assert_eq!(call(Method::POST, &roles, Some(bad)).await.status, 422);
        }
        let nowhere = format!("/admin/workspaces/{nobody}/roles");
        assert_eq!(call(Method::POST, &nowhere, named("Writer")).await.problem(), (404, "Workspace not found"));
        assert_eq!(call(Method::GET, &nowhere, None).await.problem(), (404, "Workspace not found"));

        let actions = format!("{role}/actions");
        let give = async |ids: Value| call(Method::POST, &actions, Some(json!({ "service_action_ids": ids }))).await;
        assert_eq!(give(json!([action, nobody])).await.problem(), (404, "Service action not found"));
        assert_eq!(call(Method::GET, &actions, None).await.body, json!([]), "all or nothing");
        assert_eq!(give(json!(["export"])).await.status, 422);
        assert_eq!(give(json!(vec![&action; 501])).await.status, 422);
        assert_eq!(give(json!([action, action])).await.status, 201);
        assert_eq!(give(json!([action])).await.status, 201, "as often as one likes");
        assert_eq!(call(Method::DELETE, &format!("{actions}/{nobody}"), None).await.problem(), (404, "Service action not found"));

        let stranger = call(Method::POST, &format!("{role}/members/{}", carol.id), None).await;
        assert_eq!(stranger.problem(), (400, "User is not a member of this workspace"));
        let alices = format!("{role}/members/{}", alice.id);
        assert_eq!(call(Method::POST, &alices, None).await.status, 201);
        assert_eq!(call(Method::POST, &alices, None).await.problem(), (400, "Failed to assign role: the user has it already"));
        assert_eq!(call(Method::DELETE, &alices, None).await.status, 204);
        assert_eq!(call(Method::DELETE, &alices, None).await.problem(), (404, "Role assignment not found"));
        let groups = format!("/workspaces/{other}/groups");
        let theirs = send(app.post(&groups).bearer(&hers).json(&json!({ "name": "Eng" }))).await;
        let across = call(Method::POST, &format!("{role}/groups/{}", theirs.text("id")), None).await;
        assert_eq!(across.problem(), (400, "Group and role belong to different workspaces"));
        assert_eq!(call(Method::POST, &format!("{role}/groups/{nobody}"), None).await.problem(), (404, "Group not found"));
        let there = call(Method::POST, &format!("/admin/workspaces/{other}/roles"), named("Writer")).await;
        assert_eq!(there.status, 201, "a name is taken in its workspace only");
        let path = format!("/admin/roles/{}/groups/{}", there.text("id"), theirs.text("id"));
        assert_eq!(call(Method::POST, &path, None).await.status, 201);
        assert_eq!(call(Method::POST, &path, None).await.problem(), (409, "Group is already assigned to this role"));

        let missing = format!("/admin/roles/{nobody}");
        for (method, path, body) in [
            (Method::PATCH, missing.clone(), named("Writer")),
            (Method::DELETE, missing.clone(), None),
            (Method::GET, format!("{missing}/actions"), None),
            (Method::POST, format!("{missing}/actions"), Some(json!({ "service_action_ids": [action] }))),
            (Method::DELETE, format!("{missing}/actions/{nobody}"), None),
            (Method::GET, format!("{missing}/members"), None),
            (Method::POST, format!("{missing}/members/{}", alice.id), None),
            (Method::DELETE, format!("{missing}/members/{}", alice.id), None),
            (Method::GET, format!("{missing}/groups"), None),
            (Method::POST, format!("{missing}/groups/{nobody}"), None),
            (Method::DELETE, format!("{missing}/groups/{nobody}"), None),
        ] {
            let answer = call(method.clone(), &path, body).await;
            assert_eq!(answer.problem(), (404, "Role not found"), "{method} {path}");
            let forged = send(app.request(method.clone(), &path).bearer(&hers)).await;
            assert_eq!(forged.problem(), (401, "Not authenticated"), "{method} {path}");
            if method != Method::GET {
                let forged = send(app.request(method.clone(), &path).header("cookie", &cookie)).await;
                assert_eq!(forged.problem(), (403, "Missing X-Requested-With header"), "{method} {path}");
            }
        }
    }

    async fn a_service_asks_for_itself_and_the_users_workspace(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, workspace, pair) = app.owner("alice@example.com", "acme").await;
        let (_, other, _) = app.owner("bob@example.com", "other").await;
        let (_, docs) = app.service("docs").await;
        let (_, wiki) = app.service("wiki").await;
        let body = |workspace: WorkspaceId| json!({ "service_name": "docs", "action": "export", "workspace_id": workspace });
        let lookup = |workspace: WorkspaceId| {
            app.get(&format!("/roles/user-actions?workspace_id={workspace}&service_name=docs")).bearer(&pair)
        };
        let ask = |workspace| app.post("/roles/check-action").bearer(&pair).json(&body(workspace));
        for call in [ask(workspace), lookup(workspace)] {
            let without = send(call.try_clone().expect("small")).await;
            assert_eq!(without.problem(), (401, "Missing service API key or unregistered origin"));
            let foreign = send(call.key(&wiki)).await;
            assert_eq!(foreign.problem(), (403, "Service key is not authorized for service 'docs'"));
        }
        let nobody = send(app.post("/roles/check-action").key(&docs).json(&body(workspace))).await;
        assert_eq!(nobody.problem(), (401, "Missing Bearer token"));
        assert_eq!(send(ask(other).key(&docs)).await.problem(), (403, "Cross-workspace check not allowed"));
        assert_eq!(send(lookup(other).key(&docs)).await.problem(), (403, "Cross-workspace lookup not allowed"));
        for query in ["", "?service_name=docs", "?workspace_id=1&service_name=docs"] {
            let answer = send(app.get(&format!("/roles/user-actions{query}")).key(&docs).bearer(&pair)).await;
            assert_eq!(answer.status, 422, "{query}");
        }
        for (field, bad) in [("service_name", json!("Docs")), ("action", json!("")), ("workspace_id", json!("1"))] {
            let mut body = body(workspace);
            body[field] = bad;
            let answer = send(app.post("/roles/check-action").key(&docs).bearer(&pair).json(&body)).await;
            assert_eq!(answer.status, 422, "{field}");
        }
    }

    async fn deleting_a_service_forgets_its_actions(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let (alice, workspace, _) = app.owner("alice@example.com", "acme").await;
        let (service, key) = app.service("docs").await;
        let action = register(&app, &key, json!([{ "action": "export" }])).await.body[0]["id"].clone();
        let call = async |method, path: &str, body| admin(&app, &cookie, method, path, body).await;
        let made = call(Method::POST, &format!("/admin/workspaces/{workspace}/roles"), Some(json!({ "name": "R" }))).await;
        let role = format!("/admin/roles/{}", made.text("id"));
        call(Method::POST, &format!("{role}/actions"), Some(json!({ "service_action_ids": [action] }))).await;
        call(Method::POST, &format!("{role}/members/{}", alice.id), None).await;
        assert_eq!(call(Method::DELETE, &format!("/admin/service-apps/{service}"), None).await.status, 204);
        assert_eq!(call(Method::GET, "/admin/service-actions", None).await.body, json!([]));
        assert_eq!(call(Method::GET, &format!("{role}/actions"), None).await.body, json!([]));
    }

    async fn a_service_outside_any_realm_is_told_so(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, key) = app.service("docs").await;
        let told = send(app.get("/realm/whoami").key(&key)).await;
        assert_eq!(told.status, 200);
        assert_eq!(told.body, json!({ "service_name": "docs", "effective_scope": "docs", "realm": null }));
        let token = |body: &Value| send(app.post("/realm/m2m-token").key(&key).json(body));
        let refused = (403, "Service is not a realm member; no-user tokens require a realm");
        for body in [json!({}), json!({ "target": "wiki" }), json!({ "target": null })] {
            assert_eq!(token(&body).await.problem(), refused);
        }
        assert_eq!(token(&json!({ "target": 1 })).await.status, 422);
        assert_eq!(send(app.post("/realm/m2m-token").key(&key)).await.status, 422, "a body is expected");
        for call in [app.get("/realm/whoami"), app.post("/realm/m2m-token").json(&json!({}))] {
            let without = send(call.try_clone().expect("small")).await;
            assert_eq!(without.problem(), (401, "Missing service API key or unregistered origin"));
            assert_eq!(send(call.key("sk_wrong")).await.problem(), (401, "Invalid or missing service API key"));
        }
    }
}
