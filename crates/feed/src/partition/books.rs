//! The ledger of a replica: opened when the first edge comes that keeps only a part, and made anew whenever the state was
//! replaced. What changes while it is being made is taken down and entered at the end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sentinel_core::Revision;
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};
use tokio::time::timeout;

use super::effects::Effects;
use super::ledger::Ledger;
use crate::digest::Digest;
use crate::frame::Frame;
use crate::interest::Interest;
use crate::machine;
use crate::state::ReplicaState;

/// More changes than this are not taken down while the ledger is being made: it is begun again.
const PENDING: usize = 50_000;

/// The right to make them.
pub(crate) type Turn = OwnedMutexGuard<()>;

#[derive(Default)]
pub(crate) struct Books {
    book: Mutex<Book>,
    /// One makes them, the others wait.
    making: Arc<Turns<()>>,
    /// Counts the ledgers: what was made by one is not to be mixed with what another says.
    editions: AtomicU64,
}

#[derive(Default)]
enum Book {
    #[default]
    Closed,
    Opening {
        edition: u64,
        pending: Vec<Effects>,
    },
    Open {
        edition: u64,
        ledger: Box<Ledger>,
    },
}

impl Books {
    /// A frame is about to be published.
    pub(crate) fn note(&self, before: &ReplicaState, after: &ReplicaState, frame: &Arc<Frame>) {
        let mut book = self.book();
        let is_kept = match &mut *book {
            Book::Closed => true,
            Book::Opening { pending, .. } => {
                pending.push(Effects::new(before, after, frame));
                pending.len() <= PENDING
            }
            Book::Open { ledger, .. } => {
                let kept = ledger.push(&Effects::new(before, after, frame));
                if kept.is_err() {
                    tracing::warn!(
                        revision = %frame.to,
                        "something went over to another workspace: edges that keep a part fetch it anew"
                    );
                }
                kept.is_ok()
            }
        };
        if !is_kept {
            *book = Book::Closed;
        }
    }

    /// The state was replaced, or the books were found to be wrong.
    pub(crate) fn close(&self) {
        *self.book() = Book::Closed;
    }

    /// The right to make them, if nobody is making them.
    pub(crate) fn turn(&self) -> Option<Turn> {
        Arc::clone(&self.making).try_lock_owned().ok()
    }

    /// Waits until whoever is making them is done, but no longer than `limit`.
    pub(crate) async fn made(&self, limit: Duration) {
        timeout(limit, self.making.lock()).await.ok();
    }

    /// Opens them, if they are not. `present` takes the state between two frames and calls back before the next one.
    pub(crate) async fn open(&self, _turn: Turn, present: impl Fn(&dyn Fn()) -> Arc<ReplicaState>) {
        while !self.is_open() {
            let made = self.editions.fetch_add(1, Ordering::Relaxed);
            let begin = || {
                *self.book() = Book::Opening {
                    edition: made,
                    pending: Vec::new(),
                };
            };
            let state = present(&begin);
            let Ok(mut ledger) = machine::blocking(move || Ledger::of_state(&state)).await else {
                return;
            };
            let mut book = self.book();
            // Closed meanwhile: begun again.
            let Book::Opening { edition, pending } = &*book else {
                continue;
            };
            let edition = *edition;
            let entered = pending.iter().try_for_each(|effects| ledger.push(effects));
            *book = match entered {
                Ok(()) => Book::Open {
                    edition,
                    ledger: Box::new(ledger),
                },
                Err(_) => Book::Closed,
            };
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(*self.book(), Book::Open { .. })
    }

    /// Which edition this is; `None` while they are not open.
    pub(crate) fn edition(&self) -> Option<u64> {
        match &*self.book() {
            Book::Open { edition, .. } => Some(*edition),
            _ => None,
        }
    }

    /// How far an edition goes; `None` if it is not the present one.
    pub(crate) fn head(&self, of: u64) -> Option<Revision> {
        self.with(of, |ledger| Some(ledger.head()))
    }

    /// The digest of what an interest has of the state at a revision.
    pub(crate) fn digest(&self, interest: &Interest, at: Revision) -> Option<Digest> {
        match &mut *self.book() {
            Book::Open { ledger, .. } => ledger.digest_of(interest, at),
            _ => None,
        }
    }

    /// What changed for an interest after a revision up to another, or up to an earlier one where that has `most` changes
    /// already.
    pub(crate) fn frame(
        &self,
        of: u64,
        interest: &Interest,
        from: Revision,
        to: Revision,
        most: usize,
    ) -> Option<Frame> {
        // Only found under the lock, which the next change waits for, and put together after it.
        let way = self.with(of, |ledger| ledger.way(interest, from, to, most))?;
        Some(way.frame(interest))
    }

    fn with<T>(&self, of: u64, ask: impl FnOnce(&mut Ledger) -> Option<T>) -> Option<T> {
        match &mut *self.book() {
            Book::Open { edition, ledger } if *edition == of => ask(ledger),
            _ => None,
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Books")
            .field("edition", &self.edition())
            .finish_non_exhaustive()
    }
}
