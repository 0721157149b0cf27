//! SQL of the keys that edges sign assertions with.

use sentinel_core::Timestamp;
use sentinel_core::id::EdgeId;
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_optional};
use uuid::Uuid;

use crate::edges::assertion_keys::{AnnouncedKey, Known, PublishedKey};

#[derive(sqlx::FromRow)]
struct KnownRow {
    edge_id: Uuid,
    last_seen_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct PublishedRow {
    edge_id: Uuid,
    name: String,
    public_key: Vec<u8>,
}

impl TryFrom<PublishedRow> for PublishedKey {
    type Error = StoreError;

    fn try_from(row: PublishedRow) -> Result<Self, StoreError> {
        let public_key = row
            .public_key
            .try_into()
            .map_err(|_| StoreError::corrupt("edge_assertion_keys", "public_key", row.edge_id))?;
        Ok(Self {
            edge: row.name,
            public_key,
        })
    }
}

/// The key of that name, whichever edge's it is.
pub(in crate::edges) async fn find(tx: &mut Tx, kid: &str) -> Result<Option<Known>, StoreError> {
    let row = fetch_optional!(
        tx,
        KnownRow,
        "SELECT k.edge_id, k.last_seen_at, e.revoked_at
           FROM edge_assertion_keys AS k JOIN edges AS e ON e.id = k.edge_id
          WHERE k.kid = $1",
        kid
    )
    .await?;
    Ok(row.map(|row| Known {
        edge: row.edge_id.into(),
        last_seen_at: row.last_seen_at,
        is_withdrawn: row.revoked_at.is_some(),
    }))
}

pub(in crate::edges) async fn insert(
    tx: &mut Tx,
    edge: EdgeId,
    key: &AnnouncedKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO edge_assertion_keys (kid, edge_id, public_key, first_seen_at, last_seen_at)
         VALUES ($1, $2, $3, $4, $4)",
        key.kid.as_str(),
        edge.as_uuid(),
        key.public_key.as_slice(),
        now
    )
    .await?;
    Ok(())
}

pub(in crate::edges) async fn mark_seen(tx: &mut Tx, kid: &str, now: Timestamp) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE edge_assertion_keys SET last_seen_at = $2 WHERE kid = $1",
        kid,
        now
    )
    .await?;
    Ok(())
}

/// Deletes the edge's keys that were not seen since `since`, and of the others all but the latest.
pub(in crate::edges) async fn prune(
    tx: &mut Tx,
    edge: EdgeId,
    since: Timestamp,
    at_most: i64,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM edge_assertion_keys
          WHERE edge_id = $1
            AND (last_seen_at < $2
                 OR kid NOT IN (SELECT kid FROM edge_assertion_keys WHERE edge_id = $1
                                 ORDER BY last_seen_at DESC, first_seen_at DESC, kid LIMIT $3))",
        edge.as_uuid(),
        since,
        at_most
    )
    .await?;
    Ok(())
}

/// The keys of the edges that were not revoked, oldest edge first, and of each the oldest key first.
pub(in crate::edges) async fn published(tx: &mut Tx) -> Result<Vec<PublishedKey>, StoreError> {
    let rows = fetch_all!(
        tx,
        PublishedRow,
        "SELECT k.edge_id, e.name, k.public_key
           FROM edge_assertion_keys AS k JOIN edges AS e ON e.id = k.edge_id
          WHERE e.revoked_at IS NULL
          ORDER BY e.created_at, e.name, e.id, k.first_seen_at, k.kid"
    )
    .await?;
    rows.into_iter().map(PublishedKey::try_from).collect()
}
