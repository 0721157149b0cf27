//! How many control frames a client may send: some at once, and a steady trickle.

use std::time::Duration;

use tokio::time::Instant;

/// What there is at first and at most.
const MOST: u32 = 1000;
/// What comes back each second.
const PER_SECOND: u32 = 200;
/// Bytes sent to the client for each further piece: a client that reads an answer gives room for more of it as it goes.
const BYTES: usize = 512;

/// What is left to a connection.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    counted: Instant,
    /// Written and not yet counted.
    bytes: usize,
}

impl Budget {
    /// A full one.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: MOST,
            counted: now,
            bytes: 0,
        }
    }

    /// Takes `cost` out. Whether there was as much.
    pub(super) fn spend(&mut self, cost: u32, now: Instant) -> bool {
        self.refill(now);
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// This many bytes were sent to the client.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        let pieces = self.bytes / BYTES;
        self.bytes %= BYTES;
        self.add(u32::try_from(pieces).unwrap_or(MOST));
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted);
        let step = Duration::from_secs(1) / PER_SECOND;
        let steps = passed.as_micros() / step.as_micros();
        if steps > 0 {
            self.counted = now;
            self.add(u32::try_from(steps).unwrap_or(MOST));
        }
    }

    fn add(&mut self, pieces: u32) {
        self.left = self.left.saturating_add(pieces).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_paid_for_and_a_trickle_always() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert!((0..MOST).all(|_| budget.spend(1, start)));
        assert!(!budget.spend(1, start));
        for second in 1..1000 {
            let now = start + Duration::from_secs(second);
            assert!(budget.spend(PER_SECOND, now), "second {second}");
            assert!(!budget.spend(1, now));
        }
        assert!(budget.spend(MOST, start + Duration::from_hours(1)));
        assert!(
            !budget.spend(1, start + Duration::from_hours(1)),
            "no more than at first"
        );
    }

    #[test]
    fn who_reads_may_give_room() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert!(budget.spend(MOST, start));
        budget.sent(BYTES - 1);
        assert!(!budget.spend(1, start));
        budget.sent(1);
        assert!(budget.spend(1, start));
        budget.sent(usize::MAX);
        assert!(budget.spend(MOST, start));
        assert!(!budget.spend(1, start));
    }
}
