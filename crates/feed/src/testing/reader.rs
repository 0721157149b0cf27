//! One subscription, read by hand.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::Revision;
use sentinel_token::PlainEdgeKey;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Status};

use crate::frame::{Frame, Heartbeat, SnapshotManifest};
use crate::interest::{Extent, Interest};
use crate::proto::feed_server::Feed as _;
use crate::proto::{Message, SnapshotRequest, SubscribeRequest, message, snapshot_part};
use crate::server::Service;
use crate::signed::Signed;

use super::ControlPlane;

/// What an edge is told.
pub(crate) enum Word {
    Frame(Frame),
    Heartbeat(Heartbeat),
}

/// One subscription, read by hand.
pub(crate) struct Reader {
    plane: Arc<ControlPlane>,
    interest: Interest,
    words: std::pin::Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>,
}

impl Reader {
    pub(crate) async fn subscribe(
        plane: &Arc<ControlPlane>,
        service: &Service,
        interest: Interest,
        at: Revision,
    ) -> Self {
        Self::subscribe_as(&plane.enrol(), plane, service, interest, at).await
    }

    /// With a key that others may have as well.
    pub(crate) async fn subscribe_as(
        key: &PlainEdgeKey,
        plane: &Arc<ControlPlane>,
        service: &Service,
        interest: Interest,
        at: Revision,
    ) -> Self {
        let request = authorized(
            key,
            SubscribeRequest {
                epoch: at.epoch,
                revision: at.number,
                nonce: vec![0; 16].into(),
                interest: interest.to_proto(),
                ..SubscribeRequest::default()
            },
        );
        let words = service.subscribe(request).await.expect("served").into_inner();
        Self {
            plane: Arc::clone(plane),
            interest,
            words: Box::pin(words),
        }
    }

    /// Why it ended, without another word.
    pub(crate) async fn end(&mut self) -> Option<Status> {
        let next = self.words.next().await;
        next.map(|next| next.expect_err("no word"))
    }

    /// Why it ended, after all that was said before.
    pub(crate) async fn end_after_all(&mut self) -> Option<Status> {
        while let Some(next) = self.words.next().await {
            if let Err(status) = next {
                return Some(status);
            }
        }
        None
    }

    pub(crate) async fn word(&mut self) -> Word {
        let word = self.words.next().await.expect("not ended").expect("no error");
        let (key, interest) = (self.plane.key.public(), self.interest.fingerprint());
        match word.message.expect("a message") {
            message::Message::Frame(signed) => {
                Word::Frame(Frame::open_for(&Signed::from_proto(signed), key, interest).expect("signed"))
            }
            message::Message::Heartbeat(signed) => Word::Heartbeat(
                Heartbeat::open_for(&Signed::from_proto(signed), key, interest).expect("signed"),
            ),
            message::Message::Reset(_) => panic!("nothing to reset"),
        }
    }

    pub(crate) async fn frame(&mut self) -> Frame {
        loop {
            if let Word::Frame(frame) = self.word().await {
                return frame;
            }
        }
    }

    /// Reads whatever comes for as long as it comes at once, and returns how the frames lead on.
    pub(crate) async fn at_once(&mut self) -> Vec<(u64, u64)> {
        let mut frames = Vec::new();
        while let Ok(frame) = tokio::time::timeout(Duration::ZERO, self.frame()).await {
            frames.push((frame.from.number, frame.to.number));
        }
        frames
    }
}

/// What an edge keeps that is for one service.
pub(crate) fn docs() -> Interest {
    Interest::new(Extent::Of(["docs".parse().expect("a name")].into()), Extent::All)
}

/// Lets everybody do what can be done without time passing.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// With the key of an edge.
pub(crate) fn authorized<T>(key: &PlainEdgeKey, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {}", key.secret().expose());
    let value = bearer.parse().expect("a header value");
    request.metadata_mut().insert("authorization", value);
    request
}

/// The revision of the snapshot that edges of this interest are given now.
pub(crate) async fn offered(plane: &ControlPlane, service: &Service, interest: &Interest) -> Revision {
    let interest = interest.to_proto();
    let request = authorized(&plane.enrol(), SnapshotRequest { interest });
    let mut parts = service.snapshot(request).await.expect("served").into_inner();
    let first = parts.next().await.expect("not empty").expect("no error");
    let Some(snapshot_part::Part::Manifest(signed)) = first.part else {
        panic!("the manifest comes first");
    };
    let manifest = SnapshotManifest::open(&Signed::from_proto(signed), plane.key.public());
    manifest.expect("signed").revision
}
