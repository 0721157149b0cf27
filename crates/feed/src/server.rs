//! The control plane's side of the feed: a gRPC service that any number of edges subscribe to.
//!
//! It knows neither database nor keys; a `FeedSource` does. It keeps nothing per edge but a short queue: an edge that
//! does not read is cut off and comes back when it can.

mod announcement;
mod check;
mod frames;
mod lines;
mod making;
mod news;
mod observer;
mod outgoing;
mod pace;
mod passage;
mod present;
mod service;
mod snapshots;
mod subscriber;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::id::EdgeId;
use sentinel_core::{Change, Revision, Timestamp};
use sentinel_token::AssertionKey;
use tokio::sync::broadcast;

use crate::frame::Frame;
use crate::need::Need;
use crate::proto::feed_server::FeedServer;
use crate::replica::Replica;

pub use observer::{Keeps, Observer};
pub use outgoing::Outgoing;
#[cfg(test)]
pub(crate) use present::SUBSCRIPTIONS;
pub use service::Service;

/// Where the service is mounted, in the notation of axum 0.8: `router.route_service(PATH, service(source))`.
pub const PATH: &str = "/sentinel.feed.v1.Feed/{*method}";

/// How often an edge hears a heartbeat.
pub const HEARTBEAT: Duration = Duration::from_millis(250);

/// What the feed is fed from.
#[async_trait]
pub trait FeedSource: Send + Sync + 'static {
    /// The enrolled edge whose secret has this SHA-256.
    async fn authenticate(&self, edge_key_digest: [u8; 32]) -> Result<Option<EdgeId>, SourceUnavailable>;

    /// Whether the edge is still enrolled: asked once a second for each edge that is connected. Where that cannot be
    /// known, yes for a while: an edge that is kept is told how old the control plane's own knowledge is.
    async fn still_enrolled(&self, edge: EdgeId) -> bool;

    /// Takes down the public key that the edge signs assertions with, so that it is published: asked when the edge
    /// subscribes and every half hour while it stays, and again a moment later where it failed.
    async fn announce(&self, edge: EdgeId, key: AssertionKey) -> Result<(), SourceUnavailable>;

    /// Takes down what the edge's routes ask of the models of services, in place of what it said before: asked when the
    /// edge subscribes and now and then while it stays, and again a moment later where it failed.
    async fn announce_routes(&self, edge: EdgeId, needs: &[Need]) -> Result<(), SourceUnavailable> {
        let _ = (edge, needs);
        Ok(())
    }

    /// Who counts what the feed does; nobody by default.
    fn observer(&self) -> Option<&dyn Observer> {
        None
    }

    /// Signs with the feed key: Ed25519 over `sentinel_token::feed_key::signed_message(context, payload)`.
    fn sign(&self, context: &str, payload: &[u8]) -> [u8; 64];

    /// The control plane's time.
    fn now(&self) -> Timestamp;

    /// The control plane's own replica. It is `touch`ed whenever the database confirmed that nothing newer is there
    /// (as of the beginning of that question): its age is what edges are told, so a control plane that has lost its
    /// database does not make them believe that they are fresh.
    fn replica(&self) -> &Replica;

    /// Every frame that the replica applies from now on, in order. Sent after or before it is applied.
    fn frames(&self) -> broadcast::Receiver<Arc<Frame>>;

    /// The frames that follow a revision of the present epoch, oldest first: a part of them if they are many (it is
    /// asked again), none if there are none. `None`: the log does not reach back so far.
    async fn frames_since(&self, revision: Revision) -> Result<Option<Vec<Arc<Frame>>>, SourceUnavailable>;

    /// Every change after one revision up to another of the same epoch, in order, from a log that reaches back further
    /// than `frames_since`. `None`: there is none, or there are more changes than `most`.
    async fn changes_between(
        &self,
        from: Revision,
        to: Revision,
        most: usize,
    ) -> Result<Option<Vec<Change>>, SourceUnavailable> {
        let _ = (from, to, most);
        Ok(None)
    }
}

/// The source cannot answer now. The edge tries again.
#[derive(Debug, thiserror::Error)]
#[error("the feed's source cannot answer now")]
pub struct SourceUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The feed as a service: `tower::Service<http::Request<B>>` for every body, never failing, cheap to clone.
pub type FeedService = FeedServer<Service>;

/// The feed of a source, to be mounted under [`PATH`] on an HTTP/2 server.
pub fn service(source: Arc<dyn FeedSource>) -> FeedService {
    FeedServer::new(Service::new(source))
}
