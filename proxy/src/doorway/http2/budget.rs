//! How many control frames a client may send: some at once, and a steady trickle.

use std::time::Duration;

use tokio::time::Instant;

/// What there is at first and at most.
const MOST: u32 = 1000;
/// What comes back each second.
const PER_SECOND: u32 = 200;
/// Bytes sent to the client for each further piece: a client that reads an answer gives room for more of it as it goes.
const BYTES: usize = 512;

/// Pieces that come with each request, for its own frames: its head, the end of its body or its trailers, and one to spare.
const PER_REQUEST: u32 = 3;

/// What is left to a connection.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    /// What is left of what came with requests. Control frames are not paid from it.
    for_requests: u32,
    counted: Instant,
    /// Written and not yet counted.
    bytes: usize,
}

impl Budget {
    /// A full one.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: MOST,
            for_requests: 0,
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

    /// Takes out what a frame costs that belongs to a request. Whether there was as much.
    pub(super) fn spend_for_request(&mut self, now: Instant) -> bool {
        match self.for_requests.checked_sub(1) {
            Some(left) => {
                self.for_requests = left;
                true
            }
            None => self.spend(1, now),
        }
    }

    /// So many requests have come to be answered.
    pub(super) fn requested(&mut self, requests: u32) {
        let pieces = requests.saturating_mul(PER_REQUEST);
        self.for_requests = self.for_requests.saturating_add(pieces).min(MOST);
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
    fn requests_pay_for_their_own_frames_and_for_nothing_else() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert!(budget.spend(MOST, start));
        assert!(!budget.spend_for_request(start), "no request has come");
        budget.requested(1);
        assert!(!budget.spend(1, start), "a control frame");
        assert!((0..PER_REQUEST).all(|_| budget.spend_for_request(start)));
        assert!(!budget.spend_for_request(start));
        budget.requested(u32::MAX);
        assert!((0..MOST).all(|_| budget.spend_for_request(start)));
        assert!(!budget.spend_for_request(start), "no more than so much is saved");
        assert!(
            budget.spend_for_request(start + Duration::from_secs(1)),
            "a trickle is taken always"
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
