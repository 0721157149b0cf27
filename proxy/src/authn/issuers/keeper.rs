//! Keeps an issuer's keys up to date: at the beginning, from time to time, and when a token names a key that is not known.
//!
//! One task for each issuer, so there is never more than one question under way, and what clients send makes it ask at
//! most once in [`AGAIN`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::fetch::Source;
use super::{Issuer, Issuers};
use crate::outbound::{Outbound, OutboundError};

/// How soon an issuer is asked again because a token names a key that is not known.
pub(super) const AGAIN: Duration = Duration::from_secs(10);
/// The first pause after a failure. It doubles with every other one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);

impl Issuers {
    /// Fetches keys in tasks of their own, until `stop` says so.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub(crate) fn keep(&self, stop: &watch::Receiver<bool>) -> Result<(), OutboundError> {
        let fetched = self
            .0
            .iter()
            .filter(|issuer| !matches!(issuer.source, Source::File));
        let mut outbound = None;
        for issuer in fetched {
            let outbound = match &outbound {
                Some(outbound) => outbound,
                None => outbound.insert(Outbound::new(LIMIT)?),
            };
            let task = keep(Arc::clone(issuer), outbound.clone());
            let mut stop = stop.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = task => {}
                    // An error means that nobody is left who could say so.
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            });
        }
        Ok(())
    }
}

/// Never ends.
async fn keep(issuer: Arc<Issuer>, outbound: Outbound) {
    let mut failures = 0;
    loop {
        let began = Instant::now();
        match issuer.source.fetch(&outbound).await {
            Ok(Some(keys)) => {
                if failures > 0 || issuer.age().is_none() {
                    tracing::info!(issuer = issuer.name(), "an issuer's keys are known");
                }
                failures = 0;
                issuer.learn(keys);
            }
            Ok(None) => return,
            Err(error) => {
                failures += 1;
                tracing::warn!(
                    issuer = issuer.name(),
                    error = &error as &dyn std::error::Error,
                    known = issuer.age().is_some(),
                    "an issuer's keys cannot be fetched"
                );
            }
        }
        issuer.fetched(failures > 0);
        let next = began + pause(failures, issuer.refresh);
        tokio::select! {
            () = sleep_until(next) => {}
            () = asked_for(&issuer, began + AGAIN) => {}
        }
    }
}

/// Waits until somebody has shown a token with an unknown key, and the time has come.
async fn asked_for(issuer: &Issuer, soonest: Instant) {
    issuer.wanted.notified().await;
    sleep_until(soonest).await;
}

/// How long to wait after so many failures in a row.
fn pause(failures: u32, refresh: Duration) -> Duration {
    let Some(earlier) = failures.checked_sub(1) else {
        return refresh;
    };
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(earlier))
        .min(LONGEST_PAUSE)
        .min(refresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_a_success() {
        let refresh = Duration::from_hours(1);
        let pauses: Vec<u64> = (0..9)
            .map(|failures| pause(failures, refresh).as_secs())
            .collect();
        assert_eq!(pauses, [3600, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(u32::MAX, refresh), LONGEST_PAUSE);
    }
}
