//! A body that hardly moves. Every piece of it may be in time and the whole still take for ever, and Pingora has no
//! deadline for the whole.

use std::time::Duration;

use tokio::time::Instant;

use crate::deadline::BodyClock;
use crate::moment;

/// How long a body may take at any pace.
const GRACE: Duration = Duration::from_secs(30);
/// What has to have come in for each second after that, in bytes.
const LEAST_PER_SECOND: u64 = 64;

/// How a request's body is coming in.
#[derive(Debug)]
pub struct Pace {
    since: Instant,
    bytes: u64,
    clock: Option<BodyClock>,
}

impl Pace {
    /// A body that begins now.
    pub fn begin() -> Self {
        Self {
            since: moment::now(),
            bytes: 0,
            clock: BodyClock::of_this_exchange(),
        }
    }

    /// The whole body has come.
    pub fn ended(&mut self) {
        if let Some(clock) = self.clock.take() {
            clock.ended();
        }
    }

    /// Counts a piece. Whether the body as a whole is still worth waiting for.
    pub fn keeps_up(&mut self, piece: usize) -> bool {
        if let Some(clock) = self.clock.as_ref().filter(|_| piece > 0) {
            clock.moved();
        }
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(piece).unwrap_or(u64::MAX));
        let took = moment::now().saturating_duration_since(self.since);
        took < GRACE || self.bytes >= took.as_secs().saturating_mul(LEAST_PER_SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_is_not_a_body() {
        let mut pace = Pace::begin();
        for _ in 0..2 {
            tokio::time::advance(Duration::from_secs(10)).await;
            assert!(pace.keeps_up(1));
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!pace.keeps_up(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_may_take_as_long_as_it_moves() {
        let mut pace = Pace::begin();
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_secs(10)).await;
            assert!(pace.keeps_up(1024));
        }
    }
}
