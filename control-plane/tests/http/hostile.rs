//! Whatever a client sends, no answer says that the fault is ours: every endpoint gets every credential at once, ids that
//! exist and ids that are none, and bodies and queries whose members are hostile one at a time and all together.

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use reqwest::{Method, RequestBuilder};
use sentinel_store::on_both_backends;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::oidc::Provider;
use crate::common::routes::{Endpoint, endpoints};
use crate::common::{As, Options, Pair, TestApp};

/// How many requests are under way at a time.
const AT_ONCE: usize = 16;

/// Segments of a path, as they are written there.
const SEGMENTS: &[&str] = &[
    "00000000-0000-0000-0000-000000000000",
    "not-an-id",
    "%00",
    "%FF",
    "%F0%9F%92%A9",
    "..%2F..",
    "'%20OR%201=1--",
];

/// Values of one parameter of a query.
const PARAMETERS: &[&str] = &[
    "",
    "%00",
    "%FF%FE",
    "-1",
    "99999999999999999999999",
    "%25%5F%5C",
    "%2B262143-01-01T00:00:00Z",
];

/// Members of a body.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(""),
        json!("\0"),
        json!("\u{202e}<b>\u{10ffff}"),
        json!("x".repeat(20_000)),
        json!(-1),
        json!(1.5e300),
        json!(["\0"]),
        json!([{}]),
        json!("00000000-0000-0000-0000-000000000000"),
    ]
}

/// Bodies that are not made of members.
fn texts() -> Vec<Vec<u8>> {
    vec![
        Vec::new(),
        b"{".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"\\ud800\"".to_vec(),
        b"{\"a\":1,\"a\":2}".to_vec(),
        vec![0xff, 0xfe, 0],
        "[".repeat(100_000).into_bytes(),
        b"1e99999".to_vec(),
    ]
}

/// The members of requests about tuples as well.
fn with_tuples(mut fitting: Value) -> Value {
    let tuple = json!({ "object": "folder:1", "relation": "viewer", "subject": "user:*" });
    for (name, value) in [
        ("object", json!("folder:1")),
        ("relation", json!("viewer")),
        ("subject", json!("user:*")),
        ("object_type", json!("folder")),
        ("writes", json!([tuple])),
    ] {
        fitting[name] = value;
    }
    fitting
}

/// What the requests of one endpoint are made with.
struct World {
    pair: Pair,
    cookie: String,
    key: String,
    /// Values that fit, by the name of the member or of the path's parameter.
    fitting: Value,
}

impl World {
    async fn new(app: &TestApp, number: usize) -> Self {
        let (user, workspace, pair) = app
            .owner(&format!("owner{number}@example.com"), &format!("acme-{number}"))
            .await;
        let other = app.user(&format!("other{number}@example.com")).await;
        let (_, cookie) = app.admin(&format!("root{number}@example.com")).await;
        let service = format!("service-{number}");
        let (service_app, key) = app.service(&service).await;
        let group: Value = app
            .post(&format!("/workspaces/{workspace}/groups"))
            .bearer(&pair)
            .json(&json!({ "name": "Group" }))
            .send()
            .await
            .expect("answer")
            .json()
            .await
            .expect("a group");
        let resource = Uuid::from_u128(u128::try_from(number).expect("small") + 1);
        let permission: Value = app
            .post("/permissions/register")
            .header("x-service-key", &key)
            .json(&json!({
                "service_name": service, "resource_type": "document", "resource_id": resource,
                "workspace_id": workspace, "owner_id": user.id,
            }))
            .send()
            .await
            .expect("answer")
            .json()
            .await
            .expect("a permission");
        Self {
            pair,
            cookie,
            key,
            fitting: with_tuples(json!({
                "workspace": workspace, "workspace_id": workspace, "user": user.id, "user_id": other.id,
                "user_ids": [other.id], "owner_id": user.id, "group": group["id"], "permission": permission["id"],
                "service": service, "service_name": service, "kind": "document", "resource_type": "document",
                "resource": resource, "resource_id": resource, "grantee_type": "user", "grantee_id": user.id,
                "visibility": "private", "action": "view", "role": "viewer", "email": other.email, "name": "A name",
                "slug": format!("slug-{number}"), "description": "Some words", "app": service_app,
                "checks": [{
                    "service_name": service, "resource_type": "document", "resource_id": resource, "action": "view",
                }],
                "actions": [{ "action": "reports:export" }], "limit": 10, "page": 1, "page_size": 10,
                "redirect_uris": ["https://a.example/cb"], "redirect_uri": "https://spa.example.com/callback",
                "code": "x".repeat(43), "code_verifier": "v".repeat(43), "code_challenge": "c".repeat(43),
                "code_challenge_method": "S256", "is_active": true, "is_admin": false, "provider": "demo",
                "idp_token": "a.b.c", "refresh_token": "a.b.c",
            })),
        }
    }

    /// Gives the service a model, and a tuple of it.
    async fn write_model(&self, app: &TestApp) {
        let model =
            "model\n  schema 1.1\ntype user\ntype folder\n  relations\n    define viewer: [user, user:*]";
        for request in [
            app.post("/authz/models").body(model),
            app.post("/authz/tuples").json(&json!({
                "writes": [{ "object": "folder:1", "relation": "viewer", "subject": "user:*" }],
            })),
        ] {
            let answer = request
                .header("x-service-key", &self.key)
                .send()
                .await
                .expect("answer");
            assert!(answer.status().is_success(), "{answer:?}");
        }
    }

    fn fits(&self, name: &str) -> Value {
        self.fitting
            .get(name)
            .cloned()
            .unwrap_or_else(|| json!("00000000-0000-0000-0000-000000000001"))
    }

    /// The path with each parameter replaced: those that fit, and `odd` in place of the one with the number.
    fn path(&self, template: &str, odd: Option<(usize, &str)>) -> String {
        let mut parameter = 0;
        let segments = template.split('/').map(|segment| {
            let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
                return segment.to_owned();
            };
            let here = parameter;
            parameter += 1;
            match odd {
                Some((number, odd)) if number == here => odd.to_owned(),
                // In a path `permission` is the id, in a body the level.
                _ => self.fits(name).as_str().unwrap_or("1").to_owned(),
            }
        });
        segments.collect::<Vec<_>>().join("/")
    }

    fn request(&self, app: &TestApp, method: &Method, path: &str) -> RequestBuilder {
        app.request(method.clone(), path)
            .bearer(&self.pair)
            .admin(&self.cookie)
            .header("x-service-key", &self.key)
    }

    /// All hostile requests of an endpoint, each with what is told of it when it fails.
    fn requests(&self, app: &TestApp, endpoint: &Endpoint) -> Vec<(String, RequestBuilder)> {
        let Endpoint {
            method,
            path: template,
            members: names,
        } = endpoint;
        let mut requests = Vec::new();
        for number in 0..template.matches('{').count() {
            for odd in SEGMENTS {
                let path = self.path(template, Some((number, odd)));
                requests.push((path.clone(), self.request(app, method, &path).json(&self.fitting)));
            }
        }
        let path = self.path(template, None);
        for name in names {
            for odd in PARAMETERS {
                if *method == Method::GET {
                    let path = format!("{path}?{name}={odd}");
                    requests.push((path.clone(), self.request(app, method, &path)));
                }
            }
        }
        if *method == Method::GET {
            return requests;
        }
        for text in texts() {
            let told = format!(
                "{path} with {:?}",
                String::from_utf8_lossy(&text[..text.len().min(40)])
            );
            let request = self
                .request(app, method, &path)
                .header("content-type", "application/json")
                .body(text);
            requests.push((told, request));
        }
        for odd in values() {
            let all: Value = names.iter().map(|name| (name.clone(), odd.clone())).collect();
            let told = format!("{path} with all {}", short(&odd));
            requests.push((told, self.request(app, method, &path).json(&all)));
            for name in names {
                let mut body = self.fitting.clone();
                // A body's `permission` is a level.
                body["permission"] = json!("view");
                body[name] = odd.clone();
                let told = format!("{path} with {name} = {}", short(&odd));
                requests.push((told, self.request(app, method, &path).json(&body)));
            }
        }
        requests
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}

on_both_backends! {
    async fn nothing_that_a_client_sends_is_our_fault(store: TestStore) {
        let provider = Provider::start(std::sync::Arc::clone(&store.clock)).await;
        let options = Options {
            providers: vec![provider.settings("demo")],
            logins_per_minute: 100_000_000,
            ..Options::default()
        };
        let app = TestApp::start_with(store, options).await;
        app.client_app("spa", &["https://spa.example.com/callback"]).await;
        let mut faults = Vec::new();
        let (mut answered, mut done) = (0_usize, 0_usize);
        for (number, endpoint) in endpoints().into_iter().enumerate() {
            let world = World::new(&app, number).await;
            if ["/authz/", "/admin/service-"].iter().any(|base| endpoint.path.starts_with(base)) {
                world.write_model(&app).await;
            }
            let requests = world.requests(&app, &endpoint);
            let mut answers = iter(requests)
                .map(|(told, request)| async move { (told, request.send().await) })
                .buffer_unordered(AT_ONCE);
            while let Some((told, answer)) = answers.next().await {
                answered += 1;
                match answer {
                    Ok(answer) if answer.status().as_u16() < 500 => {
                        done += usize::from(answer.status().is_success());
                    }
                    Ok(answer) => faults.push(format!("{} {told}: {}", endpoint.method, answer.status())),
                    Err(error) => faults.push(format!("{} {told}: {error}", endpoint.method)),
                }
            }
        }
        assert!(faults.is_empty(), "{} faults: {:#?}", faults.len(), &faults[..faults.len().min(40)]);
        // Enough of it must have come through to where the work is done.
        assert!(answered > 3_000 && done > 300, "{answered} answers, {done} of them a success");
    }
}
