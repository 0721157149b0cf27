//! The one place in a process where the replicated state is published, and how long ago it was known to be true.
//!
//! Readers never wait: the state is swapped, not locked. Ages are measured with tokio's clock, which does not jump.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use sentinel_core::{Change, Revision};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::frame::Frame;
use crate::partition::{Books, Turn};
use crate::state::{ApplyError, ReplicaState};

/// A replica of the control plane's state. Clones share it.
#[derive(Debug, Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: ArcSwap<ReplicaState>,
    /// One writer at a time; readers do not take it.
    writer: Mutex<()>,
    revisions: watch::Sender<Revision>,
    head: watch::Sender<Revision>,
    born: Instant,
    /// As of when the state was last known to be the newest: nanoseconds after `born`, or `NEVER`.
    in_touch: AtomicI64,
    /// How often the state was replaced as a whole.
    installs: AtomicU64,
    /// How many wait for a revision.
    waiting: watch::Sender<usize>,
    /// What is said to edges that keep a part of the state: only a control plane's are ever opened.
    books: Books,
}

const NEVER: i64 = i64::MIN;

impl Replica {
    /// A replica that knows nothing and was never in touch.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                state: ArcSwap::from_pointee(ReplicaState::empty()),
                writer: Mutex::new(()),
                revisions: watch::Sender::new(Revision::ZERO),
                head: watch::Sender::new(Revision::ZERO),
                born: Instant::now(),
                in_touch: AtomicI64::new(NEVER),
                installs: AtomicU64::new(0),
                waiting: watch::Sender::new(0),
                books: Books::default(),
            }),
        }
    }

    /// The present state, without waiting. Take it once per request: it does not change under the reader.
    pub fn load(&self) -> Guard<Arc<ReplicaState>> {
        self.inner.state.load()
    }

    /// The present state, to be kept across an await.
    pub fn load_full(&self) -> Arc<ReplicaState> {
        self.inner.state.load_full()
    }

    /// Whether there is a state that was known to be the newest at some time. How long ago that was is `age`.
    pub fn is_ready(&self) -> bool {
        self.age().is_some()
    }

    /// Replaces the whole state. It does not say that the state is the newest: `touch` does.
    pub fn install(&self, state: ReplicaState) {
        let _writer = self.writer();
        self.inner.books.close();
        self.publish(state);
        self.inner.installs.fetch_add(1, Ordering::AcqRel);
    }

    /// How often the state was replaced as a whole. Read it before the state: what is made of that state then belongs to
    /// this count or to an older one.
    pub(crate) fn installs(&self) -> u64 {
        self.inner.installs.load(Ordering::Acquire)
    }

    /// Applies a frame. On an error nothing has changed.
    pub fn apply(&self, frame: &Frame) -> Result<(), ApplyError> {
        let _writer = self.writer();
        let next = self.load().apply(frame)?;
        self.inner.books.close();
        self.publish(next);
        Ok(())
    }

    /// Applies the changes of one revision and returns the frame for others: what the control plane does.
    pub fn advance(&self, to: Revision, changes: Vec<Change>) -> Result<Arc<Frame>, ApplyError> {
        let _writer = self.writer();
        let before = self.load();
        let (next, frame) = before.advance(to, changes)?;
        let frame = Arc::new(frame);
        // First, so that whoever sees the state finds it in the books.
        self.inner.books.note(&before, &next, &frame);
        self.publish(next);
        Ok(frame)
    }

    /// What is said to edges that keep a part of the state. It is closed until [`Self::open_books`].
    pub(crate) fn books(&self) -> &Books {
        &self.inner.books
    }

    /// Makes the books, if they are not open, and waits for that no longer than `limit`: they are made all the same. Whether
    /// they are open.
    pub(crate) async fn open_books(&self, limit: Duration) -> bool {
        let books = &self.inner.books;
        if books.is_open() {
            return true;
        }
        if let Some(turn) = books.turn() {
            let replica = self.clone();
            let making = tokio::spawn(async move { replica.make_books(turn).await });
            timeout(limit, making).await.ok();
        } else {
            books.made(limit).await;
        }
        books.is_open()
    }

    async fn make_books(&self, turn: Turn) {
        let present = |begin: &dyn Fn()| {
            let _writer = self.writer();
            begin();
            self.load_full()
        };
        self.inner.books.open(turn, present).await;
    }

    /// Says that the state is the newest, now.
    pub fn touch(&self) {
        self.touched_ago(Duration::ZERO);
    }

    /// Says that the state was the newest at a moment in the past. An older word never replaces a newer one.
    pub fn touched_ago(&self, ago: Duration) {
        let ago = i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX);
        let at = self.nanos().saturating_sub(ago).max(NEVER + 1);
        self.inner.in_touch.fetch_max(at, Ordering::AcqRel);
    }

    /// Takes back every word that the state was the newest: it was found to be wrong. Nobody is to decide from it
    /// until it was replaced and is in touch again.
    pub fn distrust(&self) {
        self.inner.in_touch.store(NEVER, Ordering::Release);
    }

    /// How long ago the state was last known to be the newest; `None` if it never was.
    pub fn age(&self) -> Option<Duration> {
        self.age_at(Instant::now())
    }

    fn age_at(&self, now: Instant) -> Option<Duration> {
        let at = self.inner.in_touch.load(Ordering::Acquire);
        if at == NEVER {
            return None;
        }
        let nanos = self.nanos_at(now).saturating_sub(at);
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
    }

    /// How old the state is, and the state. The age is read first, so that it is never younger than what comes with it:
    /// whoever decides by both has to ask for them like this.
    pub fn sight(&self) -> (Option<Duration>, Guard<Arc<ReplicaState>>) {
        self.sight_at(Instant::now())
    }

    /// The same for whoever knows what time it is: `now` must have been the present a moment ago.
    pub fn sight_at(&self, now: Instant) -> (Option<Duration>, Guard<Arc<ReplicaState>>) {
        let age = self.age_at(now);
        (age, self.load())
    }

    /// Says that more time has passed than this process has noticed, because the machine slept.
    pub(crate) fn slept(&self, unnoticed: Duration) {
        let nanos = i64::try_from(unnoticed.as_nanos()).unwrap_or(i64::MAX);
        let mut at = self.inner.in_touch.load(Ordering::Acquire);
        while at != NEVER {
            let older = at.saturating_sub(nanos).max(NEVER + 1);
            match self
                .inner
                .in_touch
                .compare_exchange_weak(at, older, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return,
                Err(present) => at = present,
            }
        }
    }

    /// Waits until the state is at least as new as `revision`, but no longer than `limit`. Whether it is.
    pub async fn wait_for(&self, revision: Revision, limit: Duration) -> bool {
        if self.load().revision() >= revision {
            return true;
        }
        let _waiting = Waiting::new(&self.inner);
        let mut revisions = self.changed();
        timeout(limit, revisions.wait_for(|current| *current >= revision))
            .await
            .is_ok_and(|reached| reached.is_ok())
    }

    /// Waits until somebody waits for a revision: whoever keeps the state up to date may have to be asked for it.
    pub async fn awaited(&self) {
        let mut waiting = self.inner.waiting.subscribe();
        // The sender lives as long as `self`, so that the wait can only end well.
        let _ = waiting.wait_for(|waiting| *waiting > 0).await;
    }

    /// The revision of the published state, as it changes.
    pub fn changed(&self) -> watch::Receiver<Revision> {
        self.inner.revisions.subscribe()
    }

    /// The newest revision that the control plane is known to have; the difference to the state's is the lag.
    pub fn head(&self) -> Revision {
        (*self.inner.head.borrow()).max(self.load().revision())
    }

    pub(crate) fn note_head(&self, head: Revision) {
        self.inner.head.send_replace(head);
    }

    fn publish(&self, state: ReplicaState) {
        let revision = state.revision();
        self.inner.state.store(Arc::new(state));
        self.inner.revisions.send_replace(revision);
    }

    fn writer(&self) -> MutexGuard<'_, ()> {
        // The lock guards no data, so a panic of another writer leaves nothing half done.
        self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nanos(&self) -> i64 {
        self.nanos_at(Instant::now())
    }

    fn nanos_at(&self, now: Instant) -> i64 {
        let nanos = now.saturating_duration_since(self.inner.born).as_nanos();
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

impl Default for Replica {
    fn default() -> Self {
        Self::new()
    }
}

/// Somebody waits for a revision until it is dropped.
struct Waiting<'r> {
    inner: &'r Inner,
}

impl<'r> Waiting<'r> {
    fn new(inner: &'r Inner) -> Self {
        inner.waiting.send_modify(|waiting| *waiting += 1);
        Self { inner }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.inner
            .waiting
            .send_modify(|waiting| *waiting = waiting.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{rev, tuple};

    const SECOND: Duration = Duration::from_secs(1);

    fn at(number: u64) -> ReplicaState {
        ReplicaState::from_snapshot(rev(number), []).expect("no facts")
    }

    #[tokio::test(start_paused = true)]
    async fn age_counts_from_the_last_touch() {
        let replica = Replica::new();
        assert_eq!((replica.age(), replica.is_ready()), (None, false));
        replica.install(at(1));
        assert_eq!(replica.age(), None, "having a state is not being in touch");
        replica.touch();
        tokio::time::advance(SECOND).await;
        assert_eq!(replica.age(), Some(SECOND));
        replica.touched_ago(3 * SECOND);
        assert_eq!(replica.age(), Some(SECOND), "an older word does not count");
        replica.touched_ago(SECOND / 2);
        assert_eq!(replica.age(), Some(SECOND / 2));
        replica.slept(60 * SECOND);
        assert_eq!(replica.sight().0, Some(60 * SECOND + SECOND / 2));
        let before = Instant::now() - SECOND;
        assert_eq!(replica.sight_at(before).0, Some(59 * SECOND + SECOND / 2));
        replica.distrust();
        replica.slept(SECOND);
        assert_eq!(replica.age(), None);
        replica.touched_ago(60 * SECOND);
        assert_eq!(replica.age(), Some(60 * SECOND), "older than the process");
        replica.distrust();
        replica.touched_ago(Duration::MAX);
        assert!(replica.age() > Some(Duration::from_hours(24 * 365 * 200)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_can_wait_for_a_revision() {
        let replica = Replica::new();
        replica.install(at(1));
        assert!(replica.wait_for(rev(1), Duration::ZERO).await);
        assert!(!replica.wait_for(rev(2), SECOND).await);
        let waiting = tokio::spawn({
            let replica = replica.clone();
            async move { replica.wait_for(rev(2), SECOND).await }
        });
        tokio::task::yield_now().await;
        replica
            .advance(rev(2), vec![Change::Put(tuple("a", "b"))])
            .expect("applies");
        assert!(waiting.await.expect("no panic"));
        let newer_history = Revision { epoch: 0, number: 99 };
        assert!(
            replica.wait_for(newer_history, Duration::ZERO).await,
            "an older epoch is older"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn that_somebody_waits_is_known_for_as_long_as_he_does() {
        let replica = Replica::new();
        replica.install(at(1));
        let is_awaited = async || timeout(SECOND / 4, replica.awaited()).await.is_ok();
        assert!(replica.wait_for(rev(1), SECOND).await);
        assert!(!is_awaited().await, "who has it does not wait");
        let waiting = tokio::spawn({
            let replica = replica.clone();
            async move { replica.wait_for(rev(2), SECOND).await }
        });
        assert!(is_awaited().await);
        assert!(!waiting.await.expect("no panic"));
        assert!(!is_awaited().await, "he gave up");
    }

    #[tokio::test]
    async fn a_failed_frame_changes_nothing_and_an_applied_one_is_seen_by_all_clones() {
        let source = Replica::new();
        source.install(at(1));
        let frame = source
            .advance(rev(2), vec![Change::Put(tuple("a", "b"))])
            .expect("applies");

        let replica = Replica::new();
        assert!(matches!(replica.apply(&frame), Err(ApplyError::Gap { .. })));
        assert_eq!(replica.load().revision(), Revision::ZERO);
        replica.install(at(1));
        let (clone, before) = (replica.clone(), replica.load_full());
        replica.apply(&frame).expect("follows");
        assert_eq!(clone.load().digest(), source.load().digest());
        assert_eq!(*clone.changed().borrow(), rev(2));
        assert_eq!(before.revision(), rev(1), "who holds a state keeps it");
    }
}
