//! HTTP/2 on one connection (RFC 9113): the library that Pingora uses is driven here, with bounds on everything that a client
//! may send without a request, and Pingora is handed the streams.

mod budget;
mod fields;
mod frames;
mod guard;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::{Builder, Connection};
use pingora::apps::HttpServerApp as _;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, HttpSession};
use pingora::protocols::{Digest, GetSocketDigest as _, Ssl as _, Stream};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::server::TlsStream;

use self::guard::{Guarded, Sight};
use super::wire::Wire;
use super::{Behind, Door, Limits, TurnedAway};
use crate::deadline;

/// The smallest frame size that may be announced (RFC 9113 §6.5.2), and the largest that is taken.
const FRAME: u32 = 16 * 1024;
/// What a client may send of one body before the service has taken it.
const STREAM_WINDOW: u32 = 64 * 1024;
/// The same of all bodies on a connection together.
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// What is kept of one answer for a client that does not take it.
const SEND_BUFFER: usize = 32 * 1024;
/// The table of header fields that a client may refer to (RFC 7541 §4.2).
const HEADER_TABLE: u32 = 4096;
/// Streams that somebody has reset and that are still remembered.
const REMEMBERED: usize = 32;
/// Streams that are refused or reset by us, before the connection is closed. A client that does not know the settings yet may
/// open many more than it may.
const REFUSED: usize = 256;
/// Requests that are malformed, before the client is not believed to mean well.
const MALFORMED: usize = 32;
/// How long the last words to a client may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves requests until the connection ends.
pub(super) async fn serve<B: Behind>(
    door: &Door<B>,
    stream: Wire<TlsStream<TcpStream>>,
    stop: watch::Receiver<bool>,
) {
    let digest = Arc::new(Digest {
        ssl_digest: stream.get_ssl_digest(),
        socket_digest: stream.get_socket_digest(),
        ..Digest::default()
    });
    let (guarded, sight) = Guarded::new(stream, door.limits.head_size);
    let stream: Stream = Box::new(guarded);
    let handshake = options(&door.limits).handshake::<_, Bytes>(stream);
    let Ok(Ok(connection)) = timeout(door.limits.head, handshake).await else {
        return;
    };
    let driver = Driver {
        door,
        connection,
        digest,
        sight,
        streams: JoinSet::new(),
        idle_since: Instant::now(),
        ends_at: None,
    };
    driver.run(stop).await;
}

fn options(limits: &Limits) -> Builder {
    let mut options = Builder::new();
    options
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_size.bytes).unwrap_or(u32::MAX))
        .header_table_size(HEADER_TABLE)
        .max_frame_size(FRAME)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(REMEMBERED)
        .max_pending_accept_reset_streams(REMEMBERED)
        .max_local_error_reset_streams(Some(REFUSED))
        .reset_stream_duration(Duration::from_secs(5));
    options
}

/// A connection that is served.
struct Driver<'a, B> {
    door: &'a Door<B>,
    connection: Connection<Stream, Bytes>,
    digest: Arc<Digest>,
    sight: Arc<Sight>,
    /// The requests under way. They end with the connection.
    streams: JoinSet<()>,
    idle_since: Instant,
    /// When it is over, once the client was told that it ends.
    ends_at: Option<Instant>,
}

/// What a connection does next.
#[expect(
    clippy::large_enum_variant,
    reason = "it is matched where it was made; a box would be an allocation for each request"
)]
enum Event {
    Stopping,
    Accepted(Option<H2Accept>),
    StreamEnded,
    /// Something was seen that changes what is waited for.
    Seen,
    Overdue,
}

impl<B: Behind> Driver<'_, B> {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut malformed = 0_usize;
        let mut is_stopping = false;
        loop {
            let due = self.due();
            match self.next(due, &mut stop, is_stopping).await {
                Event::Stopping => {
                    is_stopping = true;
                    self.connection.graceful_shutdown();
                    self.end_when_idle();
                }
                Event::Accepted(None) => return,
                Event::Accepted(Some(H2Accept::Session(session))) => self.answer(session, &stop),
                Event::Accepted(Some(H2Accept::Rejected)) => {
                    malformed = malformed.saturating_add(1);
                    if malformed >= MALFORMED {
                        return self.turn_away(TurnedAway::Flood).await;
                    }
                }
                Event::StreamEnded => {
                    if self.streams.is_empty() {
                        self.idle_since = Instant::now();
                        if is_stopping {
                            self.end_when_idle();
                        }
                    }
                }
                Event::Seen if self.sight.is_flooded() => return self.turn_away(TurnedAway::Flood).await,
                Event::Seen => {}
                Event::Overdue => {
                    if due.is_stalled() {
                        return self.turn_away(TurnedAway::Stalled).await;
                    }
                    if self.ends_at.is_some() {
                        return;
                    }
                    // The client is told, and has a moment to send what it had sent before it heard.
                    self.connection.graceful_shutdown();
                    self.end_when_idle();
                }
            }
        }
    }

    async fn next(&mut self, due: Due, stop: &mut watch::Receiver<bool>, is_stopping: bool) -> Event {
        let limits = &self.door.limits;
        let (sight, digest) = (&self.sight, Arc::clone(&self.digest));
        let is_idle = self.streams.is_empty();
        let overdue = async {
            match due.first() {
                Some(first) => sleep_until(first).await,
                None => std::future::pending().await,
            }
        };
        // In this order: the library reads first, and then is looked what was seen when it did.
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop), if !is_stopping => Event::Stopping,
            accepted = HttpSession::from_h2_conn(&mut self.connection, digest) => {
                Event::Accepted(accepted.unwrap_or_default())
            }
            _ = self.streams.join_next(), if !is_idle => Event::StreamEnded,
            () = poll_fn(|_| {
                let is_new = sight.is_flooded() || stalls_at(sight, limits) != due.stalls;
                if is_new { Poll::Ready(()) } else { Poll::Pending }
            }) => Event::Seen,
            () = overdue => Event::Overdue,
        }
    }

    /// Has a request answered, beside the others.
    fn answer(&mut self, stream: HttpSession, stop: &watch::Receiver<bool>) {
        self.sight.requested();
        let piece = self.door.limits.body;
        let body = (!stream.is_body_empty()).then_some(piece);
        let (behind, stop) = (Arc::clone(&self.door.behind), stop.clone());
        self.streams.spawn(async move {
            let mut session = ServerSession::new_http2(stream);
            session.set_write_timeout(Some(piece));
            let exchange = behind.app().process_new_http(session, &stop);
            // Dropping the exchange resets the stream.
            if deadline::keeping_body(body, exchange).await.is_none() {
                behind.overdue();
            }
        });
    }

    /// What is waited for.
    fn due(&self) -> Due {
        let idle = || self.idle_since.checked_add(self.door.limits.idle);
        let is_idle = self.streams.is_empty();
        Due {
            ends: if is_idle { self.ends_at.or_else(idle) } else { None },
            stalls: stalls_at(&self.sight, &self.door.limits),
        }
    }

    fn end_when_idle(&mut self) {
        if self.streams.is_empty() {
            self.ends_at = Instant::now().checked_add(LAST_WORDS);
        }
    }

    /// Says why nothing more is taken from the client, if he listens, and closes the connection.
    async fn turn_away(mut self, why: TurnedAway) {
        self.door.behind.turned_away(why);
        self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        // Whether the client heard it does not matter any more.
        let _ = timeout(LAST_WORDS, poll_fn(|cx| self.connection.poll_closed(cx))).await;
    }
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy)]
struct Due {
    /// It has been without a request for too long.
    ends: Option<Instant>,
    /// The client has left something half done for too long.
    stalls: Option<Instant>,
}

impl Due {
    fn first(self) -> Option<Instant> {
        self.ends.into_iter().chain(self.stalls).min()
    }

    fn is_stalled(self) -> bool {
        self.stalls.is_some_and(|stalls| stalls <= Instant::now())
    }
}

/// When the client will have left something half done for too long: a head, or the taking of an answer.
fn stalls_at(sight: &Sight, limits: &Limits) -> Option<Instant> {
    let head = sight
        .unfinished_since()
        .and_then(|since| since.checked_add(limits.head));
    let blocked = sight
        .blocked_since()
        .and_then(|since| since.checked_add(limits.body));
    head.into_iter().chain(blocked).min()
}
