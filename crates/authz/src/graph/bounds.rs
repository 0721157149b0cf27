//! How far a search goes, and why it may end without an answer.

use std::cell::Cell;

use crate::{CheckError, MAX_DEPTH, MAX_STEPS};

/// How far a search goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) depth: usize,
    pub(super) steps: usize,
    /// From this step on a search remembers what it has found. Nearly all end before, and allocate nothing.
    pub(super) without_memo: usize,
}

impl Bounds {
    /// The engine's bounds. In the package's own tests there are fewer steps: a random model that contradicts itself may take
    /// all of them for each of a thousand questions.
    pub(super) const ENGINE: Self = Self {
        depth: MAX_DEPTH,
        steps: if cfg!(test) { MAX_STEPS >> 5 } else { MAX_STEPS },
        without_memo: 64,
    };
}

/// Steps that several searches have together. The last one may take more than is left, and no other begins.
#[derive(Debug)]
pub(super) struct Budget {
    left: Cell<usize>,
}

impl Budget {
    pub(super) fn new(steps: usize) -> Self {
        Self {
            left: Cell::new(steps),
        }
    }

    pub(super) fn spend(&self, steps: usize) {
        self.left.set(self.left.get().saturating_sub(steps));
    }

    pub(super) fn is_spent(&self) -> bool {
        self.left.get() == 0
    }
}

/// Why a search ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    TooDeep,
    TooWide,
    Paradox,
}

impl From<Stop> for CheckError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::TooDeep => Self::TooDeep,
            Stop::TooWide => Self::TooWide,
            Stop::Paradox => Self::Paradox,
        }
    }
}
