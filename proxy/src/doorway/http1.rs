//! HTTP/1.1 on one connection: head after head, each read here under a deadline and a limit, and handed to Pingora when it
//! is one that everybody reads alike.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use pingora::apps::HttpServerApp as _;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use sentinel_core::Denial;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::time::timeout;

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
pub(super) async fn serve<B: Behind>(door: &Door<B>, mut stream: Stream, mut stop: watch::Receiver<bool>) {
    loop {
        let first = tokio::select! {
            biased;
            first = timeout(door.limits.idle, first_piece(&mut stream)) => first,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok(Ok(first)) = first else { return };
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
    let head = finish_head(&mut stream, first, door.limits.head_size);
    let head = match timeout(door.limits.head, head).await.unwrap_or(Head::Gone) {
        Head::Complete(head) => head,
        Head::Refused(denial) => {
            let answer = door.behind.refuse(denial);
            say_and_close(stream, &answer).await;
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

/// Waits for the first bytes of a request. There is no buffer while nothing has come.
async fn first_piece(stream: &mut Stream) -> io::Result<BytesMut> {
    poll_fn(|cx| {
        let mut piece = [0; PIECE];
        let mut read = ReadBuf::new(&mut piece);
        match Pin::new(&mut *stream).poll_read(cx, &mut read) {
            Poll::Ready(Ok(())) if read.filled().is_empty() => {
                Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Ok(BytesMut::from(read.filled()))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
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
        bytes.reserve(PIECE);
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            return Head::Gone;
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
