//! What one search already knows, so that many ways to the same place are gone once.
//!
//! A relation that was found not to hold while another one above it was still open may only have failed because of
//! that one (it asked it again, in a circle). Such findings are provisional: they serve while the open one is open,
//! become final when it fails too, and are forgotten when it holds.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::RelationId;

/// The depth that stands for "depends on nothing that is still open".
pub(super) const FINAL: usize = usize::MAX;

/// What is known about a relation of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// It holds.
    Yes,
    /// It does not hold, if the open relation at this depth (the least deep one that was asked again) does not.
    No {
        /// That depth, or [`FINAL`].
        unless: usize,
    },
}

/// Findings of one search.
#[derive(Debug, Default)]
pub(super) struct Memo {
    known: HashMap<(u32, RelationId), Finding, RandomState>,
    provisional: Vec<(u32, RelationId)>,
}

impl Memo {
    /// What is known.
    pub(super) fn get(&self, key: (u32, RelationId)) -> Option<Finding> {
        self.known.get(&key).copied()
    }

    /// How many findings are provisional now: to be handed to [`Memo::close`] when what is opened now is closed.
    pub(super) fn mark(&self) -> usize {
        self.provisional.len()
    }

    /// Closes a relation at this depth with what was found about it, `None` if nothing was; `mark` is from when it was
    /// opened.
    pub(super) fn close(
        &mut self,
        key: (u32, RelationId),
        depth: usize,
        mark: usize,
        found: Option<Finding>,
    ) {
        let inner = self.provisional.split_off(mark.min(self.provisional.len()));
        match found {
            Some(no @ Finding::No { unless }) => {
                for other in inner {
                    self.now_depends_on(other, depth, unless);
                }
                self.known.insert(key, no);
                if unless != FINAL {
                    self.provisional.push(key);
                }
            }
            // They may have failed only because this one did not hold yet.
            Some(Finding::Yes) | None => {
                for other in inner {
                    self.known.remove(&other);
                }
                if found.is_some() {
                    self.known.insert(key, Finding::Yes);
                }
            }
        }
    }

    /// A provisional finding, after the relation at `closed` failed, depends on what that one depends on instead; and
    /// still on the less deep ones that it had asked itself.
    fn now_depends_on(&mut self, key: (u32, RelationId), closed: usize, unless: usize) {
        if let Some(Finding::No { unless: own }) = self.known.get_mut(&key) {
            *own = if *own == closed { unless } else { unless.min(*own) };
            if *own != FINAL {
                self.provisional.push(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: Finding = Finding::No { unless: FINAL };

    fn key(object: u32) -> (u32, RelationId) {
        (object, RelationId::FIRST)
    }

    /// What is known of object 9 after it was found not to hold unless the relation at `own` does, within an open
    /// relation at depth 2, which then closes with `found`.
    fn after_closing(own: usize, found: Option<Finding>) -> Option<Finding> {
        let mut memo = Memo::default();
        let mark = memo.mark();
        let inner = memo.mark();
        memo.close(key(9), 3, inner, Some(Finding::No { unless: own }));
        memo.close(key(2), 2, mark, found);
        memo.get(key(9))
    }

    #[test]
    fn a_provisional_finding_goes_the_way_of_what_it_depends_on() {
        let depends_on = |unless| Some(Finding::No { unless });
        assert_eq!(after_closing(2, Some(NO)), Some(NO), "it failed too");
        assert_eq!(
            after_closing(2, depends_on(1)),
            depends_on(1),
            "it failed unless another holds"
        );
        assert_eq!(after_closing(2, Some(Finding::Yes)), None, "it holds");
        assert_eq!(after_closing(2, None), None, "it has no answer");
    }

    #[test]
    fn it_still_depends_on_less_deep_ones_when_a_deeper_one_has_failed_for_another_reason() {
        let depends_on = |unless| Some(Finding::No { unless });
        assert_eq!(after_closing(0, Some(NO)), depends_on(0));
        assert_eq!(after_closing(0, depends_on(1)), depends_on(0));
        assert_eq!(after_closing(1, depends_on(0)), depends_on(0));
    }

    #[test]
    fn final_findings_stay() {
        assert_eq!(after_closing(FINAL, Some(Finding::Yes)), Some(NO));
        assert_eq!(after_closing(FINAL, None), Some(NO));
    }
}
