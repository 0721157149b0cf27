//! SQL of `signing_keys`.

use sentinel_core::Timestamp;
use sentinel_core::fact::SigningKeyFact;
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_optional};

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Token,
    Feed,
}

impl Purpose {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Feed => "feed",
        }
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct CurrentRow {
    pub(super) kid: String,
    pub(super) private_key: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
pub(super) struct KeyRow {
    pub(super) kid: String,
    pub(super) public_jwk: String,
    pub(super) position: i64,
    pub(super) created_at: Timestamp,
    pub(super) publish_until: Option<Timestamp>,
}

impl KeyRow {
    pub(super) fn position(&self) -> Result<u32, StoreError> {
        u32::try_from(self.position).map_err(|_| StoreError::corrupt("signing_keys", "position", &self.kid))
    }

    pub(super) fn fact(&self) -> Result<SigningKeyFact, StoreError> {
        Ok(SigningKeyFact {
            kid: self.kid.clone(),
            jwk: self.public_jwk.clone(),
            position: self.position()?,
        })
    }
}

pub(super) struct NewKey<'a> {
    pub(super) kid: &'a str,
    pub(super) purpose: Purpose,
    pub(super) algorithm: &'a str,
    pub(super) public_jwk: &'a str,
    pub(super) private_key: &'a [u8],
    pub(super) now: Timestamp,
}

pub(super) async fn current(tx: &mut Tx, purpose: Purpose) -> Result<Option<CurrentRow>, StoreError> {
    fetch_optional!(
        tx,
        CurrentRow,
        "SELECT kid, private_key FROM signing_keys WHERE kind = $1 AND position = 0",
        purpose.as_str()
    )
    .await
}

/// The public token keys, the current one first.
pub(super) async fn published(tx: &mut Tx) -> Result<Vec<KeyRow>, StoreError> {
    fetch_all!(
        tx,
        KeyRow,
        "SELECT kid, public_jwk, position, created_at, publish_until FROM signing_keys
         WHERE kind = 'token' ORDER BY position, kid"
    )
    .await
}

pub(super) async fn exists(tx: &mut Tx, kid: &str) -> Result<bool, StoreError> {
    let row = fetch_optional!(
        tx,
        KeyRow,
        "SELECT kid, public_jwk, position, created_at, publish_until FROM signing_keys WHERE kid = $1",
        kid
    )
    .await?;
    Ok(row.is_some())
}

pub(super) async fn insert(tx: &mut Tx, key: &NewKey<'_>) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO signing_keys (kid, kind, algorithm, public_jwk, private_key, position, created_at)
         VALUES ($1, $2, $3, $4, $5, 0, $6)",
        key.kid,
        key.purpose.as_str(),
        key.algorithm,
        key.public_jwk,
        key.private_key,
        key.now
    )
    .await?;
    Ok(())
}

/// Moves every token key one place back. The private half of what does not sign any more is forgotten.
pub(super) async fn retire(tx: &mut Tx, now: Timestamp, publish_until: Timestamp) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE signing_keys
         SET position = position + 1, private_key = NULL,
             retired_at = COALESCE(retired_at, $1), publish_until = COALESCE(publish_until, $2)
         WHERE kind = 'token'",
        now,
        publish_until
    )
    .await?;
    Ok(())
}

/// Forgets the token keys that need not be published any more.
pub(super) async fn delete_expired(tx: &mut Tx, now: Timestamp) -> Result<Vec<KeyRow>, StoreError> {
    fetch_all!(
        tx,
        KeyRow,
        "DELETE FROM signing_keys WHERE kind = 'token' AND position > 0 AND publish_until <= $1
         RETURNING kid, public_jwk, position, created_at, publish_until",
        now
    )
    .await
}
