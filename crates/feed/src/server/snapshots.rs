//! Snapshots for edges that have none. One is made for all of an interest that ask at about the same time, and only so
//! many edges fetch one at a time: the others wait for their turn, and those for whom there is no room come again.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use sentinel_core::Revision;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;

use super::FeedSource;
use super::lines::Lines;
use super::passage::leads_on;
use crate::interest::{Fingerprint, Interest};
use crate::machine;
use crate::signed::Signed;
use crate::snapshot::{Encoded, encode};
use crate::state::ReplicaState;

/// How long a snapshot is given to others who ask. What changed since then follows as frames.
const FRESH: Duration = Duration::from_secs(2);

/// How many edges download at a time. It bounds the memory that slow ones can hold, and how many snapshots are made.
const DOWNLOADS: usize = 8;

/// How many edges wait for their turn.
const WAITING: usize = 256;

/// How long they wait: less than an edge waits for the first word.
const TURN: Duration = Duration::from_secs(8);

/// How long a snapshot of a part waits for the books: less than an edge does.
const BOOKS: Duration = Duration::from_secs(8);

/// A snapshot for edges. It is freed when it is not fresh any more and nobody is sent it.
pub(super) struct Snapshot {
    pub(super) manifest: Signed,
    pub(super) body: Bytes,
    made: Instant,
    revision: Revision,
    /// How often the state had been replaced as a whole.
    installs: u64,
}

/// The last snapshot of an interest.
type Slot = Mutex<Weak<Snapshot>>;

pub(super) struct Snapshots {
    last: std::sync::Mutex<HashMap<Fingerprint, Weak<Slot>>>,
    downloads: Arc<Semaphore>,
    waiting: Semaphore,
    /// For copies of a part of the state: one at a time is in memory.
    narrowing: Arc<Semaphore>,
}

/// The right to fetch a snapshot, and the place where those of the interest are found.
pub(super) struct Turn {
    _download: OwnedSemaphorePermit,
    narrowing: Arc<Semaphore>,
    interest: Interest,
    slot: Arc<Slot>,
}

impl Snapshots {
    pub(super) fn new() -> Self {
        Self {
            last: std::sync::Mutex::default(),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
            waiting: Semaphore::new(WAITING),
            narrowing: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self, interest: Interest) -> Result<Turn, Status> {
        let full = || Status::resource_exhausted("too many edges are fetching snapshots, try again");
        let _place = self.waiting.try_acquire().map_err(|_| full())?;
        let download = timeout(TURN, Arc::clone(&self.downloads).acquire_owned()).await;
        let Ok(Ok(download)) = download else {
            return Err(full());
        };
        Ok(Turn {
            _download: download,
            narrowing: Arc::clone(&self.narrowing),
            slot: self.slot(interest.fingerprint()),
            interest,
        })
    }

    fn slot(&self, of: Fingerprint) -> Arc<Slot> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = last.get(&of).and_then(Weak::upgrade) {
            return slot;
        }
        last.retain(|_, slot| slot.strong_count() > 0);
        let slot = Arc::new(Mutex::new(Weak::new()));
        last.insert(of, Arc::downgrade(&slot));
        slot
    }
}

impl Turn {
    /// A snapshot that is at most a moment old and that frames lead on from; `None` if it cannot be made.
    pub(super) async fn snapshot(
        &self,
        source: &Arc<dyn FeedSource>,
        lines: &Lines,
    ) -> Option<Arc<Snapshot>> {
        // Held while one is made, so that all who ask meanwhile get that one.
        let mut last = self.slot.lock().await;
        // First, so that they reach back to the snapshot: no frame would lead on from it else.
        if !self.interest.is_all() && !source.replica().open_books(BOOKS).await {
            tracing::warn!(interest = %self.interest, "a part of the state cannot be given to edges yet");
            return None;
        }
        let installs = source.replica().installs();
        if let Some(snapshot) = last.upgrade()
            // Else it may be one of a history that was rolled back.
            && snapshot.installs == installs
            && snapshot.made.elapsed() < FRESH
            && leads_on(source, &self.interest, snapshot.revision).await.is_ok_and(|leads_on| leads_on)
        {
            return Some(snapshot);
        }
        let made = Instant::now();
        // Where a frame ends that the edges of the line get: one that fetches it to make its journal short has that frame.
        let state = match lines.find(&self.interest) {
            Some(line) => line.end(source).await,
            None => source.replica().load_full(),
        };
        let revision = state.revision();
        let encoded = self.encoded(source, state).await?;
        let manifest = encoded
            .manifest
            .seal(|context, payload| source.sign(context, payload));
        let snapshot = Arc::new(Snapshot {
            manifest,
            body: encoded.body.into(),
            made,
            revision,
            installs,
        });
        *last = Arc::downgrade(&snapshot);
        drop(last);
        // Kept for those who come a moment later, however fast this one is sent.
        let kept = (Arc::clone(&snapshot), Arc::clone(&self.slot));
        tokio::spawn(async move {
            sleep(FRESH).await;
            drop(kept);
        });
        Some(snapshot)
    }

    async fn encoded(&self, source: &Arc<dyn FeedSource>, state: Arc<ReplicaState>) -> Option<Encoded> {
        if self.interest.is_all() {
            return machine::blocking(move || encode(&state)).await.ok();
        }
        let _one = self.narrowing.acquire().await.ok()?;
        let (interest, revision) = (self.interest.clone(), state.revision());
        let narrowed = machine::blocking(move || state.narrowed(&interest).map(|part| encode(&part)));
        let encoded = narrowed
            .await
            .ok()?
            .inspect_err(|error| {
                let error = error as &dyn std::error::Error;
                tracing::error!(error, interest = %self.interest, "a part of the state cannot be given to edges");
            })
            .ok()?;
        let books = source.replica().books();
        let said = books.digest(&self.interest, revision);
        if said.is_some_and(|said| said != encoded.manifest.digest) {
            // What edges hear would differ from what they have for ever.
            tracing::error!(interest = %self.interest, %revision, "the sums of parts of the state are wrong and are made anew");
            books.close();
        }
        Some(encoded)
    }
}
