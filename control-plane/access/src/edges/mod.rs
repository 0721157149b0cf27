//! Enrolled edge proxies. An edge shows its key to the feed; what is known of the key here is its digest.

pub mod assertion_keys;
mod repository;

use sentinel_core::Timestamp;
use sentinel_core::id::{EdgeId, UserId};
use sentinel_store::Tx;
use serde_json::json;

use crate::activity::{Action, Activity, Entry, Target, TargetKind};
use crate::error::AccessError;
use crate::sources::Sources;
use crate::text::Name;

/// The constraint on names, as the store names it.
const NAME_UNIQUE: &str = "edges__name";

/// An enrolled edge proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Which.
    pub id: EdgeId,
    /// Its name for people, unique.
    pub name: String,
    /// When it was enrolled.
    pub created_at: Timestamp,
    /// When its key was withdrawn, if it was.
    pub revoked_at: Option<Timestamp>,
    /// When it last fetched a snapshot or subscribed.
    pub last_seen_at: Option<Timestamp>,
}

/// The service of edges.
#[derive(Clone)]
pub struct Edges {
    sources: Sources,
    activity: Activity,
}

impl Edges {
    pub(crate) fn new(sources: Sources, activity: Activity) -> Self {
        Self { sources, activity }
    }

    /// All edges, oldest first.
    pub async fn list(&self, tx: &mut Tx) -> Result<Vec<Edge>, AccessError> {
        Ok(repository::list(tx).await?)
    }

    /// Enrols an edge whose key has this digest.
    pub async fn enrol(
        &self,
        tx: &mut Tx,
        actor: Option<UserId>,
        name: &Name,
        key_digest: &[u8; 32],
    ) -> Result<Edge, AccessError> {
        let now = self.sources.now();
        let edge = Edge {
            id: EdgeId::generate(now, self.sources.random()),
            name: name.as_str().to_owned(),
            created_at: now,
            revoked_at: None,
            last_seen_at: None,
        };
        repository::insert(tx, &edge, key_digest)
            .await
            .map_err(|error| AccessError::on_conflict(error, NAME_UNIQUE, AccessError::EdgeNameTaken))?;
        self.record(tx, Action::EdgeEnrolled, actor, &edge).await?;
        Ok(edge)
    }

    /// The enrolled edge whose key has this digest, unless it was withdrawn.
    pub async fn authenticate(
        &self,
        tx: &mut Tx,
        key_digest: &[u8; 32],
    ) -> Result<Option<EdgeId>, AccessError> {
        Ok(repository::find_by_digest(tx, key_digest).await?)
    }

    /// Whether the edge's key still counts.
    pub async fn is_enrolled(&self, tx: &mut Tx, edge: EdgeId) -> Result<bool, AccessError> {
        Ok(repository::find(tx, edge)
            .await?
            .is_some_and(|edge| edge.revoked_at.is_none()))
    }

    /// Notes that the edge has just been here.
    pub async fn seen(&self, tx: &mut Tx, edge: EdgeId) -> Result<(), AccessError> {
        Ok(repository::mark_seen(tx, edge, self.sources.now()).await?)
    }

    /// Withdraws the edge's key, and for good the keys that it signs assertions with: somebody may have copied them. Withdrawing
    /// it again changes nothing.
    pub async fn revoke(&self, tx: &mut Tx, actor: Option<UserId>, edge: EdgeId) -> Result<(), AccessError> {
        let edge = repository::find(tx, edge)
            .await?
            .ok_or(AccessError::EdgeNotFound)?;
        if edge.revoked_at.is_none() {
            repository::revoke(tx, edge.id, self.sources.now()).await?;
            self.record(tx, Action::EdgeRevoked, actor, &edge).await?;
        }
        Ok(())
    }

    async fn record(
        &self,
        tx: &mut Tx,
        action: Action,
        actor: Option<UserId>,
        edge: &Edge,
    ) -> Result<(), AccessError> {
        let target = Target {
            kind: TargetKind::Edge,
            id: edge.id.as_uuid(),
        };
        let detail = Some(json!({ "name": edge.name }));
        self.activity
            .record(
                tx,
                Entry {
                    action,
                    actor,
                    target,
                    workspace: None,
                    detail,
                },
            )
            .await
    }
}
