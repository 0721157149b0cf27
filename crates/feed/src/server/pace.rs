//! How much time there is between two frames of a line. Changes that come one by one are sent at once, each; where they
//! come thick, what comes while the last frame is being sent goes out together in the next one.
//!
//! The measure is how long the last frame took until most of the edges had been sent it, on this machine as busy as it is:
//! sending takes no more than a certain share of the time, so that whoever writes gets the rest. An edge that does not
//! read holds nobody up for longer than the bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Between two frames there is so many times what sending the first of them took.
const SHARE: u32 = 4;

/// Less than this cannot be waited for, and is not: timers are no finer.
const LEAST: Duration = Duration::from_millis(1);

/// The longest time between two frames with few edges, what each edge adds to it, and what it is at most.
const FEW: Duration = Duration::from_millis(5);
const EACH: Duration = Duration::from_micros(200);
const LONGEST: Duration = Duration::from_millis(20);

/// A frame on its way to the edges of a line.
#[derive(Debug)]
pub(super) struct Round {
    begun: Instant,
    /// When so many have been sent it, it is as good as done: not all, since some do not read.
    most: usize,
    sent: AtomicUsize,
    /// How long that took, in nanoseconds; 0 as long as it was not so.
    took: AtomicU64,
    done: Notify,
}

/// That an edge is being sent the frame of a round. Dropped when that was done.
#[derive(Debug)]
pub(super) struct Delivery(Arc<Round>);

impl Round {
    /// A frame that is handed to so many edges now.
    pub(super) fn begin(edges: usize) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            most: edges - edges / 4,
            sent: AtomicUsize::new(0),
            took: AtomicU64::new(0),
            done: Notify::new(),
        })
    }

    /// One of the edges is going to be sent it.
    pub(super) fn delivery(self: &Arc<Self>) -> Delivery {
        Delivery(Arc::clone(self))
    }

    /// Waits until the next frame may be made, with so many edges in all. One task waits for a round.
    pub(super) async fn over(&self, edges: usize) {
        let bound = self.begun + longest(edges);
        let took = if let Some(took) = self.took() {
            took
        } else {
            timeout_at(bound, self.done.notified()).await.ok();
            self.begun.elapsed()
        };
        let pause = took.saturating_mul(SHARE);
        if pause >= LEAST {
            sleep_until(bound.min(self.begun + pause)).await;
        }
    }

    /// How long it took, once it is done.
    fn took(&self) -> Option<Duration> {
        match self.took.load(Ordering::Acquire) {
            0 if self.most > 0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let sent = self.0.sent.fetch_add(1, Ordering::AcqRel) + 1;
        if sent == self.0.most {
            let took = u64::try_from(self.0.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.0.took.store(took.max(1), Ordering::Release);
            self.0.done.notify_one();
        }
    }
}

fn longest(edges: usize) -> Duration {
    let edges = u32::try_from(edges).unwrap_or(u32::MAX);
    EACH.saturating_mul(edges).clamp(FEW, LONGEST)
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// How long after its beginning a round was over for who waited for that from now on.
    async fn over_after(round: &Round, edges: usize) -> Duration {
        round.over(edges).await;
        round.begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn what_sending_took_decides_and_nobody_waits_beyond_the_bound() {
        for (edges, bound) in [(1, 5), (10, 5), (25, 5), (50, 10), (100, 20), (1_000, 20)] {
            let round = Round::begin(edges);
            let all: Vec<Delivery> = (0..edges).map(|_| round.delivery()).collect();
            tokio::spawn(async move {
                sleep(MILLISECOND).await;
                drop(all);
            });
            assert_eq!(over_after(&round, edges).await, 4 * MILLISECOND, "a share");
            let slow = Round::begin(edges);
            assert_eq!(over_after(&slow, edges).await, bound * MILLISECOND, "{edges}");
            sleep(40 * MILLISECOND).await;
            let before = Instant::now();
            slow.over(edges).await;
            assert_eq!(before.elapsed(), Duration::ZERO, "long over");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_next_to_no_time_needs_no_pause() {
        let round = Round::begin(10);
        let all: Vec<Delivery> = (0..10).map(|_| round.delivery()).collect();
        drop(all);
        assert_eq!(over_after(&round, 10).await, Duration::ZERO);
        assert_eq!(
            over_after(&Round::begin(0), 0).await,
            Duration::ZERO,
            "for nobody"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn some_that_do_not_read_hold_nobody_up() {
        let round = Round::begin(100);
        let mut all: Vec<Delivery> = (0..100).map(|_| round.delivery()).collect();
        all.truncate(26);
        sleep(2 * MILLISECOND).await;
        assert_eq!(round.took(), None, "not most of them yet");
        all.truncate(25);
        assert_eq!(over_after(&round, 100).await, 8 * MILLISECOND);
        sleep(40 * MILLISECOND).await;
        drop(all);
        assert_eq!(round.took(), Some(2 * MILLISECOND), "the rest does not count");
    }
}
