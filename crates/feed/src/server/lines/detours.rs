//! Frames for edges that stand where the others of their line do not: each is made once for all who stand there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sentinel_core::Revision;
use tokio::time::Instant;

use crate::server::making::Sealed;

/// At most this many signed frames are kept for those who stand elsewhere, of at most that many bytes together; and the
/// last one, however large it is.
const KEEP: usize = 64;
const KEEP_BYTES: usize = 8 << 20;

/// For how long a frame for those who stand elsewhere is given to others though the line went on: they are led on from
/// where it ends, together.
const FRESH: Duration = Duration::from_millis(20);

/// The frames that were made last.
#[derive(Default)]
pub(super) struct Detours {
    frames: VecDeque<Detour>,
    bytes: usize,
}

struct Detour {
    sealed: Arc<Sealed>,
    /// It leads as far as one frame may.
    is_part: bool,
    made: Instant,
}

/// Of those who stand elsewhere one makes the frame, and the others who stand there too wait for that.
#[derive(Default)]
pub(super) struct Slots {
    by: Mutex<HashMap<Revision, Weak<tokio::sync::Mutex<()>>>>,
}

impl Detours {
    /// A frame that leads from a revision to where the line is, or as far towards it as is good enough.
    pub(super) fn find(&self, from: Revision, at: Revision) -> Option<Arc<Sealed>> {
        let leads = |detour: &&Detour| {
            let sealed = &detour.sealed;
            let is_good = sealed.to == at || detour.is_part || detour.made.elapsed() < FRESH;
            sealed.from == from && is_good
        };
        let found = self.frames.iter().rev().find(leads);
        found.map(|detour| Arc::clone(&detour.sealed))
    }

    /// Keeps a frame that was made now, when the line was at a revision.
    pub(super) fn push(&mut self, sealed: Arc<Sealed>, at: Revision) {
        self.bytes += sealed.signed.size();
        self.frames.push_back(Detour {
            is_part: sealed.to < at,
            sealed,
            made: Instant::now(),
        });
        while self.frames.len() > KEEP || (self.bytes > KEEP_BYTES && self.frames.len() > 1) {
            let Some(oldest) = self.frames.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.sealed.signed.size());
        }
    }
}

impl Slots {
    /// Held by whoever makes the frame from a revision.
    pub(super) fn of(&self, from: Revision) -> Arc<tokio::sync::Mutex<()>> {
        let mut slots = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&from).and_then(Weak::upgrade) {
            return slot;
        }
        slots.retain(|_, slot| slot.strong_count() > 0);
        let slot = Arc::default();
        slots.insert(from, Arc::downgrade(&slot));
        slot
    }
}
