//! The edge's side of the feed: follows the control plane, reconnects by itself, and keeps on disk what it knows.
//!
//! It never makes an edge stop: whatever goes wrong, the state stays as it is and grows old, and whoever decides from
//! it looks at its age.

mod asker;
mod backoff;
mod breaker;
mod credentials;
mod download;
mod error;
mod renewal;
mod session;
mod sleep;
mod subscription;
mod transit;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use sentinel_core::{Clock, Random};
use sentinel_token::{AssertionKey, PlainEdgeKey};
use tokio::sync::watch;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};

use crate::disk::{self, OnFailure, StateDir, Writer};
use crate::interest::{Interest, MAX_NAMED};
use crate::machine;
use crate::need::{MAX_NAME, MAX_NEEDS, Need};
use crate::proto::feed_client::FeedClient;
use crate::replica::Replica;
use backoff::Backoff;
use renewal::Stay;
use session::Session;
use sleep::Sleep;

pub use asker::{Ask, AskError, Asker};
pub use error::FollowError;

/// How long a connection may be quiet until it is asked for a sign of life, and how long that may take.
const PING: Duration = Duration::from_secs(1);
const PONG: Duration = Duration::from_secs(2);

/// Where a follower gets its state from, and where it keeps it.
#[derive(Debug, Clone)]
pub struct FollowerConfig {
    /// The control plane's base URL: `https://…`, or `http://` on the same machine.
    pub url: String,
    /// The key that the edge was enrolled with.
    pub edge_key: PlainEdgeKey,
    /// Where the replica is kept over restarts.
    pub state_dir: PathBuf,
    /// PEM certificates to trust in place of the system's.
    pub ca_certificate: Option<Vec<u8>>,
    /// Allows `http://` to another machine. What the edge knows can then be read on the way; it still cannot be forged.
    pub danger_plaintext: bool,
    /// The public key that this edge signs assertions with, for the control plane to publish; `None` if it signs none.
    pub assertion_key: Option<AssertionKey>,
    /// What of everything this edge keeps.
    pub interest: Interest,
    /// What its routes ask of the models of services, for the control plane to know: at most [`MAX_NEEDS`].
    pub needs: Vec<Need>,
}

/// A configuration that no connection can be made from.
#[derive(Debug, thiserror::Error)]
pub enum InvalidFollower {
    /// The URL is no `http` or `https` URL.
    #[error("`{0}` is not the URL of a control plane: `https://host` or `http://127.0.0.1:9003` is expected")]
    Url(String),
    /// The URL would send the edge's secret in clear to another machine.
    #[error("`{0}` is not encrypted: use `https://`, or set `danger_plaintext` if the network is trusted")]
    Plaintext(String),
    /// The certificates cannot be used.
    #[error("the connection cannot be set up")]
    Tls(#[source] tonic::transport::Error),
    /// More is announced than the control plane takes.
    #[error(
        "the routes ask for {0} relations of services' models, and {MAX_NEEDS} are the most, with {MAX_NAME} bytes for each name"
    )]
    Needs(usize),
    /// More is named than the control plane takes.
    #[error(
        "an edge can name {MAX_NAMED} services and {MAX_NAMED} workspaces that it keeps; without a list it keeps all of them"
    )]
    Interest,
}

/// What a follower is doing, for metrics and readiness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FollowerStatus {
    /// Whether heartbeats are coming in.
    pub connected: bool,
    /// How many connections were begun.
    pub sessions: u64,
    /// How many snapshots were installed.
    pub snapshots: u64,
    /// How many frames were applied.
    pub frames: u64,
    /// How many of them led over more than one revision.
    pub merged: u64,
    /// How many subscriptions took the place of another one on the same connection.
    pub renewals: u64,
    /// How many snapshots came to nothing that were to make the journal on disk short.
    pub failed_compactions: u64,
    /// Why the last connection ended.
    pub last_error: Option<String>,
}

/// Keeps a replica up to date.
pub struct Follower {
    endpoint: Endpoint,
    config: FollowerConfig,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    status: watch::Sender<FollowerStatus>,
    stay: Stay,
    /// The connection that is followed, for questions to go over as well; none while there is none.
    line: Arc<ArcSwapOption<FeedClient<Channel>>>,
}

impl Follower {
    /// A follower that is not running yet.
    pub fn new(
        config: FollowerConfig,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, InvalidFollower> {
        let fits = |text: &str| (1..=MAX_NAME).contains(&text.len());
        let needs = &config.needs;
        let all_fit = |need: &Need| fits(&need.route) && fits(&need.object_type) && fits(&need.relation);
        if needs.len() > MAX_NEEDS || !needs.iter().all(all_fit) {
            return Err(InvalidFollower::Needs(needs.len()));
        }
        if !config.interest.is_named() {
            return Err(InvalidFollower::Interest);
        }
        Ok(Self {
            endpoint: endpoint(&config)?,
            config,
            clock,
            random,
            status: watch::Sender::default(),
            stay: Stay::default(),
            line: Arc::default(),
        })
    }

    /// With subscriptions that are renewed sooner.
    #[cfg(test)]
    pub(crate) fn staying(self, renewed_after: Duration, at_most: Duration) -> Self {
        let stay = Stay {
            renewed_after,
            at_most,
        };
        Self { stay, ..self }
    }

    /// Asks the control plane what the replica cannot answer, over the connection of this follower while it runs.
    pub fn asker(&self) -> Asker {
        Asker::new(
            self.config.edge_key.clone(),
            Arc::clone(&self.random),
            Arc::clone(&self.line),
        )
    }

    /// What it is doing, as it changes.
    pub fn status(&self) -> watch::Receiver<FollowerStatus> {
        self.status.subscribe()
    }

    /// Follows until `shutdown` completes. First the state on disk is installed, if there is one; then the control
    /// plane is followed for ever.
    pub async fn run(self, replica: Replica, shutdown: impl Future<Output = ()>) {
        let mut writer = self.restore(&replica).await;
        let mut session = Session::new(&self, replica.clone());
        let mut sleep = Sleep::new(Arc::clone(&self.clock));
        let mut backoff = Backoff::new();
        tokio::pin!(shutdown);
        loop {
            let error = tokio::select! {
                biased;
                () = &mut shutdown => break,
                noticed = sleep.noticed(&replica) => noticed.told(writer.as_ref()),
                error = session.run(writer.as_ref()) => error,
            };
            self.line.store(None);
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the control plane is not being followed"
            );
            self.status.send_modify(|status| {
                status.connected = false;
                status.last_error = Some(error.to_string());
            });
            if session.was_good(&error) {
                backoff.reset();
            }
            let pause = backoff.next(&*self.random, error.patience());
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                // Whoever has slept need not wait.
                noticed = sleep.noticed(&replica) => drop(noticed.told(writer.as_ref())),
                () = tokio::time::sleep(pause) => {}
            }
            if writer.is_none() {
                writer = self.open_dir().await.map(|dir| self.writer(dir, None));
            }
        }
        self.line.store(None);
        self.status.send_modify(|status| status.connected = false);
        if let Some(writer) = writer {
            writer.close().await;
        }
    }

    /// Installs what is on disk.
    async fn restore(&self, replica: &Replica) -> Option<Writer> {
        let dir = self.open_dir().await?;
        let (key, now) = (*self.config.edge_key.feed_key(), self.clock.now());
        let read = machine::blocking(move || (disk::restore(&dir, &key, now), dir)).await;
        let Ok((restored, dir)) = read else {
            tracing::error!("reading the stored replica failed");
            return None;
        };
        let restored = restored
            .inspect_err(|error| self.disk_failed(error))
            .unwrap_or_default()
            .filter(|restored| self.is_of_interest(restored.state.interest()));
        let writer = self.writer(dir, restored.as_ref());
        if let Some(restored) = restored {
            tracing::info!(
                revision = %restored.state.revision(),
                facts = restored.state.len(),
                age_s = restored.age.map(|age| age.as_secs()),
                "the stored replica is used"
            );
            replica.install(restored.state);
            if let Some(age) = restored.age {
                replica.touched_ago(age);
            }
        }
        Some(writer)
    }

    fn writer(&self, dir: StateDir, restored: Option<&disk::Restored>) -> Writer {
        let status = self.status.clone();
        let failed: OnFailure = Arc::new(move || count_failed_compaction(&status));
        Writer::start(dir, restored, failed)
    }

    fn compaction_failed(&self) {
        count_failed_compaction(&self.status);
    }

    /// Whether a stored state is of what this edge keeps now. From one that lacks something nobody is to decide.
    fn is_of_interest(&self, stored: &Interest) -> bool {
        let wanted = &self.config.interest;
        if stored != wanted {
            tracing::warn!(%stored, %wanted, "the stored replica is of another interest: a fresh one is fetched");
        }
        stored == wanted
    }

    async fn open_dir(&self) -> Option<StateDir> {
        let dir = self.config.state_dir.clone();
        let opened = machine::blocking(move || StateDir::open(&dir)).await.ok()?;
        opened.inspect_err(|error| self.disk_failed(error)).ok()
    }

    fn disk_failed(&self, error: &std::io::Error) {
        tracing::error!(
            error = error as &dyn std::error::Error,
            state_dir = %self.config.state_dir.display(),
            "the state directory cannot be used: a restart without the control plane will know nothing"
        );
    }
}

fn count_failed_compaction(status: &watch::Sender<FollowerStatus>) {
    status.send_modify(|status| status.failed_compactions += 1);
}

fn endpoint(config: &FollowerConfig) -> Result<Endpoint, InvalidFollower> {
    let not_a_url = || InvalidFollower::Url(config.url.clone());
    let uri: Uri = config.url.parse().map_err(|_| not_a_url())?;
    let host = uri.host().ok_or_else(not_a_url)?;
    let encrypted = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(not_a_url()),
    };
    if !encrypted && !config.danger_plaintext && !is_loopback(host) {
        return Err(InvalidFollower::Plaintext(config.url.clone()));
    }
    let endpoint = Endpoint::from(uri)
        .connect_timeout(Duration::from_secs(2))
        .tcp_nodelay(true)
        // Before the control plane said anything, nothing else tells a connection that is dead from one that waits.
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(2 << 20);
    if !encrypted {
        return Ok(endpoint);
    }
    let tls = match &config.ca_certificate {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    endpoint.tls_config(tls).map_err(InvalidFollower::Tls)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use sentinel_core::{SystemClock, SystemRandom};
    use sentinel_token::FeedVerifyKey;

    use super::*;
    use crate::interest::Extent;

    fn follower(url: &str, danger_plaintext: bool) -> Result<(), InvalidFollower> {
        let config = FollowerConfig {
            url: url.into(),
            edge_key: PlainEdgeKey::generate(&SystemRandom, FeedVerifyKey::from_bytes([0; 32])),
            state_dir: PathBuf::new(),
            ca_certificate: None,
            danger_plaintext,
            assertion_key: None,
            interest: Interest::all(),
            needs: Vec::new(),
        };
        Follower::new(config, Arc::new(SystemClock), Arc::new(SystemRandom)).map(|_| ())
    }

    #[test]
    fn the_secret_is_not_sent_in_clear_to_another_machine() {
        for url in [
            "http://127.0.0.1:9003",
            "http://127.8.9.1",
            "http://[::1]:9003",
            "http://localhost:1",
        ] {
            assert!(follower(url, false).is_ok(), "{url}");
        }
        for url in [
            "http://10.0.0.1:9003",
            "http://auth.example.com",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(
                matches!(follower(url, false), Err(InvalidFollower::Plaintext(_))),
                "{url}"
            );
            assert!(follower(url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_the_control_plane_would_refuse_is_refused_here() {
        let config = || FollowerConfig {
            url: "http://127.0.0.1:9003".into(),
            edge_key: PlainEdgeKey::generate(&SystemRandom, FeedVerifyKey::from_bytes([0; 32])),
            state_dir: PathBuf::new(),
            ca_certificate: None,
            danger_plaintext: false,
            assertion_key: None,
            interest: Interest::all(),
            needs: Vec::new(),
        };
        let need = |relation: &str| Need {
            route: "GET a.example/{id}".into(),
            service: "docs".parse().expect("a name"),
            object_type: "folder".into(),
            relation: relation.into(),
        };
        let refused = |config| {
            Follower::new(config, Arc::new(SystemClock), Arc::new(SystemRandom))
                .map(|_| ())
                .err()
        };
        for needs in [
            vec![need("")],
            vec![need(&"x".repeat(MAX_NAME + 1))],
            vec![need("x"); MAX_NEEDS + 1],
        ] {
            let error = refused(FollowerConfig { needs, ..config() });
            assert!(matches!(error, Some(InvalidFollower::Needs(_))), "{error:?}");
        }
        let many = (0..=MAX_NAMED).map(|n| format!("s{n}").parse().expect("a name"));
        let interest = Interest::new(Extent::Of(many.collect()), Extent::All);
        let error = refused(FollowerConfig { interest, ..config() });
        assert!(matches!(error, Some(InvalidFollower::Interest)), "{error:?}");
    }

    #[tokio::test]
    async fn only_urls_of_http_are_urls() {
        assert!(follower("https://auth.example.com", false).is_ok());
        for url in ["", "auth.example.com", "/x", "ftp://auth.example.com", "http://"] {
            assert!(
                matches!(follower(url, true), Err(InvalidFollower::Url(_))),
                "`{url}`"
            );
        }
    }
}
