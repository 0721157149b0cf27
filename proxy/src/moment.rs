//! What time it is for an exchange. Asking the clock takes longer than most of what is done with the answer, and between two
//! points at which an exchange waits hardly any time passes: so it is asked once from one to the next.
//!
//! How long something took is not measured with this. Whatever may keep a whole thread waiting has to say so ([`waiting`]).

use std::cell::Cell;

use tokio::time::Instant;

thread_local! {
    static STEP: Cell<Step> = const { Cell::new(Step::None) };
}

/// What this thread is at.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// No step of an exchange.
    None,
    /// One that has not asked what time it is.
    Begun,
    /// One that has asked then.
    At(Instant),
}

/// The step that was run before goes on when this is dropped.
struct Within(Step);

impl Drop for Within {
    fn drop(&mut self) {
        STEP.set(self.0);
    }
}

/// Runs a step of an exchange: what it does until it waits.
pub fn step<T>(run: impl FnOnce() -> T) -> T {
    let _within = Within(STEP.replace(Step::Begun));
    run()
}

/// When this step asked for the first time; outside of a step, the present.
pub fn now() -> Instant {
    if let Step::At(moment) = STEP.get() {
        return moment;
    }
    let moment = Instant::now();
    if matches!(STEP.get(), Step::Begun) {
        STEP.set(Step::At(moment));
    }
    moment
}

/// Runs something that keeps this thread waiting, and whatever its step knew of the time does not count any more.
pub fn waiting<T>(run: impl FnOnce() -> T) -> T {
    let done = run();
    if matches!(STEP.get(), Step::At(_)) {
        STEP.set(Step::Begun);
    }
    done
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[test]
    fn one_step_is_one_moment() {
        let (first, second) = step(|| (now(), (0..100).map(|_| now()).max()));
        assert_eq!(Some(first), second);
        let inner = step(|| {
            let outer = now();
            let inner = step(|| [now(), now()]);
            assert_eq!(now(), outer);
            inner
        });
        assert_eq!(inner[0], inner[1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_step_is_another_one() {
        let first = step(now);
        advance(Duration::from_secs(1)).await;
        assert_eq!(step(now) - first, Duration::from_secs(1));
        let before = now();
        advance(Duration::from_secs(1)).await;
        assert_eq!(now() - before, Duration::from_secs(1), "outside of a step");
    }

    #[test]
    fn a_step_that_had_to_wait_asks_again() {
        step(|| {
            let before = now();
            let after = waiting(|| {
                let mut moment = Instant::now();
                while moment == before {
                    moment = Instant::now();
                }
                moment
            });
            assert!(after > before && now() >= after);
            assert_eq!(now(), now());
        });
        waiting(|| ());
        assert!(matches!(STEP.get(), Step::None), "outside of a step");
    }
}
