//! Wiring: from a configuration and a replica to an edge that listens, and its end.
//!
//! Pingora's `Server` is not used. It would bind the listeners by itself and panic if it cannot, leave its upgrade socket
//! in a shared directory unless told otherwise, and sleep through a fixed grace period on every stop. The accept loop
//! ([`crate::doorway`]) and the threads ([`crate::workers`]) are ours; behind them runs Pingora's proxy application, one for
//! each thread, with a `ServerConf` that is set here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use sentinel_config::edge::{Config, Fallback};
use sentinel_core::{Clock, Random, Revision};
use sentinel_feed::{Ask, FollowerStatus, Replica};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::admin::{self, Status};
use crate::asking::Asking;
use crate::assertion::Assertions;
use crate::authn::Authenticator;
use crate::authn::issuers::{IssuerGauges, Issuers};
use crate::descriptors;
use crate::doorway::tls::Encryption;
use crate::doorway::{Behind, Entrance, Limits};
use crate::edge::Edge;
use crate::feed_counters::FeedCounters;
use crate::forwarded::TrustedProxies;
use crate::handler::{Handler, Served};
use crate::limits::Buckets;
use crate::login::Login;
use crate::metrics::Metrics;
use crate::policy_tests;
use crate::relations::{Mismatch, Present, Wanted};
use crate::routes::Table;
use crate::workers::Workers;

/// How long requests that are under way may take after the edge was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// What an edge is made of besides its configuration.
pub struct Parts {
    /// What the control plane has said; somebody else keeps it up to date.
    pub replica: Replica,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Whom to ask what the replica does not keep, where the configuration lets the edge ask.
    pub asks: Option<Arc<dyn Ask>>,
    /// What whoever keeps the replica up to date is doing, if that is to be counted.
    pub feed: Option<watch::Receiver<FollowerStatus>>,
    /// Who serves the requests.
    pub workers: Workers,
}

/// An edge that listens.
pub struct Running {
    http: SocketAddr,
    https: Option<SocketAddr>,
    admin: SocketAddr,
    stop_door: watch::Sender<bool>,
    stop_operator: watch::Sender<bool>,
    door: JoinHandle<()>,
    operator: JoinHandle<()>,
    _workers: Workers,
}

/// Binds the listeners and begins to serve.
///
/// # Errors
/// The policy is not one, or a listener cannot be bound.
pub async fn start(config: &Config, parts: Parts) -> Result<Running> {
    start_with(config, parts, Limits::of(config)).await
}

/// The same with other limits on connections. The size of heads and the proxies in front are always the configuration's.
///
/// # Errors
/// The policy is not one, or a listener cannot be bound.
pub async fn start_with(config: &Config, parts: Parts, limits: Limits) -> Result<Running> {
    let Limits {
        exempt, head_size, ..
    } = Limits::of(config);
    let limits = Limits {
        exempt,
        head_size,
        ..limits
    };
    let encryption = Encryption::of(config)?;
    let metrics = Metrics::new()?;
    let issuers = Arc::new(Issuers::load(&config.issuers)?);
    if !issuers.is_empty() {
        metrics.register(Box::new(IssuerGauges::new(Arc::clone(&issuers))?))?;
    }
    if let Some(feed) = parts.feed {
        metrics.register(Box::new(FeedCounters::new(feed)?))?;
    }
    let assertions = Assertions::of(config, &*parts.random)?;
    let login = Login::from_config(config, Arc::clone(&parts.clock), Arc::clone(&parts.random))?;
    let routes = Table::compile(config)?;
    let lots = Arc::clone(&parts.random);
    policy_tests::run(config, &routes)?;
    let asking = parts
        .asks
        .filter(|_| config.replicate.fallback == Fallback::ControlPlane)
        .map(|whom| Asking {
            whom,
            budget: config.replicate.budget,
            asked: metrics.asked(),
        });
    let edge = Arc::new(Edge {
        relations: Present::new(Wanted::all(&routes)),
        asking,
        routes,
        authn: Authenticator::of(config, Arc::clone(&issuers), metrics.tokens(), &*parts.random),
        replica: parts.replica,
        clock: parts.clock,
        random: parts.random,
        metrics,
        consistency_wait: config.consistency_wait,
        head_limits: head_size,
        trusted_proxies: TrustedProxies::new(&config.trusted_proxies),
        buckets: Buckets::new(
            config
                .routes
                .iter()
                .any(|route| route.settings.rate_limit.is_some()),
        ),
        assertions,
        login,
    });
    let plain_listener = bind(config.listen.http).await?;
    let encrypted_listener = match config.listen.https {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let admin_listener = bind(config.listen.admin).await?;
    let (http, admin) = (plain_listener.local_addr()?, admin_listener.local_addr()?);
    let https = encrypted_listener
        .as_ref()
        .map(TcpListener::local_addr)
        .transpose()?;

    let (stop_door, stopping) = watch::channel(false);
    issuers.keep(&stopping)?;
    let (stop_operator, operator_stopping) = watch::channel(false);
    let conf = Arc::new(server_conf(
        config,
        descriptors::kept(descriptors::limit(), parts.workers.len()),
    ));
    let served = parts.workers.runtimes().map(|runtime| {
        let app: HttpProxy<Handler> = http_proxy(&conf, Handler(Arc::clone(&edge)));
        (runtime, Served::new(Arc::clone(&edge), Arc::new(app)))
    });
    let entrance = Arc::new(Entrance::new(served, &limits, lots));
    let report = Arc::new(Report {
        edge,
        max_staleness: config.max_staleness,
        stopping: stopping.clone(),
    });
    tokio::spawn(watch_models(Arc::clone(&report.edge), stopping.clone()));
    let encrypted = encrypted_listener.zip(encryption);
    let door = tokio::spawn(keep_door(entrance, plain_listener, encrypted, stopping));
    let operator = tokio::spawn(admin::serve(admin_listener, report, operator_stopping));
    let shown = https.map(tracing::field::display);
    tracing::info!(listen.http = %http, listen.https = shown, listen.admin = %admin, "the edge is listening");
    Ok(Running {
        http,
        https,
        admin,
        stop_door,
        stop_operator,
        door,
        operator,
        _workers: parts.workers,
    })
}

impl Running {
    /// Where requests are taken.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where requests are taken encrypted, if that is configured.
    pub fn https(&self) -> Option<SocketAddr> {
        self.https
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

/// Lets clients in on both listeners, and ends when the last of them has gone.
async fn keep_door<B: Behind>(
    entrance: Arc<Entrance<B>>,
    plain: TcpListener,
    encrypted: Option<(TcpListener, Encryption)>,
    stop: watch::Receiver<bool>,
) {
    let mut listeners = JoinSet::new();
    listeners.spawn(Arc::clone(&entrance).accept(plain, None, stop.clone()));
    if let Some((listener, encryption)) = encrypted {
        listeners.spawn(encryption.clone().follow_files(stop.clone()));
        listeners.spawn(Arc::clone(&entrance).accept(listener, Some(encryption), stop));
    }
    while listeners.join_next().await.is_some() {}
    entrance.drained().await;
}

/// Tells the operator when the model of a service begins or ceases to have what a route asks for.
async fn watch_models(edge: Arc<Edge>, mut stop: watch::Receiver<bool>) {
    let mut changed = edge.replica.changed();
    loop {
        let state = edge.replica.load_full();
        if state.revision() > Revision::ZERO {
            edge.relations.look(&state);
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            changed = changed.changed() => if changed.is_err() { return },
        }
    }
}

/// What the operator's listener reports.
struct Report {
    edge: Arc<Edge>,
    max_staleness: Duration,
    stopping: watch::Receiver<bool>,
}

impl Report {
    /// The routes that nobody can pass until a service has another model.
    fn mismatches(&self) -> Vec<Mismatch> {
        let state = self.edge.replica.load_full();
        if state.revision() > Revision::ZERO {
            self.edge.relations.mismatches(&state)
        } else {
            Vec::new()
        }
    }
}

impl Status for Report {
    fn metrics(&self) -> String {
        let metrics = &self.edge.metrics;
        metrics.mismatched(self.mismatches().len());
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
            "model_mismatches": self.mismatches(),
        });
        (reason.is_none(), document)
    }
}

/// Pingora's settings. Those that concern its own server have no effect here, and are set so that they would do no harm.
fn server_conf(config: &Config, kept: usize) -> ServerConf {
    ServerConf {
        upstream_keepalive_pool_size: kept,
        // Tries, not retries: the first, and the most that a route may ask for.
        max_retries: 4,
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

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on `{address}`: choose another address or stop who listens there")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    /// P13: what Pingora would put into a directory that everybody shares is in ours.
    #[test]
    fn nothing_of_pingora_is_in_a_shared_directory() {
        let text = "control_plane: { url: http://127.0.0.1:1, edge_key: k }\nstate_dir: /var/lib/edge\n";
        let config =
            sentinel_config::parse_edge(text, Path::new("edge.yaml"), &BTreeMap::new()).expect("accepted");
        let conf = server_conf(&config, 7);
        for file in [&conf.upgrade_sock, &conf.pid_file] {
            assert!(Path::new(file).starts_with("/var/lib/edge"), "{file}");
        }
        assert!(!conf.daemon);
        assert_eq!(conf.upstream_keepalive_pool_size, 7);
    }
}
