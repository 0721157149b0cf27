//! Another edge of a whole system, whose feed can be held back: it stays connected, and is told nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sentinel_quickstart::system::{Child, Programs, Spec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use xtask::scratch::free_port;

use crate::browser_edge::{await_ready, enrol};
use crate::whole::Whole;

/// The edge. It ends with this value.
#[derive(Debug)]
pub struct LaggingEdge {
    /// Its address.
    pub url: String,
    child: Child,
    held: watch::Sender<bool>,
    relay: JoinHandle<()>,
}

impl LaggingEdge {
    /// Enrols an edge and starts it with these routes in front of the service `docs`. Its feed flows until it is held.
    ///
    /// # Errors
    /// It does not become ready; its log is in the text.
    pub async fn start(whole: &Whole, routes: &str) -> Result<Self> {
        let state = &whole.system.state;
        let key = state.path("lagging-edge.key");
        enrol(whole, "lagging", &key)?;
        let control_plane = whole.system.urls.control_plane.trim_start_matches("http://");
        let target = control_plane.parse().context("the control plane's address")?;
        let held = watch::Sender::new(false);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let feed = listener.local_addr()?;
        let relay = tokio::spawn(relay(listener, target, held.subscribe()));
        let (http, admin) = (free_port()?, free_port()?);
        let quoted = |path: PathBuf| serde_json::Value::from(path.to_string_lossy()).to_string();
        let text = format!(
            "listen: {{ http: 127.0.0.1:{http}, admin: 127.0.0.1:{admin} }}
control_plane: {{ url: http://{feed}, issuer: {issuer}, edge_key_file: {key} }}
state_dir: {data}
hosts: any
upstreams: {{ docs: {{ url: {upstream}, assertion: true }} }}
routes:
{routes}",
            issuer = whole.system.urls.control_plane,
            key = quoted(key),
            data = quoted(state.path("lagging-edge")),
            upstream = whole.system.urls.upstream,
        );
        let config = state.write("lagging-edge.yaml", &text)?;
        let child = Child::start(Spec {
            name: "sentinel-proxy",
            program: Programs::in_dir(&xtask::cargo::target_dir())?.proxy,
            args: vec!["serve".into(), "--config".into(), config.into()],
            log: state.path("lagging-edge.log"),
            state: state.path(""),
        })?;
        let edge = Self {
            url: format!("http://127.0.0.1:{http}"),
            child,
            held,
            relay,
        };
        await_ready(&whole.http, &format!("http://127.0.0.1:{admin}"), &edge.child).await?;
        Ok(edge)
    }

    /// From now on nothing of the control plane reaches the edge, whose connections stay.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// What was held back reaches the edge, and everything after it.
    pub fn release(&self) {
        self.held.send_replace(false);
    }
}

impl Drop for LaggingEdge {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

async fn relay(listener: TcpListener, target: SocketAddr, held: watch::Receiver<bool>) {
    while let Ok((edge, _)) = listener.accept().await {
        tokio::spawn(pass(edge, target, held.clone()));
    }
}

/// One connection. An error at either end is the end of both.
async fn pass(edge: TcpStream, target: SocketAddr, held: watch::Receiver<bool>) -> std::io::Result<()> {
    let plane = TcpStream::connect(target).await?;
    let (mut from_edge, mut to_edge) = edge.into_split();
    let (mut from_plane, mut to_plane) = plane.into_split();
    let up = async { tokio::io::copy(&mut from_edge, &mut to_plane).await.map(drop) };
    let mut gate = held.clone();
    let down = async {
        let mut bytes = vec![0; 16 << 10];
        loop {
            let read = from_plane.read(&mut bytes).await?;
            // Also what was read before it was held: nothing slips through behind the word.
            if gate.wait_for(|held| !held).await.is_err() || read == 0 {
                return Ok(());
            }
            to_edge.write_all(bytes.get(..read).unwrap_or_default()).await?;
        }
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}
