//! What the feed service is fed from: enrolled edges from the database, frames from the replication, signatures by the
//! feed key.

use std::sync::Arc;

use async_trait::async_trait;
use sentinel_core::id::EdgeId;
use sentinel_core::{Clock, Revision, Timestamp};
use sentinel_feed::{FeedSource, Frame, Replica, SourceUnavailable};
use sentinel_identity::FeedKey;
use tokio::sync::broadcast;

use super::{Enrolment, Replication};

/// The feed's source.
pub struct Source {
    replication: Arc<Replication>,
    enrolment: Enrolment,
    key: FeedKey,
    clock: Arc<dyn Clock>,
}

impl Source {
    /// The source of a running replication.
    pub fn new(replication: Arc<Replication>, enrolment: Enrolment, key: FeedKey, clock: Arc<dyn Clock>) -> Self {
        Self {
            replication,
            enrolment,
            key,
            clock,
        }
    }

    async fn edge(&self, digest: [u8; 32]) -> Result<Option<EdgeId>, anyhow::Error> {
        let mut tx = self.enrolment.database.begin().await?;
        let edge = self.enrolment.access.edges.authenticate(&mut tx, &digest).await?;
        if let Some(edge) = edge {
            self.enrolment.access.edges.seen(&mut tx, edge).await?;
        }
        tx.commit().await?;
        Ok(edge)
    }

    async fn is_enrolled(&self, edge: EdgeId) -> Result<bool, anyhow::Error> {
        let mut tx = self.enrolment.database.read().await?;
        Ok(self.enrolment.access.edges.is_enrolled(&mut tx, edge).await?)
    }
}

#[async_trait]
impl FeedSource for Source {
    // Asked when an edge connects, which is seldom: no cache, so a key that was withdrawn is unknown at once.
    async fn authenticate(&self, edge_key_digest: [u8; 32]) -> Result<Option<EdgeId>, SourceUnavailable> {
        self.edge(edge_key_digest)
            .await
            .map_err(|error| SourceUnavailable(error.into()))
    }

    async fn still_enrolled(&self, edge: EdgeId) -> bool {
        match self.is_enrolled(edge).await {
            Ok(enrolled) => enrolled,
            Err(error) => {
                tracing::debug!(edge.id = %edge, error = format!("{error:#}"), "an edge cannot be looked up");
                true
            }
        }
    }

    fn sign(&self, context: &str, payload: &[u8]) -> [u8; 64] {
        self.key.sign(context, payload)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn replica(&self) -> &Replica {
        self.replication.replica()
    }

    fn frames(&self) -> broadcast::Receiver<Arc<Frame>> {
        self.replication.frames()
    }

    async fn frames_since(&self, revision: Revision) -> Result<Option<Vec<Arc<Frame>>>, SourceUnavailable> {
        Ok(self.replication.frames_since(revision))
    }
}
