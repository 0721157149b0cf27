//! The wall clock of a host: right about how fast time passes, and about nothing else.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sentinel_core::{Clock, Timestamp};

use super::now;

/// When the world begins, in microseconds since 1970.
const BEGIN: i64 = 1_763_797_000_000_000;

/// A wall clock that can be wrong, and be set.
#[derive(Default)]
pub(crate) struct WallClock {
    /// How far it is ahead of the world, in microseconds.
    ahead: AtomicI64,
}

impl WallClock {
    /// Sets it forward or back.
    pub(crate) fn jump(&self, by: Duration, back: bool) {
        let by = i64::try_from(by.as_micros()).unwrap_or(0);
        self.ahead
            .fetch_add(if back { -by } else { by }, Ordering::SeqCst);
    }
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(now().as_micros()).unwrap_or(0);
        let micros = BEGIN + passed + self.ahead.load(Ordering::SeqCst);
        Timestamp::from_timestamp_micros(micros).unwrap_or_default()
    }
}
