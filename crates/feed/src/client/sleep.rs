//! A wall clock that does not go with the clock that ages are measured with.
//!
//! It runs ahead where the machine was suspended: the clock that ages are measured with stands still meanwhile, and the
//! wall clock does not. What it ran ahead is added to the age, and the connection begins anew: heartbeats that waited in its buffers
//! since before would pass for fresh ones. A clock that is set forward looks the same, and costs one connection.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::{Clock, Timestamp};
use tokio::time::Instant;

use super::error::FollowError;
use crate::disk::Writer;
use crate::replica::Replica;

/// How often the two clocks are compared.
const LOOK: Duration = Duration::from_millis(500);

/// How far the wall clock may run ahead between two looks without a sleep.
const TOLERANCE: Duration = Duration::from_secs(2);

/// How far the wall clock may fall behind between two looks: further than that it was set back.
const BACK: Duration = Duration::from_millis(100);

/// What the wall clock did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Noticed {
    /// It ran ahead by so much: the machine slept.
    Slept(Duration),
    /// It was set back by so much.
    SetBack(Duration),
}

impl Noticed {
    /// Tells the files what they must know, and says why the connection begins anew.
    pub(super) fn told(self, writer: Option<&Writer>) -> FollowError {
        match self {
            Self::Slept(unnoticed) => FollowError::Slept(unnoticed),
            Self::SetBack(by) => {
                if let Some(writer) = writer {
                    writer.doubt();
                }
                FollowError::SetBack(by)
            }
        }
    }
}

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

    /// Waits until the machine has slept, and makes the replica that much older; or until the clock was set back. Can be
    /// dropped and asked again at any time.
    pub(super) async fn noticed(&mut self, replica: &Replica) -> Noticed {
        loop {
            if let Some(noticed) = self.look() {
                if let Noticed::Slept(unnoticed) = noticed {
                    replica.slept(unnoticed);
                }
                return noticed;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How far the wall clock has run ahead or fallen behind since the last look, if that is too far.
    fn look(&mut self) -> Option<Noticed> {
        // The steady clock on both sides: this thread may be held up in between, which moves neither clock.
        let before = Instant::now();
        let (wall, steady) = (self.clock.now(), Instant::now());
        let passed = (wall - self.wall).to_std().unwrap_or_default();
        let ahead = passed.saturating_sub(steady - self.steady);
        let went = micros(before.saturating_duration_since(self.steady));
        let behind = went.saturating_sub((wall - self.wall).num_microseconds().unwrap_or(i64::MAX));
        let behind = Duration::from_micros(u64::try_from(behind).unwrap_or(0));
        (self.wall, self.steady) = (wall, steady);
        if ahead > TOLERANCE {
            return Some(Noticed::Slept(ahead));
        }
        (behind > BACK).then_some(Noticed::SetBack(behind))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
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
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_or_stands_still_is_seen() {
        let (clock, mut sleep) = start();
        tokio::time::advance(MINUTE).await;
        clock.advance(MINUTE.saturating_sub(BACK));
        assert_eq!(sleep.look(), None);
        tokio::time::advance(MINUTE).await;
        assert_eq!(sleep.look(), Some(Noticed::SetBack(MINUTE)));
        clock.set(clock.now() - MINUTE);
        assert_eq!(sleep.look(), Some(Noticed::SetBack(MINUTE)));
        assert_eq!(sleep.look(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_slept_is_added_to_the_age_once() {
        let (clock, mut sleep) = start();
        let replica = Replica::new();
        replica.touch();
        clock.advance(60 * MINUTE);
        assert_eq!(sleep.noticed(&replica).await, Noticed::Slept(60 * MINUTE));
        assert_eq!(replica.age(), Some(60 * MINUTE));
        assert_eq!(sleep.look(), None);
        replica.touch();
        assert_eq!(replica.age(), Some(Duration::ZERO));
    }
}
