//! A connection that is watched while the HTTP/2 library reads and writes it.

use std::io;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, IO, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::frames::Frames;
use crate::request::HeadLimits;

/// What was seen of a connection. The library owns the connection itself, so this is how its driver hears of it; both run
/// in one task.
#[derive(Debug)]
pub(super) struct Sight {
    start: Instant,
    flooded: AtomicBool,
    unfinished: Moment,
    blocked: Moment,
    /// Requests that the driver got and that were not counted yet.
    requested: AtomicU32,
}

/// A moment or none: milliseconds since the start, and one more.
#[derive(Debug, Default)]
struct Moment(AtomicU64);

impl Sight {
    /// Whether the client sent more than an honest one does. Nothing more is read then.
    pub(super) fn is_flooded(&self) -> bool {
        self.flooded.load(Ordering::Relaxed)
    }

    /// The driver got a request.
    pub(super) fn requested(&self) {
        self.requested.fetch_add(1, Ordering::Relaxed);
    }

    /// Since when something is half sent by the client that has to be finished soon.
    pub(super) fn unfinished_since(&self) -> Option<Instant> {
        self.unfinished.get(self.start)
    }

    /// Since when the client does not take what is written to him.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked.get(self.start)
    }
}

impl Moment {
    fn get(&self, start: Instant) -> Option<Instant> {
        let millis = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        start.checked_add(Duration::from_millis(millis))
    }

    fn set(&self, start: Instant, moment: Option<Instant>) {
        let millis = moment.map_or(0, |moment| {
            let passed = moment.saturating_duration_since(start).as_millis();
            u64::try_from(passed).unwrap_or(u64::MAX).saturating_add(1)
        });
        self.0.store(millis, Ordering::Relaxed);
    }
}

/// A watched connection.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    io: S,
    frames: Frames,
    sight: Arc<Sight>,
}

impl<S> Guarded<S> {
    /// Watches `io` from now on.
    pub(super) fn new(io: S, limits: HeadLimits) -> (Self, Arc<Sight>) {
        let start = Instant::now();
        let sight = Arc::new(Sight {
            start,
            flooded: AtomicBool::new(false),
            unfinished: Moment::default(),
            blocked: Moment::default(),
            requested: AtomicU32::new(0),
        });
        let guarded = Self {
            io,
            frames: Frames::new(limits, start),
            sight: Arc::clone(&sight),
        };
        (guarded, sight)
    }

    /// Notes whether the client took what was written.
    fn note<T>(&self, written: &Poll<io::Result<T>>) {
        let blocked = self.sight.blocked_since();
        if written.is_ready() {
            if blocked.is_some() {
                self.sight.blocked.set(self.sight.start, None);
            }
        } else if blocked.is_none() {
            self.sight.blocked.set(self.sight.start, Some(Instant::now()));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.sight.is_flooded() {
            // The driver looks at it as soon as the library has nothing more to do.
            return Poll::Pending;
        }
        let before = into.filled().len();
        let read = Pin::new(&mut this.io).poll_read(cx, into);
        let fresh = into.filled().get(before..).unwrap_or_default();
        if fresh.is_empty() {
            return read;
        }
        this.frames
            .requested(this.sight.requested.swap(0, Ordering::Relaxed));
        let outcome = this.frames.take(fresh, Instant::now());
        let unfinished = this.frames.unfinished_since();
        this.sight.unfinished.set(this.sight.start, unfinished);
        if outcome.is_err() {
            this.sight.flooded.store(true, Ordering::Relaxed);
            into.set_filled(before);
            return Poll::Pending;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.note(&written);
        if let Poll::Ready(Ok(bytes)) = &written {
            self.frames.sent(*bytes);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.note(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[async_trait]
impl<S: IO> Shutdown for Guarded<S> {
    async fn shutdown(&mut self) {
        self.io.shutdown().await;
    }
}

impl<S: UniqueID> UniqueID for Guarded<S> {
    fn id(&self) -> RawFd {
        self.io.id()
    }
}

impl<S: Ssl> Ssl for Guarded<S> {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.io.get_ssl_digest()
    }
}

impl<S: GetTimingDigest> GetTimingDigest for Guarded<S> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.io.get_timing_digest()
    }
}

impl<S: GetProxyDigest> GetProxyDigest for Guarded<S> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.io.get_proxy_digest()
    }
}

impl<S: GetSocketDigest> GetSocketDigest for Guarded<S> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.io.get_socket_digest()
    }
}

impl<S> Peek for Guarded<S> {}
