//! The admin API of apps, accounts, workspaces and the activity log.

use std::time::Duration;

use reqwest::Method;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};

use crate::answer::{Answer, is_moment, members, send};
use crate::common::{As, TestApp};

/// Whether the service key is known.
async fn works(app: &TestApp, key: &str) -> bool {
    let path = "/permissions/resource/docs/document/018f4e7a-1111-7000-8000-000000000001";
    let answer = send(app.get(path).header("x-service-key", key)).await;
    assert!(matches!(answer.status, 401 | 404), "{answer:?}");
    answer.status == 404
}

async fn create_service(app: &TestApp, cookie: &str) -> Answer {
    let body =
        json!({ "name": "Docs", "service_name": "docs", "allowed_origins": ["https://docs.example.com"] });
    send(app.post("/admin/service-apps").admin(cookie).json(&body)).await
}

on_both_backends! {
    async fn a_service_app_has_a_key_that_is_shown_once(store: TestStore) {
        let app = TestApp::start(store).await;
        let (admin, cookie) = app.admin("admin@example.com").await;
        let made = create_service(&app, &cookie).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!(members(&made.body), [
            "allowed_idp_audiences", "allowed_origins", "api_key", "created_at", "created_by", "id", "is_active",
            "key_prefix", "last_used_at", "name", "realm_id", "service_name", "updated_at",
        ]);
        let key = made.text("api_key").to_owned();
        assert_eq!((key.len(), &key[..3]), (46, "sk_"));
        assert_eq!(made.text("key_prefix"), format!("{}****", &key[..7]));
        assert_eq!(made.text("created_by"), admin.id.to_string());
        assert!(works(&app, &key).await, "at once, for the write waits for the replica");

        let path = format!("/admin/service-apps/{}", made.text("id"));
        let shown = send(app.get(&path).admin(&cookie)).await;
        assert!(shown.body.get("api_key").is_none());
        let listed = send(app.get("/admin/service-apps").admin(&cookie)).await;
        assert_eq!(listed.body, json!([shown.body]));
        assert!(!listed.body.to_string().contains(&key));

        let again = create_service(&app, &cookie).await;
        assert_eq!(again.problem(), (400, "Failed to create service app: service name 'docs' is already in use"));
        for (field, value) in [
            ("service_name", json!("Docs")),
            ("service_name", json!("d")),
            ("name", json!("")),
            ("allowed_origins", json!(["https://docs.example.com/path"])),
        ] {
            let mut body = json!({ "name": "Docs", "service_name": "docs-two" });
            body[field] = value;
            assert_eq!(send(app.post("/admin/service-apps").admin(&cookie).json(&body)).await.status, 422, "{body}");
        }
    }

    async fn a_rotated_key_works_on_until_its_overlap_is_over(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let made = create_service(&app, &cookie).await;
        let first = made.text("api_key").to_owned();
        let path = format!("/admin/service-apps/{}/rotate-key", made.text("id"));
        let rotate = |body: Value| send(app.post(&path).admin(&cookie).json(&body));
        let second = rotate(json!({ "overlap_seconds": 60 })).await;
        assert_eq!(second.status, 200);
        let second = second.text("api_key").to_owned();
        assert!(works(&app, &first).await && works(&app, &second).await);
        app.clock.advance(Duration::from_secs(59));
        assert!(works(&app, &first).await);
        app.clock.advance(Duration::from_secs(1));
        assert!(!works(&app, &first).await, "on the second");
        let (_, cookie) = app.admin("later@example.com").await;
        let rotate = |body: Value| send(app.post(&path).admin(&cookie).json(&body));
        let third = rotate(json!({ "overlap_seconds": 0 })).await.text("api_key").to_owned();
        assert!(!works(&app, &second).await, "without an overlap it ends at once");
        assert!(works(&app, &third).await);
        let usual = send(app.post(&path).admin(&cookie)).await;
        assert_eq!(usual.status, 200, "no body is needed: {usual:?}");
        assert!(works(&app, &third).await, "for a day");
        assert_eq!(rotate(json!({ "overlap_seconds": 2_592_001 })).await.status, 422);
    }

    async fn an_inactive_or_deleted_app_cannot_call(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let made = create_service(&app, &cookie).await;
        let key = made.text("api_key").to_owned();
        let path = format!("/admin/service-apps/{}", made.text("id"));
        let patch = |body: Value| send(app.request(Method::PATCH, &path).admin(&cookie).json(&body));
        assert_eq!(patch(json!({ "is_active": false })).await.body["is_active"], false);
        assert!(!works(&app, &key).await);
        let renamed = patch(json!({ "is_active": true, "name": "Documents" })).await;
        assert_eq!((renamed.text("name"), &renamed.body["allowed_origins"]), ("Documents", &json!(["https://docs.example.com"])));
        assert!(works(&app, &key).await);
        assert_eq!(send(app.request(Method::DELETE, &path).admin(&cookie)).await.status, 204);
        assert!(!works(&app, &key).await);
        assert_eq!(send(app.get(&path).admin(&cookie)).await.problem(), (404, "Service app not found"));
    }

    async fn a_client_app_takes_only_plain_addresses(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let create = |uris: Value| {
            let body = json!({ "name": "Front end", "redirect_uris": uris });
            send(app.post("/admin/client-apps").admin(&cookie).json(&body))
        };
        let made = create(json!(["http://localhost:3000/callback"])).await;
        assert_eq!(made.status, 201);
        assert_eq!(members(&made.body), [
            "created_at", "created_by", "id", "is_active", "name", "redirect_uris", "updated_at",
        ]);
        assert!(is_moment(&made.body["updated_at"]));
        for bad in ["javascript:alert(1)", "https://a.example/?x", "https://*.example/cb", "https://u@a.example/cb", "/cb"] {
            assert_eq!(create(json!([bad])).await.status, 422, "{bad}");
        }
        let path = format!("/admin/client-apps/{}", made.text("id"));
        let body = json!({ "redirect_uris": ["https://a.example/cb"], "is_active": false, "revoke_sessions": true });
        let patched = send(app.request(Method::PATCH, &path).admin(&cookie).json(&body)).await;
        assert_eq!(patched.body["redirect_uris"], json!(["https://a.example/cb"]));
        assert_eq!(patched.text("name"), "Front end");
        assert_eq!(send(app.get("/admin/client-apps").admin(&cookie)).await.body, json!([patched.body]));
        assert_eq!(send(app.request(Method::DELETE, &path).admin(&cookie)).await.status, 204);
        assert_eq!(send(app.get(&path).admin(&cookie)).await.problem(), (404, "Client app not found"));
    }

    async fn only_administrators_get_in(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, _, pair) = app.owner("alice@example.com", "acme").await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let nobody = uuid::Uuid::nil();
        for (method, path) in [
            (Method::GET, "/admin/client-apps".to_owned()),
            (Method::POST, "/admin/client-apps".to_owned()),
            (Method::DELETE, format!("/admin/client-apps/{nobody}")),
            (Method::GET, "/admin/service-apps".to_owned()),
            (Method::POST, "/admin/service-apps".to_owned()),
            (Method::POST, format!("/admin/service-apps/{nobody}/rotate-key")),
            (Method::GET, "/admin/activity".to_owned()),
            (Method::GET, "/admin/workspaces".to_owned()),
            (Method::POST, "/admin/workspaces".to_owned()),
            (Method::PATCH, format!("/admin/users/{nobody}")),
        ] {
            let with_token = send(app.request(method.clone(), &path).bearer(&pair)).await;
            assert_eq!(with_token.problem(), (401, "Not authenticated"), "{method} {path}");
            if method != Method::GET {
                let forged = send(app.request(method.clone(), &path).header("cookie", &cookie)).await;
                assert_eq!(forged.problem(), (403, "Missing X-Requested-With header"), "{method} {path}");
            }
        }
    }

    async fn what_was_done_is_written_down(store: TestStore) {
        let app = TestApp::start(store).await;
        let (admin, cookie) = app.admin("admin@example.com").await;
        let made = create_service(&app, &cookie).await;
        let log = |query: &str| send(app.get(&format!("/admin/activity?{query}")).admin(&cookie));
        let page = log("action=service_app_created&page_size=1").await;
        assert_eq!(members(&page.body), ["items", "page", "page_size", "total"]);
        let row = &page.body["items"][0];
        assert_eq!(members(row), [
            "action", "actor_email", "actor_id", "actor_name", "created_at", "detail", "id", "target_id",
            "target_label", "target_type", "workspace_id",
        ]);
        assert_eq!((&row["actor_id"], &row["target_id"]), (&json!(admin.id), &made.body["id"]));
        assert_eq!(row["detail"], json!({ "name": "Docs", "service_name": "docs" }));
        assert!(!page.body.to_string().contains("sk_"));
        assert_eq!(log("to_date=2020-01-01").await.body["total"], 0);
        for bad in ["page=0", "page_size=101", "action=nothing", "actor_id=1", "from_date=yesterday"] {
            assert_eq!(log(bad).await.status, 422, "{bad}");
        }
    }

    async fn an_administrator_makes_the_first_workspace_and_lets_people_in(store: TestStore) {
        let app = TestApp::start(store).await;
        let (admin, cookie) = app.admin("admin@example.com").await;
        let bob = app.user("bob@example.com").await;
        let body = json!({ "name": "Acme", "slug": "acme" });
        let made = send(app.post("/admin/workspaces").admin(&cookie).json(&body)).await;
        assert_eq!((made.status, &made.body["member_count"]), (201, &json!(1)));
        app.clock.advance(Duration::from_secs(1));
        let path = format!("/admin/workspaces/{}/members", made.text("id"));
        let invite = json!({ "email": "bob@example.com", "role": "owner" });
        let invited = send(app.post(&format!("{path}/invite")).admin(&cookie).json(&invite)).await;
        assert_eq!((invited.status, &invited.body), (201, &json!({ "status": "ok" })));
        let listed = send(app.get(&path).admin(&cookie)).await;
        let ids: Vec<&Value> = listed.body.as_array().expect("list").iter().map(|member| &member["user_id"]).collect();
        assert_eq!(ids, [&json!(admin.id), &json!(bob.id)]);
        let pair = app.tokens(bob.id, made.text("id").parse().expect("id")).await;
        assert_eq!(send(app.get(&format!("/workspaces/{}", made.text("id"))).bearer(&pair)).await.status, 200);
        let all = send(app.get("/admin/workspaces").admin(&cookie)).await;
        assert_eq!((&all.body["total"], &all.body["items"][0]["member_count"]), (&json!(1), &json!(2)));
        let nowhere = format!("/admin/workspaces/{}/members/invite", bob.id);
        assert_eq!(send(app.post(&nowhere).admin(&cookie).json(&invite)).await.problem(), (404, "Workspace not found"));
    }

    async fn a_deactivated_account_is_out_at_once(store: TestStore) {
        let app = TestApp::start(store).await;
        let (admin, cookie) = app.admin("admin@example.com").await;
        let (bob, workspace, pair) = app.owner("bob@example.com", "acme").await;
        let patch = |user, body: Value| {
            send(app.request(Method::PATCH, &format!("/admin/users/{user}")).admin(&cookie).json(&body))
        };
        let off = patch(bob.id, json!({ "is_active": false })).await;
        assert_eq!((off.status, &off.body["is_active"]), (200, &json!(false)));
        assert_eq!(off.body["memberships"][0]["workspace_id"], json!(workspace));
        assert_eq!(send(app.get("/users/me").bearer(&pair)).await.status, 401);
        let refreshed = app.post("/auth/refresh").json(&json!({ "refresh_token": pair.refresh }));
        assert_eq!(send(refreshed).await.status, 401);
        let own = patch(admin.id, json!({ "is_active": false })).await;
        assert_eq!(own.problem(), (403, "Administrators cannot demote or deactivate themselves"));
        assert_eq!(patch(bob.id, json!({ "is_active": true, "name": "Robert" })).await.text("name"), "Robert");
    }
    async fn who_is_demoted_meanwhile_changes_nothing(store: TestStore) {
        let app = TestApp::start(store).await;
        let (first, cookie) = app.admin("first@example.com").await;
        let (second, _) = app.admin("second@example.com").await;
        let mut tx = app.app.database().write().await.expect("tx");
        app.app.access().users.set_admin(&mut tx, Some(second.id), first.id, false).await.expect("demoted");
        let path = format!("/admin/users/{}", second.id);
        let request = app.request(Method::PATCH, &path).admin(&cookie).json(&json!({ "is_admin": false }));
        let mut answer = tokio::spawn(send(request));
        let waits = tokio::time::timeout(Duration::from_millis(500), &mut answer).await;
        assert!(waits.is_err(), "it waits for its turn");
        tx.commit().await.expect("commit");
        let refused = answer.await.expect("no panic");
        assert_eq!(refused.problem(), (401, "Admin privileges revoked"));
        let mut tx = app.app.database().read().await.expect("tx");
        assert!(app.app.access().users.get(&mut tx, second.id).await.expect("second").is_admin);
    }

    async fn the_log_is_asked_about_moments_that_can_be_written(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        for far in ["%2B262142-12-31", "-262143-01-01", "0000-01-01"] {
            for end in ["from_date", "to_date"] {
                let answer = send(app.get(&format!("/admin/activity?{end}={far}")).admin(&cookie)).await;
                assert_eq!(answer.status, 422, "{end} {far}");
            }
        }
    }
}
