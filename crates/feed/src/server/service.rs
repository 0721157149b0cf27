//! The two calls of the contract: who may make them, and which task answers.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::Revision;
use sentinel_core::id::EdgeId;
use sentinel_token::EdgeSecret;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::announcement::Announcement;
use super::check::Questions;
use super::frames::SignedFrames;
use super::lines::Lines;
use super::outgoing::Outgoing;
use super::passage::Passages;
use super::present::PresentEdges;
use super::snapshots::{Snapshots, Turn};
use super::subscriber::Subscriber;
use super::{FeedSource, SourceUnavailable};
use crate::interest::Interest;
use crate::proto;
use crate::proto::feed_server::Feed;
use crate::proto::{CheckRequest, Signed, SnapshotPart, SnapshotRequest, SubscribeRequest, snapshot_part};

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
    pub(super) lines: Lines,
    pub(super) passages: Passages,
    snapshots: Snapshots,
    questions: Questions,
    present: PresentEdges,
}

impl Service {
    pub(crate) fn new(source: Arc<dyn FeedSource>) -> Self {
        Self {
            shared: Arc::new(Shared {
                source,
                frames: SignedFrames::default(),
                lines: Lines::default(),
                passages: Passages::new(),
                snapshots: Snapshots::new(),
                questions: Questions::default(),
                present: PresentEdges::default(),
            }),
        }
    }

    async fn authenticate(&self, key: [u8; 32]) -> Result<EdgeId, Status> {
        match self.shared.source.authenticate(key).await {
            Ok(edge) => edge.ok_or_else(not_enrolled),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

fn not_enrolled() -> Status {
    Status::unauthenticated("the edge key is not enrolled")
}

/// The digest of the key that comes with a call.
fn key_of<T>(request: &Request<T>) -> Result<[u8; 32], Status> {
    let secret: EdgeSecret = request
        .metadata()
        .get("authorization")
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ")?.parse().ok())
        .ok_or_else(not_enrolled)?;
    Ok(*secret.digest().as_bytes())
}

pub(super) fn unavailable(error: &SourceUnavailable) -> Status {
    let cause = &*error.0 as &(dyn std::error::Error + 'static);
    tracing::warn!(error = cause, "the feed's source cannot answer");
    Status::unavailable("the control plane cannot answer now")
}

#[tonic::async_trait]
impl Feed for Service {
    type SnapshotStream = ReceiverStream<Result<SnapshotPart, Status>>;
    type SubscribeStream = Outgoing;

    async fn snapshot(
        &self,
        request: Request<SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let edge = self.authenticate(key_of(&request)?).await?;
        let shared = Arc::clone(&self.shared);
        if !shared.source.replica().is_ready() {
            return Err(Status::unavailable("the control plane is starting"));
        }
        let interest = interest_of(request.into_inner().interest)?;
        let turn = shared.snapshots.turn(interest).await?;
        let (queue, stream) = mpsc::channel(2);
        tokio::spawn(async move {
            if send_snapshot(&shared, &turn, &queue).await.is_none() {
                tracing::info!(edge.id = %edge, "an edge did not take its snapshot");
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let asked_at = Instant::now();
        let key = key_of(&request)?;
        let edge = self.authenticate(key).await?;
        let SubscribeRequest {
            epoch,
            revision: number,
            nonce,
            assertion_key,
            interest,
            needs,
        } = request.into_inner();
        let nonce = <[u8; 16]>::try_from(nonce.as_ref())
            .map_err(|_| Status::invalid_argument("`nonce` must have 16 bytes"))?;
        let announcement = Announcement::parse(&assertion_key, needs)?;
        let interest = interest_of(interest)?;
        let (queue, stream) = Outgoing::with_room(QUEUE);
        let subscriber = Subscriber::new(
            Arc::clone(&self.shared),
            edge,
            Revision { epoch, number },
            interest,
            nonce,
            announcement,
            queue,
        );
        // As of before the key was looked up.
        let present = self.shared.present.enter(key, edge, asked_at);
        tokio::spawn(subscriber.asked_at(asked_at).run(present));
        Ok(Response::new(stream))
    }

    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<Signed>, Status> {
        let key = key_of(&request)?;
        let edge = match self.shared.present.find(&key) {
            Some(edge) => edge,
            None => self.authenticate(key).await?,
        };
        let (source, asked) = (&self.shared.source, request.into_inner().asked);
        let answer = self.shared.questions.answer(source, edge, &asked).await?;
        Ok(Response::new(answer.to_proto()))
    }
}

fn interest_of(message: Option<proto::Interest>) -> Result<Interest, Status> {
    Interest::from_proto(message).map_err(|error| Status::invalid_argument(error.to_string()))
}

async fn send_snapshot(
    shared: &Shared,
    turn: &Turn,
    queue: &mpsc::Sender<Result<SnapshotPart, Status>>,
) -> Option<()> {
    let snapshot = turn.snapshot(&shared.source, &shared.lines).await?;
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
