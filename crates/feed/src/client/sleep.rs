//! A machine that was suspended: the clock that ages are measured with stands still meanwhile, and the wall clock does
//! not. What it ran ahead is added to the age, and the connection begins anew: heartbeats that waited in its buffers
//! since before would pass for fresh ones. A clock that is set forward looks the same, and costs one connection.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::{Clock, Timestamp};
use tokio::time::Instant;

use crate::replica::Replica;

/// How often the two clocks are compared.
const LOOK: Duration = Duration::from_millis(500);

/// How far the wall clock may run ahead between two looks without a sleep.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Compares the clocks.
pub(super) struct Sleep {
    clock: Arc<dyn Clock>,
    wall: Timestamp,
    steady: Instant,
}

impl Sleep {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            wall: clock.now(),
            clock,
            steady: Instant::now(),
        }
    }

    /// Waits until the machine has slept, makes the replica that much older, and says how much. Can be dropped and asked
    /// again at any time.
    pub(super) async fn noticed(&mut self, replica: &Replica) -> Duration {
        loop {
            if let Some(unnoticed) = self.look() {
                replica.slept(unnoticed);
                return unnoticed;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How far the wall clock has run ahead since the last look, if that is too far.
    fn look(&mut self) -> Option<Duration> {
        let (wall, steady) = (self.clock.now(), Instant::now());
        let passed = (wall - self.wall).to_std().unwrap_or_default();
        let ahead = passed.saturating_sub(steady - self.steady);
        (self.wall, self.steady) = (wall, steady);
        (ahead > TOLERANCE).then_some(ahead)
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::ManualClock;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn start() -> (Arc<ManualClock>, Sleep) {
        let now = Timestamp::from_timestamp(1_763_797_000, 0).expect("in range");
        let clock = Arc::new(ManualClock::at(now));
        let sleep = Sleep::new(clock.clone());
        (clock, sleep)
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_passes_on_both_clocks_is_no_sleep() {
        let (clock, mut sleep) = start();
        tokio::time::advance(MINUTE).await;
        clock.advance(MINUTE + TOLERANCE);
        assert_eq!(sleep.look(), None);
        // A clock that is set back, or stands still, says nothing.
        tokio::time::advance(MINUTE).await;
        assert_eq!(sleep.look(), None);
        clock.set(clock.now() - MINUTE);
        assert_eq!(sleep.look(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_slept_is_added_to_the_age_once() {
        let (clock, mut sleep) = start();
        let replica = Replica::new();
        replica.touch();
        clock.advance(60 * MINUTE);
        assert_eq!(sleep.noticed(&replica).await, 60 * MINUTE);
        assert_eq!(replica.age(), Some(60 * MINUTE));
        assert_eq!(sleep.look(), None);
        replica.touch();
        assert_eq!(replica.age(), Some(Duration::ZERO));
    }
}
