//! How late a message is, without trusting that two machines have the same time, or that either has the right one.
//!
//! A heartbeat says how long after the edge's request it was sent, by the control plane's steady clock; how long ago the
//! request went out is known here by ours. The difference is what the request and the message took together. That is more
//! than the message took alone, so that what is heard is never taken for younger than it is: neither on a network that is
//! slow all the time, nor when messages were stuck and arrive in a heap, nor when somebody sets a clock.

use std::time::Duration;

use tokio::time::Instant;

pub(super) struct Transit {
    began: Instant,
}

impl Transit {
    /// For a request that is sent now.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// How late a message is at most that arrives now, and was sent so long after the request came.
    pub(super) fn delay(&self, since: Duration) -> Duration {
        self.began.elapsed().saturating_sub(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: Duration = Duration::from_millis(250);

    #[tokio::test(start_paused = true)]
    async fn a_heap_of_old_heartbeats_is_not_fresh() {
        let transit = Transit::new();
        tokio::time::advance(BEAT).await;
        assert_eq!(transit.delay(Duration::ZERO), BEAT, "both ways");
        tokio::time::advance(BEAT).await;
        assert_eq!(transit.delay(BEAT), BEAT, "a network that is always slow");
        // The network holds back four beats and lets them go at once.
        tokio::time::advance(4 * BEAT).await;
        let delays: Vec<Duration> = (2..6).map(|n| transit.delay(n * BEAT)).collect();
        assert_eq!(delays, [4 * BEAT, 3 * BEAT, 2 * BEAT, BEAT]);
        assert_eq!(transit.delay(100 * BEAT), Duration::ZERO, "it cannot be");
    }
}
