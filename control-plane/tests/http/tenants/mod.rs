//! Tenants keep apart: every endpoint that takes an id, called with the best credentials of one tenant and the ids of
//! another, and with the key of one service and the names of another. Each call is refused in the words of the contract, and
//! leaves no trace in the data. An endpoint that is in no table here fails the test.

mod cases;

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, RequestBuilder};
use sentinel_core::WorkspaceRole::Viewer;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_store::on_both_backends;
use sentinel_store::testing::TestStore;
use serde_json::{Value, json};
use uuid::Uuid;

use self::cases::{By, Case, NOT_A_MEMBER, item, listing, of_logins, of_services, of_users};
use crate::answer::{Answer, send};
use crate::common::oidc::{Person, Provider, Twist};
use crate::common::routes::endpoints;
use crate::common::{As, Pair, TestApp};
use crate::login;

/// Endpoints that take no id of a tenant, or whose ids are the caller's own by their nature. Each with the reason.
const EXEMPT: &[(&str, &str)] = &[
    ("/.well-known/jwks.json", "about no tenant"),
    ("/.well-known/sentinel-edges/jwks.json", "about no tenant"),
    (
        "/auth/callback/{provider}",
        "a provider belongs to the installation",
    ),
    ("/auth/login/{provider}", "a provider belongs to the installation"),
    ("/auth/logout", "the credential alone says whose"),
    ("/auth/providers", "about no tenant"),
    ("/auth/refresh", "the credential alone says whose"),
    ("/auth/workspaces", "the credential alone says whose"),
    (
        "/authz/idp/{provider}/callback",
        "a provider belongs to the installation",
    ),
    (
        "/authz/idp/{provider}/login",
        "a provider belongs to the installation",
    ),
    ("/authz/models", "the key alone says whose"),
    ("/authz/models/{version}", "the key alone says whose"),
    ("/authz/tuples", "the key alone says whose"),
    ("/authz/tuples/delete", "the key alone says whose"),
    ("/authz/tuples/export", "the key alone says whose"),
    ("/authz/tuples/import", "the key alone says whose"),
    ("/authz/tuples/watch", "the key alone says whose"),
    ("/authz/check", "the key alone says whose"),
    ("/authz/batch-check", "the key alone says whose"),
    ("/authz/expand", "the key alone says whose"),
    ("/authz/list-objects", "the key alone says whose"),
    ("/authz/list-subjects", "the key alone says whose"),
    ("/health", "about no tenant"),
    ("/livez", "about no tenant"),
    ("/metrics", "about no tenant"),
    ("/readyz", "about no tenant"),
    ("/realm/m2m-token", "the key alone says whose"),
    ("/realm/whoami", "the key alone says whose"),
    ("/users/me", "the credential alone says whose"),
    (
        "/workspaces",
        "the credential alone says whose, and a new one has no id yet",
    ),
];

/// Whether administrators alone may call the endpoint. They act in all tenants.
fn is_administration(path: &str) -> bool {
    path.starts_with("/admin/") || ["/auth/admin/me", "/auth/admin/logout"].contains(&path)
}

/// How administrators get in: open to everybody, and about no tenant.
fn is_way_in(path: &str) -> bool {
    path.starts_with("/auth/admin/") && !is_administration(path)
}

/// A workspace with somebody and something of each kind in it.
struct Tenant {
    owner: UserId,
    member: UserId,
    workspace: WorkspaceId,
    group: String,
    role: String,
    invitation: String,
    /// A resource of `docs`, and its record.
    document: Uuid,
    record: String,
    pair: Pair,
    authz: String,
    id_token: String,
    /// A login of the owner that was not exchanged yet.
    code: String,
}

struct World {
    app: TestApp,
    provider: Provider,
    cookie: String,
    docs: String,
    wiki: String,
}

impl World {
    async fn start(store: TestStore) -> Self {
        let (app, provider) = login::start(store, |_| {}).await;
        let (_, cookie) = app.admin("admin@example.com").await;
        let (_, docs) = app.service("docs").await;
        let (_, wiki) = app.service("wiki").await;
        let world = Self {
            app,
            provider,
            cookie,
            docs,
            wiki,
        };
        for (name, key) in [("docs", &world.docs), ("wiki", &world.wiki)] {
            let body = json!({ "service_name": name, "actions": [{ "action": "reports:export" }] });
            world
                .made(
                    world
                        .app
                        .post("/roles/actions/register")
                        .header("x-service-key", key)
                        .json(&body),
                )
                .await;
        }
        world
    }

    /// Sends a request that makes something.
    async fn made(&self, request: RequestBuilder) -> Answer {
        let answer = send(request).await;
        assert_eq!(answer.status / 100, 2, "{answer:?}");
        answer
    }

    async fn tenant(&self, name: &str, number: u128) -> Tenant {
        let app = &self.app;
        let person = Person::new(name, &format!("{name}@example.com"));
        self.provider.next(person.clone(), Twist::None);
        let code = login::code_of(&login::login_with(app, "demo").await);
        let owner = self.user(&format!("{name}@example.com")).await;
        let workspace = app.workspace(owner, name).await;
        let pair = app.tokens(owner, workspace).await;
        let member = app.user(&format!("member@{name}.example")).await.id;
        app.member(workspace, &format!("member@{name}.example"), Viewer)
            .await;

        let base = format!("/workspaces/{workspace}");
        let post = |path: &str, body: Value| self.made(app.post(path).bearer(&pair).json(&body));
        let admin = |path: &str, body: Value| self.made(app.post(path).admin(&self.cookie).json(&body));
        let group = post(&format!("{base}/groups"), json!({ "name": "Eng" }))
            .await
            .text("id")
            .to_owned();
        post(&format!("{base}/groups/{group}/members/{member}"), Value::Null).await;
        let invited = json!({ "email": format!("nobody@{name}.example"), "role": "viewer" });
        let invitation = post(&format!("{base}/members/invite"), invited)
            .await
            .text("id")
            .to_owned();

        let role = admin(&format!("/admin{base}/roles"), json!({ "name": "Exporters" }))
            .await
            .text("id")
            .to_owned();
        let actions = send(
            app.get("/admin/service-actions?service_name=docs")
                .admin(&self.cookie),
        )
        .await;
        let ids = json!({ "service_action_ids": [actions.body[0]["id"]] });
        admin(&format!("/admin/roles/{role}/actions"), ids).await;
        admin(&format!("/admin/roles/{role}/members/{member}"), Value::Null).await;
        admin(&format!("/admin/roles/{role}/groups/{group}"), Value::Null).await;

        let document = Uuid::from_u128(number);
        let new = |service: &str| {
            json!({
                "service_name": service, "resource_type": "document", "resource_id": document, "workspace_id": workspace,
                "owner_id": owner, "visibility": "workspace",
            })
        };
        let register = |service: &str, key: &str| {
            self.made(
                app.post("/permissions/register")
                    .header("x-service-key", key)
                    .json(&new(service)),
            )
        };
        let record = register("docs", &self.docs).await.text("id").to_owned();
        let share = json!({ "grantee_type": "user", "grantee_id": member, "permission": "edit" });
        let path = format!("/permissions/{record}/share");
        self.made(
            app.post(&path)
                .header("x-service-key", &self.docs)
                .bearer(&pair)
                .json(&share),
        )
        .await;

        let id_token = self.provider.id_token(&person, Twist::None, "n1");
        let asked =
            json!({ "idp_token": id_token, "provider": "demo", "workspace_id": workspace, "nonce": "n1" });
        let resolved = self
            .made(
                app.post("/authz/resolve")
                    .header("x-service-key", &self.docs)
                    .json(&asked),
            )
            .await;
        let authz = resolved.text("authz_token").to_owned();
        Tenant {
            owner,
            member,
            workspace,
            group,
            role,
            invitation,
            document,
            record,
            pair,
            authz,
            id_token,
            code,
        }
    }

    async fn user(&self, email: &str) -> UserId {
        let mut tx = self.app.app.database().read().await.expect("tx");
        let users = &self.app.app.access().users;
        users
            .find_by_email(&mut tx, email)
            .await
            .expect("answer")
            .expect("a user")
            .id
    }

    /// The calls of one case: one for each kind of credentials.
    fn requests(&self, case: &Case, tenant: &Tenant) -> Vec<RequestBuilder> {
        let plain = || {
            let request = self.app.request(case.method.clone(), &case.path);
            if case.body.is_null() {
                request
            } else {
                request.json(&case.body)
            }
        };
        let keyed = |key: &str| plain().header("x-service-key", key);
        match case.by {
            By::Body => vec![plain(), keyed(&self.docs)],
            By::Owner => vec![plain().bearer(&tenant.pair)],
            By::OwnerAnyhow => vec![
                plain().bearer(&tenant.pair),
                keyed(&self.docs).bearer(&tenant.pair),
                keyed(&self.docs).bearer_auth(&tenant.authz),
                plain()
                    .bearer_auth(&tenant.id_token)
                    .header("x-authz-token", &tenant.authz),
            ],
            By::Docs => vec![keyed(&self.docs)],
            By::Wiki => vec![keyed(&self.wiki)],
            By::DocsAndOwner => vec![
                keyed(&self.docs).bearer(&tenant.pair),
                keyed(&self.docs).bearer_auth(&tenant.authz),
            ],
            By::WikiAndOwner => vec![keyed(&self.wiki).bearer(&tenant.pair)],
            By::WikiAndAuthz => vec![keyed(&self.wiki).bearer_auth(&tenant.authz)],
        }
    }

    /// Everything that edges know.
    async fn facts(&self) -> BTreeSet<String> {
        let mut tx = self.app.app.database().read().await.expect("tx");
        let mut facts = sentinel_access::facts(&mut tx).await.expect("facts");
        facts.extend(sentinel_identity::facts(&mut tx).await.expect("facts"));
        facts.iter().map(ToString::to_string).collect()
    }

    /// Every row that can be seen, by the address that shows it.
    async fn rows(&self, tenants: [&Tenant; 2]) -> BTreeMap<String, Value> {
        let mut paths = vec![
            "/admin/users".to_owned(),
            "/admin/workspaces".to_owned(),
            "/admin/permissions".to_owned(),
            "/admin/service-actions".to_owned(),
            "/admin/activity?page_size=100".to_owned(),
        ];
        let mut rows = BTreeMap::new();
        for tenant in tenants {
            let (workspace, group, role) = (tenant.workspace, &tenant.group, &tenant.role);
            paths.extend([
                format!("/admin/users/{}", tenant.owner),
                format!("/admin/users/{}", tenant.member),
                format!("/admin/workspaces/{workspace}"),
                format!("/admin/workspaces/{workspace}/members"),
                format!("/admin/workspaces/{workspace}/groups"),
                format!("/admin/workspaces/{workspace}/roles"),
                format!("/admin/groups/{group}/members"),
                format!("/admin/roles/{role}/actions"),
                format!("/admin/roles/{role}/members"),
                format!("/admin/roles/{role}/groups"),
                format!("/admin/permissions/{}", tenant.record),
            ]);
            let path = format!("/workspaces/{workspace}/invitations");
            let invitations = send(self.app.get(&path).bearer(&tenant.pair)).await;
            assert_eq!(invitations.status, 200, "{invitations:?}");
            rows.insert(path, invitations.body);
        }
        for path in paths {
            let answer = send(self.app.get(&path).admin(&self.cookie)).await;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            rows.insert(path, answer.body);
        }
        rows
    }
}

on_both_backends! {
    async fn no_tenant_reaches_another_and_no_service_another(store: TestStore) {
        let world = World::start(store).await;
        let (a, b) = (world.tenant("anna", 1).await, world.tenant("bert", 2).await);
        let cases: Vec<Case> = of_users(&a, &b).into_iter().chain(of_services(&a, &b)).chain(of_logins(&a, &b)).collect();
        let (facts, rows) = (world.facts().await, world.rows([&a, &b]).await);
        for case in &cases {
            for (kind, request) in world.requests(case, &a).into_iter().enumerate() {
                let answer = send(request).await;
                let what = format!("{} {} by {:?} ({kind})", case.method, case.path, case.by);
                // A code is used up by the first who shows it, whatever he is told.
                if case.route == "/auth/token" && kind > 0 {
                    assert_eq!(answer.status, 400, "{what}: {answer:?}");
                    continue;
                }
                assert_eq!(answer.problem(), case.expected, "{what}");
                assert_eq!(world.facts().await, facts, "{what}");
                // What was looked at has a revision; nothing was written that could have one.
                if let Some(revision) = &answer.revision {
                    assert_eq!(*revision, world.app.app.replica().load().revision().to_string(), "{what}");
                }
            }
            // The same by whom it belongs to, as far as it changes nothing: the path is the right one.
            if case.method == Method::GET && case.expected == NOT_A_MEMBER && !case.path.contains(&a.group) {
                for request in world.requests(case, &b) {
                    let answer = send(request).await;
                    assert_eq!(answer.status, 200, "{} {}: {answer:?}", case.method, case.path);
                }
            }
        }
        assert_eq!(world.rows([&a, &b]).await, rows);

        let covered: BTreeSet<(String, &str)> = cases.iter().map(|case| (case.method.to_string(), case.route)).collect();
        let exempt: BTreeSet<&str> = EXEMPT.iter().map(|(path, _)| *path).collect();
        let all = endpoints();
        let missing: Vec<String> = all
            .iter()
            .filter(|endpoint| !is_administration(&endpoint.path) && !is_way_in(&endpoint.path))
            .filter(|endpoint| !exempt.contains(endpoint.path.as_str()))
            .filter(|endpoint| !covered.contains(&(endpoint.method.to_string(), endpoint.path.as_str())))
            .map(|endpoint| format!("{} {}", endpoint.method, endpoint.path))
            .collect();
        assert!(missing.is_empty(), "in no table of this file, nor exempt with a reason: {missing:#?}");
        let gone: Vec<&str> = exempt.into_iter().filter(|path| all.iter().all(|endpoint| endpoint.path != *path)).collect();
        assert!(gone.is_empty(), "exempt, and not there any more: {gone:?}");
    }

    async fn a_question_about_another_tenants_resource_is_answered_with_no(store: TestStore) {
        let world = World::start(store).await;
        let (a, b) = (world.tenant("anna", 1).await, world.tenant("bert", 2).await);
        let checks = [item(b.document, "view"), item(b.document, "edit"), item(a.document, "edit")];
        let body = json!({ "checks": checks });
        let case = Case::new(Method::POST, "/permissions/check", &[], By::DocsAndOwner, (200, "")).body(body);
        for request in world.requests(&case, &a) {
            let answer = send(request).await;
            let allowed: Vec<&Value> = (0..3).map(|at| &answer.body["results"][at]["allowed"]).collect();
            assert_eq!(allowed, [&json!(false), &json!(false), &json!(true)], "{answer:?}");
        }
        let case = Case::new(Method::POST, "/permissions/accessible", &[], By::DocsAndOwner, (200, ""));
        let case = case.body(listing(a.workspace));
        for request in world.requests(&case, &a) {
            assert_eq!(send(request).await.body["resource_ids"], json!([a.document]));
        }
    }

    async fn administration_is_closed_to_everybody_else(store: TestStore) {
        let world = World::start(store).await;
        let tenant = world.tenant("anna", 1).await;
        let facts = world.facts().await;
        let administration: Vec<_> = endpoints().into_iter().filter(|endpoint| is_administration(&endpoint.path)).collect();
        assert!(administration.len() > 40, "{administration:?}");
        for endpoint in administration {
            let path: String = endpoint
                .path
                .split('/')
                .skip(1)
                .map(|part| match part {
                    "{workspace}" => format!("/{}", tenant.workspace),
                    "{user}" => format!("/{}", tenant.member),
                    "{group}" => format!("/{}", tenant.group),
                    "{role}" => format!("/{}", tenant.role),
                    "{permission}" => format!("/{}", tenant.record),
                    "{service}" => "/docs".to_owned(),
                    part if part.starts_with('{') => format!("/{}", Uuid::nil()),
                    part => format!("/{part}"),
                })
                .collect();
            let call = || world.app.request(endpoint.method.clone(), &path).json(&json!({}));
            let what = format!("{} {path}", endpoint.method);
            for request in [
                call(),
                call().bearer(&tenant.pair).header("x-service-key", &world.docs).header("x-requested-with", "test"),
                call().header("cookie", format!("admin_token={}", tenant.pair.access)).header("x-requested-with", "test"),
            ] {
                assert_eq!(send(request).await.status, 401, "{what}");
            }
            if endpoint.method != Method::GET {
                let forged = send(call().header("cookie", &world.cookie)).await;
                assert_eq!(forged.problem(), (403, "Missing X-Requested-With header"), "{what}");
            }
        }
        assert_eq!(world.facts().await, facts);
    }
}
