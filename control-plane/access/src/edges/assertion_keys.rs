//! The keys that edges sign assertions with. What is known here is their public half: it is published as long as its edge
//! is enrolled, and never again after that edge was revoked, whoever announces it.
//!
//! A key belongs to the edge that announced it first. Otherwise an edge that copied another one's public key from the
//! published document could make itself the author of what the other one signed.

use std::time::Duration;

use sentinel_core::Timestamp;
use sentinel_core::id::EdgeId;
use sentinel_store::Tx;

use super::Edges;
use super::repository::assertion_keys as rows;
use crate::error::AccessError;

/// As many keys as one edge has at most: there is one for each state directory, and an edge that loses its own makes
/// another key.
const AT_MOST: i64 = 4;

/// How long a key that is not seen any more stays when another one comes.
const UNSEEN: Duration = Duration::from_hours(24);

/// How often it is written down that a key is in use.
const NOTED_EVERY: Duration = Duration::from_hours(1);

/// A key as its edge announces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnouncedKey {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    /// Ed25519.
    pub public_key: [u8; 32],
}

/// A key that services may verify with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    /// The name of the edge that signs with it.
    pub edge: String,
    /// Ed25519.
    pub public_key: [u8; 32],
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) edge: EdgeId,
    pub(super) last_seen_at: Timestamp,
    /// Whether its edge was revoked.
    pub(super) is_withdrawn: bool,
}

impl Edges {
    /// Whether [`Edges::announce`] would write or refuse anything. It is asked first, so that an edge that comes back does
    /// not wait for the writer.
    pub async fn is_news(&self, tx: &mut Tx, edge: EdgeId, kid: &str) -> Result<bool, AccessError> {
        let known = rows::find(tx, kid).await?;
        Ok(!known.is_some_and(|known| known.edge == edge && !known.is_withdrawn && self.is_noted(&known)))
    }

    /// Notes that the edge signs with this key, and forgets keys that it does not sign with any more.
    ///
    /// # Errors
    /// [`AccessError::AssertionKeyTaken`] if it is another edge's; [`AccessError::AssertionKeyWithdrawn`] if it is that of an
    /// edge that was revoked; [`AccessError::EdgeNotFound`] if the edge is not enrolled any more.
    pub async fn announce(&self, tx: &mut Tx, edge: EdgeId, key: &AnnouncedKey) -> Result<(), AccessError> {
        let now = self.sources.now();
        match rows::find(tx, &key.kid).await? {
            Some(known) if known.is_withdrawn => return Err(AccessError::AssertionKeyWithdrawn),
            Some(known) if known.edge != edge => return Err(AccessError::AssertionKeyTaken),
            Some(known) if self.is_noted(&known) => {}
            Some(_) => rows::mark_seen(tx, &key.kid, now).await?,
            None => {
                if !self.is_enrolled(tx, edge).await? {
                    return Err(AccessError::EdgeNotFound);
                }
                rows::insert(tx, edge, key, now).await?;
                rows::prune(tx, edge, now - UNSEEN, AT_MOST).await?;
            }
        }
        Ok(())
    }

    /// The keys of all enrolled edges, by the age of the edges.
    pub async fn assertion_keys(&self, tx: &mut Tx) -> Result<Vec<PublishedKey>, AccessError> {
        Ok(rows::published(tx).await?)
    }

    fn is_noted(&self, known: &Known) -> bool {
        known.last_seen_at + NOTED_EVERY > self.sources.now()
    }
}
