//! The bodies of a connection: a request's, which must keep coming and of which the rest is taken before the answer
//! ends, and an answer's, during which the connection is not idle.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::Body as AxumBody;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep, timeout};

use super::connections::InFlight;

/// How much of an unread request is taken before its answer is given.
const REST_BYTES: usize = 64 * 1024;
/// For how long.
const REST_TIME: Duration = Duration::from_millis(100);

/// The rest of a request's body did not come.
#[derive(Debug, thiserror::Error)]
#[error("the client stopped sending the request's body")]
pub(crate) struct Stalled;

/// A request's body. What a handler leaves of it goes back to the connection when the handler drops it.
pub(super) struct RequestBody {
    left: Option<Left>,
    back: Arc<Mutex<Option<Left>>>,
    gap: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

struct Left {
    body: Incoming,
    asked_for: bool,
    stalled: bool,
}

/// Where a request's body comes back to.
pub(super) struct Rest(Arc<Mutex<Option<Left>>>);

impl RequestBody {
    /// The body of a request, between whose parts no more than `gap` may pass. An answer has no such limit: an edge sends
    /// its request at once and listens for days.
    pub(super) fn new(body: Incoming, gap: Duration) -> (Self, Rest) {
        let back = Arc::default();
        let body = Self {
            left: Some(Left {
                body,
                asked_for: false,
                stalled: false,
            }),
            back: Arc::clone(&back),
            gap,
            waiting: None,
        };
        (body, Rest(back))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let Some(left) = &mut this.left else {
            return Poll::Ready(None);
        };
        left.asked_for = true;
        if let Poll::Ready(frame) = Pin::new(&mut left.body).poll_frame(cx) {
            this.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let gap = this.gap;
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(sleep(gap)));
        ready!(waiting.as_mut().poll(cx));
        left.stalled = true;
        Poll::Ready(Some(Err(Stalled.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.left.as_ref().is_none_or(|left| left.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .as_ref()
            .map_or_else(SizeHint::default, |left| left.body.size_hint())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        *self.back.lock().unwrap_or_else(PoisonError::into_inner) = self.left.take();
    }
}

impl Rest {
    /// Takes what is left of the body, if it is little and comes soon: then the connection can be used again, and a client
    /// that writes first and reads later finds its answer. Whether it can.
    ///
    /// A client that waits for `100 Continue` has sent nothing and is not asked to.
    pub(super) async fn take(self, expects_continue: bool) -> bool {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut left) = left else { return true };
        if left.body.is_end_stream() {
            return true;
        }
        let limit = u64::try_from(REST_BYTES).unwrap_or(u64::MAX);
        if left.stalled || (expects_continue && !left.asked_for) || left.body.size_hint().lower() > limit {
            return false;
        }
        let taken = async {
            let mut bytes = 0_usize;
            loop {
                let frame = std::future::poll_fn(|cx| Pin::new(&mut left.body).poll_frame(cx)).await;
                match frame {
                    None => return true,
                    Some(Err(_)) => return false,
                    Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
                }
                if bytes > REST_BYTES {
                    return false;
                }
            }
        };
        timeout(REST_TIME, taken).await.unwrap_or(false)
    }
}

/// An answer's body.
pub(super) struct AnswerBody {
    body: AxumBody,
    _in_flight: InFlight,
}

impl AnswerBody {
    pub(super) fn new(body: AxumBody, in_flight: InFlight) -> Self {
        Self {
            body,
            _in_flight: in_flight,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
