//! State that may be lost: login state, authorization codes, rate limits, lockouts. Nothing that denies somebody
//! rests on it alone, for when it is lost everything in it is as if it had never been.

mod memory;
mod redis;

use std::time::Duration;

use async_trait::async_trait;

use crate::error::StoreError;

pub use self::memory::Memory;
pub use self::redis::{Redis, RedisConfig};

/// Values under keys, each gone when its time is over.
///
/// Times to live are whole milliseconds, at least one.
#[async_trait]
pub trait ShortLived: Send + Sync + 'static {
    /// Sets the value, and its time to live anew.
    async fn put(&self, key: &str, value: &str, ttl: Duration) -> Result<(), StoreError>;

    /// The value, if it is there.
    async fn get(&self, key: &str) -> Result<Option<String>, StoreError>;

    /// The value, which is gone then: of many that take at once, one gets it.
    async fn take(&self, key: &str) -> Result<Option<String>, StoreError>;

    /// Sets the value if there is none. Of many that try at once, one hears `true`.
    async fn put_if_absent(&self, key: &str, value: &str, ttl: Duration) -> Result<bool, StoreError>;

    /// Counts one up, and says the new count. The time to live begins with the first, and is not prolonged.
    async fn increment(&self, key: &str, ttl: Duration) -> Result<u64, StoreError>;

    /// Removes the value, if there is one.
    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.take(key).await.map(drop)
    }

    /// Whether it answers.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// The time to live in milliseconds, rounded up and never zero: what Redis takes.
fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_nanos().div_ceil(1_000_000))
        .unwrap_or(u64::MAX)
        .clamp(1, 1 << 52)
}
