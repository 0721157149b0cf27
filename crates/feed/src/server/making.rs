//! One frame out of everything that happened between two revisions, made and signed once for all edges of an interest.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::Revision;
use tokio::time::Instant;

use super::{FeedSource, SourceUnavailable};
use crate::digest::Digest;
use crate::frame::Frame;
use crate::interest::Interest;
use crate::merge::last_words;
use crate::signed::Signed;

/// A frame over several revisions takes no more of them once it has so many changes: an edge applies it at once.
pub(super) const MOST: usize = 5_000;

/// A signed frame.
pub(super) struct Sealed {
    pub(super) from: Revision,
    pub(super) to: Revision,
    /// Of the state at its end.
    pub(super) digest: Digest,
    pub(super) signed: Signed,
    /// How often the state had been replaced as a whole before what is in it was looked up; `None` if it may be older.
    pub(super) installs: Option<u64>,
    /// That the state at its end was the newest, if it was when the frame was made.
    pub(super) sighting: Option<Sighting>,
}

/// A moment at which the head was looked at, and what it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    pub(super) head: Revision,
    pub(super) digest: Digest,
    /// How long ago that was known to be the newest.
    pub(super) age: Duration,
    pub(super) at: Instant,
    /// How often the state had been replaced as a whole.
    pub(super) installs: u64,
}

impl Sealed {
    /// Over how many revisions it leads.
    pub(super) fn revisions(&self) -> u64 {
        self.to.number.saturating_sub(self.from.number)
    }

    /// What was seen, for an edge that has this frame and is beyond the head by that: it has all that was true then, and
    /// more. Nothing if the frame is of another history, where it says nothing of this one.
    pub(super) fn beyond(&self, seen: Sighting) -> Option<Sighting> {
        let is_beyond = seen.head < self.to && self.installs == Some(seen.installs);
        is_beyond.then_some(Sighting {
            head: self.to,
            digest: self.digest,
            ..seen
        })
    }
}

/// Makes the frames of one interest.
pub(super) struct Maker<'s> {
    source: &'s Arc<dyn FeedSource>,
    interest: &'s Interest,
    /// Which history it makes them of: what was made of one does not lead on in another.
    edition: u64,
}

impl<'s> Maker<'s> {
    /// Of the present history; `None` while there are no books for those who keep a part.
    pub(super) fn new(source: &'s Arc<dyn FeedSource>, interest: &'s Interest) -> Option<Self> {
        let replica = source.replica();
        let edition = if interest.is_all() {
            replica.installs()
        } else {
            replica.books().edition()?
        };
        Some(Self {
            source,
            interest,
            edition,
        })
    }

    pub(super) fn edition(&self) -> u64 {
        self.edition
    }

    /// How far frames can lead; `None` if the history is over.
    pub(super) fn head(&self) -> Option<Revision> {
        let replica = self.source.replica();
        if self.interest.is_all() {
            Some(replica.load().revision())
        } else {
            replica.books().head(self.edition)
        }
    }

    /// A frame from one revision towards another, as far as one may lead. `None`: the history does not reach back so far.
    pub(super) async fn make(
        &self,
        from: Revision,
        to: Revision,
    ) -> Result<Option<Sealed>, SourceUnavailable> {
        if self.interest.is_all() {
            self.of_everything(from, to).await
        } else {
            Ok(self.of_part(from, to))
        }
    }

    async fn of_everything(&self, from: Revision, to: Revision) -> Result<Option<Sealed>, SourceUnavailable> {
        // First, so that it is not taken for younger than the frames that follow.
        let installs = self.source.replica().installs();
        let seen = sight(self.source);
        let Some(frames) = self.source.frames_since(from).await? else {
            return Ok(None);
        };
        let mut end = from;
        let mut changes = 0;
        let follows = |frame: &&Arc<Frame>| {
            let fits = changes == 0 || changes + frame.changes.len() <= MOST;
            let is_next = frame.from == end && frame.to <= to && fits;
            end = frame.to;
            changes += frame.changes.len();
            is_next
        };
        let frames: Vec<&Arc<Frame>> = frames.iter().take_while(follows).collect();
        Ok(match frames.as_slice() {
            [] => None,
            [only] => Some(self.sealed(only, installs, seen)),
            [.., last] => {
                let changes = frames.iter().flat_map(|frame| frame.changes.iter().cloned());
                let merged = Frame {
                    from,
                    to: last.to,
                    changes: last_words(changes.collect()),
                    digest: last.digest,
                };
                Some(self.sealed(&merged, installs, seen))
            }
        })
    }

    fn of_part(&self, from: Revision, to: Revision) -> Option<Sealed> {
        let installs = self.source.replica().installs();
        let seen = sight(self.source);
        let books = self.source.replica().books();
        let frame = books.frame(self.edition, self.interest, from, to, MOST)?;
        // The books have a change before it is published, and never after: its end is no older than what was seen.
        let seen = seen.filter(|seen| seen.head <= frame.to).map(|seen| Sighting {
            head: frame.to,
            digest: frame.digest,
            ..seen
        });
        Some(self.sealed(&frame, installs, seen))
    }

    fn sealed(&self, frame: &Frame, installs: u64, seen: Option<Sighting>) -> Sealed {
        let is_seen = |seen: &Sighting| seen.head == frame.to && seen.digest == frame.digest;
        let source = self.source;
        Sealed {
            from: frame.from,
            to: frame.to,
            digest: frame.digest,
            installs: Some(installs),
            signed: frame.seal_for(self.interest.fingerprint(), |context, payload| {
                source.sign(context, payload)
            }),
            sighting: seen.filter(is_seen),
        }
    }
}

/// Looks at the head. A control plane that was never in touch itself has nothing to say.
pub(super) fn sight(source: &Arc<dyn FeedSource>) -> Option<Sighting> {
    // First: the age counts from here on, and whatever the machine does in between only makes it older.
    let at = Instant::now();
    let replica = source.replica();
    let installs = replica.installs();
    let (age, state) = replica.sight();
    Some(Sighting {
        head: state.revision(),
        digest: state.digest(),
        age: age?,
        at,
        installs,
    })
}
