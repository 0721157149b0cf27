//! The way for an edge that was away for longer than memory reaches: one frame with the last word on everything that
//! changed meanwhile, out of the change log in the database. One is made for all that come from the same revision.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use sentinel_core::{Change, Revision};
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::{FeedSource, SourceUnavailable};
use crate::frame::Frame;
use crate::interest::Interest;
use crate::partition::{Homes, key_of, partition_of};

/// More changes than this are not read from the log: a snapshot is as good.
pub(super) const MOST: usize = 50_000;

/// So many passages are kept for others who come the same way, and for so long.
const KEEP: usize = 8;
const KEEP_FOR: Duration = Duration::from_secs(30);

/// The passages that were made last. Only one is made at a time, so that a herd does not fall upon the database.
#[derive(Default)]
pub(super) struct Passages {
    recent: Mutex<VecDeque<(Interest, Weak<Frame>)>>,
}

impl Passages {
    /// A frame from a revision to one that memory reaches back to; `None` if there is none.
    pub(super) async fn find(
        &self,
        source: &Arc<dyn FeedSource>,
        interest: &Interest,
        from: Revision,
    ) -> Result<Option<Arc<Frame>>, SourceUnavailable> {
        // Which of the lines of several workspaces an old change belongs to cannot always be told any more.
        if !interest.workspaces().is_all() {
            return Ok(None);
        }
        let mut recent = self.recent.lock().await;
        recent.retain(|(_, frame)| frame.strong_count() > 0);
        for (known, frame) in recent.iter() {
            let Some(frame) = frame.upgrade() else { continue };
            if known == interest && frame.from == from && leads_on(source, interest, frame.to).await? {
                return Ok(Some(frame));
            }
        }
        let state = source.replica().load_full();
        let to = state.revision();
        if from.epoch != to.epoch || from >= to {
            return Ok(None);
        }
        let Some(changes) = source.changes_between(from, to, MOST).await? else {
            return Ok(None);
        };
        let digest = if interest.is_all() {
            Some(state.digest())
        } else {
            source.replica().books().digest(interest, to)
        };
        let Some(digest) = digest else { return Ok(None) };
        let frame = Arc::new(Frame {
            from,
            to,
            changes: last_words(changes, interest),
            digest,
        });
        if recent.len() < KEEP {
            recent.push_back((interest.clone(), Arc::downgrade(&frame)));
            let kept = Arc::clone(&frame);
            tokio::spawn(async move {
                sleep(KEEP_FOR).await;
                drop(kept);
            });
        }
        Ok(Some(frame))
    }
}

/// Whether what comes after a revision is in memory.
async fn leads_on(
    source: &Arc<dyn FeedSource>,
    interest: &Interest,
    to: Revision,
) -> Result<bool, SourceUnavailable> {
    if to == source.replica().load().revision() {
        Ok(true)
    } else if interest.is_all() {
        Ok(source.frames_since(to).await?.is_some())
    } else {
        Ok(source.replica().books().digest(interest, to).is_some())
    }
}

/// Of all changes of one fact only the last, in the order of those; without what the interest does not have.
fn last_words(changes: Vec<Change>, interest: &Interest) -> Vec<Change> {
    let nobody = Homes::default();
    let mut last = HashMap::new();
    for (place, change) in changes.iter().enumerate() {
        last.insert(key_of(change.fact()), place);
    }
    let mut places: Vec<usize> = last.into_values().collect();
    places.sort_unstable();
    let mut wanted = vec![false; changes.len()];
    for place in places {
        if let Some(wanted) = wanted.get_mut(place) {
            *wanted = true;
        }
    }
    let changes = changes.into_iter().zip(wanted);
    changes
        .filter(|(change, wanted)| *wanted && partition_of(change.fact(), &nobody).is_in(interest))
        .map(|(change, _)| change)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interest::Extent;
    use crate::testing::tuple;

    #[test]
    fn only_the_last_word_on_each_fact_is_said() {
        let folder = |until: u64| -> sentinel_core::Fact {
            format!("expiring-tuple {until} docs/folder:a#viewer@user:b")
                .parse()
                .expect("a fact")
        };
        let changes = vec![
            Change::Put(tuple("a", "b")),
            Change::Put(folder(5)),
            Change::Put(tuple("a", "c")),
            Change::Delete(tuple("a", "b")),
            Change::Put(folder(6)),
        ];
        let all = last_words(changes.clone(), &Interest::all());
        assert_eq!(all, changes[2..]);
        let none = Interest::new(Extent::Of([].into()), Extent::All);
        assert_eq!(last_words(changes.clone(), &none), changes[2..4]);
    }
}
