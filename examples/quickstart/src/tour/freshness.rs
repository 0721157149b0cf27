//! How long a change takes until it is in effect at the edge.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

use super::step::millis;
use super::{Cast, Failed, Tour};
use crate::api::Grantee;
use crate::http::{Answer, Ask, Http};

/// How often the tour shares and unshares.
const ROUNDS: usize = 20;

/// How long to wait for an effect.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until the answer is the one that is waited for, without a pause. Returns it, and the time since
/// the call. Where nothing answers at all it goes on asking.
///
/// # Errors
/// It does not come.
pub async fn until(http: &Http, ask: &Ask, wanted: impl Fn(&Answer) -> bool) -> Result<(Answer, Duration)> {
    let started = Instant::now();
    loop {
        let answer = http.send(ask).await;
        let took = started.elapsed();
        match answer {
            Ok(answer) if wanted(&answer) => return Ok((answer, took)),
            Ok(answer) if took > PATIENCE => {
                bail!(
                    "after {PATIENCE:?} {ask} still answers {}: {}",
                    answer.status,
                    answer.body
                )
            }
            Err(error) if took > PATIENCE => return Err(error),
            Ok(_) => {}
            // Nobody listens: do not spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Times, and what is said of them.
#[derive(Debug, Clone)]
pub struct Spread(Vec<Duration>);

impl Spread {
    /// Orders the times.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    /// The median; with an even number of times the larger one of the middle.
    pub fn p50(&self) -> Duration {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    /// The longest time.
    pub fn max(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }
}

/// Shares and unshares a document many times.
pub(super) async fn rounds(tour: &mut Tour<'_>, cast: &Cast) -> Result<(), Failed> {
    let title = format!("{ROUNDS} times: unshared and refused at the edge, shared and allowed again");
    tour.step(&title, async |step| {
        let grantee = Grantee::Group(&cast.group);
        let read = cast.read(&cast.shared, &cast.bob.access);
        let unshare = cast.api.unshare(&cast.key, &cast.shared.permission, grantee);
        let share = cast
            .api
            .share(&cast.key, &cast.alice.access, &cast.shared.permission, grantee);
        let (mut refused, mut allowed) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            step.http.send(&unshare).await?.expect(200)?;
            refused.push(until(step.http, &read, |answer| answer.status == 403).await?.1);
            step.http.send(&share).await?.expect(201)?;
            allowed.push(until(step.http, &read, |answer| answer.status == 200).await?.1);
        }
        let (refused, allowed) = (Spread::of(refused), Spread::of(allowed));
        for (what, spread) in [("first 403", &refused), ("first 200", &allowed)] {
            let (p50, max) = (millis(spread.p50()), millis(spread.max()));
            step.note(format_args!(
                "from the write's answer to the {what}: p50 {p50}, max {max}"
            ));
        }
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_the_ordered_times() {
        let spread = Spread::of([5, 1, 9].map(Duration::from_millis).to_vec());
        assert_eq!(spread.p50(), Duration::from_millis(5));
        assert_eq!(spread.max(), Duration::from_millis(9));
        assert_eq!(Spread::of(Vec::new()).p50(), Duration::ZERO);
    }
}
