//! The edges that are subscribed, by the digest of their key. Whether they are still enrolled is looked at every second, so
//! that their questions need not ask the database again: for as long as the last look is fresh.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sentinel_core::id::EdgeId;
use tokio::time::Instant;

/// How long an edge is taken for enrolled after it was found to be.
const FRESH: Duration = Duration::from_secs(2);

type Edges = HashMap<[u8; 32], Entry>;

struct Entry {
    edge: EdgeId,
    subscriptions: usize,
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
}

impl PresentEdges {
    /// Somebody with this key, which was found enrolled at `seen`, is subscribed until what is returned is dropped.
    pub(super) fn enter(&self, key: [u8; 32], edge: EdgeId, seen: Instant) -> Present {
        let mut edges = lock(&self.edges);
        let entry = edges.entry(key).or_insert(Entry {
            edge,
            subscriptions: 0,
            seen,
        });
        entry.subscriptions += 1;
        entry.seen = entry.seen.max(seen);
        Present {
            edges: Arc::clone(&self.edges),
            key,
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
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut edges = lock(&self.edges);
        if let Some(entry) = edges.get_mut(&self.key) {
            entry.subscriptions = entry.subscriptions.saturating_sub(1);
            if entry.subscriptions == 0 {
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
}
