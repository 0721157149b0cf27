//! How late a message is, without trusting that two machines have the same time.
//!
//! The difference between when a heartbeat was sent (their clock) and received (ours) is the same for all that are
//! not late. The smallest one seen on a connection is taken for "not late"; what a message takes longer is its delay.
//! So heartbeats that were stuck somewhere and arrive in a heap do not pass for fresh ones.

use std::time::Duration;

use sentinel_core::Timestamp;
use tokio::time::Instant;

pub(super) struct Transit {
    began: Instant,
    /// Difference of the clocks plus the shortest way, in microseconds.
    shortest: Option<i64>,
}

impl Transit {
    /// On a connection that begins now: the first heartbeat cannot be older than that.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            shortest: None,
        }
    }

    /// How late a heartbeat is that arrives now.
    pub(super) fn delay(&mut self, sent_at: Timestamp) -> Duration {
        let since = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        let difference = since.saturating_sub(sent_at.timestamp_micros());
        let Some(shortest) = &mut self.shortest else {
            self.shortest = Some(difference);
            return self.began.elapsed();
        };
        *shortest = difference.min(*shortest);
        Duration::from_micros(u64::try_from(difference.saturating_sub(*shortest)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: Duration = Duration::from_millis(250);

    #[tokio::test(start_paused = true)]
    async fn a_heap_of_old_heartbeats_is_not_fresh() {
        let sent =
            |micros: i64| Timestamp::from_timestamp_micros(1_700_000_000_000_000 + micros).expect("in range");
        let mut transit = Transit::new();
        tokio::time::advance(BEAT).await;
        assert_eq!(transit.delay(sent(0)), BEAT, "since the connection began");
        tokio::time::advance(BEAT).await;
        assert_eq!(transit.delay(sent(250_000)), Duration::ZERO);
        // The network holds back four beats and lets them go at once.
        tokio::time::advance(4 * BEAT).await;
        let delays: Vec<Duration> = (2..6).map(|n| transit.delay(sent(n * 250_000))).collect();
        assert_eq!(delays, [3 * BEAT, 2 * BEAT, BEAT, Duration::ZERO]);
        // Their clock is set back by a second: careful, and not careless.
        tokio::time::advance(BEAT).await;
        assert_eq!(transit.delay(sent(500_000)), 4 * BEAT);
        // It is set forward by a minute: that is the new measure.
        assert_eq!(transit.delay(sent(60_000_000)), Duration::ZERO);
    }
}
