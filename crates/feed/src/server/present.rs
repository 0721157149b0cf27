//! The edges that are subscribed, by the digest of their key. Whether they are still enrolled is looked at every second, so
//! that their questions need not ask the database again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sentinel_core::id::EdgeId;

type Edges = HashMap<[u8; 32], (EdgeId, usize)>;

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
    /// Somebody with this key is subscribed, until what is returned is dropped.
    pub(super) fn enter(&self, key: [u8; 32], edge: EdgeId) -> Present {
        lock(&self.edges).entry(key).or_insert((edge, 0)).1 += 1;
        Present {
            edges: Arc::clone(&self.edges),
            key,
        }
    }

    /// The edge that is subscribed with this key.
    pub(super) fn find(&self, key: &[u8; 32]) -> Option<EdgeId> {
        lock(&self.edges).get(key).map(|(edge, _)| *edge)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut edges = lock(&self.edges);
        if let Some((_, count)) = edges.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                edges.remove(&self.key);
            }
        }
    }
}

fn lock(edges: &Mutex<Edges>) -> MutexGuard<'_, Edges> {
    edges.lock().unwrap_or_else(PoisonError::into_inner)
}
