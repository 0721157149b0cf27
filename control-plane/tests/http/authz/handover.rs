//! The round trip of a browser to GitHub for a page, and what its token is good for then.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Response;
use sentinel_access::service_apps::ServiceAppChange;
use sentinel_store::on_both_backends;
use sentinel_store::short_lived::{Redis, RedisConfig};
use sentinel_store::testing::TestStore;
use serde_json::json;
use url::Url;

use super::{PAGE, World, claims};
use crate::answer::send;
use crate::common::github::{CLIENT_ID, GitHub, Person, Twist};

const BACK: &str = "https://docs.example.com/signed-in?x=1";

/// A control plane with GitHub beside the OpenID provider.
async fn start(store: TestStore) -> (World, GitHub) {
    let github = GitHub::start().await;
    let world = World::start_with(store, |options| options.providers.push(github.settings("github"))).await;
    (world, github)
}

fn ann() -> Person {
    Person::new(7, "ann", "ann@example.com")
}

fn header(response: &Response, name: &str) -> String {
    response.headers()[name].to_str().expect("text").to_owned()
}

/// What is wrong with a way out that is not taken.
async fn refused(world: &World, provider: &str, query: &[(&str, &str)]) -> (u16, String) {
    let path = format!("/authz/idp/{provider}/login");
    let answer = send(world.app.get(&path).query(query)).await;
    (answer.status, answer.text("detail").to_owned())
}

/// The browser's way to GitHub and back, up to the callback's address and cookie.
async fn to_callback(world: &World, query: &[(&str, &str)]) -> (String, String) {
    let away = world
        .app
        .get("/authz/idp/github/login")
        .query(query)
        .send()
        .await
        .expect("answer");
    assert_eq!(away.status().as_u16(), 302);
    let cookie = header(&away, "set-cookie");
    assert!(
        cookie.ends_with("; HttpOnly; Max-Age=600; Path=/authz; SameSite=Lax"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().expect("pair").to_owned();
    let github = world
        .app
        .http
        .get(header(&away, "location"))
        .send()
        .await
        .expect("GitHub");
    (header(&github, "location"), cookie)
}

async fn come_back(world: &World, callback: &str, cookie: &str) -> Response {
    let request = world.app.http.get(callback).header("cookie", cookie);
    request.send().await.expect("answer")
}

async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: serde_json::Value = response.json().await.expect("json");
    (status, body["detail"].as_str().expect("detail").to_owned())
}

const STRANGER: &str = "Invalid or missing OAuth state — start from /authz/idp/github/login";

on_both_backends! {
    async fn a_page_gets_a_token_that_its_service_can_resolve(store: TestStore) {
        let (world, github) = start(store).await;
        github.next(ann(), Twist::None);
        let (callback, cookie) = to_callback(&world, &[("redirect_uri", BACK), ("nonce", "a&id_token=b")]).await;
        assert!(callback.starts_with(&format!("{}/authz/idp/github/callback?", world.app.url)));
        let back = come_back(&world, &callback, &cookie).await;
        assert_eq!(back.status().as_u16(), 302);
        assert!(header(&back, "set-cookie").contains("Max-Age=0; Path=/authz"));
        assert_eq!((header(&back, "cache-control"), header(&back, "referrer-policy")), ("no-store".to_owned(), "no-referrer".to_owned()));
        let page: Url = header(&back, "location").parse().expect("url");
        let fragment = page.fragment().expect("fragment").to_owned();
        assert!(page.as_str().starts_with(&format!("{BACK}#")));
        let said: Vec<(String, String)> = url::form_urlencoded::parse(fragment.as_bytes()).into_owned().collect();
        let [(first, token), (second, nonce)] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!((first.as_str(), second.as_str(), nonce.as_str()), ("id_token", "nonce", "a&id_token=b"));

        let list = json!({ "idp_token": token, "provider": "github", "nonce": "a&id_token=b" });
        let listed = world.resolve(&list).await;
        assert_eq!((listed.status, &listed.body["user"]["email"]), (200, &json!("ann@example.com")), "{listed:?}");
        let user = listed.body["user"]["id"].as_str().expect("id").parse().expect("id");
        let workspace = world.app.workspace(user, "acme").await;
        let mint = json!({ "idp_token": token, "provider": "github", "workspace_id": workspace });
        let minted = world.resolve(&mint).await;
        assert_eq!(minted.status, 200, "{minted:?}");
        let said = claims(minted.text("authz_token"));
        assert_eq!(said["idp_sub"], "github|7");
        assert!(said.get("idp_iss").is_none(), "a token of GitHub has no issuer: {said}");
        let me = send(world.app.get("/users/me").header("x-authz-token", minted.text("authz_token"))).await;
        assert_eq!((me.status, me.text("id")), (200, user.to_string().as_str()));

        assert_eq!(problem(come_back(&world, &callback, &cookie).await).await, (400, STRANGER.to_owned()), "once");
    }

    async fn whose_token_is_for_another_application_is_nobody(store: TestStore) {
        let (world, github) = start(store).await;
        let ask = async |token: String| {
            let answer = world.resolve(&json!({ "idp_token": token, "provider": "github" })).await;
            (answer.status, answer.text("detail").to_owned())
        };
        let foreign = (400, "GitHub token was not issued to this application".to_owned());
        assert_eq!(ask(github.token(ann(), "Iv1.another")).await, foreign);
        assert_eq!(ask("gho_nobody".to_owned()).await, foreign);
        let unverified = ann().with_emails(&[("ann@example.com", true, false)]);
        assert_eq!(ask(github.token(unverified, CLIENT_ID)).await, (400, "Email not verified".to_owned()));
        let audiences = Some(vec!["spa".parse().expect("name")]);
        world.change(ServiceAppChange { allowed_idp_audiences: audiences, ..ServiceAppChange::default() }).await;
        let (status, detail) = ask(github.token(ann(), CLIENT_ID)).await;
        assert!(status == 400 && detail.starts_with("Per-app IdP audience binding is configured for this app"), "{detail}");
    }

    async fn a_token_goes_to_registered_pages_only(store: TestStore) {
        let (world, _) = start(store).await;
        let unregistered = "redirect_uri origin is not registered on any active service";
        for (redirect, detail) in [
            ("https://evil.example/", unregistered),
            ("https://docs.example.com.evil.example/", unregistered),
            ("http://docs.example.com/", unregistered),
            ("https://docs.example.com:8443/", unregistered),
            ("https://evil.example\\@docs.example.com/", unregistered),
            ("https://docs.example.com@evil.example/", "Invalid redirect_uri"),
            ("//docs.example.com/", "Invalid redirect_uri"),
            ("javascript:alert(1)", "Invalid redirect_uri"),
            ("", "Invalid redirect_uri"),
            ("https://docs.example.com/#", "redirect_uri must not contain a fragment"),
        ] {
            assert_eq!(refused(&world, "github", &[("redirect_uri", redirect)]).await, (400, detail.to_owned()), "{redirect}");
        }
        let good = [("redirect_uri", PAGE)];
        assert_eq!(refused(&world, "demo", &good).await, (400, "Proxy login not supported for demo".to_owned()));
        assert_eq!(refused(&world, "nobody%00", &good).await, (400, "Proxy login not supported for nobody".to_owned()));
        assert_eq!(refused(&world, "github", &[]).await.0, 422);
        let long = "ë".repeat(513);
        assert_eq!(refused(&world, "github", &[good[0], ("nonce", &long)]).await.0, 422);

        // What was registered when the browser left need not be any more.
        let (callback, cookie) = to_callback(&world, &[("redirect_uri", BACK)]).await;
        world.change(ServiceAppChange { is_active: Some(false), ..ServiceAppChange::default() }).await;
        assert_eq!(problem(come_back(&world, &callback, &cookie).await).await, (400, unregistered.to_owned()));
    }

    async fn without_github_there_is_no_way_there(store: TestStore) {
        let world = World::start(store).await;
        let good = [("redirect_uri", PAGE)];
        assert_eq!(refused(&world, "github", &good).await, (400, "GitHub OAuth is not configured".to_owned()));
    }

    async fn what_was_not_begun_in_this_browser_does_not_end_in_it(store: TestStore) {
        let (world, github) = start(store).await;
        github.next(ann(), Twist::None);
        let good = [("redirect_uri", BACK)];
        let stranger = (400, STRANGER.to_owned());
        let (mine, cookie) = to_callback(&world, &good).await;
        let (other, others) = to_callback(&world, &good).await;
        assert_eq!(problem(come_back(&world, &mine, &others).await).await, stranger);
        assert_eq!(problem(come_back(&world, &mine, &cookie).await).await, stranger, "it is over after a wrong browser");
        let (name, _) = others.split_once('=').expect("pair");
        assert_eq!(problem(come_back(&world, &other, &format!("{name}=guessed")).await).await, stranger);
        let no_state = format!("{}/authz/idp/github/callback?code=x", world.app.url);
        assert_eq!(problem(come_back(&world, &no_state, &cookie).await).await, stranger);
        let no_such = format!("{}/authz/idp/github/callback?code=x&state=x", world.app.url);
        assert_eq!(problem(come_back(&world, &no_such, &cookie).await).await, stranger);

        let (late, cookie) = to_callback(&world, &good).await;
        world.app.clock.advance(Duration::from_mins(10));
        assert_eq!(problem(come_back(&world, &late, &cookie).await).await, stranger);

        // A login to an application cannot be ended here, nor the other way round.
        let (callback, cookie) = to_callback(&world, &good).await;
        let turned = callback.replace("/authz/idp/github/callback", "/auth/callback/github");
        let answer = come_back(&world, &turned, &cookie).await;
        assert_eq!(answer.status().as_u16(), 400);
        assert!(answer.text().await.expect("page").contains("Session Expired"));
    }

    async fn what_github_declines_is_said(store: TestStore) {
        let (world, github) = start(store).await;
        let good = [("redirect_uri", BACK)];
        let (callback, cookie) = to_callback(&world, &good).await;
        let declined = callback.replace("code=", "error=access_denied%00&ignored=");
        assert_eq!(problem(come_back(&world, &declined, &cookie).await).await, (400, "GitHub OAuth error: access_denied".to_owned()));
        for twist in [Twist::CodeRefused, Twist::NoToken, Twist::MacToken, Twist::OddToken, Twist::TokenFails] {
            github.next(ann(), twist);
            let (callback, cookie) = to_callback(&world, &good).await;
            let failed = problem(come_back(&world, &callback, &cookie).await).await;
            assert_eq!(failed, (502, "GitHub code exchange failed".to_owned()), "{twist:?}");
        }
    }

    async fn without_the_short_lived_store_nobody_is_sent_away(store: TestStore) {
        let github = GitHub::start().await;
        // Nobody listens there.
        let away = Redis::new(&RedisConfig::new("redis://127.0.0.1:1")).expect("url");
        let world = World::start_with(store, |options| {
            options.providers.push(github.settings("github"));
            options.short_lived = Some(Arc::new(away));
        })
        .await;
        assert_eq!(refused(&world, "github", &[("redirect_uri", BACK)]).await.0, 503);
    }

    async fn who_is_sent_away_too_often_is_told_when_to_come_back(store: TestStore) {
        let world = World::start_with(store, |options| options.logins_per_minute = 2).await;
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(refused(&world, "github", &[("redirect_uri", BACK)]).await.0);
        }
        assert_eq!(statuses, [400, 400, 429]);
    }
}
