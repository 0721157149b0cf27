//! The edge as it is shipped, with one public route and nothing that it knows.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use sentinel_core::SystemRandom;
use sentinel_token::{FeedVerifyKey, PlainEdgeKey};
use tempfile::TempDir;

/// An edge that runs until this is dropped.
pub(super) struct Edge {
    /// Where it takes requests.
    pub(super) address: SocketAddr,
    /// Its number.
    pub(super) pid: u32,
    process: Child,
    _files: TempDir,
}

impl Edge {
    pub(super) fn start(program: &Path, service: SocketAddr) -> Result<Self> {
        let files = tempfile::tempdir().context("cannot make a directory")?;
        let key = PlainEdgeKey::generate(&SystemRandom, FeedVerifyKey::from_bytes([0; 32]));
        let config = files.path().join("edge.yaml");
        let text = format!(
            "listen: {{ http: 127.0.0.1:0, admin: 127.0.0.1:0 }}
control_plane: {{ url: http://127.0.0.1:1, edge_key: '{}' }}
state_dir: ./state
log: {{ level: info, format: json }}
upstreams: {{ service: {{ url: http://{service} }} }}
routes:
  - {{ match: GET a.example/, to: service, public: true }}
  - {{ match: POST a.example/, to: service, public: true }}
",
            key.expose()
        );
        std::fs::write(&config, text).context("cannot write the configuration")?;
        let mut process = Command::new(program)
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{}`", program.display()))?;
        let mut log = BufReader::new(process.stderr.take().context("there is no log")?).lines();
        let address = log.by_ref().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.ok()?).ok()?;
            line.get("listen.http")?.as_str()?.parse().ok()
        });
        // A log that nobody reads would fill up.
        std::thread::spawn(move || log.for_each(drop));
        let mut edge = Self {
            pid: process.id(),
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            process,
            _files: files,
        };
        let address = address.context("the edge did not say where it listens")?;
        edge.address = address;
        Ok(edge)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
