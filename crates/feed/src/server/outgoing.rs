//! What waits to be sent to one edge.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Status;

use super::pace::Delivery;
use crate::proto::Message;

/// A message for the edge.
pub(super) struct Parcel {
    pub(super) message: Result<Message, Status>,
    /// The round that it belongs to, if it is of one.
    pub(super) delivery: Option<Delivery>,
}

/// The messages for one edge, in order. When the next one is asked for, the one before was given to the connection.
pub struct Outgoing {
    queue: mpsc::Receiver<Parcel>,
    under_way: Option<Delivery>,
}

impl Outgoing {
    /// Takes a queue of so many messages, and its other end.
    pub(super) fn with_room(messages: usize) -> (mpsc::Sender<Parcel>, Self) {
        let (sender, queue) = mpsc::channel(messages);
        let outgoing = Self {
            queue,
            under_way: None,
        };
        (sender, outgoing)
    }
}

impl Stream for Outgoing {
    type Item = Result<Message, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.under_way = None;
        let parcel = ready!(self.queue.poll_recv(context));
        Poll::Ready(parcel.map(|parcel| {
            self.under_way = parcel.delivery;
            parcel.message
        }))
    }
}
