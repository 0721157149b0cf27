//! Several control planes on one database and one short-lived store are one: whatever was begun at one goes on at
//! another, what is used up at one is used up at all, and what one has ended no other lets through.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Response;
use sentinel_access::users::User;
use sentinel_identity::ProviderSettings;
use sentinel_store::on_both_backends;
use sentinel_store::testing::TestStore;
use sentinel_token::sha256;
use serde_json::{Value, json};

use crate::common::oidc::{Person, Provider, Twist};
use crate::common::{As as _, Options, TestApp};

const VERIFIER: &str = "the-verifier-of-the-application-0123456789-abcdef";
const REDIRECT: &str = "https://spa.example.com/callback";

/// Two of one installation, and its provider.
async fn two(store: TestStore, logins_per_minute: u64) -> (TestApp, TestApp, Provider) {
    let provider = Provider::start(Arc::clone(&store.clock)).await;
    let options = |providers: Vec<ProviderSettings>| Options {
        providers,
        logins_per_minute,
        ..Options::default()
    };
    let other = store.another_process().await;
    let (clock, short_lived) = (Arc::clone(&store.clock), Arc::clone(&store.short_lived));
    let first = TestApp::start_with(store, options(vec![provider.settings("demo")])).await;
    let settings = options(vec![provider.settings("demo")]);
    let second = TestApp::beside(&first, other, short_lived, clock, settings).await;
    first.client_app("spa", &[REDIRECT]).await;
    (first, second, provider)
}

fn header(response: &Response, name: &str) -> String {
    response.headers()[name].to_str().expect("text").to_owned()
}

/// A login that begins at one and comes back to the other; its code.
async fn login(begins: &TestApp, ends: &TestApp) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(sha256(VERIFIER.as_bytes()));
    let asked = [("redirect_uri", REDIRECT), ("code_challenge", &challenge)];
    let away = begins
        .get("/auth/login/demo")
        .query(&asked)
        .send()
        .await
        .expect("answer");
    assert_eq!(away.status().as_u16(), 302);
    let cookie = header(&away, "set-cookie");
    let cookie = cookie.split(';').next().expect("pair");
    let provider = begins
        .http
        .get(header(&away, "location"))
        .send()
        .await
        .expect("provider");
    // A balancer sends the browser to whichever it likes.
    let callback: url::Url = header(&provider, "location").parse().expect("url");
    let path = &callback[url::Position::BeforePath..];
    let back = ends
        .get(path)
        .header("cookie", cookie)
        .send()
        .await
        .expect("answer");
    assert_eq!(back.status().as_u16(), 307);
    let location: url::Url = header(&back, "location").parse().expect("url");
    let (_, code) = location
        .query_pairs()
        .find(|(name, _)| name == "code")
        .expect("a code");
    code.into_owned()
}

/// Who has signed in at the provider.
async fn ann(app: &TestApp) -> User {
    let mut tx = app.app.database().read().await.expect("tx");
    let users = &app.app.access().users;
    let found = users
        .find_by_email(&mut tx, "ann@example.com")
        .await
        .expect("users");
    found.expect("ann")
}

async fn status_of(request: reqwest::RequestBuilder) -> u16 {
    request.send().await.expect("answer").status().as_u16()
}

on_both_backends! {
    async fn a_login_goes_on_wherever_it_is_sent(store: TestStore) {
        let (first, second, provider) = two(store, 10_000).await;
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        let code = login(&first, &second).await;
        let ann = ann(&first).await;
        let workspace = second.workspace(ann.id, "acme").await;
        let body = json!({ "code": code, "code_verifier": VERIFIER });
        let listed: Value = first.post("/auth/workspaces").json(&body).send().await.expect("answer").json().await.expect("json");
        assert_eq!(listed[0]["slug"], "acme");

        let body = json!({ "code": code, "code_verifier": VERIFIER, "workspace_id": workspace });
        let (at_first, at_second) = tokio::join!(
            first.post("/auth/token").json(&body).send(),
            second.post("/auth/token").json(&body).send(),
        );
        let answers = [at_first.expect("answer"), at_second.expect("answer")];
        let good: Vec<Response> = answers.into_iter().filter(|answer| answer.status().is_success()).collect();
        assert_eq!(good.len(), 1, "a code is good once, wherever it is shown");
        let tokens: Value = good.into_iter().next().expect("one").json().await.expect("json");

        for app in [&first, &second] {
            let access = tokens["access_token"].as_str().expect("token");
            assert_eq!(status_of(app.get("/users/me").bearer_auth(access)).await, 200);
        }
        let refresh = json!({ "refresh_token": tokens["refresh_token"] });
        let next: Value = second.post("/auth/refresh").json(&refresh).send().await.expect("answer").json().await.expect("json");
        let spent_again = json!({ "refresh_token": next["refresh_token"] });
        assert_eq!(status_of(first.post("/auth/refresh").json(&spent_again)).await, 200);
        // The first one of all is two steps back: theft, and the session is over everywhere.
        assert_eq!(status_of(first.post("/auth/refresh").json(&refresh)).await, 401);
        for app in [&first, &second] {
            app.settle().await;
            let access = next["access_token"].as_str().expect("token");
            assert_eq!(status_of(app.get("/users/me").bearer_auth(access)).await, 401);
        }
    }

    async fn a_code_that_was_taken_in_vain_is_still_good_elsewhere(store: TestStore) {
        let (first, second, provider) = two(store, 10_000).await;
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        let code = login(&first, &second).await;
        let ann = ann(&first).await;
        let workspace = first.workspace(ann.id, "acme").await;
        let body = json!({ "code": code, "code_verifier": VERIFIER, "workspace_id": workspace });
        second.app.database().close().await;
        assert_eq!(status_of(second.post("/auth/token").json(&body)).await, 503);
        assert_eq!(status_of(first.post("/auth/token").json(&body)).await, 200);
        assert_eq!(status_of(first.post("/auth/token").json(&body)).await, 400);
    }

    async fn a_code_from_before_everything_was_ended_begins_nothing(store: TestStore) {
        let (first, second, provider) = two(store, 10_000).await;
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        let code = login(&first, &second).await;
        let ann = ann(&first).await;
        let workspace = first.workspace(ann.id, "acme").await;
        let (_, cookie) = first.admin("root@example.com").await;
        first.clock.advance(std::time::Duration::from_secs(1));
        let ended = first.post(&format!("/admin/users/{}/revoke-tokens", ann.id)).admin(&cookie);
        assert_eq!(status_of(ended).await, 200);
        let proof = json!({ "code": code, "code_verifier": VERIFIER });
        assert_eq!(status_of(second.post("/auth/workspaces").json(&proof)).await, 400);
        let body = json!({ "code": code, "code_verifier": VERIFIER, "workspace_id": workspace });
        assert_eq!(status_of(second.post("/auth/token").json(&body)).await, 400);
        // Whoever signs in afterwards is in.
        let code = login(&first, &second).await;
        let body = json!({ "code": code, "code_verifier": VERIFIER, "workspace_id": workspace });
        assert_eq!(status_of(first.post("/auth/token").json(&body)).await, 200);
    }

    async fn what_is_granted_at_one_holds_at_the_other_from_its_revision_on(store: TestStore) {
        let (first, second, _) = two(store, 10_000).await;
        let (ann, workspace, pair) = first.owner("ann@example.com", "acme").await;
        let (_, key) = first.service("docs").await;
        let resource = uuid::Uuid::from_u128(7);
        let body = json!({
            "service_name": "docs", "resource_type": "document", "resource_id": resource,
            "workspace_id": workspace, "owner_id": ann.id, "visibility": "private",
        });
        let made = first.post("/permissions/register").header("x-service-key", &key).json(&body).send().await.expect("answer");
        let revision = header(&made, "x-sentinel-revision");
        let check = json!({ "checks": [{
            "service_name": "docs", "resource_type": "document", "resource_id": resource, "action": "edit",
        }] });
        // The other one looks at the log by itself; until it has that revision it says so, and never an older answer.
        let answer = loop {
            let asked = second
                .post("/permissions/check")
                .header("x-service-key", &key)
                .header("x-sentinel-revision", &revision)
                .bearer(&pair)
                .json(&check);
            let answer = asked.send().await.expect("answer");
            if answer.status() != 503 {
                break answer.json::<Value>().await.expect("json");
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(answer["results"][0]["allowed"], true);
    }

    async fn limits_are_counted_together(store: TestStore) {
        let (first, second, _) = two(store, 4).await;
        let mut answers = Vec::new();
        for _ in 0..4 {
            for app in [&first, &second] {
                let nonsense = json!({ "refresh_token": "x" });
                answers.push(status_of(app.post("/auth/refresh").json(&nonsense)).await);
            }
        }
        assert_eq!(answers, [401, 401, 401, 401, 429, 429, 429, 429]);
    }
}
