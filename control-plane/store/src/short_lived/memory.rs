//! Short-lived state in this process' memory: the embedded default, for one control plane.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{ShortLived, millis};
use crate::error::StoreError;

/// Values that the process forgets when it ends.
///
/// It holds a bounded number of values: when it is full of values whose time is not over, a new one is refused.
#[derive(Debug)]
pub struct Memory {
    entries: Mutex<Entries>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<String, Entry>,
    by_end: BTreeSet<(Instant, String)>,
}

#[derive(Debug)]
struct Entry {
    value: String,
    end: Instant,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_capacity(1_000_000)
    }
}

impl Memory {
    /// An empty memory for at most `capacity` values; [`Memory::default`] has room for a million.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            entries: Mutex::default(),
            capacity,
        }
    }

    /// Runs `act` on what is not over yet.
    fn with<T>(
        &self,
        act: impl FnOnce(&mut Entries, Instant) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let now = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.forget_until(now);
        act(&mut entries, now)
    }

    fn set(&self, entries: &mut Entries, key: &str, value: String, end: Instant) -> Result<(), StoreError> {
        entries.remove(key);
        if entries.by_key.len() >= self.capacity {
            return Err(StoreError::Busy(
                "the memory for short-lived state is full".into(),
            ));
        }
        entries.by_end.insert((end, key.to_owned()));
        entries.by_key.insert(key.to_owned(), Entry { value, end });
        Ok(())
    }
}

impl Entries {
    fn forget_until(&mut self, now: Instant) {
        while self.by_end.first().is_some_and(|(end, _)| *end <= now) {
            if let Some((_, key)) = self.by_end.pop_first() {
                self.by_key.remove(&key);
            }
        }
    }

    fn remove(&mut self, key: &str) -> Option<Entry> {
        let (key, entry) = self.by_key.remove_entry(key)?;
        self.by_end.remove(&(entry.end, key));
        Some(entry)
    }
}

/// When a value put now is over.
fn end(now: Instant, ttl: Duration) -> Instant {
    // Ten thousand days, if the sum would leave the clock's range.
    now.checked_add(Duration::from_millis(millis(ttl)))
        .unwrap_or(now + Duration::from_hours(240_000))
}

#[async_trait]
impl ShortLived for Memory {
    async fn put(&self, key: &str, value: &str, ttl: Duration) -> Result<(), StoreError> {
        self.with(|entries, now| self.set(entries, key, value.to_owned(), end(now, ttl)))
    }

    async fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.with(|entries, _| Ok(entries.by_key.get(key).map(|entry| entry.value.clone())))
    }

    async fn take(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.with(|entries, _| Ok(entries.remove(key).map(|entry| entry.value)))
    }

    async fn put_if_absent(&self, key: &str, value: &str, ttl: Duration) -> Result<bool, StoreError> {
        self.with(|entries, now| {
            if entries.by_key.contains_key(key) {
                return Ok(false);
            }
            self.set(entries, key, value.to_owned(), end(now, ttl))?;
            Ok(true)
        })
    }

    async fn increment(&self, key: &str, ttl: Duration) -> Result<u64, StoreError> {
        self.with(|entries, now| {
            let (count, end) = match entries.by_key.get(key) {
                None => (1, end(now, ttl)),
                Some(entry) => {
                    let count: u64 = entry.value.parse().map_err(|_| not_a_count(key))?;
                    (count.saturating_add(1), entry.end)
                }
            };
            self.set(entries, key, count.to_string(), end)?;
            Ok(count)
        })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn not_a_count(key: &str) -> StoreError {
    StoreError::Other(format!("the value of `{key}` is not a count").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn a_value_is_over_at_the_moment_itself() {
        let memory = Memory::default();
        memory.put("k", "v", MINUTE).await.expect("put");
        tokio::time::advance(Duration::from_millis(59_999)).await;
        assert_eq!(memory.get("k").await.expect("get").as_deref(), Some("v"));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(memory.get("k").await.expect("get"), None);
        assert!(memory.entries.lock().expect("lock").by_end.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_memory_refuses_new_values_until_old_ones_are_over() {
        let memory = Memory::with_capacity(2);
        memory.put("a", "1", MINUTE).await.expect("first");
        memory.put("b", "1", MINUTE * 2).await.expect("second");
        memory
            .put("a", "2", MINUTE)
            .await
            .expect("the same key needs no room");
        assert!(matches!(
            memory.put("c", "1", MINUTE).await,
            Err(StoreError::Busy(_))
        ));
        assert_eq!(memory.get("b").await.expect("get").as_deref(), Some("1"));
        tokio::time::advance(MINUTE).await;
        memory.put("c", "1", MINUTE).await.expect("`a` is over");
    }
}
