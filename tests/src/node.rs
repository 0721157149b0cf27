//! The certified OpenID provider `oidc-provider`, which we did not write, as a process of Node.js.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sentinel_quickstart::http::{Ask, Form, Http};
use sentinel_quickstart::provider::Client;
use sentinel_quickstart::scene::random_text;
use sentinel_quickstart::system::{Outside, callbacks};
use xtask::guard::Guarded;
use xtask::scratch::free_port;

/// How long the provider may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running provider with one client: the control plane on `control_plane_port`.
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
        let mut command = Command::new("node");
        command
            .current_dir(&dir)
            .args(["server.js", &port.to_string(), &client.id, &client.secret])
            .args(&client.redirect_uris)
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
