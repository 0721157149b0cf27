//! SQL of idempotency keys. Those of several requests go to the database in one statement, as tuples do.

use std::collections::HashMap;

use sentinel_core::Timestamp;
use sentinel_core::name::ServiceName;
use sentinel_store::{Sql, StoreError, Tx, execute, fetch_all};
use serde_json::Value;
use sqlx::types::Json;

use crate::relations::IdempotencyKey;
use crate::relations::idempotency::Remembered;

#[derive(sqlx::FromRow)]
struct Row {
    service_name: String,
    key: String,
    request: Vec<u8>,
    answer: Json<Value>,
}

/// What was asked for under each of the keys of which that is known, as a digest, and how it was answered.
pub(in crate::relations) async fn find<'k>(
    tx: &mut Tx,
    keys: impl IntoIterator<Item = (&'k ServiceName, &'k IdempotencyKey)>,
    now: Timestamp,
) -> Result<HashMap<(String, String), (Vec<u8>, Value)>, StoreError> {
    const FIND: Sql = Sql::each(
        "SELECT k.service_name, k.key, k.request, k.answer
           FROM jsonb_array_elements(CAST(CAST($1 AS TEXT) AS JSONB)) AS w (value)
           JOIN idempotency_keys AS k ON k.service_name = w.value->>0 AND k.key = w.value->>1
          WHERE k.expires_at > $2",
        "SELECT k.service_name, k.key, k.request, k.answer
           FROM json_each($1) AS w
          CROSS JOIN idempotency_keys AS k
          WHERE k.service_name = w.value->>0 AND k.key = w.value->>1 AND k.expires_at > $2",
    );
    let list: Vec<_> = keys
        .into_iter()
        .map(|(service, key)| (service.as_str(), key.as_str()))
        .collect();
    if list.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = fetch_all!(tx, Row, FIND, json(&list)?, now).await?;
    let known = |row: Row| ((row.service_name, row.key), (row.request, row.answer.0));
    Ok(rows.into_iter().map(known).collect())
}

/// Takes down answers, in place of those whose time is over; no key may be there twice.
pub(in crate::relations) async fn insert<'r>(
    tx: &mut Tx,
    remembered: impl IntoIterator<Item = &'r Remembered<'r>>,
    until: Timestamp,
) -> Result<(), StoreError> {
    const INSERT: Sql = Sql::each(
        "INSERT INTO idempotency_keys (service_name, key, request, answer, expires_at)
         SELECT w.value->>0, w.value->>1, decode(w.value->>2, 'hex'), w.value->3, $2
           FROM jsonb_array_elements(CAST(CAST($1 AS TEXT) AS JSONB)) AS w (value)
          WHERE true
             ON CONFLICT (service_name, key)
             DO UPDATE SET request = excluded.request, answer = excluded.answer, expires_at = excluded.expires_at",
        "INSERT INTO idempotency_keys (service_name, key, request, answer, expires_at)
         SELECT w.value->>0, w.value->>1, unhex(w.value->>2), w.value->3, $2
           FROM json_each($1) AS w
          WHERE true
             ON CONFLICT (service_name, key)
             DO UPDATE SET request = excluded.request, answer = excluded.answer, expires_at = excluded.expires_at",
    );
    let line = |kept: &'r Remembered<'r>| {
        let digest = kept.asked.request.map(|byte| format!("{byte:02x}")).concat();
        let key = kept.asked.key.as_str();
        (kept.service.as_str(), key, digest, kept.stored())
    };
    let list: Vec<_> = remembered.into_iter().map(line).collect();
    if !list.is_empty() {
        execute!(tx, INSERT, json(&list)?, until).await?;
    }
    Ok(())
}

pub(in crate::relations) async fn delete_expired(tx: &mut Tx, now: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, "DELETE FROM idempotency_keys WHERE expires_at <= $1", now).await
}

fn json<T: serde::Serialize>(list: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(list).map_err(|error| StoreError::Other(error.into()))
}
