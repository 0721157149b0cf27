//! The doorway: accepts connections, hands each to a worker, encrypts it, and holds every client to what he may take, before
//! Pingora sees anything.
//!
//! Pingora 0.9 has no cap on connections, no total deadline for a head, reads heads of up to 1 MiB, keeps idle connections
//! for ever, repairs some heads without leaving a trace, and serves whatever HTTP/2 control frames a client likes to send.
//! So accepting ([`Entrance`]), TLS ([`tls`]), the reading of HTTP/1 heads (`http1`) and the driving of HTTP/2 connections (`http2`)
//! are ours. Pingora is handed a head that passed [`crate::request::wire`] together with the connection, or an HTTP/2
//! stream whose header block was counted before it was decoded.
//!
//! There is no HTTP/2 on the plaintext listener: a preface there is refused like any other odd request line.

mod addresses;
mod entrance;
mod http1;
mod http2;
pub mod tls;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use pingora::apps::HttpServerApp;
use sentinel_config::edge;
use sentinel_core::Denial;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

pub use self::entrance::Entrance;
use self::tls::Encryption;
use self::wire::Wire;
use crate::request::HeadLimits;

/// Pingora reads no more headers than this, whatever it is told.
const MOST_FIELDS: usize = 256;

/// What the edge takes on, on all its listeners together.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections. More wait in the kernel's queue. Each needs two files ([`crate::descriptors`]).
    pub connections: usize,
    /// Open connections of one client address. More are closed.
    pub per_address: usize,
    /// Networks whose addresses may have as many as they like: those of proxies in front.
    pub exempt: Arc<[IpNet]>,
    /// Requests under way at once on one HTTP/2 connection.
    pub streams: u32,
    /// How large the head of a request may be.
    pub head_size: HeadLimits,
    /// How long a connection may be open without a request.
    pub idle: Duration,
    /// How long the head of a request may take, from its first byte to its last; and a TLS handshake.
    pub head: Duration,
    /// How long each piece of a body may take, either way.
    pub body: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            per_address: 1024,
            exempt: Arc::default(),
            streams: 64,
            head_size: HeadLimits::default(),
            idle: Duration::from_mins(1),
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Those of a configuration.
    pub fn of(config: &edge::Config) -> Self {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let limits = &config.limits;
        Self {
            connections: count(limits.connections),
            per_address: count(limits.connections_per_address),
            exempt: config.trusted_proxies.clone().into(),
            streams: limits.http2_streams,
            head_size: HeadLimits {
                bytes: limits.max_head.as_usize(),
                fields: count(limits.max_headers).min(MOST_FIELDS),
            },
            idle: limits.idle_timeout,
            head: limits.head_timeout,
            ..Self::default()
        }
    }
}

/// Why a client was turned away without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// His address has as many connections as it may.
    Crowd,
    /// More HTTP/2 control frames, header fields or bytes of headers than honest clients send.
    Flood,
    /// He did not take what was written to him, or did not finish what he had begun.
    Stalled,
}

impl TurnedAway {
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Crowd => "crowd",
            Self::Flood => "flood",
            Self::Stalled => "stalled",
        }
    }
}

/// Who serves the requests behind the door.
pub trait Behind: Send + Sync + 'static {
    /// The Pingora application.
    type App: HttpServerApp + Send + Sync + 'static;

    /// The Pingora application.
    fn app(&self) -> &Arc<Self::App>;

    /// The answer to a head that Pingora must not see, in bytes; counted and logged.
    fn refuse(&self, denial: Denial) -> Vec<u8>;

    /// An exchange was dropped because its deadline had passed.
    fn overdue(&self);

    /// A connection was closed without an answer.
    fn turned_away(&self, why: TurnedAway);
}

/// What stands between one worker's connections and its Pingora application.
pub struct Door<B> {
    behind: Arc<B>,
    limits: Limits,
}

impl<B: Behind> Door<B> {
    /// A door in front of `behind`.
    pub fn new(behind: Arc<B>, limits: Limits) -> Self {
        Self { behind, limits }
    }

    async fn serve(
        &self,
        connection: TcpStream,
        peer: SocketAddr,
        encryption: Option<Encryption>,
        mut stop: watch::Receiver<bool>,
    ) {
        // Before a client has sent a byte there is nothing but its socket.
        let came = tokio::select! {
            biased;
            came = timeout(self.limits.idle, connection.readable()) => came,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        if !matches!(came, Ok(Ok(()))) || connection.set_nodelay(true).is_err() {
            return;
        }
        let Some(encryption) = encryption else {
            let stream = Box::new(Wire::plain(connection, peer));
            return http1::serve(self, stream, stop).await;
        };
        let handshake = Box::pin(encryption.accept(connection));
        let Ok(Ok(encrypted)) = timeout(self.limits.head, handshake).await else {
            return;
        };
        let stream = Wire::encrypted(encrypted, peer);
        if stream.speaks_http2() {
            Box::pin(http2::serve(self, stream, stop)).await;
        } else {
            http1::serve(self, Box::new(stream), stop).await;
        }
    }
}
