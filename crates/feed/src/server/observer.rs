//! What can be counted of the feed, by whoever has counters.

use std::sync::Arc;

use super::FeedSource;
use crate::interest::Interest;

/// What an edge keeps, for counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Every fact there is.
    Everything,
    /// Some services or some workspaces.
    Part,
}

impl Keeps {
    /// Of an edge with this interest.
    pub(super) fn of(interest: &Interest) -> Self {
        if interest.is_all() {
            Self::Everything
        } else {
            Self::Part
        }
    }

    /// The word for it in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Part => "part",
        }
    }
}

/// Counts what the feed does. It is told on the way, and must not wait for anything.
pub trait Observer: Send + Sync {
    /// An edge subscribed (1) or left (-1).
    fn subscribers(&self, keeps: Keeps, change: i64);

    /// A frame of so many bytes was handed to one edge; it leads over so many revisions.
    fn frame(&self, keeps: Keeps, bytes: usize, revisions: u64);

    /// A subscription had to go because newer ones came with the same edge key.
    fn displaced(&self);

    /// An edge's questions came (1), or what became of them is known (-1).
    fn open_questions(&self, change: i64);

    /// An edge's questions were answered, or refused; `outcome` is `answered`, `busy` (too many of this edge at once),
    /// `malformed`, `behind` (the revision is not here) or `starting`.
    fn questions(&self, outcome: &'static str);
}

/// Counts an edge among the subscribers until it is dropped.
pub(super) struct Counted {
    source: Arc<dyn FeedSource>,
    keeps: Keeps,
}

impl Counted {
    pub(super) fn new(source: &Arc<dyn FeedSource>, keeps: Keeps) -> Self {
        if let Some(observer) = source.observer() {
            observer.subscribers(keeps, 1);
        }
        Self {
            source: Arc::clone(source),
            keeps,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(observer) = self.source.observer() {
            observer.subscribers(self.keeps, -1);
        }
    }
}
