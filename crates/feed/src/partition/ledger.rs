//! The digest of every partition, kept up with each change, and the last changes sorted by partition: what is needed to
//! say to edges that keep a part what is true of their part.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::{Change, Fact, Revision};
use tokio::time::Instant;

use super::effects::Effects;
use super::homes::{Homes, Moved};
use super::{Partition, partition_of};
use crate::digest::Digest;
use crate::frame::Frame;
use crate::interest::{Fingerprint, Interest};
use crate::merge::last_words;
use crate::state::ReplicaState;

/// At most this many frames are kept, with at most so many changes together.
const STEPS: usize = 10_000;
const CHANGES: usize = 200_000;

/// The frames of so long are kept however many they are: those who wait for them are about to come. The last one always is.
const LEAST: Duration = Duration::from_secs(1);

/// Of so many interests the digest is kept at hand; of others it is added up again.
const INTERESTS: usize = 4_096;

pub(super) struct Ledger {
    sums: HashMap<Partition, Digest>,
    homes: Homes,
    head: Revision,
    /// The last frames without a gap, oldest first; one for each revision.
    steps: VecDeque<Arc<Step>>,
    changes: usize,
    at_hand: HashMap<Fingerprint, (Revision, Digest)>,
}

struct Step {
    frame: Arc<Frame>,
    /// The partitions that it touches, and what it does to their digests.
    parts: Vec<Part>,
    /// To which of them each change belongs.
    of: Vec<usize>,
    /// When it was taken in.
    at: Instant,
}

struct Part {
    partition: Partition,
    delta: Digest,
    changes: usize,
}

/// The steps from one revision to another, for an interest.
pub(super) struct Way {
    from: Revision,
    to: Revision,
    steps: Vec<Arc<Step>>,
    digest: Digest,
}

impl Ledger {
    /// Of a whole state: takes a while.
    pub(super) fn of_state(state: &ReplicaState) -> Self {
        let homes = Homes::of_state(state);
        let mut sums: HashMap<Partition, Digest> = HashMap::new();
        for fact in state.facts() {
            let sum = sums.entry(partition_of(&fact, &homes)).or_default();
            *sum = sum.plus(Digest::of(&fact));
        }
        Self {
            sums,
            homes,
            head: state.revision(),
            steps: VecDeque::new(),
            changes: 0,
            at_hand: HashMap::new(),
        }
    }

    /// Takes in the next frame.
    pub(super) fn push(&mut self, effects: &Effects) -> Result<(), Moved> {
        let frame = &effects.frame;
        if frame.from != self.head {
            return Err(Moved);
        }
        let touched = self.homes.change(&effects.changed)?;
        let mut step = Step {
            frame: Arc::clone(frame),
            parts: Vec::new(),
            of: Vec::with_capacity(frame.changes.len()),
            at: Instant::now(),
        };
        // A frame can touch as many partitions as it has changes.
        let mut places = HashMap::new();
        for change in &frame.changes {
            let place = step.place(partition_of(change.fact(), &self.homes), &mut places);
            step.of.push(place);
            if let Some(part) = step.parts.get_mut(place) {
                part.changes += 1;
            }
        }
        for (before, after) in &effects.changed {
            let Some(fact) = after.as_ref().or(before.as_ref()) else {
                continue;
            };
            let place = step.place(partition_of(fact, &self.homes), &mut places);
            if let Some(part) = step.parts.get_mut(place) {
                part.delta = part
                    .delta
                    .plus(digest_of(after.as_ref()))
                    .minus(digest_of(before.as_ref()));
            }
        }
        self.homes.forget(&touched);
        for part in &step.parts {
            let sum = self.sums.entry(part.partition.clone()).or_default();
            *sum = sum.plus(part.delta);
        }
        // Of nothing, as if it had never been: the digest of no facts.
        for part in &step.parts {
            if self.sums.get(&part.partition) == Some(&Digest::EMPTY) {
                self.sums.remove(&part.partition);
            }
        }
        self.head = frame.to;
        self.changes += frame.changes.len();
        let now = step.at;
        self.steps.push_back(Arc::new(step));
        let is_old = |step: &Arc<Step>| now.duration_since(step.at) >= LEAST;
        while (self.steps.len() > STEPS || self.changes > CHANGES) && self.steps.front().is_some_and(is_old) {
            let Some(oldest) = self.steps.pop_front() else {
                break;
            };
            self.changes = self.changes.saturating_sub(oldest.frame.changes.len());
        }
        Ok(())
    }

    pub(super) fn head(&self) -> Revision {
        self.head
    }

    /// The digest of what an interest has of the state at a revision; `None` if that was too long ago.
    pub(super) fn digest_of(&mut self, interest: &Interest, at: Revision) -> Option<Digest> {
        let fingerprint = interest.fingerprint();
        let known = self.at_hand.get(&fingerprint).copied();
        let (mut from, mut digest) = known.unwrap_or_else(|| (self.head, self.sum(interest)));
        if from.epoch != at.epoch || self.place_after(from).is_none() {
            (from, digest) = (self.head, self.sum(interest));
        }
        let (begin, end) = (self.place_after(from)?, self.place_after(at)?);
        let moved = |steps: std::collections::vec_deque::Iter<'_, Arc<Step>>| {
            steps.fold(Digest::EMPTY, |sum, step| sum.plus(step.delta(interest)))
        };
        digest = if begin <= end {
            digest.plus(moved(self.steps.range(begin..end)))
        } else {
            digest.minus(moved(self.steps.range(end..begin)))
        };
        if at >= from {
            if self.at_hand.len() >= INTERESTS {
                self.at_hand.clear();
            }
            self.at_hand.insert(fingerprint, (at, digest));
        }
        Some(digest)
    }

    /// The way from one revision to another for an interest, or to an earlier one beyond which there would be more than
    /// `most` changes; `None` if that was too long ago.
    pub(super) fn way(
        &mut self,
        interest: &Interest,
        from: Revision,
        to: Revision,
        most: usize,
    ) -> Option<Way> {
        let (begin, end) = (self.place_after(from)?, self.place_after(to)?);
        if begin > end {
            return None;
        }
        let mut changes = 0;
        let fits = |step: &&Arc<Step>| {
            let is_first = changes == 0;
            changes += step.count(interest);
            is_first || changes <= most
        };
        let steps: Vec<Arc<Step>> = self.steps.range(begin..end).take_while(fits).cloned().collect();
        let to = steps.last().map_or(from, |step| step.frame.to);
        Some(Way {
            from,
            to,
            steps,
            digest: self.digest_of(interest, to)?,
        })
    }

    fn sum(&self, interest: &Interest) -> Digest {
        let parts = self.sums.iter();
        parts
            .filter(|(partition, _)| partition.is_in(interest))
            .fold(Digest::EMPTY, |sum, (_, part)| sum.plus(*part))
    }

    /// The place of the first step after a revision, which may be behind the last one.
    fn place_after(&self, revision: Revision) -> Option<usize> {
        let begin = self.steps.front().map_or(self.head, |step| step.frame.from);
        if revision.epoch != begin.epoch || revision > self.head {
            return None;
        }
        // Revisions have no gaps, and each has a step.
        usize::try_from(revision.number.checked_sub(begin.number)?).ok()
    }
}

impl Way {
    /// One frame with everything that changed for the interest.
    pub(super) fn frame(&self, interest: &Interest) -> Frame {
        let changes = self.steps.iter().flat_map(|step| step.changes(interest));
        Frame {
            from: self.from,
            to: self.to,
            changes: last_words(changes.cloned().collect()),
            digest: self.digest,
        }
    }
}

impl Step {
    /// The place of a partition among the parts, which `places` has for those that are there.
    fn place(&mut self, partition: Partition, places: &mut HashMap<Partition, usize>) -> usize {
        *places.entry(partition).or_insert_with_key(|partition| {
            self.parts.push(Part {
                partition: partition.clone(),
                delta: Digest::EMPTY,
                changes: 0,
            });
            self.parts.len() - 1
        })
    }

    fn delta(&self, interest: &Interest) -> Digest {
        self.parts_of(interest)
            .fold(Digest::EMPTY, |sum, part| sum.plus(part.delta))
    }

    /// How many of its changes are of an interest.
    fn count(&self, interest: &Interest) -> usize {
        self.parts_of(interest).map(|part| part.changes).sum()
    }

    fn parts_of(&self, interest: &Interest) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.partition.is_in(interest))
    }

    fn changes(&self, interest: &Interest) -> impl Iterator<Item = &Change> {
        let wanted: Vec<bool> = self
            .parts
            .iter()
            .map(|part| part.partition.is_in(interest))
            .collect();
        let changes = self.frame.changes.iter().zip(&self.of);
        changes.filter_map(move |(change, place)| wanted.get(*place)?.then_some(change))
    }
}

fn digest_of(fact: Option<&Fact>) -> Digest {
    fact.map_or(Digest::EMPTY, Digest::of)
}
