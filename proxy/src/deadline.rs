//! A moment by which something has to have happened in an exchange, kept by the task that serves the connection.
//!
//! Pingora sets a peer's read limit once, before the request is sent. A tunnel needs a long one, a handshake a short one,
//! and nothing changes it when the service says `101`. So the long one is set, and the short one is kept here: when it has
//! passed, the task drops the exchange, and both connections with it. There is no answer then; nobody is left to write it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::moment;

tokio::task_local! {
    static CURRENT: Deadline;
    static BODY: BodyClock;
}

/// The moment, if there is one. Clones share it.
///
/// INVARIANT: only the task that keeps it sets it, within the exchange that it runs. So whoever keeps it looks again after
/// each step of the exchange, and nobody has to be woken.
#[derive(Debug, Clone)]
pub struct Deadline(Arc<Moment>);

/// Nanoseconds after `since`; [`NONE`] for no moment.
#[derive(Debug)]
struct Moment {
    /// When it was set first: most exchanges never ask what time it is.
    since: OnceLock<Instant>,
    after: AtomicU64,
}

const NONE: u64 = u64::MAX;

impl Default for Deadline {
    fn default() -> Self {
        Self(Arc::new(Moment {
            since: OnceLock::new(),
            after: AtomicU64::new(NONE),
        }))
    }
}

impl Deadline {
    /// That of the exchange which is served here; one that nobody keeps outside of [`keeping`].
    pub fn of_this_exchange() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Sets it, or puts it off.
    pub fn set(&self, wait: Duration) {
        let since = self.0.since.get_or_init(Instant::now);
        let after = since.elapsed().saturating_add(wait).as_nanos();
        let after = u64::try_from(after).unwrap_or(NONE);
        self.0.after.store(after, Ordering::Relaxed);
    }

    /// There is none any more.
    pub fn lift(&self) {
        self.0.after.store(NONE, Ordering::Relaxed);
    }

    fn moment(&self) -> Option<Instant> {
        let after = self.0.after.load(Ordering::Relaxed);
        if after == NONE {
            return None;
        }
        self.0.since.get()?.checked_add(Duration::from_nanos(after))
    }

    /// Ends when the moment has passed. It is to be polled after each step of the exchange.
    async fn passed(&self) {
        let mut waiting = pin!(None);
        poll_fn(|cx| {
            let Some(moment) = self.moment() else {
                waiting.set(None);
                return Poll::Pending;
            };
            if waiting.is_none() {
                waiting.set(Some(sleep_until(moment)));
            }
            let Some(mut sleep) = waiting.as_mut().as_pin_mut() else {
                return Poll::Pending;
            };
            if sleep.deadline() != moment {
                sleep.as_mut().reset(moment);
            }
            sleep.poll(cx)
        })
        .await;
    }
}

/// Runs an exchange; `None` if its deadline passed before it was over.
pub async fn keeping<T>(exchange: impl Future<Output = T>) -> Option<T> {
    let deadline = Deadline::default();
    let mut exchange = pin!(CURRENT.scope(deadline.clone(), exchange));
    tokio::select! {
        biased;
        done = poll_fn(|cx| moment::step(|| exchange.as_mut().poll(cx))) => Some(done),
        () = deadline.passed() => None,
    }
}

/// The time that each piece of a request's body has. Pingora keeps none for bodies that come by HTTP/2.
#[derive(Debug, Clone)]
pub struct BodyClock {
    next: Deadline,
    piece: Duration,
}

impl BodyClock {
    /// That of the exchange which is served here; `None` if nobody keeps one.
    pub fn of_this_exchange() -> Option<Self> {
        BODY.try_with(Clone::clone).ok()
    }

    /// A piece has come: the next one has as much time again.
    pub fn moved(&self) {
        self.next.set(self.piece);
    }

    /// The whole body has come.
    pub fn ended(&self) {
        self.next.lift();
    }
}

/// Runs an exchange like [`keeping`], and gives each piece of its request's body so much time if there is a body.
pub async fn keeping_body<T>(piece: Option<Duration>, exchange: impl Future<Output = T>) -> Option<T> {
    let Some(piece) = piece else {
        return keeping(exchange).await;
    };
    let clock = BodyClock {
        next: Deadline::default(),
        piece,
    };
    clock.moved();
    tokio::select! {
        biased;
        done = BODY.scope(clock.clone(), keeping(exchange)) => done,
        () = clock.next.passed() => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_has_no_deadline_takes_its_time() {
        assert_eq!(keeping(async { sleep(3600 * SECOND).await }).await, Some(()));
        let lifted = keeping(async {
            Deadline::of_this_exchange().set(SECOND);
            Deadline::of_this_exchange().lift();
            sleep(3600 * SECOND).await;
        });
        assert_eq!(lifted.await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_overdue_is_dropped() {
        let overdue = keeping(async {
            Deadline::of_this_exchange().set(SECOND);
            std::future::pending::<()>().await;
        });
        assert_eq!(overdue.await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_can_be_put_off() {
        let moving = keeping(async {
            for _ in 0..100 {
                Deadline::of_this_exchange().set(2 * SECOND);
                sleep(SECOND).await;
            }
        });
        assert_eq!(moving.await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_take_long_if_it_moves() {
        let exchange = async {
            let clock = BodyClock::of_this_exchange().expect("one is kept");
            for _ in 0..100 {
                sleep(SECOND).await;
                clock.moved();
            }
            clock.ended();
            sleep(3600 * SECOND).await;
        };
        assert_eq!(keeping_body(Some(2 * SECOND), exchange).await, Some(()));
        let none = async { BodyClock::of_this_exchange().is_none() };
        assert_eq!(keeping_body(None, none).await, Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_move_is_dropped() {
        let silent = keeping_body(Some(SECOND), std::future::pending::<()>());
        assert_eq!(silent.await, None);
        let stuck = async {
            BodyClock::of_this_exchange().expect("one is kept").moved();
            std::future::pending::<()>().await;
        };
        assert_eq!(keeping_body(Some(SECOND), stuck).await, None);
    }
}
