//! Login end to end: the application, the provider's pages, the callback, the code, the tokens; and everything that
//! must not work.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Response;
use sentinel_access::users::User;
use sentinel_core::Clock as _;
use sentinel_store::on_both_backends;
use sentinel_token::sha256;
use serde_json::{Value, json};

use crate::common::oidc::{Person, Provider, Twist};
use crate::common::{Options, TestApp};

pub(crate) const VERIFIER: &str = "the-verifier-of-the-application-0123456789-abcdef";
pub(crate) const REDIRECT: &str = "https://spa.example.com/callback";

/// A control plane with one provider and one client app.
pub(crate) async fn start(
    store: sentinel_store::testing::TestStore,
    change: impl FnOnce(&mut Options),
) -> (TestApp, Provider) {
    let provider = Provider::start(std::sync::Arc::clone(&store.clock)).await;
    let mut options = Options {
        providers: vec![provider.settings("demo")],
        ..Options::default()
    };
    change(&mut options);
    let app = TestApp::start_with(store, options).await;
    app.client_app("spa", &[REDIRECT, "https://spa.example.com/other"])
        .await;
    (app, provider)
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(sha256(VERIFIER.as_bytes()))
}

pub(crate) fn header(response: &Response, name: &str) -> String {
    response.headers()[name].to_str().expect("text").to_owned()
}

/// The browser's way from the application to the provider and back, up to the callback's address and cookie.
pub(crate) async fn to_callback(app: &TestApp, redirect: &str) -> (String, String) {
    to_callback_of(app, "demo", redirect).await
}

async fn to_callback_of(app: &TestApp, provider: &str, redirect: &str) -> (String, String) {
    let login = app
        .get(&format!("/auth/login/{provider}"))
        .query(&[
            ("redirect_uri", redirect),
            ("code_challenge", &challenge()),
            ("state", "a b&c"),
        ])
        .send()
        .await
        .expect("answer");
    assert_eq!(login.status().as_u16(), 302);
    away(app, &login).await
}

pub(crate) async fn away(app: &TestApp, login: &Response) -> (String, String) {
    let cookie = header(login, "set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().expect("pair").to_owned();
    let provider = app
        .http
        .get(header(login, "location"))
        .send()
        .await
        .expect("provider");
    (header(&provider, "location"), cookie)
}

/// A whole login; the answer of the callback.
async fn login(app: &TestApp) -> Response {
    login_with(app, "demo").await
}

/// The same at one of several providers.
pub(crate) async fn login_with(app: &TestApp, provider: &str) -> Response {
    let (callback, cookie) = to_callback_of(app, provider, REDIRECT).await;
    app.http
        .get(callback)
        .header("cookie", cookie)
        .send()
        .await
        .expect("answer")
}

pub(crate) fn code_of(response: &Response) -> String {
    assert_eq!(response.status().as_u16(), 307);
    let url: url::Url = header(response, "location").parse().expect("url");
    url.query_pairs()
        .find(|(name, _)| name == "code")
        .expect("code")
        .1
        .into_owned()
}

pub(crate) async fn title(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let page = response.text().await.expect("text");
    let title = page
        .split("<h1>")
        .nth(1)
        .and_then(|rest| rest.split("</h1>").next())
        .unwrap_or(&page);
    (status, title.to_owned())
}

pub(crate) async fn exchange(app: &TestApp, code: &str, workspace: &str, verifier: &str) -> (u16, Value) {
    let body = json!({ "code": code, "workspace_id": workspace, "code_verifier": verifier });
    let response = app.post("/auth/token").json(&body).send().await.expect("answer");
    (response.status().as_u16(), response.json().await.expect("json"))
}

/// The account with an address.
pub(crate) async fn user_of(app: &TestApp, email: &str) -> Option<User> {
    let mut tx = app.app.database().read().await.expect("tx");
    let users = &app.app.access().users;
    users.find_by_email(&mut tx, email).await.expect("users")
}

pub(crate) async fn workspace_of(app: &TestApp, email: &str, slug: &str) -> String {
    let user = user_of(app, email).await.expect("user");
    app.workspace(user.id, slug).await.to_string()
}

pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("payload");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("json")
}

on_both_backends! {
    async fn a_person_logs_in(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        let providers: Value = app.get("/auth/providers").send().await.expect("answer").json().await.expect("json");
        assert_eq!(providers, json!({ "providers": ["demo"] }));
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        let back = login(&app).await;
        assert!(header(&back, "location").starts_with(&format!("{REDIRECT}?code=")));
        assert!(header(&back, "location").ends_with("&state=a+b%26c"));
        assert!(header(&back, "set-cookie").contains("Max-Age=0"));
        assert_eq!(header(&back, "cache-control"), "no-store");
        let code = code_of(&back);
        assert_eq!(code.len(), 43);
        let workspace = workspace_of(&app, "ann@example.com", "acme").await;

        let by_get: Value = app.get("/auth/workspaces").query(&[("code", &code)]).send().await.expect("answer").json().await.expect("json");
        let body = json!({ "code": code, "code_verifier": VERIFIER });
        let by_post: Value = app.post("/auth/workspaces").json(&body).send().await.expect("answer").json().await.expect("json");
        assert_eq!(by_get, json!([{ "id": workspace, "name": "acme", "slug": "acme", "role": "owner" }]));
        assert_eq!(by_post, by_get);
        let body = json!({ "code": code, "code_verifier": VERIFIER.replace("the", "not") });
        assert_eq!(app.post("/auth/workspaces").json(&body).send().await.expect("answer").status().as_u16(), 400);

        let (status, tokens) = exchange(&app, &code, &workspace, VERIFIER).await;
        assert_eq!(status, 200, "{tokens}");
        let access = tokens["access_token"].as_str().expect("token");
        let said = claims(access);
        assert_eq!(said["iss"], app.url);
        assert_eq!((said["aud"].as_str(), said["type"].as_str()), (Some("sentinel:access"), Some("access")));
        assert_eq!((said["wslug"].as_str(), said["wrole"].as_str()), (Some("acme"), Some("owner")));
        assert_eq!((said["email"].as_str(), said["name"].as_str()), (Some("ann@example.com"), Some("Name of 1")));
        assert_eq!(said["amr"], json!(["pwd", "otp"]));
        assert_eq!(said["iat"].as_i64().map(|iat| iat - 7), said["auth_time"].as_i64());
        let refresh = claims(tokens["refresh_token"].as_str().expect("token"));
        assert_eq!(refresh["fid"], said["sid"]);
        let me = app.get("/users/me").bearer_auth(access).send().await.expect("answer");
        assert_eq!(me.status().as_u16(), 200);

        let (status, body) = exchange(&app, &code, &workspace, VERIFIER).await;
        assert_eq!((status, body["detail"].as_str()), (400, Some("Invalid or expired authorization code")));
    }

    async fn a_wrong_verifier_burns_the_code(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        let code = code_of(&login(&app).await);
        let workspace = workspace_of(&app, "ann@example.com", "acme").await;
        let (status, body) = exchange(&app, &code, &workspace, &VERIFIER.replace("the", "not")).await;
        assert_eq!((status, body["detail"].as_str()), (400, Some("PKCE verification failed")));
        assert_eq!(exchange(&app, &code, &workspace, VERIFIER).await.0, 400);
    }

    async fn a_code_is_over_after_five_minutes(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        let (first, second) = (code_of(&login(&app).await), code_of(&login(&app).await));
        let workspace = workspace_of(&app, "ann@example.com", "acme").await;
        app.clock.advance(Duration::from_secs(299));
        assert_eq!(exchange(&app, &first, &workspace, VERIFIER).await.0, 200);
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(exchange(&app, &second, &workspace, VERIFIER).await.0, 400);
    }

    async fn of_many_who_exchange_a_code_one_gets_tokens(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        let code = code_of(&login(&app).await);
        let workspace = workspace_of(&app, "ann@example.com", "acme").await;
        let mut statuses = futures_util::future::join_all((0..20).map(|_| exchange(&app, &code, &workspace, VERIFIER)))
            .await
            .into_iter()
            .map(|(status, _)| status)
            .collect::<Vec<_>>();
        statuses.sort_unstable();
        assert_eq!(statuses[0], 200);
        assert!(statuses[1..].iter().all(|status| *status == 400), "{statuses:?}");
    }

    async fn only_members_get_tokens_for_a_workspace(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        let bob = app.user("bob@example.com").await;
        let theirs = app.workspace(bob.id, "theirs").await.to_string();
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        for (workspace, status, detail) in [
            (theirs.as_str(), 403, "Cannot issue tokens for this workspace"),
            ("00000000-0000-0000-0000-000000000001", 404, "Workspace not found"),
        ] {
            let code = code_of(&login(&app).await);
            let (got, body) = exchange(&app, &code, workspace, VERIFIER).await;
            assert_eq!((got, body["detail"].as_str()), (status, Some(detail)));
        }
    }

    async fn hostile_answers_of_a_provider_are_refused(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        for twist in [
            Twist::WrongIssuer,
            Twist::WrongAudience,
            Twist::WrongNonce,
            Twist::NoNonce,
            Twist::AlgNone,
            Twist::HmacByPublicKey,
            Twist::UnknownKid,
            Twist::ForeignSignature,
            Twist::Expired,
            Twist::WrongAuthorizedParty,
            Twist::IssuedLater,
            Twist::SignedInLater,
            Twist::NoIdToken,
            Twist::WrongIssParameter,
            Twist::NoIssParameter,
            Twist::UserInfoOfAnother,
            Twist::Huge,
            Twist::Redirect,
        ] {
            provider.next(Person::new("1", "ann@example.com"), twist);
            let answer = title(login(&app).await).await;
            assert_eq!(answer, (502, "Authentication Failed".to_owned()), "{twist:?}");
        }
        for (claim, value) in [
            ("iat", json!(-1)),
            ("auth_time", json!(-1)),
            ("auth_time", json!(-8_000_000_000_000_i64)),
            ("nbf", json!(app.clock.now().timestamp() + 302)),
            ("nbf", json!("0")),
        ] {
            provider.next(Person::new("1", "ann@example.com").with(claim, value.clone()), Twist::None);
            let answer = title(login(&app).await).await;
            assert_eq!(answer, (502, "Authentication Failed".to_owned()), "{claim} {value}");
        }
        let mut tx = app.app.database().read().await.expect("tx");
        let made = app.app.access().users.find_by_email(&mut tx, "ann@example.com").await.expect("users");
        assert_eq!(made, None, "nobody was made");
        drop(tx);
        provider.next(Person::new("1", "ann@example.com"), Twist::UserInfo);
        code_of(&login(&app).await);
    }

    async fn an_address_counts_only_if_the_provider_vouches_for_it(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        let ann = || Person::new("1", "ann@example.com");
        for (person, status, expected) in [
            (ann().with("email_verified", json!(false)), 403, "Email Not Verified"),
            (ann().with("email_verified", json!(null)), 403, "Email Not Verified"),
            (ann().with("email_verified", json!("true")), 502, "Authentication Failed"),
            (ann().with("email", json!(null)), 403, "No Email Address"),
            (ann().with("email", json!("not an address")), 403, "No Email Address"),
        ] {
            provider.next(person.clone(), Twist::None);
            assert_eq!(title(login(&app).await).await, (status, expected.to_owned()), "{person:?}");
        }
    }

    async fn an_address_that_is_taken_links_only_where_it_is_configured(store: TestStore) {
        let (app, provider) = start(store, |options| {
            let mut linking = options.providers[0].clone();
            linking.name = "linking".into();
            linking.link_by_verified_email = true;
            options.providers.push(linking);
        })
        .await;
        let there = app.user("ann@example.com").await;
        provider.next(Person::new("1", "Ann@Example.com"), Twist::None);
        assert_eq!(title(login(&app).await).await, (409, "Email Already Used".to_owned()));

        let begun = app
            .get("/auth/login/linking")
            .query(&[("redirect_uri", REDIRECT), ("code_challenge", &challenge())])
            .send()
            .await
            .expect("answer");
        let (callback, cookie) = away(&app, &begun).await;
        let back = app.http.get(callback).header("cookie", cookie).send().await.expect("answer");
        let code = code_of(&back);
        let workspace = app.workspace(there.id, "acme").await.to_string();
        let (status, tokens) = exchange(&app, &code, &workspace, VERIFIER).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(claims(tokens["access_token"].as_str().expect("token"))["sub"], there.id.to_string());
    }

    async fn two_providers_that_vouch_for_an_address_are_one_account_where_it_is_configured(store: TestStore) {
        let second = Provider::start(std::sync::Arc::clone(&store.clock)).await;
        let (app, first) = start(store, |options| {
            let mut linking = second.settings("second");
            linking.link_by_verified_email = true;
            options.providers[0].link_by_verified_email = true;
            options.providers.extend([second.settings("careful"), linking]);
        })
        .await;
        first.next(Person::new("1", "ann@example.com"), Twist::None);
        code_of(&login(&app).await);
        let ann = user_of(&app, "ann@example.com").await.expect("an account");
        let workspace = app.workspace(ann.id, "acme").await.to_string();

        second.next(Person::new("a", "ann@example.com").with("email_verified", json!(false)), Twist::None);
        assert_eq!(title(login_with(&app, "second").await).await, (403, "Email Not Verified".to_owned()));
        second.next(Person::new("a", "ann@example.com"), Twist::None);
        assert_eq!(title(login_with(&app, "careful").await).await, (409, "Email Already Used".to_owned()));
        let code = code_of(&login_with(&app, "second").await);
        let (status, tokens) = exchange(&app, &code, &workspace, VERIFIER).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(claims(tokens["access_token"].as_str().expect("token"))["sub"], ann.id.to_string());
        // One account at each provider: another subject there with her address is somebody else.
        second.next(Person::new("b", "ann@example.com"), Twist::None);
        assert_eq!(title(login_with(&app, "second").await).await, (409, "Email Already Used".to_owned()));
        code_of(&login(&app).await);
    }

    async fn an_account_of_a_provider_that_does_not_link_is_never_linked_to(store: TestStore) {
        let careful = Provider::start(std::sync::Arc::clone(&store.clock)).await;
        let (app, careless) = start(store, |options| {
            let mut linking = careful.settings("careful");
            linking.link_by_verified_email = true;
            options.providers.push(linking);
        })
        .await;
        // It says of any address that it is verified, and Eve makes an account with Ann's before Ann comes.
        careless.next(Person::new("eve", "ann@example.com"), Twist::None);
        code_of(&login(&app).await);
        let made = user_of(&app, "ann@example.com").await.expect("an account");
        assert!(made.email_verified_at.is_some());
        careful.next(Person::new("ann", "ann@example.com"), Twist::None);
        assert_eq!(title(login_with(&app, "careful").await).await, (409, "Email Already Used".to_owned()));
    }

    async fn an_account_whose_address_nobody_vouched_for_is_never_linked_to(store: TestStore) {
        let (app, provider) = start(store, |options| options.providers[0].link_by_verified_email = true).await;
        // Eve makes an account with Ann's address before Ann comes.
        let eve = Person::new("eve", "").with("email", json!(null)).with("preferred_username", "ann@example.com".into());
        provider.next(eve, Twist::None);
        code_of(&login(&app).await);
        let made = user_of(&app, "ann@example.com").await.expect("an account");
        assert_eq!(made.email_verified_at, None);
        provider.next(Person::new("ann", "ann@example.com"), Twist::None);
        assert_eq!(title(login(&app).await).await, (409, "Email Already Used".to_owned()));
    }

    async fn a_name_that_looks_like_an_address_is_one_for_want_of_another(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        let ann = || Person::new("1", "").with("email", json!(null));
        for (person, expected) in [
            (ann().with("preferred_username", "ann".into()), "No Email Address"),
            (ann().with("preferred_username", "ann@example.com".into()).with("email_verified", json!(false)), "Email Not Verified"),
            (ann().with("upn", "ann@example.com".into()).with("email_verified", json!(null)), "Email Not Verified"),
            // Claims of Microsoft's mean nothing elsewhere, and spoil nothing.
            (ann().with("tid", json!({})).with("oid", json!(7)), "No Email Address"),
        ] {
            provider.next(person.clone(), Twist::None);
            assert_eq!(title(login(&app).await).await, (403, expected.to_owned()), "{person:?}");
        }
        provider.next(Person::new("1", "real@example.com").with("preferred_username", "ann@example.com".into()), Twist::None);
        code_of(&login(&app).await);
        assert!(user_of(&app, "real@example.com").await.is_some_and(|user| user.email_verified_at.is_some()));
    }

    async fn the_same_subject_is_the_same_account_whatever_its_address(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        code_of(&login(&app).await);
        let workspace = workspace_of(&app, "ann@example.com", "acme").await;
        provider.next(Person::new("1", "married@example.com"), Twist::None);
        let code = code_of(&login(&app).await);
        assert_eq!(exchange(&app, &code, &workspace, VERIFIER).await.0, 200);
        provider.next(Person::new("2", "ann@example.com"), Twist::None);
        assert_eq!(title(login(&app).await).await.0, 409, "another person with her address");
    }

    async fn a_login_belongs_to_its_browser_and_comes_back_once(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        let (callback, cookie) = to_callback(&app, REDIRECT).await;
        let stolen = app.http.get(&callback).send().await.expect("answer");
        assert_eq!(title(stolen).await, (400, "Invalid Session".to_owned()));
        let late = app.http.get(&callback).header("cookie", cookie).send().await.expect("answer");
        assert_eq!(title(late).await, (400, "Session Expired".to_owned()), "it was taken");

        let (callback, _) = to_callback(&app, REDIRECT).await;
        let (_, other) = to_callback(&app, REDIRECT).await;
        let mixed = app.http.get(callback).header("cookie", other).send().await.expect("answer");
        assert_eq!(title(mixed).await.1, "Invalid Session");

        let (callback, cookie) = to_callback(&app, REDIRECT).await;
        app.clock.advance(Duration::from_mins(10));
        let late = app.http.get(callback).header("cookie", cookie).send().await.expect("answer");
        assert_eq!(title(late).await.1, "Session Expired");

        for query in ["", "?code=x", "?state=x&code=y", "?error=access_denied&state=x"] {
            let answer = app.get(&format!("/auth/callback/demo{query}")).send().await.expect("answer");
            assert_eq!(answer.status().as_u16(), 400, "{query}");
        }
    }

    async fn two_logins_of_one_browser_do_not_disturb_each_other(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        let (first, a) = to_callback(&app, REDIRECT).await;
        let (second, b) = to_callback(&app, "https://spa.example.com/other").await;
        let cookies = format!("{a}; {b}");
        code_of(&app.http.get(second).header("cookie", &cookies).send().await.expect("answer"));
        code_of(&app.http.get(first).header("cookie", &cookies).send().await.expect("answer"));
    }

    async fn only_registered_addresses_get_codes(store: TestStore) {
        let (app, _) = start(store, |_| {}).await;
        let other = app.client_app("other", &["https://other.example.com/cb", REDIRECT]).await.to_string();
        let begin = async |query: &[(&str, &str)]| {
            let mut all = vec![("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")];
            all.extend_from_slice(query);
            title(app.get("/auth/login/demo").query(&all).send().await.expect("answer")).await
        };
        assert_eq!(begin(&[("redirect_uri", REDIRECT)]).await.1, "App Not Allowed", "two apps have it");
        assert_eq!(begin(&[("redirect_uri", REDIRECT), ("client_id", &other)]).await.0, 302);
        for redirect in [
            "https://evil.example/callback",
            "https://spa.example.com/callback/",
            "https://spa.example.com/callback?x",
            "https://other.example.com/cb#x",
        ] {
            assert_eq!(begin(&[("redirect_uri", redirect), ("client_id", &other)]).await, (400, "App Not Allowed".into()));
        }
        let good = ("redirect_uri", "https://other.example.com/cb");
        assert_eq!(begin(&[good, ("code_challenge_method", "plain")]).await.1, "Unsupported Challenge Method");
        assert_eq!(begin(&[good, ("client_id", "not a uuid")]).await.0, 422);
        let short = app.get("/auth/login/demo").query(&[good, ("code_challenge", "short")]).send().await.expect("answer");
        assert_eq!(title(short).await, (400, "Invalid Challenge".into()));
        let none = app.get("/auth/login/demo").query(&[good]).send().await.expect("answer");
        assert_eq!(none.status().as_u16(), 422);
        let unknown = app.get("/auth/login/nobody").query(&[good, ("code_challenge", "x")]).send().await.expect("answer");
        assert_eq!(title(unknown).await, (400, "Provider Not Available".into()));
    }

    async fn an_administrator_logs_in_to_the_panel(store: TestStore) {
        let (app, provider) = start(store, |options| options.admin_emails = vec!["root@example.com".into()]).await;
        let panel = async || {
            let begun = app.get("/auth/admin/login/demo").send().await.expect("answer");
            assert_eq!(begun.status().as_u16(), 302);
            let (callback, cookie) = away(&app, &begun).await;
            app.http.get(callback).header("cookie", cookie).send().await.expect("answer")
        };
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        let refused = panel().await;
        assert_eq!(header(&refused, "location"), "http://admin.test/login?error=not_admin");
        let mut tx = app.app.database().read().await.expect("tx");
        assert_eq!(app.app.access().users.find_by_email(&mut tx, "ann@example.com").await.expect("users"), None);
        drop(tx);

        provider.next(Person::new("2", "Root@example.com"), Twist::None);
        let welcome = panel().await;
        assert_eq!((welcome.status().as_u16(), header(&welcome, "location")), (302, "http://admin.test/".to_owned()));
        let cookie = header(&welcome, "set-cookie");
        assert!(cookie.contains("HttpOnly; Max-Age=3600; Path=/; SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().expect("pair").to_owned();
        let me = app.get("/auth/admin/me").header("cookie", cookie).send().await.expect("answer");
        assert_eq!(me.status().as_u16(), 200);

        let unknown = app.get("/auth/admin/login/nobody").send().await.expect("answer");
        assert_eq!(unknown.status().as_u16(), 400);
        // A login to an app cannot be turned into one to the panel.
        let (callback, cookie) = to_callback(&app, REDIRECT).await;
        let turned = callback.replace("/auth/callback/", "/auth/admin/callback/");
        let answer = app.http.get(turned).header("cookie", cookie).send().await.expect("answer");
        assert_eq!(title(answer).await.1, "Invalid Session");
    }

    async fn workspaces_by_get_can_be_turned_off(store: TestStore) {
        let (app, _) = start(store, |options| options.allow_workspaces_by_get = false).await;
        let answer = app.get("/auth/workspaces?code=x").send().await.expect("answer");
        assert_eq!(answer.status().as_u16(), 405);
    }
    async fn a_rejected_login_is_written_down(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        let (_, cookie) = app.admin("root@example.com").await;
        let reasons = async || {
            let path = "/admin/activity?action=login_failed&page_size=100";
            let log: Value = app.get(path).header("cookie", &cookie).send().await.expect("answer").json().await.expect("json");
            let items = log["items"].as_array().expect("list").clone();
            items.iter().rev().map(|item| item["detail"]["reason"].as_str().expect("reason").to_owned()).collect::<Vec<_>>()
        };
        let begin = async |path: &str, query: &[(&str, &str)]| {
            app.get(path).query(query).send().await.expect("answer").status().as_u16()
        };
        let (challenge, longest, longer) = (challenge(), "ë".repeat(512), "ë".repeat(513));
        let good = [("redirect_uri", REDIRECT), ("code_challenge", challenge.as_str())];
        let with = |name, value| [good[0], good[1], (name, value)];
        assert_eq!(begin("/auth/login/nobody%00", &good).await, 400);
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(begin("/auth/login/demo", &with("code_challenge_method", "plain")).await, 400);
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(begin("/auth/login/demo", &[("redirect_uri", "https://evil.example/"), good[1]]).await, 400);
        let expected = ["provider_not_configured", "pkce_method_rejected", "redirect_uri_not_allowed"];
        assert_eq!(reasons().await, expected);

        // A state is counted in characters; one that is too long is malformed, and nobody's failed login.
        assert_eq!(begin("/auth/login/demo", &with("state", &longest)).await, 302);
        assert_eq!(begin("/auth/login/demo", &with("state", &longer)).await, 422);
        assert_eq!(reasons().await, expected);

        app.clock.advance(Duration::from_secs(1));
        provider.next(Person::new("a\0b", "ann@example.com"), Twist::None);
        assert_eq!(title(login(&app).await).await, (502, "Authentication Failed".to_owned()));
        assert_eq!(reasons().await.last().map(String::as_str), Some("invalid_subject"));
    }

    async fn hostile_words_of_a_provider_make_no_hostile_token(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        let mut methods = vec!["a\0b".to_owned(), "x".repeat(5_000)];
        methods.extend((0..500).map(|number| format!("m{number}")));
        provider.next(Person::new("1", "ann@example.com").with("amr", json!(methods)), Twist::None);
        let code = code_of(&login(&app).await);
        let workspace = workspace_of(&app, "ann@example.com", "acme").await;
        let (status, tokens) = exchange(&app, &code, &workspace, VERIFIER).await;
        assert_eq!(status, 200, "{tokens}");
        let said = claims(tokens["access_token"].as_str().expect("token"));
        assert_eq!(said["amr"], json!(["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"]));
    }
}
