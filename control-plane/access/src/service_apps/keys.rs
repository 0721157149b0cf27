//! Keys of service apps: at most two work at a time, so that a service changes its key without an outage.

use std::fmt;
use std::time::Duration;

use sentinel_core::Timestamp;
use sentinel_core::id::{ServiceAppId, ServiceKeyId, UserId};
use sentinel_store::{Tx, WriteTx};
use serde_json::json;

use super::{ServiceApp, ServiceApps, repository};
use crate::activity::Action;
use crate::error::AccessError;
use crate::projection;

/// A key as the database may know it.
#[derive(Clone, PartialEq, Eq)]
pub struct HashedKey {
    /// SHA-256 of the whole key.
    pub digest: [u8; 32],
    /// What people may see of it, for example `sk_ab12****`.
    pub prefix: String,
}

impl fmt::Debug for HashedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashedKey({})", self.prefix)
    }
}

/// A key that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceKey {
    /// Which.
    pub id: ServiceKeyId,
    /// SHA-256 of the whole key.
    pub digest: [u8; 32],
    /// What people may see of it.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working; `None` for the current one.
    pub expires_at: Option<Timestamp>,
}

impl ServiceApps {
    /// The app's keys that work, the current one first.
    pub async fn keys(&self, tx: &mut Tx, app: ServiceAppId) -> Result<Vec<ServiceKey>, AccessError> {
        Ok(repository::keys_of(tx, app).await?)
    }

    /// Gives the app a new key. The one it had works on for `overlap`; one from before that, at once no more.
    pub async fn rotate_key(
        &self,
        tx: &mut WriteTx,
        actor: Option<UserId>,
        app: ServiceAppId,
        key: HashedKey,
        overlap: Duration,
    ) -> Result<ServiceApp, AccessError> {
        let mut app = self.get(tx, app).await?;
        let now = self.sources.now();
        let before = repository::keys_of(tx, app.id).await?;
        let new = self.new_key(key);
        let mut after = vec![new.clone()];
        if let Some(current) = before.iter().find(|key| key.expires_at.is_none())
            && let Some(end) = end_of(now, overlap)
        {
            after.push(ServiceKey {
                expires_at: Some(end),
                ..current.clone()
            });
        }
        repository::retire_keys(tx, app.id, now).await?;
        if let Some(old) = after.get(1) {
            repository::keep_as_previous(tx, app.id, old).await?;
        }
        repository::insert_key(tx, app.id, &new).await?;
        app.key_prefix = new.prefix;
        app.updated_at = now;
        repository::update(tx, &app).await?;
        let (was, is) = (
            projection::service_app(&app, &before),
            projection::service_app(&app, &after),
        );
        tx.record_all(projection::difference(&was, is));
        let detail = json!({ "name": app.name, "overlap_seconds": overlap.as_secs() });
        self.record(tx, Action::ServiceAppKeyRotated, actor, &app, detail)
            .await?;
        Ok(app)
    }

    /// Takes keys whose end has come out of the replicated state, where they have stopped working already. Run now and
    /// then; how many there were.
    pub async fn purge_expired_keys(&self, tx: &mut WriteTx) -> Result<usize, AccessError> {
        let now = self.sources.now();
        let mut purged = 0;
        for app in repository::with_expired_keys(tx, now).await? {
            let before = repository::keys_of(tx, app.id).await?;
            repository::retire_expired_keys(tx, app.id, now).await?;
            let after = repository::keys_of(tx, app.id).await?;
            purged += before.len().saturating_sub(after.len());
            let (was, is) = (
                projection::service_app(&app, &before),
                projection::service_app(&app, &after),
            );
            tx.record_all(projection::difference(&was, is));
        }
        Ok(purged)
    }

    /// Writes down when keys were used, all at once. Digests of keys that are gone are passed over.
    pub async fn record_use(&self, tx: &mut Tx, uses: &[([u8; 32], Timestamp)]) -> Result<(), AccessError> {
        for (digest, at) in uses {
            repository::mark_used(tx, digest, *at).await?;
        }
        Ok(())
    }

    pub(super) fn new_key(&self, key: HashedKey) -> ServiceKey {
        let now = self.sources.now();
        ServiceKey {
            id: ServiceKeyId::generate(now, self.sources.random()),
            digest: key.digest,
            prefix: key.prefix,
            created_at: now,
            expires_at: None,
        }
    }
}

/// When an old key ends; `None`: at once. An overlap beyond what time can count is one without a practical end.
fn end_of(now: Timestamp, overlap: Duration) -> Option<Timestamp> {
    if overlap.is_zero() {
        return None;
    }
    let micros = i64::try_from(overlap.as_micros()).unwrap_or(i64::MAX);
    let end = now.timestamp_micros().saturating_add(micros);
    Some(Timestamp::from_timestamp_micros(end).unwrap_or(Timestamp::MAX_UTC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_overlap_is_an_end_at_once() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(end_of(now, Duration::ZERO), None);
        assert_eq!(end_of(now, Duration::from_mins(1)).expect("end").timestamp(), 60);
    }

    #[test]
    fn a_key_is_not_printed_with_its_digest() {
        let key = HashedKey {
            digest: [7; 32],
            prefix: "sk_ab12****".to_owned(),
        };
        assert_eq!(format!("{key:?}"), "HashedKey(sk_ab12****)");
    }
}
