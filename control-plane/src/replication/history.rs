//! The last frames, for edges that come back after a moment. An edge that was away for longer fetches a snapshot.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::Revision;
use sentinel_feed::Frame;
use tokio::time::Instant;

/// At most this many frames are kept, with at most so many changes together.
const FRAMES: usize = 10_000;
const CHANGES: usize = 200_000;
/// The frames of so long are kept however many they are: the edges are about to be sent them. The last one always is.
const LEAST: Duration = Duration::from_secs(1);
/// At most this many frames are given out at a time; the edge asks again.
const BATCH: usize = 500;

/// The last frames, oldest first, without a gap.
#[derive(Default)]
pub(super) struct History {
    frames: VecDeque<(Arc<Frame>, Instant)>,
    changes: usize,
}

impl History {
    /// Adds the next frame. One that does not follow the last begins a new history.
    pub(super) fn push(&mut self, frame: Arc<Frame>) {
        self.push_at(frame, Instant::now());
    }

    fn push_at(&mut self, frame: Arc<Frame>, now: Instant) {
        if self.frames.back().is_some_and(|(last, _)| last.to != frame.from) {
            self.clear();
        }
        self.changes += frame.changes.len();
        self.frames.push_back((frame, now));
        let is_old = |(_, at): &(Arc<Frame>, Instant)| now.duration_since(*at) >= LEAST;
        while (self.frames.len() > FRAMES || self.changes > CHANGES)
            && self.frames.front().is_some_and(is_old)
        {
            let Some((oldest, _)) = self.frames.pop_front() else {
                break;
            };
            self.changes = self.changes.saturating_sub(oldest.changes.len());
        }
    }

    /// Forgets everything: the state was loaded anew.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.changes = 0;
    }

    /// The frames from `revision` on, where the replica is at `head`; `None` if they are not here.
    pub(super) fn since(&self, revision: Revision, head: Revision) -> Option<Vec<Arc<Frame>>> {
        if revision == head {
            return Some(Vec::new());
        }
        // Of one epoch and in order: found without looking at all of them.
        let start = self.frames.partition_point(|(frame, _)| frame.from < revision);
        self.frames
            .get(start)
            .filter(|(frame, _)| frame.from == revision)?;
        let frames = self.frames.iter().skip(start).take(BATCH);
        Some(frames.map(|(frame, _)| Arc::clone(frame)).collect())
    }
}

#[cfg(test)]
mod tests {
    use sentinel_feed::Digest;

    use super::*;

    fn at(number: u64) -> Revision {
        Revision { epoch: 1, number }
    }

    fn frame(from: u64) -> Arc<Frame> {
        Arc::new(Frame {
            from: at(from),
            to: at(from + 1),
            changes: Vec::new(),
            digest: Digest::EMPTY,
        })
    }

    #[test]
    fn an_edge_gets_what_follows_its_revision() {
        let mut history = History::default();
        for from in 5..10 {
            history.push(frame(from));
        }
        let numbers = |revision| {
            history
                .since(at(revision), at(10))
                .map(|frames| frames.iter().map(|frame| frame.to.number).collect::<Vec<_>>())
        };
        assert_eq!(numbers(7), Some(vec![8, 9, 10]));
        assert_eq!(numbers(10), Some(vec![]));
        assert_eq!(numbers(4), None, "too old");
        assert_eq!(numbers(11), None, "ahead of us");
        assert_eq!(
            history.since(Revision { epoch: 2, number: 7 }, at(10)),
            None,
            "another history"
        );
    }

    #[test]
    fn a_gap_begins_anew_and_size_is_bounded() {
        let mut history = History::default();
        history.push(frame(1));
        history.push(frame(5));
        assert_eq!(history.since(at(1), at(6)), None);
        for from in 6..(FRAMES as u64 + 20) {
            history.push(frame(from));
        }
        assert!(history.frames.len() > FRAMES, "none is older than a second");
        let later = Instant::now() + LEAST;
        history.push_at(frame(FRAMES as u64 + 20), later);
        assert_eq!(history.frames.len(), FRAMES);
    }

    #[test]
    fn a_large_frame_stays_until_the_edges_were_sent_it_and_what_waits_with_it() {
        let (mut history, begin) = (History::default(), Instant::now());
        let large = |from| {
            let fact: sentinel_core::Fact = "tuple group:a#member@user:b".parse().expect("a tuple");
            Arc::new(Frame {
                changes: vec![sentinel_core::Change::Put(fact); CHANGES + 1],
                ..Frame::clone(&frame(from))
            })
        };
        history.push_at(large(1), begin);
        assert_eq!(history.since(at(1), at(2)).map(|frames| frames.len()), Some(1));
        history.push_at(frame(2), begin + LEAST / 2);
        history.push_at(large(3), begin + LEAST - Duration::from_nanos(1));
        assert_eq!(history.since(at(1), at(4)).map(|frames| frames.len()), Some(3));
        history.push_at(frame(4), begin + LEAST);
        assert_eq!(history.since(at(1), at(5)), None, "not for ever");
        assert_eq!(history.since(at(2), at(5)).map(|frames| frames.len()), Some(3));
    }
}
