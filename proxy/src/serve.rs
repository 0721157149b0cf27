//! Wiring: from a configuration and a replica to an edge that listens, and its end.
//!
//! Pingora's `Server` is not used. It would bind the listeners by itself and panic if it cannot, leave its upgrade socket
//! in a shared directory unless told otherwise, and sleep through a fixed grace period on every stop. The accept loop
//! ([`crate::doorway`]) is ours; behind it runs Pingora's proxy application with a `ServerConf` that is set here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use sentinel_config::edge::Config;
use sentinel_core::{Clock, Random};
use sentinel_feed::Replica;
use sentinel_token::Verifier;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::admin::{self, Status};
use crate::authn::Authenticator;
use crate::doorway::{self, Limits};
use crate::edge::Edge;
use crate::handler::{Handler, Served};
use crate::metrics::Metrics;
use crate::request::HeadLimits;
use crate::routes::Table;

/// How long requests that are under way may take after the edge was told to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// Pingora reads no more headers than this, whatever it is told.
const MOST_FIELDS: usize = 256;

/// What an edge is made of besides its configuration.
pub struct Parts {
    /// What the control plane has said; somebody else keeps it up to date.
    pub replica: Replica,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

/// An edge that listens.
pub struct Running {
    http: SocketAddr,
    admin: SocketAddr,
    stop_door: watch::Sender<bool>,
    stop_operator: watch::Sender<bool>,
    door: JoinHandle<()>,
    operator: JoinHandle<()>,
}

/// Binds the listeners and begins to serve.
///
/// # Errors
/// The policy is not one, or a listener cannot be bound.
pub async fn start(config: &Config, parts: Parts) -> Result<Running> {
    start_with(config, parts, Limits::default()).await
}

/// The same with other limits on connections. The size of heads is always the configuration's.
///
/// # Errors
/// The policy is not one, or a listener cannot be bound.
pub async fn start_with(config: &Config, parts: Parts, limits: Limits) -> Result<Running> {
    let head_size = HeadLimits {
        bytes: config.limits.max_head.as_usize(),
        fields: usize::try_from(config.limits.max_headers)
            .unwrap_or(MOST_FIELDS)
            .min(MOST_FIELDS),
    };
    let metrics = Metrics::new()?;
    let edge = Arc::new(Edge {
        routes: Table::compile(config)?,
        authn: Authenticator::new(Verifier::new(config.control_plane.issuer()), metrics.tokens()),
        replica: parts.replica,
        clock: parts.clock,
        random: parts.random,
        metrics,
        consistency_wait: config.consistency_wait,
        head_limits: head_size,
    });
    let http_listener = bind(config.listen.http).await?;
    let admin_listener = bind(config.listen.admin).await?;
    let (http, admin) = (http_listener.local_addr()?, admin_listener.local_addr()?);

    let (stop_door, stopping) = watch::channel(false);
    let (stop_operator, operator_stopping) = watch::channel(false);
    let app: HttpProxy<Handler> = http_proxy(&Arc::new(server_conf(config)), Handler(Arc::clone(&edge)));
    let served = Arc::new(Served::new(Arc::clone(&edge), Arc::new(app)));
    let report = Arc::new(Report {
        edge,
        max_staleness: config.max_staleness,
        stopping: stopping.clone(),
    });
    let limits = Limits { head_size, ..limits };
    let door = tokio::spawn(doorway::serve(http_listener, served, limits, stopping));
    let operator = tokio::spawn(admin::serve(admin_listener, report, operator_stopping));
    tracing::info!(listen.http = %http, listen.admin = %admin, "the edge is listening");
    Ok(Running {
        http,
        admin,
        stop_door,
        stop_operator,
        door,
        operator,
    })
}

impl Running {
    /// Where requests are taken.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where metrics and readiness are answered.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Takes no more requests, lets those that are under way finish for a while, and ends. Until then readiness says that
    /// the edge is going.
    pub async fn stop(self) {
        self.stop_door.send_replace(true);
        if timeout(DRAIN, self.door).await.is_err() {
            tracing::warn!("requests were still under way when the edge stopped");
        }
        self.stop_operator.send_replace(true);
        // It ends at once; that it did is all there is to know.
        let _ = self.operator.await;
    }
}

/// What the operator's listener reports.
struct Report {
    edge: Arc<Edge>,
    max_staleness: Duration,
    stopping: watch::Receiver<bool>,
}

impl Status for Report {
    fn metrics(&self) -> String {
        let metrics = &self.edge.metrics;
        metrics.text(&self.edge.replica).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics cannot be written");
            String::new()
        })
    }

    fn readiness(&self) -> (bool, serde_json::Value) {
        let replica = &self.edge.replica;
        let (revision, age) = (replica.load().revision(), replica.age());
        let reason = match age {
            _ if *self.stopping.borrow() => Some("stopping"),
            None => Some(sentinel_core::Denial::ReplicaNotReady.code()),
            Some(age) if age > self.max_staleness => Some(sentinel_core::Denial::ReplicaStale.code()),
            Some(_) => None,
        };
        let document = serde_json::json!({
            "ready": reason.is_none(),
            "reason": reason,
            "replica": {
                "revision": revision.to_string(),
                "head": replica.head().to_string(),
                "age_seconds": age.map(|age| age.as_secs_f64()),
                "max_staleness_seconds": self.max_staleness.as_secs_f64(),
            },
        });
        (reason.is_none(), document)
    }
}

/// Pingora's settings. Those that concern its own server have no effect here, and are set so that they would do no harm.
fn server_conf(config: &Config) -> ServerConf {
    ServerConf {
        threads: threads(),
        // The first try and one more, for what `fail_to_connect` allows and for kept connections that turn out closed.
        max_retries: 2,
        upgrade_sock: config
            .state_dir
            .join("upgrade.sock")
            .to_string_lossy()
            .into_owned(),
        pid_file: config.state_dir.join("edge.pid").to_string_lossy().into_owned(),
        daemon: false,
        ..ServerConf::default()
    }
}

/// One thread for each core.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on `{address}`: choose another address or stop who listens there")
    })
}
