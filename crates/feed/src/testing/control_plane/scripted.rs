//! The service that a control plane in memory serves.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::{Checks, ControlPlane, lock};
use crate::proto::feed_server::Feed;
use crate::proto::{CheckRequest, Message, Signed, SnapshotPart, SnapshotRequest, SubscribeRequest};
use crate::server::Service;

/// The real service, except where a script takes its place.
pub(super) struct Scripted {
    pub(super) plane: Arc<ControlPlane>,
    pub(super) truth: Service,
}

#[tonic::async_trait]
impl Feed for Scripted {
    type SnapshotStream = ReceiverStream<Result<SnapshotPart, Status>>;
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

    async fn snapshot(
        &self,
        request: Request<SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        if self.plane.snapshots_refused.load(Ordering::SeqCst) {
            return Err(Status::unavailable("as the test says"));
        }
        self.plane.snapshots_served.fetch_add(1, Ordering::SeqCst);
        self.truth.snapshot(request).await
    }

    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<Signed>, Status> {
        let mut checks = self.plane.checks.subscribe();
        let checks = checks.wait_for(|checks| *checks != Checks::Held).await;
        let checks = *checks.expect("the plane lives");
        if checks == Checks::Replayed {
            let last = lock(&self.plane.last_check).clone();
            return Ok(Response::new(last.expect("one was answered")));
        }
        if let Checks::Refused(code) = checks {
            return Err(Status::new(code, "as the test says"));
        }
        let answer = self.truth.check(request).await?;
        lock(&self.plane.last_check).replace(answer.get_ref().clone());
        Ok(answer)
    }

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let nonce = request.get_ref().nonce.as_ref().try_into().expect("16 bytes");
        self.plane.subscriptions.fetch_add(1, Ordering::SeqCst);
        let (queue, stream) = mpsc::channel(64);
        if self.plane.only_beats.load(Ordering::SeqCst) {
            let plane = Arc::clone(&self.plane);
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(crate::server::HEARTBEAT);
                for sequence in 1.. {
                    ticks.tick().await;
                    let state = plane.state();
                    let beat = plane.heartbeat(nonce, sequence, state.revision(), state.digest());
                    if queue.send(Ok(beat)).await.is_err() {
                        return;
                    }
                }
            });
            return Ok(Response::new(Box::pin(ReceiverStream::new(stream))));
        }
        let Some(script) = lock(&self.plane.scripts).pop_front() else {
            let truth = self.truth.subscribe(request).await?.into_inner();
            let plane = Arc::clone(&self.plane);
            let is_mute = plane.newcomers_are_mute.load(Ordering::SeqCst);
            let heard = move |_: &Result<Message, Status>| !is_mute && !plane.silent.load(Ordering::SeqCst);
            return Ok(Response::new(Box::pin(truth.filter(heard))));
        };
        for message in script(nonce) {
            queue.try_send(Ok(message)).expect("a short script");
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}
