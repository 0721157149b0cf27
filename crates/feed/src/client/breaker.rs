//! Leaves a control plane alone that does not answer: after some failures in a row nobody asks for a while, then one tries.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many failures in a row.
const FAILURES: u32 = 5;

/// The first pause; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(8);

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    Failed,
}

pub(super) struct Breaker {
    record: Mutex<Record>,
}

struct Record {
    failures: u32,
    pause: Duration,
    /// Until when nobody asks.
    resting_until: Option<Instant>,
    /// Since when one is trying whether it works again.
    trying_since: Option<Instant>,
}

/// One attempt. Dropping it without an outcome says nothing, and lets another one try.
pub(super) struct Attempt<'b> {
    breaker: &'b Breaker,
    is_trial: bool,
    is_over: bool,
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self {
            record: Mutex::new(Record {
                failures: 0,
                pause: PAUSE,
                resting_until: None,
                trying_since: None,
            }),
        }
    }

    /// Permission to ask; `None` while nobody does.
    pub(super) fn attempt(&self) -> Option<Attempt<'_>> {
        let mut record = self.record();
        let is_trial = match record.resting_until {
            None => false,
            Some(until) if Instant::now() < until || record.trying_since.is_some() => return None,
            Some(_) => {
                record.trying_since = Some(Instant::now());
                true
            }
        };
        Some(Attempt {
            breaker: self,
            is_trial,
            is_over: false,
        })
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    pub(super) fn over(mut self, outcome: Outcome) {
        self.is_over = true;
        let mut record = self.breaker.record();
        if self.is_trial {
            record.trying_since = None;
        }
        match outcome {
            Outcome::Answered => {
                record.failures = 0;
                record.pause = PAUSE;
                record.resting_until = None;
            }
            // What was asked before the pause began does not make it longer.
            Outcome::Failed if record.resting_until.is_some() && !self.is_trial => {}
            Outcome::Failed => {
                record.failures = record.failures.saturating_add(1);
                if record.failures >= FAILURES {
                    record.resting_until = Some(Instant::now() + record.pause);
                    record.pause = record.pause.saturating_mul(2).min(LONGEST);
                }
            }
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.is_trial && !self.is_over {
            self.breaker.record().trying_since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.attempt().expect("allowed").over(Outcome::Failed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_failures_in_a_row_nobody_asks_and_then_one_does() {
        let breaker = Breaker::new();
        fail(&breaker, FAILURES - 1);
        breaker.attempt().expect("allowed").over(Outcome::Answered);
        fail(&breaker, FAILURES);
        for pause in [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000] {
            assert!(breaker.attempt().is_none());
            tokio::time::advance(Duration::from_millis(pause - 1)).await;
            assert!(breaker.attempt().is_none());
            tokio::time::advance(Duration::from_millis(1)).await;
            let trial = breaker.attempt().expect("one may try");
            assert!(breaker.attempt().is_none(), "and only one");
            trial.over(Outcome::Failed);
        }
        tokio::time::advance(LONGEST).await;
        breaker.attempt().expect("one may try").over(Outcome::Answered);
        fail(&breaker, FAILURES);
        tokio::time::advance(PAUSE).await;
        assert!(breaker.attempt().is_some(), "the pause is short again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_is_given_up_lets_another_one_try() {
        let breaker = Breaker::new();
        let earlier = breaker.attempt().expect("allowed");
        fail(&breaker, FAILURES);
        tokio::time::advance(PAUSE).await;
        drop(breaker.attempt().expect("one may try"));
        let trial = breaker.attempt().expect("another may try");
        // One from before the pause ends nothing and lengthens nothing.
        earlier.over(Outcome::Failed);
        assert!(breaker.attempt().is_none());
        trial.over(Outcome::Answered);
        assert!(breaker.attempt().is_some() && breaker.attempt().is_some());
    }
}
