//! An edge as it is shipped, behind a cable of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sentinel_quickstart::http::{Ask, Http};
use sentinel_quickstart::system::{Child, Spec};
use tokio::time::{Instant, sleep};
use xtask::scratch::free_port;

use crate::fleet::{Fleet, Relay, SERVICE};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running edge.
#[derive(Debug)]
pub(super) struct Edge {
    /// Where it takes requests.
    pub(super) address: SocketAddr,
    admin: SocketAddr,
    /// Its cable to the control plane.
    pub(super) cable: Relay,
    child: Child,
}

impl Edge {
    pub(super) async fn start(fleet: &Fleet, number: usize, service: SocketAddr) -> Result<Self> {
        let cable = Relay::to(fleet.control_plane()).await?;
        let key = fleet.enrol(&format!("soak-{number}")).await?;
        let dir = fleet.dir.path().join(format!("soak-{number}"));
        std::fs::create_dir(&dir).context("an edge's directory cannot be made")?;
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let (address, admin) = (
            local(free_port().context("no port")?),
            local(free_port().context("no port")?),
        );
        let config = dir.join("edge.yaml");
        let text = format!(
            "listen: {{ http: {address}, admin: {admin} }}
control_plane: {{ url: 'http://{}', issuer: '{}', edge_key_file: '{}' }}
state_dir: '{}'
upstreams: {{ docs: {{ url: 'http://{service}', service: {SERVICE} }} }}
routes:
  - {{ match: 'GET docs.example/folders/{{folder_id}}', to: docs, require: {{ permission: 'folder:{{folder_id}}#reader' }} }}
",
            cable.address,
            fleet.system.urls.control_plane,
            key.display(),
            dir.join("state").display(),
        );
        std::fs::write(&config, text).context("an edge's configuration cannot be written")?;
        let child = Child::start(Spec {
            name: "sentinel-proxy",
            program: fleet.programs.proxy.clone(),
            args: vec!["serve".into(), "--config".into(), config.into()],
            log: dir.join("log"),
            state: dir,
        })?;
        Ok(Self {
            address,
            admin,
            cable,
            child,
        })
    }

    /// Returns when it is ready.
    pub(super) async fn await_ready(&self, http: &Http) -> Result<()> {
        let started = Instant::now();
        let ask = Ask::get(format!("http://{}/readyz", self.admin));
        while !http.send(&ask).await.is_ok_and(|answer| answer.status == 200) {
            ensure!(
                started.elapsed() < PATIENCE,
                "an edge does not become ready: its log is {}",
                self.log().display()
            );
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// `kill -9`; it is started again.
    pub(super) fn crash(&self) -> Result<()> {
        self.child.crash()
    }

    /// Why it will not be started again, if so.
    pub(super) fn gave_up(&self) -> Option<String> {
        self.child.gave_up()
    }

    /// Where its output goes.
    pub(super) fn log(&self) -> &Path {
        self.child.log()
    }
}
