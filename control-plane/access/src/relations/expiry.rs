//! Tuples whose end has come: they hold nowhere any more, and go.

use sentinel_core::Change;
use sentinel_store::WriteTx;

use super::repository::tuples as rows;
use super::{MAX_CHANGES, Relations};
use crate::error::AccessError;
use crate::projection;

impl Relations {
    /// Deletes tuples of all services whose end has come, the oldest first, at most [`MAX_CHANGES`] at a time, and says how
    /// many. As changes, so that all replicas have the same tuples.
    pub async fn purge_expired(&self, tx: &mut WriteTx) -> Result<usize, AccessError> {
        let limit = i64::try_from(MAX_CHANGES).unwrap_or(i64::MAX);
        let gone = rows::delete_expired(tx, self.sources.now(), limit).await?;
        tx.record_all(
            gone.iter()
                .map(|row| Change::Delete(projection::relation_tuple(row))),
        );
        Ok(gone.len())
    }
}
