//! A moment by which something has to have happened in an exchange, kept by the task that serves the connection.
//!
//! Pingora sets a peer's read limit once, before the request is sent. A tunnel needs a long one, a handshake a short one,
//! and nothing changes it when the service says `101`. So the long one is set, and the short one is kept here: when it has
//! passed, the task drops the exchange, and both connections with it. There is no answer then; nobody is left to write it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

tokio::task_local! {
    static CURRENT: Deadline;
}

/// The moment, if there is one. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Deadline(Arc<watch::Sender<Option<Instant>>>);

impl Deadline {
    /// That of the exchange which is served here; one that nobody keeps outside of [`keeping`].
    pub fn of_this_exchange() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Sets it, or puts it off.
    pub fn set(&self, wait: Duration) {
        self.0.send_replace(Instant::now().checked_add(wait));
    }

    /// There is none any more.
    pub fn lift(&self) {
        self.0.send_replace(None);
    }

    async fn passed(&self) {
        let mut moments = self.0.subscribe();
        loop {
            let moment = *moments.borrow_and_update();
            let overdue = async {
                match moment {
                    Some(moment) => sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                changed = moments.changed() => if changed.is_err() { return },
                () = overdue => return,
            }
        }
    }
}

/// Runs an exchange; `None` if its deadline passed before it was over.
pub async fn keeping<T>(exchange: impl Future<Output = T>) -> Option<T> {
    let deadline = Deadline::default();
    tokio::select! {
        biased;
        done = CURRENT.scope(deadline.clone(), exchange) => Some(done),
        () = deadline.passed() => None,
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
}
