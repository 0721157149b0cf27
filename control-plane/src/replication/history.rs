//! The last frames, for edges that come back after a moment. An edge that was away for longer fetches a snapshot.

use std::collections::VecDeque;
use std::sync::Arc;

use sentinel_core::Revision;
use sentinel_feed::Frame;

/// At most this many frames are kept, with at most so many changes together.
const FRAMES: usize = 10_000;
const CHANGES: usize = 200_000;
/// At most this many frames are given out at a time; the edge asks again.
const BATCH: usize = 500;

/// The last frames, oldest first, without a gap.
#[derive(Default)]
pub(super) struct History {
    frames: VecDeque<Arc<Frame>>,
    changes: usize,
}

impl History {
    /// Adds the next frame. One that does not follow the last begins a new history.
    pub(super) fn push(&mut self, frame: Arc<Frame>) {
        if self.frames.back().is_some_and(|last| last.to != frame.from) {
            self.clear();
        }
        self.changes += frame.changes.len();
        self.frames.push_back(frame);
        while self.frames.len() > FRAMES || self.changes > CHANGES {
            let Some(oldest) = self.frames.pop_front() else {
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
        let start = self.frames.iter().position(|frame| frame.from == revision)?;
        Some(self.frames.iter().skip(start).take(BATCH).cloned().collect())
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
        assert_eq!(history.frames.len(), FRAMES);
    }
}
