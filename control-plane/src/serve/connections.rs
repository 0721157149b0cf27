//! The accept loop of a listener: HTTP/1 and HTTP/2 on one port, with a limit on everything that a client could hold for
//! ever or send without end.
//!
//! Connections are counted by the address at the other end. Proxies that the configuration trusts are counted with all
//! others only, and have to share their connections out.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{CONNECTION, EXPECT, HeaderValue};
use axum::http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, sleep};
use tower::ServiceExt as _;

use super::body::{AnswerBody, RequestBody};
use super::socket::Socket;
use crate::extract::client::TrustedProxies;

/// How long to wait when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What of an HTTP/1 connection is kept in memory, a request's head included.
const H1_BUFFER: usize = 64 * 1024;

/// What a client may hold and send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections in all.
    pub(super) connections: usize,
    /// Connections of one address; for IPv6, of one /64.
    pub(super) connections_per_address: usize,
    /// How long a request's head may take, the wait for it included.
    pub(super) head: Duration,
    /// The longest pause within a request's body.
    pub(super) body_gap: Duration,
    /// How long a client may take nothing of what is written to it.
    pub(super) write_stall: Duration,
    /// How long an HTTP/2 connection may be without a request.
    pub(super) idle: Duration,
    /// How long is read on after the last answer.
    pub(super) linger: Duration,
    /// HTTP/2 frames a second that ask for nothing.
    pub(super) control_frames_per_second: u32,
    /// Requests at the same time on one HTTP/2 connection.
    pub(super) streams: u32,
    /// Bytes of an HTTP/2 request's head.
    pub(super) head_bytes: u32,
}

impl Limits {
    /// Those that a control plane runs with.
    pub(super) const DEFAULT: Self = Self {
        connections: 4096,
        connections_per_address: 512,
        head: Duration::from_secs(10),
        body_gap: Duration::from_secs(10),
        write_stall: Duration::from_secs(30),
        idle: Duration::from_mins(1),
        linger: Duration::from_secs(1),
        control_frames_per_second: 100,
        streams: 128,
        head_bytes: 32 * 1024,
    };

    fn builder(&self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head)
            .max_buf_size(H1_BUFFER);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .max_concurrent_streams(self.streams)
            .max_header_list_size(self.head_bytes);
        builder
    }
}

/// Serves a listener until `stopping` turns true, then until the open requests have ended.
pub(super) async fn listen(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    proxies: TrustedProxies,
    mut stopping: watch::Receiver<bool>,
) {
    let census = Arc::new(Census::new(proxies));
    let builder = Arc::new(limits.builder());
    let mut connections = JoinSet::new();
    let stop = stopping.clone();
    let mut stopped = pin!(async move {
        // An error means that whoever could stop us is gone, which is the same.
        let _ = stopping.wait_for(|stop| *stop).await;
    });
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // One connection too many is closed at once: a queue would only make everybody wait.
                    let Some(place) = census.enter(peer.ip(), &limits) else { continue };
                    let connection = Connection { peer, limits, router: router.clone(), builder: Arc::clone(&builder) };
                    let stop = stop.clone();
                    connections.spawn(async move {
                        connection.serve(stream, stop).await;
                        drop(place);
                    });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(error = %error, "no connection can be accepted now");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Whether the connection was gone before it was accepted; everything else is about this process.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

struct Connection {
    peer: SocketAddr,
    limits: Limits,
    router: Router,
    builder: Arc<Builder<TokioExecutor>>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, mut stopping: watch::Receiver<bool>) {
        // Heartbeats and frames are small and must not wait for one another.
        let _ = stream.set_nodelay(true);
        let Self {
            peer,
            limits,
            router,
            builder,
        } = self;
        let activity = Arc::new(Activity::default());
        let counted = Arc::clone(&activity);
        let service = service_fn(move |request| {
            let in_flight = InFlight::begin(&counted);
            answer(router.clone(), peer, limits.body_gap, request, in_flight)
        });
        let socket = TokioIo::new(Socket::new(stream, &limits));
        let mut connection = pin!(builder.serve_connection(socket, service));
        let mut looks = interval_at(Instant::now() + limits.idle, limits.idle);
        let (mut begun, mut ending, mut overdue) = (0, false, false);
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(error = %error, "a connection broke");
                    }
                    return;
                }
                _ = stopping.wait_for(|stop| *stop), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = looks.tick() => {
                    let now = activity.begun.load(Ordering::Relaxed);
                    let is_idle = now == begun && activity.open.load(Ordering::Relaxed) == 0;
                    if is_idle && overdue {
                        // It was told to end, and does not.
                        return;
                    }
                    if is_idle {
                        (ending, overdue) = (true, true);
                        connection.as_mut().graceful_shutdown();
                    }
                    begun = now;
                }
            }
        }
    }
}

async fn answer(
    router: Router,
    peer: SocketAddr,
    body_gap: Duration,
    request: Request<Incoming>,
    in_flight: InFlight,
) -> Result<Response<AnswerBody>, Infallible> {
    let (parts, body) = request.into_parts();
    let is_http1 = parts.version <= Version::HTTP_11;
    let expects_continue = parts.headers.contains_key(EXPECT);
    let (body, rest) = RequestBody::new(body, body_gap);
    let mut request = Request::from_parts(parts, Body::new(body));
    request.extensions_mut().insert(ConnectInfo(peer));
    let mut response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    // On HTTP/2 the rest of a request is a matter of its own stream.
    if is_http1 && !rest.take(expects_continue).await {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response.map(|body| AnswerBody::new(body, in_flight)))
}

/// What happens on a connection.
#[derive(Debug, Default)]
struct Activity {
    begun: AtomicU64,
    open: AtomicUsize,
}

/// A request whose answer has not ended.
pub(super) struct InFlight(Arc<Activity>);

impl InFlight {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        activity.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The open connections, by address.
#[derive(Debug, Default)]
struct Census {
    counts: Mutex<Counts>,
    /// Behind each of their connections there are many clients.
    proxies: TrustedProxies,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

/// The place of one connection; dropping it frees it.
struct Place {
    census: Arc<Census>,
    network: IpAddr,
}

impl Census {
    fn new(proxies: TrustedProxies) -> Self {
        Self {
            counts: Mutex::default(),
            proxies,
        }
    }

    fn enter(self: &Arc<Self>, ip: IpAddr, limits: &Limits) -> Option<Place> {
        let network = sentinel_core::network::of_client(ip);
        let mut counts = self.counts();
        let here = counts.of.get(&network).copied().unwrap_or_default();
        let crowded = here >= limits.connections_per_address && !self.proxies.contains(ip);
        if counts.all >= limits.connections || crowded {
            return None;
        }
        counts.all += 1;
        counts.of.insert(network, here + 1);
        Some(Place {
            census: Arc::clone(self),
            network,
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.census.counts();
        counts.all -= 1;
        if let Some(here) = counts.of.get_mut(&self.network) {
            *here -= 1;
            if *here == 0 {
                counts.of.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
