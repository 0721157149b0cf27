//! The edges that are subscribed, by the digest of their key. Whether they are still enrolled is looked at every second, so
//! that their questions need not ask the database again: for as long as the last look is fresh.
//!
//! A key has few subscriptions: whoever has one cannot make the control plane keep as many as it likes, and many edges that
//! were given one key are noticed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sentinel_core::id::EdgeId;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How many subscriptions a key has at most: four processes may run as one edge, as many as have keys of their own for
/// assertions, and each has one subscription and, for a moment within the hour, one that is to take its place.
pub(crate) const SUBSCRIPTIONS: usize = 8;

/// How long an edge is taken for enrolled after it was found to be.
const FRESH: Duration = Duration::from_secs(2);

type Edges = HashMap<[u8; 32], Entry>;

struct Entry {
    edge: EdgeId,
    /// Oldest first; each is told when it has to go.
    subscriptions: VecDeque<Arc<Notify>>,
    /// When the last look began that found it enrolled.
    seen: Instant,
}

#[derive(Default)]
pub(super) struct PresentEdges {
    edges: Arc<Mutex<Edges>>,
}

/// One subscription.
pub(super) struct Present {
    edges: Arc<Mutex<Edges>>,
    key: [u8; 32],
    displaced: Arc<Notify>,
}

impl PresentEdges {
    /// Somebody with this key, which was found enrolled at `seen`, is subscribed until what is returned is dropped. The
    /// oldest one with this key has to go if there are more than
    /// [`SUBSCRIPTIONS`]: the newest is the one that somebody waits for.
    pub(super) fn enter(&self, key: [u8; 32], edge: EdgeId, seen: Instant) -> Present {
        let mut edges = lock(&self.edges);
        let entry = edges.entry(key).or_insert(Entry {
            edge,
            subscriptions: VecDeque::new(),
            seen,
        });
        let displaced = Arc::new(Notify::new());
        entry.subscriptions.push_back(Arc::clone(&displaced));
        while entry.subscriptions.len() > SUBSCRIPTIONS
            && let Some(oldest) = entry.subscriptions.pop_front()
        {
            oldest.notify_one();
        }
        entry.seen = entry.seen.max(seen);
        Present {
            edges: Arc::clone(&self.edges),
            key,
            displaced,
        }
    }

    /// The edge that is subscribed with this key, if it was found enrolled a moment ago.
    pub(super) fn find(&self, key: &[u8; 32]) -> Option<EdgeId> {
        let edges = lock(&self.edges);
        let entry = edges.get(key)?;
        (entry.seen.elapsed() < FRESH).then_some(entry.edge)
    }
}

impl Present {
    /// A look that began then found the edge enrolled.
    pub(super) fn seen(&self, at: Instant) {
        if let Some(entry) = lock(&self.edges).get_mut(&self.key) {
            entry.seen = entry.seen.max(at);
        }
    }

    /// Waits until newer subscriptions with the same key have taken its place.
    pub(super) async fn displaced(&self) {
        self.displaced.notified().await;
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut edges = lock(&self.edges);
        if let Some(entry) = edges.get_mut(&self.key) {
            let mine = &self.displaced;
            entry.subscriptions.retain(|one| !Arc::ptr_eq(one, mine));
            if entry.subscriptions.is_empty() {
                edges.remove(&self.key);
            }
        }
    }
}

fn lock(edges: &Mutex<Edges>) -> MutexGuard<'_, Edges> {
    edges.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use sentinel_core::{Clock as _, SystemClock, SystemRandom};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_edge_is_known_for_as_long_as_the_last_look_is_fresh() {
        let present = PresentEdges::default();
        let edge = EdgeId::generate(SystemClock.now(), &SystemRandom);
        let first = present.enter([1; 32], edge, Instant::now());
        assert_eq!(
            (present.find(&[1; 32]), present.find(&[2; 32])),
            (Some(edge), None)
        );
        tokio::time::advance(FRESH).await;
        assert_eq!(present.find(&[1; 32]), None);
        let second = present.enter([1; 32], edge, Instant::now());
        drop(first);
        assert_eq!(present.find(&[1; 32]), Some(edge));
        tokio::time::advance(FRESH).await;
        second.seen(Instant::now());
        assert_eq!(present.find(&[1; 32]), Some(edge));
        drop(second);
        assert_eq!(present.find(&[1; 32]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_of_too_many_with_one_key_has_to_go() {
        let present = PresentEdges::default();
        let edge = EdgeId::generate(SystemClock.now(), &SystemRandom);
        let enter = |key| present.enter([key; 32], edge, Instant::now());
        let is_displaced =
            async |one: &Present| tokio::time::timeout(FRESH / 4, one.displaced()).await.is_ok();
        let other = enter(2);
        let mut with_one_key: VecDeque<Present> = (0..SUBSCRIPTIONS).map(|_| enter(1)).collect();
        assert!(!is_displaced(&with_one_key[0]).await);
        with_one_key.push_back(enter(1));
        let oldest = with_one_key.pop_front().expect("there are some");
        assert!(is_displaced(&oldest).await);
        drop(oldest);
        assert!(!is_displaced(&with_one_key[0]).await && !is_displaced(&other).await);
        with_one_key.pop_front();
        with_one_key.push_back(enter(1));
        assert!(!is_displaced(&with_one_key[0]).await, "a place was free");
        with_one_key.push_back(enter(1));
        assert!(is_displaced(&with_one_key[0]).await && !is_displaced(&with_one_key[1]).await);
        drop(with_one_key);
        assert_eq!(present.find(&[1; 32]), None, "nothing is left behind");
    }
}
