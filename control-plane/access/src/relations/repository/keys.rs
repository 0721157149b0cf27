//! SQL of idempotency keys.

use sentinel_core::Timestamp;
use sentinel_core::name::ServiceName;
use sentinel_store::{StoreError, Tx, execute, fetch_optional};
use serde_json::Value;
use sqlx::types::Json;

use crate::relations::{Idempotency, IdempotencyKey};

#[derive(sqlx::FromRow)]
struct Row {
    request: Vec<u8>,
    answer: Json<Value>,
}

/// What was asked for under the key, as a digest, and how it was answered.
pub(in crate::relations) async fn find(
    tx: &mut Tx,
    service: &ServiceName,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Option<(Vec<u8>, Value)>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT request, answer FROM idempotency_keys WHERE service_name = $1 AND key = $2 AND expires_at > $3",
        service.as_str(),
        key.as_str(),
        now
    )
    .await?;
    Ok(row.map(|row| (row.request, row.answer.0)))
}

/// Takes down an answer, in place of one whose time is over.
pub(in crate::relations) async fn insert(
    tx: &mut Tx,
    service: &ServiceName,
    asked: &Idempotency,
    answer: &Value,
    until: Timestamp,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO idempotency_keys (service_name, key, request, answer, expires_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (service_name, key)
         DO UPDATE SET request = excluded.request, answer = excluded.answer, expires_at = excluded.expires_at",
        service.as_str(),
        asked.key.as_str(),
        asked.request.as_slice(),
        Json(answer),
        until
    )
    .await?;
    Ok(())
}

pub(in crate::relations) async fn delete_expired(tx: &mut Tx, now: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, "DELETE FROM idempotency_keys WHERE expires_at <= $1", now).await
}
