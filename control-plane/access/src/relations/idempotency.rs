//! Keys by which a write that may have been done is asked for again without being done twice
//! (draft-ietf-httpapi-idempotency-key-header).

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::name::ServiceName;
use sentinel_core::{Revision, Timestamp};
use sentinel_store::{StoreError, Tx, WriteTx};
use serde_json::{Value, json};

use super::Relations;
use super::batch::Request;
use super::repository::keys as rows;
use super::write::{RelationError, Written};
use crate::error::AccessError;

/// For how long a write is remembered by its key.
const KEPT: Duration = Duration::from_hours(24);

/// A key that a service chose for one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A text that is no such key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("1 to 255 printable ASCII characters are expected")]
pub struct InvalidIdempotencyKey;

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let valid =
            (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        valid.then(|| Self(text.to_owned())).ok_or(InvalidIdempotencyKey)
    }
}

impl IdempotencyKey {
    /// The key as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The key of a write, and what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key.
    pub key: IdempotencyKey,
    /// SHA-256 of the request's body.
    pub request: [u8; 32],
}

/// A write that was done under a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remembered<'r> {
    pub(super) service: &'r ServiceName,
    pub(super) asked: &'r Idempotency,
    pub(super) written: Written,
}

impl Remembered<'_> {
    /// The answer to another request under the key.
    ///
    /// # Errors
    /// [`RelationError::KeyReused`] if it asks for something else.
    pub(super) fn answer(&self, asked: &Idempotency) -> Result<Written, RelationError> {
        if asked.request == self.asked.request {
            Ok(self.written)
        } else {
            Err(RelationError::KeyReused)
        }
    }

    /// The answer as it is stored.
    pub(super) fn stored(&self) -> Value {
        let Written {
            written,
            deleted,
            revision,
        } = self.written;
        json!({ "written": written, "deleted": deleted, "revision": revision.to_string() })
    }
}

impl Relations {
    /// For each request the answer of the write that was done under its key, if one was; [`RelationError::KeyReused`] if
    /// something else was asked for under it.
    pub(super) async fn repeated(
        &self,
        tx: &mut Tx,
        requests: &[Arc<Request>],
        now: Timestamp,
    ) -> Result<Vec<Option<Result<Written, RelationError>>>, StoreError> {
        let keys = requests.iter().filter_map(|request| {
            let asked = request.idempotency.as_ref()?;
            Some((&request.service, &asked.key))
        });
        let found = rows::find(tx, keys, now).await?;
        let answer = |request: &Arc<Request>| {
            let Some(asked) = &request.idempotency else {
                return Ok(None);
            };
            let (service, key) = (request.service.as_str(), asked.key.as_str());
            let Some((digest, answer)) = found.get(&(service.to_owned(), key.to_owned())) else {
                return Ok(None);
            };
            if *digest != asked.request {
                return Ok(Some(Err(RelationError::KeyReused)));
            }
            let corrupt = || StoreError::corrupt("idempotency_keys", "answer", format!("{service} {key}"));
            Ok(Some(Ok(written(answer).ok_or_else(corrupt)?)))
        };
        requests.iter().map(answer).collect()
    }

    /// Until when a write of now is remembered.
    pub(super) fn kept_until(now: Timestamp) -> Timestamp {
        now + KEPT
    }

    /// Forgets the keys whose time is over. Says how many there were.
    pub async fn purge_idempotency_keys(&self, tx: &mut WriteTx) -> Result<u64, AccessError> {
        Ok(rows::delete_expired(tx, self.sources.now()).await?)
    }
}

fn written(answer: &Value) -> Option<Written> {
    let revision: Revision = answer.get("revision")?.as_str()?.parse().ok()?;
    Some(Written {
        written: answer.get("written")?.as_u64()?,
        deleted: answer.get("deleted")?.as_u64()?,
        revision,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_printable() {
        for good in ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "a b\"c"] {
            assert!(good.parse::<IdempotencyKey>().is_ok(), "{good}");
        }
        for bad in ["", "a\n", "ä", "\0", &"x".repeat(256)] {
            assert!(bad.parse::<IdempotencyKey>().is_err(), "{bad}");
        }
    }
}
