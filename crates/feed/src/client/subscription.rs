//! One subscription, and what belongs to it.

use std::time::Duration;

use sentinel_token::PlainEdgeKey;
use tokio::time::{Instant, timeout};
use tonic::Streaming;
use tonic::transport::Channel;

use super::credentials::authorized;
use super::error::FollowError;
use super::transit::Transit;
use crate::frame::Heartbeat;
use crate::proto::feed_client::FeedClient;
use crate::proto::{Message, SubscribeRequest};

/// How long it may take until the control plane answers that it takes a subscription, which it does before it loads anything.
const ANSWER: Duration = Duration::from_secs(5);

/// What the control plane says to one request.
pub(super) struct Subscription {
    messages: Streaming<Message>,
    nonce: [u8; 16],
    /// Of the last heartbeat.
    sequence: u64,
    transit: Transit,
    /// Since when the control plane has been behind the replica.
    pub(super) behind_since: Option<Instant>,
}

impl Subscription {
    /// Makes the request, which has a nonce of its own.
    pub(super) async fn open(
        mut client: FeedClient<Channel>,
        key: &PlainEdgeKey,
        nonce: [u8; 16],
        request: SubscribeRequest,
    ) -> Result<Self, FollowError> {
        let transit = Transit::new();
        let request = authorized(
            key,
            SubscribeRequest {
                nonce: nonce.to_vec().into(),
                ..request
            },
        );
        let answered = timeout(ANSWER, client.subscribe(request)).await;
        let messages = answered.map_err(|_| FollowError::Silent(ANSWER))??.into_inner();
        Ok(Self {
            messages,
            nonce,
            sequence: 0,
            transit,
            behind_since: None,
        })
    }

    /// The next message. Can be dropped and asked again at any time.
    pub(super) async fn next(&mut self) -> Result<Message, FollowError> {
        self.messages.message().await?.ok_or(FollowError::Ended)
    }

    /// Whether a heartbeat is the answer to this request, and no replayed one.
    pub(super) fn check(&self, heartbeat: &Heartbeat) -> Result<(), FollowError> {
        if heartbeat.nonce == self.nonce && heartbeat.sequence > self.sequence {
            Ok(())
        } else {
            Err(FollowError::Protocol("a heartbeat must not be replayed"))
        }
    }

    /// Takes a heartbeat as heard, and says how late it is.
    pub(super) fn hear(&mut self, heartbeat: &Heartbeat) -> Result<Duration, FollowError> {
        self.check(heartbeat)?;
        self.sequence = heartbeat.sequence;
        Ok(self.delay(heartbeat))
    }

    /// How late a heartbeat is that has just come.
    pub(super) fn delay(&self, heartbeat: &Heartbeat) -> Duration {
        self.transit.delay(heartbeat.since)
    }
}
