//! The certified OpenID provider `oidc-provider`, which we did not write, as a process of Node.js.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sentinel_quickstart::http::{Ask, Browser, Form, Http, Secret};
use sentinel_quickstart::provider::Client;
use sentinel_quickstart::scene::{challenge_of, random_text, walk};
use sentinel_quickstart::system::{Outside, callbacks};
use serde_json::{Value, json};
use url::Url;
use xtask::guard::Guarded;
use xtask::scratch::free_port;

/// How long the provider may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// An application that people sign in to without Sentinel, by its id at the provider: a public client.
pub const APP: &str = "notes-app";

/// Another one.
pub const ANOTHER_APP: &str = "another-app";

/// Where the provider sends people back to these applications. Nothing listens there: the test is the application.
const APP_REDIRECT: &str = "http://127.0.0.1:9/signed-in";

/// A running provider, with the control plane on `control_plane_port` [`APP`] and [`ANOTHER_APP`] as clients.
#[derive(Debug)]
pub struct NodeProvider {
    /// How the control plane reaches it.
    pub outside: Outside,
    /// The port for which the control plane is registered.
    pub control_plane_port: u16,
    _process: Guarded,
}

impl NodeProvider {
    /// Starts it.
    ///
    /// # Errors
    /// Node.js or the package is not installed.
    pub async fn start(http: &Http) -> Result<Self> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("oidc_provider");
        ensure!(
            dir.join("node_modules/oidc-provider").is_dir(),
            "the npm package `oidc-provider` is not installed: run `cargo xtask test`"
        );
        let (port, control_plane_port) = (free_port()?, free_port()?);
        let control_plane = format!("http://127.0.0.1:{control_plane_port}");
        let client = Client {
            id: "sentinel".to_owned(),
            secret: random_text(),
            redirect_uris: callbacks(&control_plane),
        };
        let clients: Vec<Value> = [APP, ANOTHER_APP]
            .iter()
            .map(|app| {
                json!({
                    "client_id": app,
                    "redirect_uris": [APP_REDIRECT],
                    "token_endpoint_auth_method": "none",
                })
            })
            .chain([json!({
                "client_id": client.id,
                "client_secret": client.secret,
                "redirect_uris": client.redirect_uris,
            })])
            .collect();
        let mut command = Command::new("node");
        command
            .current_dir(&dir)
            .args(["server.js", &port.to_string(), &Value::from(clients).to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = Guarded::spawn(&mut command, "KILL", None).context("cannot run `node`")?;
        let issuer = format!("http://127.0.0.1:{port}");
        let discovery = Ask::get(format!("{issuer}/.well-known/openid-configuration"));
        let started = tokio::time::Instant::now();
        while !http
            .send(&discovery)
            .await
            .is_ok_and(|answer| answer.status == 200)
        {
            ensure!(
                process.ended()?.is_none(),
                "the provider ended: try `node server.js` in `{}`",
                dir.display()
            );
            ensure!(
                started.elapsed() < PATIENCE,
                "the provider was not ready within {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self {
            outside: Outside { issuer, client },
            control_plane_port,
            _process: process,
        })
    }

    /// Signs somebody in at an application, which asks the provider by itself, and returns the ID token that it gets.
    ///
    /// # Errors
    /// The login ends without one.
    pub async fn sign_in_to_app(&self, http: &Http, app: &str, email: &str, nonce: &str) -> Result<String> {
        self.id_token(http, app, APP_REDIRECT, None, email, nonce).await
    }

    /// The same for an application that shares the client of the control plane.
    ///
    /// # Errors
    /// The login ends without a token.
    pub async fn sign_in_to_own_client(&self, http: &Http, email: &str, nonce: &str) -> Result<String> {
        let Client {
            id,
            secret,
            redirect_uris,
        } = &self.outside.client;
        let redirect_uri = redirect_uris.first().context("the client has no address")?;
        let secret = Secret::new("the client's secret", secret);
        self.id_token(http, id, redirect_uri, Some(&secret), email, nonce)
            .await
    }

    async fn id_token(
        &self,
        http: &Http,
        client: &str,
        redirect_uri: &str,
        secret: Option<&Secret>,
        email: &str,
        nonce: &str,
    ) -> Result<String> {
        let issuer = &self.outside.issuer;
        let verifier = random_text();
        let start = Url::parse_with_params(
            &format!("{issuer}/auth"),
            [
                ("response_type", "code"),
                ("client_id", client),
                ("redirect_uri", redirect_uri),
                ("scope", "openid email profile"),
                ("code_challenge", &challenge_of(&verifier)),
                ("code_challenge_method", "S256"),
                ("nonce", nonce),
            ],
        )?;
        let mut browser = Browser::new(http.clone());
        let (back, _) = walk(&mut browser, Ask::get(start), redirect_uri, sign_in_as(email)).await?;
        let code = back
            .query_pairs()
            .find_map(|(name, value)| (name == "code").then(|| value.into_owned()))
            .with_context(|| format!("the application's login came back without a code: {back}"))?;
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("redirect_uri", redirect_uri),
            ("code", &code),
            ("code_verifier", &verifier),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut ask = Ask::post(format!("{issuer}/token")).form(fields.to_vec());
        if let Some(secret) = secret {
            ask = ask.basic(client, secret);
        }
        http.send(&ask).await?.expect(200)?.text("id_token")
    }
}

/// Fills in the provider's login form; its consent form has nothing to fill in.
pub fn sign_in_as(email: &str) -> impl Fn(Form) -> Form {
    let email = email.to_owned();
    move |form| {
        if form.field("login").is_some() {
            form.with("login", &email).with("password", "any")
        } else {
            form
        }
    }
}
