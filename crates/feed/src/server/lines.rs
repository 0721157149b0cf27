//! What edges that keep a part are sent. All edges of one interest get the same frames, each made and signed once, by
//! whoever needs it first; what happens while one is being made is in the next one. So a burst of changes costs an interest
//! a few signatures and not one for each change, and a frame without changes says at once that there were none for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sentinel_core::Revision;

use super::FeedSource;
use crate::interest::{Fingerprint, Interest};
use crate::signed::Signed;

/// At most this many signed frames are kept for an interest, of at most that many bytes together; and the last one,
/// however large it is. Who is further behind is made one of his own, out of the books.
const KEEP: usize = 64;
const KEEP_BYTES: usize = 1 << 20;

/// The interests of the edges that are connected.
#[derive(Default)]
pub(super) struct Lines {
    by: Mutex<HashMap<Fingerprint, Weak<Line>>>,
}

/// What the edges of one interest are sent.
pub(super) struct Line {
    interest: Interest,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    edition: u64,
    frames: Kept,
    /// Frames for edges that stand where no other does, for others of a herd.
    detours: Kept,
}

/// The last frames that were made.
#[derive(Default)]
struct Kept {
    frames: VecDeque<Sealed>,
    bytes: usize,
}

/// A signed frame.
#[derive(Clone)]
pub(super) struct Sealed {
    from: Revision,
    pub(super) to: Revision,
    pub(super) signed: Signed,
}

impl Lines {
    /// The line of an interest. The last subscriber that has it frees it.
    pub(super) fn of(&self, interest: Interest) -> Arc<Line> {
        let mut by = lock(&self.by);
        if let Some(line) = by.get(&interest.fingerprint()).and_then(Weak::upgrade) {
            return line;
        }
        by.retain(|_, line| line.strong_count() > 0);
        let fingerprint = interest.fingerprint();
        let line = Arc::new(Line {
            interest,
            log: Mutex::default(),
        });
        by.insert(fingerprint, Arc::downgrade(&line));
        line
    }
}

impl Line {
    /// What follows a revision, oldest first; nothing if nothing does. `None`: the books do not reach back so far, or are
    /// not open.
    pub(super) fn since(&self, source: &Arc<dyn FeedSource>, sent: Revision) -> Option<Vec<Sealed>> {
        let books = source.replica().books();
        let edition = books.edition()?;
        let mut log = lock(&self.log);
        if log.edition != edition {
            *log = Log {
                edition,
                ..Log::default()
            };
        }
        let head = books.head(edition)?;
        if sent >= head {
            return (sent.epoch == head.epoch).then(Vec::new);
        }
        let make = |from, to| {
            let frame = books.frame(edition, &self.interest, from, to)?;
            let fingerprint = self.interest.fingerprint();
            let signed = frame.seal_for(fingerprint, |context, payload| source.sign(context, payload));
            Some(Sealed { from, to, signed })
        };
        match log.frames.end() {
            Some(end) if end >= head => {}
            Some(end) if end >= sent => match make(end, head) {
                Some(next) => log.frames.push(next),
                // Nobody was here for so long that the books have forgotten.
                None => log.frames = Kept::default(),
            },
            // Nobody has come this far yet.
            _ => {
                log.frames = Kept::default();
                log.frames.push(make(sent, head)?);
            }
        }
        if let Some(place) = log.frames.place_from(sent) {
            return Some(log.frames.frames.range(place..).cloned().collect());
        }
        // Somewhere in between: one that leads to where the others are.
        let known = log.detours.place_from(sent);
        if let Some(known) = known.and_then(|place| log.detours.frames.get(place)) {
            return Some(vec![known.clone()]);
        }
        let detour = make(sent, log.frames.end().unwrap_or(head))?;
        log.detours.push(detour.clone());
        Some(vec![detour])
    }
}

impl Kept {
    /// Where the last one leads.
    fn end(&self) -> Option<Revision> {
        self.frames.back().map(|last| last.to)
    }

    fn place_from(&self, revision: Revision) -> Option<usize> {
        self.frames.iter().position(|sealed| sealed.from == revision)
    }

    fn push(&mut self, sealed: Sealed) {
        self.bytes += sealed.signed.size();
        self.frames.push_back(sealed);
        while self.frames.len() > KEEP || (self.bytes > KEEP_BYTES && self.frames.len() > 1) {
            let Some(oldest) = self.frames.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.signed.size());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
