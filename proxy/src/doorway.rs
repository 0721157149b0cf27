//! The door: accepts connections and reads the head of each request under a deadline and a limit, before Pingora sees it.
//!
//! Pingora 0.9 has no cap on connections, no total deadline for a head, reads heads of up to 1 MiB, keeps idle connections
//! for ever, and repairs some heads without leaving a trace. So the accept loop and the reading of heads are ours, and
//! Pingora is handed a head that passed [`crate::request::wire`] together with the connection.
//!
//! There is no HTTP/2 on this plaintext listener: an HTTP/2 preface is refused like any other odd request line.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::protocols::{GetSocketDigest as _, SocketDigest, Stream};
use sentinel_core::Denial;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::deadline;
use crate::request::{HeadLimits, wire};

/// What one listener takes on.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections. More wait in the kernel's queue. Each needs two files ([`crate::descriptors`]).
    pub connections: usize,
    /// How large the head of a request may be.
    pub head_size: HeadLimits,
    /// How long a connection may be open without a request.
    pub idle: Duration,
    /// How long the head of a request may take, from its first byte to its last.
    pub head: Duration,
    /// How long each piece of a body may take, either way.
    pub body: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            head_size: HeadLimits::default(),
            idle: Duration::from_mins(1),
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
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
}

/// Serves connections until `stop` says so, and returns when the last one has ended.
pub async fn serve<B: Behind>(
    listener: TcpListener,
    behind: Arc<B>,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut stopping = stop.clone();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((connection, peer)) => {
                let door = Connection {
                    behind: Arc::clone(&behind),
                    limits,
                    stop: stop.clone(),
                };
                tokio::spawn(door.serve(connection, peer, slot));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of file descriptors, most likely: every further try would fail at once.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    behind.app().http_cleanup().await;
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let _drained = slots.acquire_many(all).await;
}

struct Connection<B> {
    behind: Arc<B>,
    limits: Limits,
    stop: watch::Receiver<bool>,
}

/// What came of waiting for a request.
enum Head {
    Complete(BytesMut),
    Refused(Denial),
    Gone,
}

impl<B: Behind> Connection<B> {
    async fn serve(mut self, connection: TcpStream, peer: SocketAddr, _slot: OwnedSemaphorePermit) {
        let Ok(mut stream) = pingora_stream(connection, peer) else {
            return;
        };
        loop {
            let head = match self.read_head(&mut stream).await {
                Head::Complete(head) => head,
                Head::Refused(denial) => {
                    let answer = self.behind.refuse(denial);
                    say_and_close(stream, &answer).await;
                    return;
                }
                Head::Gone => return,
            };
            let mut session = ServerSession::new_http1(stream);
            session.set_keepalive(Some(self.limits.idle.as_secs()));
            session.set_read_timeout(Some(self.limits.body));
            session.set_write_timeout(Some(self.limits.body));
            session.set_pipelined_prefix(head);
            let app = self.behind.app();
            let Some(served) = deadline::keeping(app.process_new_http(session, &self.stop)).await else {
                self.behind.overdue();
                return;
            };
            let Some(reusable) = served else {
                return;
            };
            (stream, _) = reusable.consume();
        }
    }

    /// The bytes of the next request, its whole head at least.
    async fn read_head(&mut self, stream: &mut Stream) -> Head {
        let mut bytes = BytesMut::with_capacity(4096);
        let first = tokio::select! {
            biased;
            read = timeout(self.limits.idle, stream.read_buf(&mut bytes)) => read,
            _ = self.stop.wait_for(|stop| *stop) => return Head::Gone,
        };
        if !matches!(first, Ok(Ok(1..))) {
            return Head::Gone;
        }
        timeout(
            self.limits.head,
            finish_head(stream, bytes, self.limits.head_size),
        )
        .await
        .unwrap_or(Head::Gone)
    }
}

async fn finish_head(stream: &mut Stream, mut bytes: BytesMut, limits: HeadLimits) -> Head {
    let mut scanned = 0;
    loop {
        match wire::end_of_head(&bytes, scanned, limits) {
            Ok(Some(end)) => {
                let checked = wire::check(bytes.get(..end).unwrap_or_default(), limits);
                return checked.map_or_else(Head::Refused, |()| Head::Complete(bytes));
            }
            Ok(None) => {}
            Err(denial) => return Head::Refused(denial),
        }
        scanned = bytes.len();
        bytes.reserve(4096);
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            return Head::Gone;
        }
    }
}

fn pingora_stream(connection: TcpStream, peer: SocketAddr) -> io::Result<Stream> {
    connection.set_nodelay(true)?;
    let digest = SocketDigest::from_raw_fd(connection.as_raw_fd());
    // INVARIANT: the cell is new, so it is empty.
    let _ = digest.peer_addr.set(Some(peer.into()));
    let mut stream = L4Stream::from(connection);
    stream.set_socket_digest(digest);
    Ok(Box::new(stream))
}

/// Writes the last answer of a connection, and reads on for a moment: closing while the client still sends would make its
/// kernel throw the answer away (RFC 9112 §9.6).
async fn say_and_close(mut stream: Stream, answer: &[u8]) {
    let lingering = async {
        stream.write_all(answer).await?;
        stream.flush().await?;
        AsyncWriteExt::shutdown(&mut stream).await?;
        let mut rest = [0_u8; 4096];
        for _ in 0..64 {
            if stream.read(&mut rest).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    // Whether the client heard it does not matter any more.
    let _ = timeout(Duration::from_secs(2), lingering).await;
}
