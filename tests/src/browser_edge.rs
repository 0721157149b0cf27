//! A second edge of a whole system, at which people behind browsers sign in.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sentinel_quickstart::http::{Ask, Http};
use sentinel_quickstart::scene::random_text;
use sentinel_quickstart::system::{Child, Programs, Spec};
use tokio::time::{Instant, sleep};
use xtask::scratch::free_port;

use crate::whole::Whole;

/// How long the edge may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where an edge will be, so that a client app can be registered for it before it starts.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its address.
    pub url: String,
    admin: String,
}

impl Place {
    /// Two free ports of this machine.
    ///
    /// # Errors
    /// There are none.
    pub fn choose() -> Result<Self> {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        Ok(Self {
            url: url(free_port()?),
            admin: url(free_port()?),
        })
    }

    /// Where browsers come back to.
    pub fn callback(&self) -> String {
        format!("{}/.sentinel/callback", self.url)
    }
}

/// An edge that signs people in. It ends with this value.
#[derive(Debug)]
pub struct BrowserEdge {
    /// Where it is.
    pub place: Place,
    child: Child,
}

impl BrowserEdge {
    /// Enrols an edge and starts it, for the client app `client_id`, with these routes in front of the service `docs`.
    ///
    /// # Errors
    /// It does not become ready; its log is in the text.
    pub async fn start(whole: &Whole, place: Place, client_id: &str, routes: &str) -> Result<Self> {
        let programs = Programs::in_dir(&xtask::cargo::target_dir())?;
        let state = &whole.system.state;
        let key = state.path("browser-edge.key");
        enrol(whole, "browsers", &key)?;
        let quoted = |path: PathBuf| serde_json::Value::from(path.to_string_lossy()).to_string();
        let text = format!(
            "listen: {{ http: {http}, admin: {admin} }}
control_plane: {{ url: {control_plane}, edge_key_file: {key} }}
state_dir: {data}
hosts: any
login: {{ client_id: {client_id}, cookie_key: {cookie_key} }}
upstreams: {{ docs: {{ url: {upstream}, assertion: true }} }}
routes:
{routes}",
            http = place.url.trim_start_matches("http://"),
            admin = place.admin.trim_start_matches("http://"),
            control_plane = whole.system.urls.control_plane,
            key = quoted(key),
            data = quoted(state.path("browser-edge")),
            cookie_key = random_text(),
            upstream = whole.system.urls.upstream,
        );
        let config = state.write("browser-edge.yaml", &text)?;
        let child = Child::start(Spec {
            name: "sentinel-proxy",
            program: programs.proxy,
            args: vec!["serve".into(), "--config".into(), config.into()],
            log: state.path("browser-edge.log"),
            state: state.path(""),
        })?;
        await_ready(&whole.http, &place.admin, &child).await?;
        Ok(Self { place, child })
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.child.log()).unwrap_or_default()
    }
}

/// Waits until the edge that tells its state at `admin` is ready.
pub(crate) async fn await_ready(http: &Http, admin: &str, edge: &Child) -> Result<()> {
    let log = || std::fs::read_to_string(edge.log()).unwrap_or_default();
    let ready = Ask::get(format!("{admin}/readyz"));
    let started = Instant::now();
    while !http.send(&ready).await.is_ok_and(|answer| answer.status == 200) {
        if let Some(failure) = edge.gave_up() {
            bail!("{failure}\n{}", log());
        }
        ensure!(
            started.elapsed() < PATIENCE,
            "the edge was not ready within {PATIENCE:?}\n{}",
            log()
        );
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Enrols another edge, whose key goes to a file.
pub(crate) fn enrol(whole: &Whole, name: &str, key: &Path) -> Result<()> {
    let programs = Programs::in_dir(&xtask::cargo::target_dir())?;
    let output = Command::new(programs.control_plane)
        .args(["admin", "edge", "create", "--name", name, "--config"])
        .arg(whole.system.state.path("control-plane.yaml"))
        .arg("--out")
        .arg(key)
        .stdin(Stdio::null())
        .output()
        .context("cannot run the control plane")?;
    ensure!(
        output.status.success(),
        "the edge cannot be enrolled: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
