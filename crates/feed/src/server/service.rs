//! The two calls of the contract: who may make them, and which task answers.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::Revision;
use sentinel_core::id::EdgeId;
use sentinel_token::EdgeSecret;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::announcement::Announcement;
use super::frames::SignedFrames;
use super::snapshots::Snapshots;
use super::subscriber::Subscriber;
use super::{FeedSource, SourceUnavailable};
use crate::proto::feed_server::Feed;
use crate::proto::{Message, SnapshotPart, SnapshotRequest, SubscribeRequest, snapshot_part};

/// How many messages wait for an edge that does not read.
const QUEUE: usize = 8;

/// How long an edge may leave the queue full before it is cut off.
pub(super) const SLOW: Duration = Duration::from_secs(10);

/// Size of a piece of a snapshot.
const PIECE: usize = 256 << 10;

/// Answers the calls of edges.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) source: Arc<dyn FeedSource>,
    pub(super) frames: SignedFrames,
    snapshots: Snapshots,
}

impl Service {
    pub(crate) fn new(source: Arc<dyn FeedSource>) -> Self {
        Self {
            shared: Arc::new(Shared {
                source,
                frames: SignedFrames::default(),
                snapshots: Snapshots::new(),
            }),
        }
    }

    async fn authenticate<T>(&self, request: &Request<T>) -> Result<EdgeId, Status> {
        let refused = || Status::unauthenticated("the edge key is not enrolled");
        let secret: EdgeSecret = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ")?.parse().ok())
            .ok_or_else(refused)?;
        match self.shared.source.authenticate(*secret.digest().as_bytes()).await {
            Ok(edge) => edge.ok_or_else(refused),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

pub(super) fn unavailable(error: &SourceUnavailable) -> Status {
    let cause = &*error.0 as &(dyn std::error::Error + 'static);
    tracing::warn!(error = cause, "the feed's source cannot answer");
    Status::unavailable("the control plane cannot answer now")
}

#[tonic::async_trait]
impl Feed for Service {
    type SnapshotStream = ReceiverStream<Result<SnapshotPart, Status>>;
    type SubscribeStream = ReceiverStream<Result<Message, Status>>;

    async fn snapshot(
        &self,
        request: Request<SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let edge = self.authenticate(&request).await?;
        let shared = Arc::clone(&self.shared);
        if !shared.source.replica().is_ready() {
            return Err(Status::unavailable("the control plane is starting"));
        }
        let Ok(permit) = Arc::clone(&shared.snapshots.downloads).try_acquire_owned() else {
            return Err(Status::resource_exhausted(
                "too many edges are fetching snapshots, try again",
            ));
        };
        let (queue, stream) = mpsc::channel(2);
        tokio::spawn(async move {
            let _permit = permit;
            if send_snapshot(&shared, &queue).await.is_none() {
                tracing::info!(edge.id = %edge, "an edge did not take its snapshot");
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let edge = self.authenticate(&request).await?;
        let SubscribeRequest {
            epoch,
            revision: number,
            nonce,
            assertion_key,
        } = request.into_inner();
        let nonce = <[u8; 16]>::try_from(nonce.as_ref())
            .map_err(|_| Status::invalid_argument("`nonce` must have 16 bytes"))?;
        let announcement = Announcement::parse(&assertion_key)?;
        let (queue, stream) = mpsc::channel(QUEUE);
        let subscriber = Subscriber::new(
            Arc::clone(&self.shared),
            edge,
            Revision { epoch, number },
            nonce,
            announcement,
            queue,
        );
        tokio::spawn(subscriber.run());
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

async fn send_snapshot(shared: &Shared, queue: &mpsc::Sender<Result<SnapshotPart, Status>>) -> Option<()> {
    let snapshot = shared.snapshots.get(&shared.source).await?;
    let part = |part| SnapshotPart { part: Some(part) };
    let send = async |message| timeout(SLOW, queue.send(Ok(message))).await.ok()?.ok();
    send(part(snapshot_part::Part::Manifest(snapshot.manifest.to_proto()))).await?;
    let mut body = snapshot.body.clone();
    while !body.is_empty() {
        let piece = body.split_to(body.len().min(PIECE));
        send(part(snapshot_part::Part::Body(piece))).await?;
    }
    Some(())
}
