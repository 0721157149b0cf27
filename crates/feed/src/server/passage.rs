//! The way for an edge that was away for longer than memory reaches: one frame with the last word on everything that
//! changed meanwhile, out of the change log in the database. One is made for all that come from the same revision.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sentinel_core::{Change, Revision};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::sleep;

use super::{FeedSource, SourceUnavailable};
use crate::frame::Frame;
use crate::interest::{Fingerprint, Interest};
use crate::merge::last_words;
use crate::partition::{Homes, partition_of};

/// More changes than this are not read from the log: a snapshot is as good.
pub(super) const MOST: usize = 50_000;

/// So many passages are kept for others who come the same way, and for so long.
const KEEP: usize = 8;
const KEEP_FOR: Duration = Duration::from_secs(30);

/// How many are made at a time, so that a herd does not fall upon the database.
const MAKING: usize = 2;

/// The passages that were made last.
pub(super) struct Passages {
    slots: std::sync::Mutex<HashMap<Way, Weak<Slot>>>,
    kept: Arc<std::sync::Mutex<Kept>>,
    making: Semaphore,
}

/// Who goes it, and from where in which history: how often the state had been replaced as a whole tells one from another
/// that has the same numbers.
type Way = (Fingerprint, u64, Revision);

/// The passage of one way. Locked while it is made, so that all who come the same way meanwhile get that one.
type Slot = Mutex<Option<Arc<Frame>>>;

/// The slots that were filled last, oldest first.
type Kept = VecDeque<Arc<Slot>>;

impl Passages {
    pub(super) fn new() -> Self {
        Self {
            slots: std::sync::Mutex::default(),
            kept: Arc::default(),
            making: Semaphore::new(MAKING),
        }
    }

    /// A frame from a revision to one that memory reaches back to; `None` if there is none. It can be dropped at any time.
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
        let edition = source.replica().installs();
        let slot = self.slot((interest.fingerprint(), edition, from));
        let mut known = slot.lock().await;
        if let Some(frame) = &*known
            && leads_on(source, interest, frame.to).await?
        {
            // One history may have taken another's place while others had the slot: it leads on in that one no more.
            let is_present = source.replica().installs() == edition;
            return Ok(is_present.then(|| Arc::clone(frame)));
        }
        let made = self.make(source, interest, from).await?.map(Arc::new);
        if source.replica().installs() != edition {
            // What the log and the state had while one history took another's place belongs to neither.
            return Ok(None);
        }
        known.clone_from(&made);
        drop(known);
        if made.is_some() {
            self.keep(&slot);
        }
        Ok(made)
    }

    async fn make(
        &self,
        source: &Arc<dyn FeedSource>,
        interest: &Interest,
        from: Revision,
    ) -> Result<Option<Frame>, SourceUnavailable> {
        // It is never closed.
        let Ok(_turn) = self.making.acquire().await else {
            return Ok(None);
        };
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
        Ok(digest.map(|digest| Frame {
            from,
            to,
            changes: last_words_of(changes, interest),
            digest,
        }))
    }

    fn slot(&self, way: Way) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.get(&way).and_then(Weak::upgrade) {
            return slot;
        }
        slots.retain(|_, slot| slot.strong_count() > 0);
        let slot = Arc::new(Slot::default());
        slots.insert(way, Arc::downgrade(&slot));
        slot
    }

    /// For those who come a moment later, in place of the one that was kept for the longest time.
    fn keep(&self, slot: &Arc<Slot>) {
        let mut kept = lock(&self.kept);
        forget(&mut kept, slot);
        if kept.len() >= KEEP {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(slot));
        let (all, slot) = (Arc::clone(&self.kept), Arc::downgrade(slot));
        tokio::spawn(async move {
            sleep(KEEP_FOR).await;
            if let Some(slot) = slot.upgrade() {
                forget(&mut lock(&all), &slot);
            }
        });
    }
}

fn forget(kept: &mut Kept, slot: &Arc<Slot>) {
    kept.retain(|one| !Arc::ptr_eq(one, slot));
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether what comes after a revision is in memory.
pub(super) async fn leads_on(
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

/// Of what is said about a fact only the last word, without what the interest does not have.
fn last_words_of(changes: Vec<Change>, interest: &Interest) -> Vec<Change> {
    let nobody = Homes::default();
    let mut changes = last_words(changes);
    changes.retain(|change| partition_of(change.fact(), &nobody).is_in(interest));
    changes
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use tokio::time::timeout;

    use super::*;
    use crate::interest::Extent;
    use crate::testing::{ControlPlane, repeated_changes, rev};

    #[test]
    fn only_the_last_word_on_each_fact_is_said() {
        let changes = repeated_changes();
        let all = last_words_of(changes.clone(), &Interest::all());
        assert_eq!(all, changes[2..]);
        let none = Interest::new(Extent::Of([].into()), Extent::All);
        assert_eq!(last_words_of(changes.clone(), &none), changes[2..4]);
    }

    fn of_services(names: &[&str]) -> Interest {
        let names = names.iter().map(|name| name.parse().expect("a name"));
        Interest::new(Extent::Of(names.collect()), Extent::All)
    }

    /// A control plane whose past is in its database only.
    async fn plane() -> (Arc<ControlPlane>, Arc<dyn FeedSource>) {
        let plane = ControlPlane::new([]);
        plane.archive_reaches_back.store(true, Ordering::SeqCst);
        for n in 0..30 {
            plane.add("a", &n.to_string());
        }
        plane.restart();
        plane.state();
        let source = Arc::clone(&plane) as Arc<dyn FeedSource>;
        source.replica().open_books(Duration::MAX).await;
        (plane, source)
    }

    #[tokio::test]
    async fn the_last_ways_are_known_however_many_there_were() {
        let (plane, source) = plane().await;
        let passages = Passages::new();
        let reads = || plane.archive_reads.load(Ordering::SeqCst);
        let all = Interest::all();
        for n in 1..=12 {
            let found = passages.find(&source, &all, rev(n)).await;
            assert!(found.expect("it answers").is_some());
        }
        assert_eq!(reads(), 12);
        for n in 5..=12 {
            let found = passages.find(&source, &all, rev(n)).await;
            let frame = found.expect("it answers").expect("a passage");
            assert_eq!((frame.from, frame.to), (rev(n), rev(31)));
        }
        assert_eq!(reads(), 12);
        // What another interest is told is another thing.
        let found = passages.find(&source, &of_services(&["docs"]), rev(12)).await;
        assert!(found.expect("it answers").is_some());
        assert_eq!(reads(), 13);
    }

    #[tokio::test]
    async fn a_way_of_another_history_is_not_gone() {
        let (plane, source) = plane().await;
        let passages = Passages::new();
        let all = Interest::all();
        let found = async |from| {
            let found = passages.find(&source, &all, rev(from)).await;
            found.expect("it answers").map(|frame| frame.changes.len())
        };
        assert_eq!((found(2).await, found(2).await), (Some(29), Some(29)));
        assert_eq!(plane.archive_reads.load(Ordering::SeqCst), 1);
        // The same numbers, and other changes.
        plane.rewrite(rev(2), 29);
        assert_eq!(plane.state().revision(), rev(31));
        assert_eq!(found(2).await, Some(1), "one fact, again and again");
        assert_eq!(plane.archive_reads.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_made_while_the_history_was_replaced_is_nobodys() {
        let (plane, source) = plane().await;
        plane.hold_archive(rev(1));
        let passages = Passages::new();
        let all = Interest::all();
        let mut held = std::pin::pin!(passages.find(&source, &all, rev(1)));
        assert!(
            timeout(Duration::from_secs(1), &mut held).await.is_err(),
            "it is held"
        );
        plane.restart();
        plane.release_archive();
        assert!(held.await.expect("it answers").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_made_before_the_history_was_replaced_is_nobodys_who_waited_for_it() {
        let (plane, source) = plane().await;
        plane.hold_archive(rev(2));
        let passages = Passages::new();
        let all = Interest::all();
        let mut first = std::pin::pin!(passages.find(&source, &all, rev(2)));
        let mut second = std::pin::pin!(passages.find(&source, &all, rev(2)));
        for held in [&mut first, &mut second] {
            let held = timeout(Duration::from_secs(1), held).await;
            assert!(held.is_err(), "it is held");
        }
        plane.release_archive();
        let made = first.await.expect("it answers").expect("a passage");
        assert_eq!(made.to, rev(31));
        plane.rewrite(rev(2), 29);
        assert_eq!(
            plane.state().revision(),
            made.to,
            "the same number, and another history"
        );
        assert!(second.await.expect("it answers").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_database_holds_nobody_up_who_comes_another_way() {
        let (plane, source) = plane().await;
        plane.hold_archive(rev(1));
        let passages = Passages::new();
        let all = Interest::all();
        let mut held = std::pin::pin!(passages.find(&source, &all, rev(1)));
        let first = timeout(Duration::from_secs(1), &mut held).await;
        assert!(first.is_err(), "it is held");
        let other = timeout(Duration::from_secs(1), passages.find(&source, &all, rev(2))).await;
        assert!(other.expect("not held").expect("it answers").is_some());
    }
}
