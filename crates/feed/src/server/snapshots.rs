//! Snapshots for edges that have none. One is made for all that ask at about the same time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use sentinel_core::Revision;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::FeedSource;
use crate::signed::Signed;
use crate::snapshot::encode;

/// How long a snapshot is given to others who ask. What changed since then follows as frames.
const FRESH: Duration = Duration::from_secs(2);

/// How many edges download at a time. It bounds the memory that slow ones can hold.
const DOWNLOADS: usize = 8;

/// A snapshot that is being sent to edges. The last one who has it frees it.
pub(super) struct Snapshot {
    pub(super) manifest: Signed,
    pub(super) body: Bytes,
    made: Instant,
    revision: Revision,
}

pub(super) struct Snapshots {
    last: Mutex<Weak<Snapshot>>,
    pub(super) downloads: Arc<Semaphore>,
}

impl Snapshots {
    pub(super) fn new() -> Self {
        Self {
            last: Mutex::new(Weak::new()),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
        }
    }

    /// A snapshot that is at most a moment old; `None` if the encoder died.
    pub(super) async fn get(&self, source: &Arc<dyn FeedSource>) -> Option<Arc<Snapshot>> {
        // Held while one is made, so that all who ask meanwhile get that one.
        let mut last = self.last.lock().await;
        let state = source.replica().load_full();
        let revision = state.revision();
        if let Some(snapshot) = last.upgrade()
            && snapshot.revision.epoch == revision.epoch
            // A newer one is from a history that was rolled back.
            && snapshot.revision <= revision
            && snapshot.made.elapsed() < FRESH
        {
            return Some(snapshot);
        }
        let made = Instant::now();
        let encoded = tokio::task::spawn_blocking(move || encode(&state)).await.ok()?;
        let manifest = encoded
            .manifest
            .seal(|context, payload| source.sign(context, payload));
        let snapshot = Arc::new(Snapshot {
            manifest,
            body: encoded.body.into(),
            made,
            revision,
        });
        *last = Arc::downgrade(&snapshot);
        Some(snapshot)
    }
}
