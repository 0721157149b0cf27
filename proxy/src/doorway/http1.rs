//! HTTP/1.1 on one connection: head after head, each read here under a deadline and a limit, and handed to Pingora when it
//! is one that everybody reads alike.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use pingora::apps::HttpServerApp as _;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use sentinel_core::Denial;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::{Behind, Door};
use crate::deadline;
use crate::request::{HeadLimits, wire};

/// Room for the head of most requests.
const PIECE: usize = 4096;

/// What came of waiting for a request.
enum Head {
    Complete(BytesMut),
    Refused(Denial),
    Gone,
}

/// Serves requests until the connection ends.
pub(super) async fn serve<B: Behind>(door: &Door<B>, mut stream: Stream, stop: watch::Receiver<bool>) {
    let mut stopping = stop.clone();
    let mut stopped = pin!(stopping.wait_for(|stop| *stop));
    let mut patience = Patience::new(door.limits.idle);
    loop {
        patience.begin();
        let first = poll_fn(|cx| match first_piece(&mut stream, cx) {
            Poll::Ready(first) => Poll::Ready(first.ok()),
            Poll::Pending if stopped.as_mut().poll(cx).is_ready() => Poll::Ready(None),
            Poll::Pending => patience.poll_over(cx).map(|()| None),
        });
        let Some(first) = first.await else { return };
        // What a request needs is given back when it is over: a connection may wait for the next one for long.
        let exchange = Box::pin(exchange(door, stream, first, &stop));
        match exchange.await {
            Some(reusable) => stream = reusable,
            None => return,
        }
    }
}

/// Reads the rest of a request and has it answered. The connection, if it can be used again.
async fn exchange<B: Behind>(
    door: &Door<B>,
    mut stream: Stream,
    first: BytesMut,
    stop: &watch::Receiver<bool>,
) -> Option<Stream> {
    let limits = door.limits.head_size;
    let head = match whole_head(first, 0, limits) {
        // Hardly any.
        Err(begun) => {
            let rest = Box::pin(finish_head(&mut stream, begun, limits));
            timeout(door.limits.head, rest).await.unwrap_or(Head::Gone)
        }
        Ok(head) => head,
    };
    let head = match head {
        Head::Complete(head) => head,
        Head::Refused(denial) => {
            let answer = door.behind.refuse(denial);
            Box::pin(say_and_close(stream, &answer)).await;
            return None;
        }
        Head::Gone => return None,
    };
    let mut session = ServerSession::new_http1(stream);
    session.set_keepalive(Some(door.limits.idle.as_secs()));
    session.set_read_timeout(Some(door.limits.body));
    session.set_write_timeout(Some(door.limits.body));
    session.set_pipelined_prefix(head);
    let Some(served) = deadline::keeping(door.behind.app().process_new_http(session, stop)).await else {
        door.behind.overdue();
        return None;
    };
    let (stream, _) = served?.consume();
    Some(stream)
}

/// The first bytes of a request. There is no buffer while nothing has come.
fn first_piece(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<BytesMut>> {
    let mut piece = [const { MaybeUninit::uninit() }; PIECE];
    let mut read = ReadBuf::uninit(&mut piece);
    Pin::new(stream).poll_read(cx, &mut read).map(|done| {
        done?;
        if read.filled().is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(BytesMut::from(read.filled()))
    })
}

/// The head, if all of it is there, or why it is refused; otherwise what there is of it. The first `scanned` bytes were
/// looked at before.
fn whole_head(bytes: BytesMut, scanned: usize, limits: HeadLimits) -> Result<Head, BytesMut> {
    if wire::is_one_head(&bytes, limits) {
        return Ok(Head::Complete(bytes));
    }
    match wire::end_of_head(&bytes, scanned, limits) {
        Ok(Some(end)) => {
            let checked = wire::check(bytes.get(..end).unwrap_or_default(), limits);
            Ok(checked.map_or_else(Head::Refused, |()| Head::Complete(bytes)))
        }
        Ok(None) => Err(bytes),
        Err(denial) => Ok(Head::Refused(denial)),
    }
}

async fn finish_head(stream: &mut Stream, mut bytes: BytesMut, limits: HeadLimits) -> Head {
    loop {
        let scanned = bytes.len();
        bytes.reserve(PIECE);
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            return Head::Gone;
        }
        bytes = match whole_head(bytes, scanned, limits) {
            Ok(head) => return head,
            Err(begun) => begun,
        };
    }
}

/// How long a connection may wait for its next request. Each request puts the end off; the alarm stays where it was set and,
/// if it rings before the end, is set anew, so that requests in quick succession touch no timer.
struct Patience {
    limit: Duration,
    alarm: Pin<Box<Sleep>>,
    since: Instant,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            alarm: Box::pin(sleep(limit)),
            since: Instant::now(),
        }
    }

    /// The waiting begins now.
    fn begin(&mut self) {
        self.since = Instant::now();
    }

    /// Ready when it has lasted too long.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let end = self.since.checked_add(self.limit);
            match end.filter(|end| self.alarm.deadline() < *end) {
                Some(end) => self.alarm.as_mut().reset(end),
                None => return Poll::Ready(()),
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{advance, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn is_over(patience: &mut Patience, within: Duration) -> bool {
        timeout(within, poll_fn(|cx| patience.poll_over(cx)))
            .await
            .is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_so_long_after_the_last_request() {
        let mut patience = Patience::new(10 * SECOND);
        for _ in 0..5 {
            patience.begin();
            assert!(!is_over(&mut patience, 9 * SECOND).await);
            // Meanwhile a request is answered, however long that takes.
            advance(7 * SECOND).await;
        }
        patience.begin();
        assert!(!is_over(&mut patience, 9 * SECOND).await);
        assert!(is_over(&mut patience, 2 * SECOND).await);
    }
}
