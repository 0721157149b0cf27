//! The login against `oidc-provider`, a certified OpenID provider that we did not write: through its own pages, with a
//! browser's cookies, up to tokens, and the ways in which a login must not succeed.

use anyhow::Result;
use sentinel_quickstart::api::Api;
use sentinel_quickstart::http::{Answer, Ask, Browser, Http, Secret};
use sentinel_quickstart::scene::{Arrived, Door, admin_login, arrive, login_request, random_text, walk};
use sentinel_quickstart::system::PROVIDER;
use sentinel_tests::node::{NodeProvider, sign_in_as};
use sentinel_tests::whole::Whole;
use url::Url;

const ADMIN: &str = "olivia@example.com";
const USER: &str = "ann@example.com";

/// A system whose provider is the certified one, with a client app and a workspace that `USER` owns.
struct Bench {
    whole: Whole,
    api: Api,
    door: Door,
    workspace: String,
    _provider: NodeProvider,
}

impl Bench {
    async fn start() -> Result<Self> {
        let http = Http::new()?;
        let provider = NodeProvider::start(&http).await?;
        let whole = Whole::with_provider(provider.outside.clone(), provider.control_plane_port).await?;
        let control_plane = whole.system.urls.control_plane.clone();
        let api = Api::at(&control_plane);
        let redirect_uri = format!("{}/signed-in", whole.system.urls.proxy);
        let (admin, _) = admin_login(&http, &control_plane, PROVIDER, sign_in_as(ADMIN)).await?;
        let app = http
            .send(&api.create_client_app(&admin, "Docs", &redirect_uri))
            .await?
            .expect(201)?;
        let door = Door {
            control_plane,
            provider: PROVIDER.to_owned(),
            client_app: app.text("id")?,
            redirect_uri,
        };
        // The first login makes the account; only then can it own anything.
        arrive(&http, &door, sign_in_as(USER)).await?;
        let workspace = http
            .send(&api.create_workspace(&admin, "Acme", "acme"))
            .await?
            .expect(201)?
            .text("id")?;
        http.send(&api.appoint(&admin, &workspace, USER, "owner"))
            .await?
            .expect(201)?;
        Ok(Self {
            whole,
            api,
            door,
            workspace,
            _provider: provider,
        })
    }

    async fn send(&self, ask: Ask) -> Result<Answer> {
        self.whole.http.send(&ask).await
    }

    async fn arrive(&self) -> Result<Arrived> {
        arrive(&self.whole.http, &self.door, sign_in_as(USER)).await
    }

    async fn token(&self, code: &str, verifier: &str) -> Result<Answer> {
        self.send(self.api.token(code, verifier, &self.workspace)).await
    }

    /// The address at which the provider sends the browser back to the control plane, not yet visited.
    async fn callback(&self) -> Result<(Browser, Url)> {
        let mut browser = Browser::new(self.whole.http.clone());
        let start = login_request(&self.door, &random_text(), "spa-state")?;
        let end = format!("{}/auth/callback/", self.door.control_plane);
        let (callback, _) = walk(&mut browser, start, &end, sign_in_as(USER)).await?;
        Ok((browser, callback))
    }
}

fn refresh_token(answer: &Answer) -> Secret {
    Secret::new(
        "refresh token",
        answer.text("refresh_token").expect("a refresh token"),
    )
}

/// `url` with one query parameter replaced.
fn with_parameter(url: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let mut changed = url.clone();
    changed
        .query_pairs_mut()
        .clear()
        .extend_pairs(pairs.into_iter().map(|(found, old)| {
            if found == name {
                (found, value.to_owned())
            } else {
                (found, old)
            }
        }));
    changed
}

/// Whether an answer hands out a code to the client app.
fn hands_out_a_code(answer: &Answer) -> bool {
    answer.location().is_ok_and(|location| location.contains("code="))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ends_with_tokens_that_refresh_and_every_forgery_of_it_fails() -> Result<()> {
    let bench = Bench::start().await?;
    tokens_and_their_rotation(&bench).await?;
    codes_are_good_for_one_try_with_their_verifier(&bench).await?;
    a_callback_is_bound_to_the_browser_and_the_state(&bench).await?;
    an_address_that_the_provider_does_not_vouch_for_is_refused(&bench).await
}

async fn tokens_and_their_rotation(bench: &Bench) -> Result<()> {
    let arrived = bench.arrive().await?;
    let listed = bench
        .send(bench.api.workspaces_of_code(&arrived.code, &arrived.verifier))
        .await?
        .expect(200)?;
    assert_eq!(listed.json()?[0]["id"], bench.workspace);
    assert_eq!(listed.json()?[0]["role"], "owner");
    let tokens = bench.token(&arrived.code, &arrived.verifier).await?.expect(200)?;
    assert_eq!(tokens.json()?["token_type"], "bearer");
    let access = Secret::new("access token", tokens.text("access_token")?);
    let me = bench.send(bench.api.me(&access)).await?.expect(200)?;
    assert_eq!(me.text("email")?, USER);
    assert_eq!(me.text("name")?, format!("Person {USER}"));

    let first = refresh_token(&tokens);
    let second = refresh_token(&bench.send(bench.api.refresh(&first)).await?.expect(200)?);
    assert_ne!(first.expose(), second.expose());
    let third = refresh_token(&bench.send(bench.api.refresh(&second)).await?.expect(200)?);
    // An answer may be lost on its way, so the last one is sent once more.
    let again = refresh_token(&bench.send(bench.api.refresh(&second)).await?.expect(200)?);
    assert_eq!(again.expose(), third.expose());
    // A spent token that comes after that was stolen: the whole family ends, the newest token included.
    bench.send(bench.api.refresh(&second)).await?.expect(401)?;
    bench.send(bench.api.refresh(&third)).await?.expect(401)?;
    bench.send(bench.api.me(&access)).await?.expect(401)?;
    Ok(())
}

async fn codes_are_good_for_one_try_with_their_verifier(bench: &Bench) -> Result<()> {
    bench.token(&random_text(), &random_text()).await?.expect(400)?;

    let arrived = bench.arrive().await?;
    bench.token(&arrived.code, &arrived.verifier).await?.expect(200)?;
    bench.token(&arrived.code, &arrived.verifier).await?.expect(400)?;

    let arrived = bench.arrive().await?;
    bench.token(&arrived.code, &random_text()).await?.expect(400)?;
    // The wrong verifier burnt it.
    bench.token(&arrived.code, &arrived.verifier).await?.expect(400)?;
    Ok(())
}

async fn a_callback_is_bound_to_the_browser_and_the_state(bench: &Bench) -> Result<()> {
    let (mut browser, callback) = bench.callback().await?;
    let forged = with_parameter(&callback, "state", &random_text());
    let (_, answer) = browser.send(Ask::get(forged)).await?;
    assert!(
        answer.status >= 400 && !hands_out_a_code(&answer),
        "a wrong state got {}",
        answer.status
    );

    let (_, callback) = bench.callback().await?;
    let mut stranger = Browser::new(bench.whole.http.clone());
    let (_, answer) = stranger.send(Ask::get(callback)).await?;
    assert!(
        answer.status >= 400 && !hands_out_a_code(&answer),
        "another browser got {}",
        answer.status
    );

    let (mut browser, callback) = bench.callback().await?;
    let forged = with_parameter(&callback, "code", &random_text());
    let (_, answer) = browser.send(Ask::get(forged)).await?;
    assert!(
        answer.status >= 400 && !hands_out_a_code(&answer),
        "a wrong code got {}",
        answer.status
    );

    let (mut browser, callback) = bench.callback().await?;
    let forged = with_parameter(&callback, "iss", "http://127.0.0.1:1");
    let (_, answer) = browser.send(Ask::get(forged)).await?;
    assert!(
        answer.status >= 400 && !hands_out_a_code(&answer),
        "a wrong issuer got {}",
        answer.status
    );

    let (mut browser, callback) = bench.callback().await?;
    let (_, answer) = browser.send(Ask::get(callback.clone())).await?;
    assert!(
        hands_out_a_code(&answer),
        "the real callback got {}: {}",
        answer.status,
        answer.body
    );
    let (_, answer) = browser.send(Ask::get(callback)).await?;
    assert!(
        !hands_out_a_code(&answer),
        "a replayed callback got a second code"
    );
    Ok(())
}

async fn an_address_that_the_provider_does_not_vouch_for_is_refused(bench: &Bench) -> Result<()> {
    let refused = arrive(
        &bench.whole.http,
        &bench.door,
        sign_in_as("unverified@example.com"),
    )
    .await;
    assert!(refused.is_err(), "an unverified address was let in");
    Ok(())
}
