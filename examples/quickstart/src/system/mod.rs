//! Everything that the quickstart runs: the demo provider and the demo upstream in this process, the control plane and
//! the proxy as processes of their own.

mod child;
mod config;
mod place;
mod programs;
mod state;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{Instant, sleep};

pub use child::{Child, Spec};
pub use config::{MODEL, Staleness};
pub use place::Ports;
pub use programs::Programs;
pub use state::{State, write_private};

use crate::assertion::Verifier;
use crate::http::{Ask, Http};
use crate::provider::{Client, Provider, people};
use crate::scene::random_text;
use crate::upstream::Upstream;

/// How long a program may take until it serves.
const PATIENCE: Duration = Duration::from_mins(1);

/// What to run, and where.
#[derive(Debug)]
pub struct Options {
    /// Where everything is kept.
    pub state: State,
    /// The programs to run.
    pub programs: Programs,
    /// The ports to take if they are free.
    pub ports: Ports,
    /// The database; the embedded one if nothing is said.
    pub database_url: Option<String>,
    /// Redis; memory if nothing is said.
    pub redis_url: Option<String>,
    /// The provider to log in with; the demo one if nothing is said.
    pub provider: Option<Outside>,
    /// How long the edge goes on alone.
    pub staleness: Staleness,
    /// How often a minute one address may begin or renew a login, and one user may change something; the control plane's
    /// own defaults if nothing is said.
    pub per_minute: Option<u32>,
}

/// An identity provider that runs elsewhere.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Its issuer.
    pub issuer: String,
    /// How the control plane is registered there.
    pub client: Client,
}

/// The name under which the proxy knows the service behind it.
const UPSTREAM: &str = "docs";

/// The name under which the proxy is enrolled.
const EDGE: &str = "quickstart";

/// The name under which the provider is configured.
pub const PROVIDER: &str = "demo";

/// The running system. Everything ends with this value.
#[derive(Debug)]
pub struct System {
    /// The addresses.
    pub urls: Urls,
    /// The control plane's process.
    pub control_plane: Child,
    /// The proxy's process.
    pub proxy: Child,
    /// The service behind the proxy.
    pub upstream: Upstream,
    /// The private half of the current signing key, for an outside client that wants to forge tokens in its tests.
    pub signing_key: PathBuf,
    /// The state directory.
    pub state: State,
    /// The control plane's file.
    pub control_plane_config: PathBuf,
    _provider: Option<Provider>,
}

/// Where everything is reached.
#[derive(Debug, Clone)]
pub struct Urls {
    /// The control plane's API; also the issuer of tokens.
    pub control_plane: String,
    /// The control plane's metrics and readiness.
    pub control_plane_admin: String,
    /// The proxy.
    pub proxy: String,
    /// The proxy's metrics and readiness.
    pub proxy_admin: String,
    /// The identity provider.
    pub provider: String,
    /// The service behind the proxy.
    pub upstream: String,
}

impl System {
    /// Starts everything, and returns when both programs say that they are ready.
    ///
    /// # Errors
    /// A program is missing, a port is taken, or a program does not become ready; its log is named.
    pub async fn start(options: Options, http: &Http) -> Result<Self> {
        let Options {
            state,
            programs,
            ports,
            database_url,
            redis_url,
            provider,
            staleness,
            per_minute,
        } = options;
        let places = ports.take().await?;
        let mut urls = places.urls();
        // The name is the one that the proxy's file gives it.
        let verifier = Verifier::new(http.client(), &urls.control_plane, UPSTREAM);
        let (upstream, _) = Upstream::serve(places.upstream, verifier)?;
        let (provider, client) = match provider {
            None => {
                let client = Client {
                    id: "sentinel".to_owned(),
                    secret: random_text(),
                    redirect_uris: callbacks(&urls.control_plane),
                };
                (Some(Provider::serve(places.provider, client.clone())?), client)
            }
            Some(Outside { issuer, client }) => {
                urls.provider = issuer;
                (None, client)
            }
        };

        let control_plane_config = config::control_plane(&config::ControlPlane {
            state: &state,
            urls: &urls,
            client: &client,
            admin_email: people::OPERATOR.email,
            database_url: database_url.as_deref(),
            redis_url: redis_url.as_deref(),
            per_minute,
        })?;
        // The database is laid out and the edge enrolled before anything serves.
        programs.migrate(&control_plane_config).await?;
        let edge_key = state.path("edge.key");
        programs
            .enrol_edge(&control_plane_config, EDGE, &edge_key)
            .await?;
        let proxy_config = config::proxy(&config::Proxy {
            state: &state,
            urls: &urls,
            edge_key: &edge_key,
            staleness,
        })?;
        let signing_key = state.path("signing-key.pem");
        let control_plane = Child::start(Spec {
            name: "sentinel-control-plane",
            program: programs.control_plane.clone(),
            args: vec![
                "serve".into(),
                "--config".into(),
                control_plane_config.clone().into(),
            ],
            log: state.path("control-plane.log"),
            state: state.path(""),
        })?;
        let proxy = Child::start(Spec {
            name: "sentinel-proxy",
            program: programs.proxy.clone(),
            args: vec!["serve".into(), "--config".into(), proxy_config.into()],
            log: state.path("proxy.log"),
            state: state.path(""),
        })?;
        let system = Self {
            urls,
            control_plane,
            proxy,
            upstream,
            signing_key,
            state,
            control_plane_config,
            _provider: provider,
        };
        system.await_control_plane(http).await?;
        system.await_proxy(http).await?;
        programs
            .export_signing_key(&system.control_plane_config, &system.signing_key)
            .await?;
        Ok(system)
    }

    /// Returns when the control plane is ready.
    ///
    /// # Errors
    /// It does not become ready in time.
    pub async fn await_control_plane(&self, http: &Http) -> Result<()> {
        let ready = format!("{}/readyz", self.urls.control_plane_admin);
        await_ready(http, ready, &self.control_plane).await
    }

    /// Returns when the proxy is ready.
    ///
    /// # Errors
    /// It does not become ready in time.
    pub async fn await_proxy(&self, http: &Http) -> Result<()> {
        let ready = format!("{}/readyz", self.urls.proxy_admin);
        await_ready(http, ready, &self.proxy).await
    }

    /// Ends both programs gently.
    pub async fn stop(self) {
        self.proxy.end().await;
        self.control_plane.end().await;
    }
}

/// Where a provider sends people back to, in both kinds of login.
pub fn callbacks(control_plane: &str) -> Vec<String> {
    ["/auth/callback", "/auth/admin/callback"]
        .map(|path| format!("{control_plane}{path}/{PROVIDER}"))
        .to_vec()
}

async fn await_ready(http: &Http, ready: String, child: &Child) -> Result<()> {
    let started = Instant::now();
    let ask = Ask::get(ready);
    loop {
        if http.send(&ask).await.is_ok_and(|answer| answer.status == 200) {
            return Ok(());
        }
        if let Some(failure) = child.gave_up() {
            bail!("{failure}");
        }
        if started.elapsed() > PATIENCE {
            return Err(anyhow::anyhow!(
                "{} was not ready within {PATIENCE:?}",
                child.name()
            ))
            .with_context(|| format!("its log is `{}`", child.log().display()));
        }
        sleep(Duration::from_millis(20)).await;
    }
}
