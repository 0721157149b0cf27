//! People behind browsers at an edge: through a certified OpenID provider that we did not write, with a browser's cookies,
//! to the page that they wanted; renewed in silence, signed out; and the ways in which somebody else's page, cookie or answer
//! must not help anybody.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sentinel_quickstart::api::Api;
use sentinel_quickstart::http::Http;
use sentinel_quickstart::http::{Answer, Ask, Browser, Secret, forms};
use sentinel_quickstart::scene::Door;
use sentinel_quickstart::scene::{admin_login, arrive, random_text, walk};
use sentinel_quickstart::system::PROVIDER;
use sentinel_tests::browser_edge::{BrowserEdge, Place};
use sentinel_tests::node::{NodeProvider, sign_in_as};
use sentinel_tests::whole::Whole;
use url::Url;

const ADMIN: &str = "olivia@example.com";
/// A member of one workspace, of two, and of none.
const ANN: &str = "ann@example.com";
const BEN: &str = "ben@example.com";
const CAT: &str = "cat@example.com";

const SESSION: &str = "__Host-sentinel";
const REFRESH: &str = "__Host-sentinel-refresh";
/// What browsers send when somebody looks at a page.
const PAGE: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

const ROUTES: &str = r#"
  - { match: GET /page, to: docs, require: { signed_in: true }, cookie: true, login: true }
  - { match: "GET /page/{any}", to: docs, require: { signed_in: true }, cookie: true, login: true }
  - { match: POST /page, to: docs, require: { signed_in: true }, cookie: true }
  - { match: GET /both, to: docs, credentials: user_and_service, require: { signed_in: true }, cookie: true, login: true }
  - { match: GET /api, to: docs, require: { signed_in: true } }
"#;

/// A system with an edge for browsers in front of the service.
struct Bench {
    whole: Whole,
    edge: BrowserEdge,
    api: Api,
    acme: String,
    _provider: NodeProvider,
}

impl Bench {
    async fn start() -> Result<Self> {
        let http = Http::new()?;
        let provider = NodeProvider::start(&http).await?;
        let whole = Whole::with_provider(provider.outside.clone(), provider.control_plane_port).await?;
        let control_plane = whole.system.urls.control_plane.clone();
        let (api, place) = (Api::at(&control_plane), Place::choose()?);
        let (admin, _) = admin_login(&http, &control_plane, PROVIDER, sign_in_as(ADMIN)).await?;
        let app = http
            .send(&api.create_client_app(&admin, "Edge", &place.callback()))
            .await?
            .expect(201)?
            .text("id")?;
        let door = Door {
            control_plane,
            provider: PROVIDER.to_owned(),
            client_app: app.clone(),
            redirect_uri: place.callback(),
        };
        // The first login makes the account; only then can it be a member of anything.
        for email in [ANN, BEN, CAT] {
            arrive(&http, &door, sign_in_as(email)).await?;
        }
        let mut workspaces = Vec::new();
        for (name, slug, members) in [
            ("Acme", "acme", &[ANN, BEN] as &[_]),
            ("Besta & Co", "besta", &[BEN]),
        ] {
            let made = http
                .send(&api.create_workspace(&admin, name, slug))
                .await?
                .expect(201)?;
            let workspace = made.text("id")?;
            for email in members {
                http.send(&api.appoint(&admin, &workspace, email, "viewer"))
                    .await?
                    .expect(201)?;
            }
            workspaces.push(workspace);
        }
        let edge = BrowserEdge::start(&whole, place, &app, ROUTES).await?;
        Ok(Self {
            whole,
            edge,
            api,
            acme: workspaces.first().cloned().context("two were made")?,
            _provider: provider,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.edge.place.url)
    }

    fn browser(&self) -> Browser {
        Browser::new(self.whole.http.clone())
    }

    /// Somebody looks at a page.
    async fn look(&self, browser: &mut Browser, path: &str) -> Result<Answer> {
        Ok(browser
            .send(Ask::get(self.url(path)).header("Accept", PAGE))
            .await?
            .1)
    }

    /// A request with these cookies and no others.
    async fn with_cookies(&self, path: &str, cookies: &str) -> Result<Answer> {
        let ask = Ask::get(self.url(path))
            .header("Accept", PAGE)
            .header("Cookie", cookies);
        self.whole.http.send(&ask).await
    }

    /// The way from a page to the edge's callback, which is not yet visited.
    async fn go(&self, browser: &mut Browser, path: &str, email: &str) -> Result<Url> {
        let start = Ask::get(self.url(path)).header("Accept", PAGE);
        Ok(
            walk(browser, start, &self.edge.place.callback(), sign_in_as(email))
                .await?
                .0,
        )
    }

    /// A browser in which somebody has signed in, who is a member of one workspace.
    async fn signed_in(&self) -> Result<Browser> {
        let mut browser = self.browser();
        let callback = self.go(&mut browser, "/page", ANN).await?;
        let (_, answer) = browser.send(Ask::get(callback)).await?;
        ensure!(answer.location()? == "/page", "the way back is another one");
        Ok(browser)
    }

    fn cookie(&self, browser: &Browser, name: &str) -> Result<String> {
        let value = browser.cookie(&self.edge.place.url, name);
        value
            .map(str::to_owned)
            .with_context(|| format!("there is no cookie `{name}`"))
    }
}

/// The cookies that an answer sets: name and value, where an empty value removes it.
fn set_cookies(answer: &Answer) -> Vec<(String, String)> {
    let lines = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    lines
        .filter_map(|(_, line)| line.split(';').next()?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn login_cookie(answer: &Answer) -> Result<(String, String)> {
    let mut cookies = set_cookies(answer).into_iter();
    let found = cookies.find(|(name, value)| name.starts_with("__Host-sentinel-login-") && !value.is_empty());
    found.context("no login was left with the browser")
}

/// `url` with one query parameter replaced.
fn with_parameter(url: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let mut changed = url.clone();
    let replaced = pairs.into_iter().map(|(found, old)| {
        if found == name {
            (found, value.to_owned())
        } else {
            (found, old)
        }
    });
    changed.query_pairs_mut().clear().extend_pairs(replaced);
    changed
}

/// Waits until something is so.
async fn until<F: Future<Output = Result<bool>>>(mut is_so: impl FnMut() -> F) -> Result<()> {
    let started = tokio::time::Instant::now();
    while !is_so().await? {
        ensure!(
            started.elapsed() < Duration::from_secs(20),
            "it did not come to that"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_stay_signed_in_and_sign_out() -> Result<()> {
    let bench = Bench::start().await?;
    a_browser_is_sent_to_login_and_a_program_is_not(&bench).await?;
    a_login_brings_the_browser_back_to_where_it_was(&bench).await?;
    two_tabs_sign_in_at_once(&bench).await?;
    a_member_of_several_workspaces_chooses(&bench).await?;
    a_member_of_none_is_told_so(&bench).await?;
    a_session_is_renewed_in_silence_and_once(&bench).await?;
    whoever_is_refused_after_signing_in_is_not_sent_round(&bench).await?;
    somebody_signs_out(&bench).await?;
    a_session_that_is_ended_elsewhere_ends_here(&bench).await?;
    the_control_plane_is_away(&bench).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_in_with_what_is_not_his() -> Result<()> {
    let bench = Bench::start().await?;
    an_answer_counts_in_its_browser_and_once(&bench).await?;
    no_link_leads_to_another_origin(&bench).await?;
    cookies_are_good_where_they_were_set(&bench).await?;
    other_sites_cause_nothing(&bench).await
}

async fn a_browser_is_sent_to_login_and_a_program_is_not(bench: &Bench) -> Result<()> {
    let http = &bench.whole.http;
    for (accept, extra) in [
        ("*/*", None),
        ("application/json", None),
        (PAGE, Some(("Sec-Fetch-Mode", "cors"))),
        (PAGE, Some(("Authorization", "Bearer nonsense"))),
        (PAGE, Some(("Sec-Fetch-Dest", "iframe"))),
    ] {
        let mut ask = Ask::get(bench.url("/page")).header("Accept", accept);
        if let Some((name, value)) = extra {
            ask = ask.header(name, value);
        }
        let answer = http.send(&ask).await?.expect(401)?;
        assert!(
            answer.header("set-cookie").is_none() && answer.header("location").is_none(),
            "{extra:?}"
        );
    }
    let program = http.send(&Ask::get(bench.url("/page"))).await?;
    assert_eq!(program.code().as_deref(), Some("credential_missing"));
    let elsewhere = http
        .send(&Ask::get(bench.url("/api")).header("Accept", PAGE))
        .await?;
    assert_eq!(
        elsewhere.status, 401,
        "nobody signs in for a route without `login`"
    );

    let mut browser = bench.browser();
    // The edge does not know the providers, and asks the control plane for the only one.
    let first = bench.look(&mut browser, "/page?x=1").await?.expect(303)?;
    assert_eq!(first.location()?, "/.sentinel/login?return_to=%2Fpage%3Fx%3D1");
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let second = bench.look(&mut browser, first.location()?).await?.expect(303)?;
    let login = Url::parse(second.location()?)?;
    let path = format!("{}/auth/login/{PROVIDER}", bench.whole.system.urls.control_plane);
    assert!(login.as_str().starts_with(&path), "{login}");
    let names: BTreeSet<String> = login.query_pairs().map(|(name, _)| name.into_owned()).collect();
    let expected = [
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
        "state",
    ];
    assert_eq!(names, expected.map(str::to_owned).into());
    let line = second.header("set-cookie").context("a cookie")?;
    assert!(
        line.ends_with("; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"),
        "{line}"
    );
    let (_, sealed) = login_cookie(&second)?;
    let state = login
        .query_pairs()
        .find(|(name, _)| name == "state")
        .context("a state")?
        .1;
    assert!(!sealed.contains(&*state));
    Ok(())
}

async fn a_login_brings_the_browser_back_to_where_it_was(bench: &Bench) -> Result<()> {
    let mut browser = bench.browser();
    let wanted = "/page/caf%C3%A9?a=b&next=https://evil.example";
    let callback = bench.go(&mut browser, wanted, ANN).await?;
    let (_, answer) = browser.send(Ask::get(callback)).await?;
    assert_eq!((answer.status, answer.location()?), (303, wanted));
    for (name, _) in set_cookies(&answer) {
        let lines = answer.headers.iter().filter(|(header, _)| header == "set-cookie");
        let line = lines
            .map(|(_, line)| line)
            .find(|line| line.starts_with(&name))
            .context("a line")?;
        for attribute in ["; Path=/;", "; HttpOnly;", "; Secure;", "; SameSite=Lax"] {
            assert!(line.contains(attribute), "{line}");
        }
        assert!(!line.contains("Domain"), "{line}");
    }
    let page = bench.look(&mut browser, wanted).await?.expect(200)?;
    let seen = page.json()?;
    assert_eq!(seen["target"], wanted);
    assert_eq!(seen["headers"]["x-sentinel-workspace-id"], bench.acme.as_str());
    let arrived = bench.whole.system.upstream.latest().context("a request")?;
    let cookies: Vec<_> = arrived
        .headers
        .iter()
        .filter(|(name, _)| name == "cookie")
        .collect();
    assert!(
        !format!("{cookies:?}").contains("sentinel"),
        "the service got the session: {cookies:?}"
    );
    Ok(())
}

async fn two_tabs_sign_in_at_once(bench: &Bench) -> Result<()> {
    let mut browser = bench.browser();
    let one = bench.go(&mut browser, "/page/one", ANN).await?;
    let two = bench.go(&mut browser, "/page/two", ANN).await?;
    for (callback, place) in [(one, "/page/one"), (two, "/page/two")] {
        let (_, answer) = browser.send(Ask::get(callback)).await?;
        assert_eq!((answer.status, answer.location()?), (303, place));
    }
    // Whatever is begun and left is not kept for ever.
    let mut kept = BTreeSet::new();
    for _ in 0..8 {
        let answer = bench
            .look(&mut browser, "/.sentinel/login?provider=demo")
            .await?
            .expect(303)?;
        for (name, value) in set_cookies(&answer) {
            if value.is_empty() {
                kept.remove(&name);
            } else {
                kept.insert(name);
            }
        }
    }
    assert_eq!(kept.len(), 4, "{kept:?}");
    Ok(())
}

async fn a_member_of_several_workspaces_chooses(bench: &Bench) -> Result<()> {
    let mut browser = bench.browser();
    let callback = bench.go(&mut browser, "/page?from=ben", BEN).await?;
    let (_, answer) = browser.send(Ask::get(callback)).await?;
    let place = answer.expect(303)?.location()?.to_owned();
    let page = bench.look(&mut browser, &place).await?.expect(200)?;
    assert!(
        page.body.contains("Besta &amp; Co") && page.body.contains("Acme"),
        "{}",
        page.body
    );
    let policy = page.header("content-security-policy").context("a policy")?;
    assert!(
        policy.contains("default-src 'none'") && policy.ends_with("form-action 'self'"),
        "{policy}"
    );
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    let form = forms(&page.body)
        .into_iter()
        .find(|form| form.action.contains(&bench.acme))
        .context("Acme can be chosen")?;

    let choose = || Ask::post(bench.url(&form.action));
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Accept", "*/*"),
    ] {
        let (_, answer) = browser.send(choose().header(name, value)).await?;
        assert_eq!(answer.code().as_deref(), Some("cross_site"), "{name}: {value}");
    }
    let stranger = browser_without_cookies(bench, &form.action).await?;
    assert_eq!(stranger.status, 400);
    let (_, answer) = browser
        .send(choose().header("Origin", &bench.edge.place.url))
        .await?;
    assert_eq!((answer.status, answer.location()?), (303, "/page?from=ben"));
    let seen = bench.look(&mut browser, "/page").await?.expect(200)?.json()?;
    assert_eq!(seen["headers"]["x-sentinel-workspace-id"], bench.acme.as_str());
    let (_, again) = browser
        .send(choose().header("Origin", &bench.edge.place.url))
        .await?;
    assert_eq!(again.status, 400, "a choice was made twice");
    Ok(())
}

async fn browser_without_cookies(bench: &Bench, action: &str) -> Result<Answer> {
    let ask = Ask::post(bench.url(action)).header("Origin", &bench.edge.place.url);
    bench.whole.http.send(&ask).await
}

async fn a_member_of_none_is_told_so(bench: &Bench) -> Result<()> {
    let mut browser = bench.browser();
    let callback = bench.go(&mut browser, "/page", CAT).await?;
    let (_, answer) = browser.send(Ask::get(callback)).await?;
    assert_eq!(answer.status, 403);
    assert!(
        answer.body.contains("no workspace for you") && answer.body.contains("/.sentinel/login?"),
        "{}",
        answer.body
    );
    assert!(bench.cookie(&browser, SESSION).is_err());
    Ok(())
}

async fn a_session_is_renewed_in_silence_and_once(bench: &Bench) -> Result<()> {
    let browser = bench.signed_in().await?;
    let (old, refresh) = (bench.cookie(&browser, SESSION)?, bench.cookie(&browser, REFRESH)?);
    let kept = bench
        .with_cookies("/page", &format!("{SESSION}={old}; {REFRESH}={refresh}"))
        .await?
        .expect(200)?;
    assert!(
        set_cookies(&kept).is_empty(),
        "a session that is good was renewed"
    );

    // The browser has forgotten the access token, which has ended: a page asks for twenty things at once.
    let cookie = format!("{REFRESH}={refresh}");
    let requests: Vec<_> = (0..20)
        .map(|number| {
            let accept = if number == 0 { PAGE } else { "*/*" };
            let ask = Ask::get(bench.url(&format!("/page/{number}")))
                .header("Accept", accept)
                .header("Cookie", &cookie);
            let http = bench.whole.http.clone();
            tokio::spawn(async move { http.send(&ask).await })
        })
        .collect();
    let mut renewed = BTreeSet::new();
    let mut next = None;
    for request in requests {
        let answer = request.await??.expect(200)?;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        for (name, value) in set_cookies(&answer) {
            if name == SESSION {
                renewed.insert(value);
            } else {
                next = Some(value);
            }
        }
    }
    assert_eq!(renewed.len(), 1, "the refresh token was exchanged more than once");
    assert!(!renewed.contains(&old));
    // A late one with the old cookie gets the same, and the new cookie is good.
    let late = bench.with_cookies("/page", &cookie).await?.expect(200)?;
    assert!(
        set_cookies(&late)
            .iter()
            .any(|(_, value)| renewed.contains(value))
    );
    let next = next.context("a refresh token")?;
    let then = bench
        .with_cookies("/page", &format!("{REFRESH}={next}"))
        .await?
        .expect(200)?;
    assert!(
        set_cookies(&then)
            .iter()
            .all(|(_, value)| !renewed.contains(value))
    );
    // A program's token is never renewed, and a route without `login` does not wait for anybody.
    let bearer = Ask::get(bench.url("/page"))
        .header("Authorization", "Bearer nonsense")
        .header("Cookie", &cookie);
    let answer = bench.whole.http.send(&bearer).await?.expect(401)?;
    assert!(set_cookies(&answer).is_empty());
    let answer = bench.with_cookies("/api", &cookie).await?.expect(401)?;
    assert!(set_cookies(&answer).is_empty());
    Ok(())
}

async fn whoever_is_refused_after_signing_in_is_not_sent_round(bench: &Bench) -> Result<()> {
    let mut browser = bench.browser();
    let callback = bench.go(&mut browser, "/both", ANN).await?;
    let (_, answer) = browser.send(Ask::get(callback)).await?;
    assert_eq!(answer.location()?, "/both");
    let page = bench.look(&mut browser, "/both").await?;
    assert_eq!(page.status, 401, "the browser is sent round");
    assert!(page.body.contains("Sign in once more"), "{}", page.body);
    assert!(page.header("www-authenticate").is_some());
    Ok(())
}

async fn somebody_signs_out(bench: &Bench) -> Result<()> {
    let mut browser = bench.signed_in().await?;
    let (access, refresh) = (bench.cookie(&browser, SESSION)?, bench.cookie(&browser, REFRESH)?);
    let page = bench.look(&mut browser, "/.sentinel/logout").await?.expect(200)?;
    assert!(set_cookies(&page).is_empty(), "a link signed somebody out");
    let form = forms(&page.body).into_iter().next().context("a form")?;
    let out = || Ask::post(bench.url(&form.action));
    let (_, foreign) = browser.send(out().header("Sec-Fetch-Site", "cross-site")).await?;
    assert_eq!(foreign.code().as_deref(), Some("cross_site"));
    bench.look(&mut browser, "/page").await?.expect(200)?;

    let (_, answer) = browser
        .send(out().header("Sec-Fetch-Site", "same-origin"))
        .await?;
    assert_eq!((answer.status, answer.location()?), (303, "/"));
    assert!(bench.cookie(&browser, SESSION).is_err() && bench.cookie(&browser, REFRESH).is_err());
    // Not only the browser has forgotten it.
    let kept = format!("{SESSION}={access}");
    let ended = || async { Ok(bench.with_cookies("/page", &kept).await?.status == 303) };
    until(ended).await?;
    let refused = bench
        .with_cookies("/page", &format!("{REFRESH}={refresh}"))
        .await?;
    assert!(
        !refused.body.contains("upstream"),
        "a refresh token outlived its session"
    );
    Ok(())
}

async fn a_session_that_is_ended_elsewhere_ends_here(bench: &Bench) -> Result<()> {
    let browser = bench.signed_in().await?;
    let (access, refresh) = (bench.cookie(&browser, SESSION)?, bench.cookie(&browser, REFRESH)?);
    let ask = bench.api.logout(&Secret::new("access", access));
    bench.whole.http.send(&ask).await?.expect(200)?;
    let cookie = format!("{REFRESH}={refresh}");
    let page = bench.with_cookies("/page", &cookie).await?;
    // He signed in a moment ago, so he is told, and not sent round; the session is forgotten all the same.
    assert_eq!(page.status, 401);
    let gone: BTreeSet<_> = set_cookies(&page).into_iter().collect();
    let expected = [SESSION, REFRESH].map(|name| (name.to_owned(), String::new()));
    assert_eq!(gone, expected.into());
    let program = Ask::get(bench.url("/page")).header("Cookie", &cookie);
    let answer = bench.whole.http.send(&program).await?;
    assert_eq!(
        (answer.status, answer.code().as_deref()),
        (401, Some("credential_missing"))
    );
    assert_eq!(set_cookies(&answer).len(), 2);
    Ok(())
}

async fn the_control_plane_is_away(bench: &Bench) -> Result<()> {
    let mut browser = bench.signed_in().await?;
    let (access, refresh) = (bench.cookie(&browser, SESSION)?, bench.cookie(&browser, REFRESH)?);
    let mut other = bench.browser();
    let callback = bench.go(&mut other, "/page", ANN).await?;
    bench.whole.system.control_plane.kill().await;
    bench.look(&mut browser, "/page").await?.expect(200)?;
    let none = bench
        .with_cookies("/page", &format!("{REFRESH}={refresh}"))
        .await?;
    assert_eq!(none.status, 503);
    assert!(none.header("retry-after").is_some() && set_cookies(&none).is_empty());
    let program = Ask::get(bench.url("/page")).header("Cookie", &format!("{REFRESH}={refresh}"));
    let answer = bench.whole.http.send(&program).await?.expect(503)?;
    assert_eq!(answer.code().as_deref(), Some("login_unavailable"));
    let (_, waiting) = other.send(Ask::get(callback.clone())).await?;
    assert_eq!(waiting.status, 503);
    assert!(
        set_cookies(&waiting).is_empty(),
        "a login that may still succeed was forgotten"
    );

    bench.whole.system.control_plane.resume().await;
    bench.whole.system.await_control_plane(&bench.whole.http).await?;
    bench
        .with_cookies("/page", &format!("{REFRESH}={refresh}"))
        .await?
        .expect(200)?;
    assert!(!access.is_empty());
    Ok(())
}

async fn an_answer_counts_in_its_browser_and_once(bench: &Bench) -> Result<()> {
    let mut browser = bench.browser();
    let callback = bench.go(&mut browser, "/page", ANN).await?;
    let mut stranger = bench.browser();
    let refused = |answer: &Answer, what: &str| {
        let none = set_cookies(answer)
            .iter()
            .all(|(name, value)| value.is_empty() || (name != SESSION && name != REFRESH));
        assert!(
            answer.status == 400 && none && answer.header("location").is_none(),
            "{what}: {answer:?}"
        );
    };
    let (_, answer) = stranger.send(Ask::get(callback.clone())).await?;
    refused(&answer, "a foreign browser");
    // The stranger has a login of his own, and answers it with somebody else's code, and the other way round.
    let own = bench.go(&mut stranger, "/page", BEN).await?;
    let state = |url: &Url| {
        url.query_pairs()
            .find(|(name, _)| name == "state")
            .map(|(_, value)| value.into_owned())
    };
    let theirs = with_parameter(&callback, "state", &state(&own).context("a state")?);
    let (_, answer) = stranger.send(Ask::get(theirs)).await?;
    refused(&answer, "a code of another login");
    let (_, answer) = stranger.send(Ask::get(callback.clone())).await?;
    refused(&answer, "a state of another login");
    for (what, forged) in [
        (
            "another state",
            with_parameter(&callback, "state", &random_text()),
        ),
        ("no state", with_parameter(&callback, "state", "")),
        (
            "another issuer",
            Url::parse(&format!("{callback}&iss=https://evil.example"))?,
        ),
        ("two states", Url::parse(&format!("{callback}&state=x"))?),
        ("two codes", Url::parse(&format!("{callback}&code=x"))?),
        ("no code", with_parameter(&callback, "code", "")),
    ] {
        let (_, answer) = browser.send(Ask::get(forged)).await?;
        refused(&answer, what);
    }
    let (_, answer) = browser
        .send(Ask::post(callback.as_str()).header("Origin", &bench.edge.place.url))
        .await?;
    assert_eq!(answer.status, 404, "an answer by another method");
    let before = browser.clone();
    let (_, answer) = browser.send(Ask::get(callback.clone())).await?;
    assert_eq!((answer.status, answer.location()?), (303, "/page"));
    let (_, answer) = browser.send(Ask::get(callback.clone())).await?;
    refused(&answer, "an answer that comes twice");
    let (_, answer) = before.clone().send(Ask::get(callback.clone())).await?;
    refused(&answer, "an answer that comes twice, with its cookie");

    // Whoever says no is told so, and can try again.
    let mut other = bench.browser();
    let callback = bench.go(&mut other, "/page", ANN).await?;
    let declined = Url::parse(&format!("{callback}&error=access_denied"))?;
    let (_, answer) = other.send(Ask::get(declined)).await?;
    assert_eq!(answer.status, 403);
    assert!(
        answer.body.contains("declined") && answer.body.contains("/.sentinel/login?return_to=%2Fpage"),
        "{}",
        answer.body
    );
    Ok(())
}

async fn no_link_leads_to_another_origin(bench: &Bench) -> Result<()> {
    let mut browser = bench.browser();
    for bad in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/%5Cevil.example",
        "\\/evil.example",
        "/../evil",
        "javascript:alert(1)",
        "/a\r\nLocation: https://evil.example",
        "/.sentinel/logout",
        "evil",
        "",
    ] {
        let mut link = Url::parse(&bench.url("/.sentinel/login?provider=demo"))?;
        link.query_pairs_mut().append_pair("return_to", bad);
        let (_, answer) = browser.send(Ask::get(link).header("Accept", PAGE)).await?;
        assert_eq!(answer.status, 400, "`{bad}`");
        assert!(answer.header("location").is_none(), "`{bad}`");
    }
    for bad in ["../admin/login/demo", "demo?x=y", "demo#", "Demo", ""] {
        let mut link = Url::parse(&bench.url("/.sentinel/login"))?;
        link.query_pairs_mut().append_pair("provider", bad);
        let (_, answer) = browser.send(Ask::get(link)).await?;
        assert_eq!(answer.status, 400, "`{bad}`");
    }
    // A host that is none of ours is not registered at the control plane: nobody is sent back to it.
    let ask = Ask::get(bench.url("/.sentinel/login?provider=demo")).header("Host", "evil.example");
    let answer = bench.whole.http.send(&ask).await?;
    assert_eq!(
        answer.status, 400,
        "a login over a plain connection to a host of the net"
    );
    Ok(())
}

async fn cookies_are_good_where_they_were_set(bench: &Bench) -> Result<()> {
    let mut browser = bench.browser();
    let begun = bench
        .look(&mut browser, "/.sentinel/login?provider=demo")
        .await?
        .expect(303)?;
    let (name, sealed) = login_cookie(&begun)?;
    let location = Url::parse(begun.location()?)?;
    let state = location
        .query_pairs()
        .find(|(name, _)| name == "state")
        .context("a state")?
        .1
        .into_owned();
    let callback = |cookie: String, host: Option<&str>| {
        let mut ask = Ask::get(bench.url(&format!("/.sentinel/callback?state={state}&code=abc")))
            .header("Cookie", &cookie);
        if let Some(host) = host {
            ask = ask.header("Host", host);
        }
        ask
    };
    let http = &bench.whole.http;
    // At its place the cookie is opened, and the control plane is asked about the code, which it does not know.
    let known = http.send(&callback(format!("{name}={sealed}"), None)).await?;
    assert!(
        known.status == 400 && set_cookies(&known).iter().any(|(removed, _)| *removed == name),
        "{known:?}"
    );
    let mut tampered = sealed.clone();
    let last = if tampered.ends_with('A') { "B" } else { "A" };
    tampered.replace_range(30..31, if &tampered[30..31] == "A" { "B" } else { "A" });
    let other_name = format!("__Host-sentinel-login-{}", "0".repeat(12));
    for (what, ask) in [
        ("tampered", callback(format!("{name}={tampered}"), None)),
        (
            "cut",
            callback(format!("{name}={}", &sealed[..sealed.len() - 4]), None),
        ),
        ("longer", callback(format!("{name}={sealed}{last}"), None)),
        ("renamed", callback(format!("{other_name}={sealed}"), None)),
        (
            "doubled",
            callback(format!("{name}={sealed}; {name}={sealed}"), None),
        ),
        (
            "at another host",
            callback(format!("{name}={sealed}"), Some("localhost")),
        ),
    ] {
        let answer = http.send(&ask).await?;
        assert_eq!(answer.status, 400, "{what}");
        assert!(set_cookies(&answer).is_empty(), "{what}: {answer:?}");
    }
    // A login's cookie is no session, and a session's no login.
    let browser = bench.signed_in().await?;
    let refresh = bench.cookie(&browser, REFRESH)?;
    for cookie in [format!("{REFRESH}={sealed}"), format!("{SESSION}={refresh}")] {
        let answer = bench.with_cookies("/page", &cookie).await?;
        assert_eq!(answer.status, 303, "{cookie}");
    }
    let mut ask = Ask::get(bench.url("/page")).header("Accept", PAGE);
    ask = ask
        .header("Cookie", &format!("{REFRESH}={refresh}"))
        .header("Host", "localhost");
    assert_eq!(http.send(&ask).await?.status, 303, "a session of another host");
    Ok(())
}

async fn other_sites_cause_nothing(bench: &Bench) -> Result<()> {
    let mut browser = bench.signed_in().await?;
    let foreign = Ask::post(bench.url("/page")).header("Sec-Fetch-Site", "cross-site");
    let (_, answer) = browser.send(foreign).await?;
    assert_eq!(answer.code().as_deref(), Some("cross_site"));
    let own = Ask::post(bench.url("/page")).header("Sec-Fetch-Site", "same-origin");
    let (_, answer) = browser.send(own).await?;
    assert_eq!(answer.status, 200);
    for (method, path) in [
        ("POST", "login"),
        ("GET", "nothing"),
        ("DELETE", "logout"),
        ("GET", ""),
    ] {
        let url = bench.url(&format!("/.sentinel/{path}"));
        let ask = match method {
            "POST" => Ask::post(url),
            "DELETE" => Ask::delete(url),
            _ => Ask::get(url),
        };
        let (_, answer) = browser.send(ask.header("Sec-Fetch-Site", "same-origin")).await?;
        assert_eq!(answer.status, 404, "{method} {path}");
    }
    bench.look(&mut browser, "/page").await?.expect(200)?;
    let log = bench.edge.log();
    for secret in [bench.cookie(&browser, SESSION)?, bench.cookie(&browser, REFRESH)?] {
        assert!(!log.contains(&secret), "a token is in the log");
    }
    Ok(())
}
