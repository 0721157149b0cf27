//! What waits to be sent to one edge.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Status;

use super::pace::Delivery;
use crate::proto::Message;

/// A message for the edge.
pub(super) struct Parcel {
    pub(super) message: Message,
    /// The round that it belongs to, if it is of one.
    pub(super) delivery: Option<Delivery>,
}

/// The end of the queue at which messages come in. Clones share it; once all are dropped, nothing comes after what it holds.
#[derive(Clone)]
pub(super) struct Queue {
    parcels: mpsc::Sender<Parcel>,
    farewell: Arc<OnceLock<Status>>,
}

/// Nobody takes messages out of the queue any more.
pub(super) struct Closed;

/// The messages for one edge, in order. When the next one is asked for, the one before was given to the connection.
pub struct Outgoing {
    queue: mpsc::Receiver<Parcel>,
    /// Why there is nothing more, for after the last message: it needs no room in the queue. `None` once it was said.
    farewell: Option<Arc<OnceLock<Status>>>,
    under_way: Option<Delivery>,
}

impl Outgoing {
    /// Takes a queue of so many messages, and its other end.
    pub(super) fn with_room(messages: usize) -> (Queue, Self) {
        let (parcels, queue) = mpsc::channel(messages);
        let farewell = Arc::default();
        let outgoing = Self {
            queue,
            farewell: Some(Arc::clone(&farewell)),
            under_way: None,
        };
        (Queue { parcels, farewell }, outgoing)
    }
}

impl Queue {
    /// Puts a message into the queue as soon as there is room.
    pub(super) async fn send(&self, parcel: Parcel) -> Result<(), Closed> {
        self.parcels.send(parcel).await.map_err(|_| Closed)
    }

    /// Waits until nobody takes messages out of it any more.
    pub(super) async fn closed(&self) {
        self.parcels.closed().await;
    }

    /// What is said when everything in the queue was taken and nothing comes after it. It does not wait, however full the
    /// queue is; the first one counts.
    pub(super) fn ends_with(&self, status: Status) {
        self.farewell.set(status).ok();
    }
}

impl Stream for Outgoing {
    type Item = Result<Message, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.under_way = None;
        let Some(parcel) = ready!(self.queue.poll_recv(context)) else {
            let farewell = self.farewell.take();
            return Poll::Ready(farewell.and_then(|status| status.get().cloned()).map(Err));
        };
        self.under_way = parcel.delivery;
        Poll::Ready(Some(Ok(parcel.message)))
    }
}
