//! SQL of edges. They belong to the installation, and to no tenant.

pub(super) mod assertion_keys;

use sentinel_core::Timestamp;
use sentinel_core::id::EdgeId;
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_optional, fetch_scalar_optional};
use uuid::Uuid;

use super::Edge;

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    created_at: Timestamp,
    revoked_at: Option<Timestamp>,
    last_seen_at: Option<Timestamp>,
}

impl From<Row> for Edge {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
            last_seen_at: row.last_seen_at,
        }
    }
}

pub(super) async fn list(tx: &mut Tx) -> Result<Vec<Edge>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT id, name, created_at, revoked_at, last_seen_at FROM edges ORDER BY created_at, id"
    )
    .await?;
    Ok(rows.into_iter().map(Edge::from).collect())
}

pub(super) async fn find(tx: &mut Tx, edge: EdgeId) -> Result<Option<Edge>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, name, created_at, revoked_at, last_seen_at FROM edges WHERE id = $1",
        edge.as_uuid()
    )
    .await?;
    Ok(row.map(Edge::from))
}

/// The edge with this key that was not revoked.
pub(super) async fn find_by_digest(tx: &mut Tx, digest: &[u8; 32]) -> Result<Option<EdgeId>, StoreError> {
    let id = fetch_scalar_optional!(
        tx,
        Uuid,
        "SELECT id FROM edges WHERE key_digest = $1 AND revoked_at IS NULL",
        digest.as_slice()
    )
    .await?;
    Ok(id.map(EdgeId::from))
}

pub(super) async fn insert(tx: &mut Tx, edge: &Edge, digest: &[u8; 32]) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO edges (id, name, key_digest, created_at) VALUES ($1, $2, $3, $4)",
        edge.id.as_uuid(),
        edge.name.as_str(),
        digest.as_slice(),
        edge.created_at
    )
    .await?;
    Ok(())
}

pub(super) async fn revoke(tx: &mut Tx, edge: EdgeId, now: Timestamp) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE edges SET revoked_at = $2 WHERE id = $1",
        edge.as_uuid(),
        now
    )
    .await?;
    Ok(())
}

pub(super) async fn mark_seen(tx: &mut Tx, edge: EdgeId, now: Timestamp) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE edges SET last_seen_at = $2 WHERE id = $1",
        edge.as_uuid(),
        now
    )
    .await?;
    Ok(())
}
