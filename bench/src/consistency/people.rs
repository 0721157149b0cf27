//! Who asks, with tokens that do not run out.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Result, ensure};
use sentinel_quickstart::api::Api;
use sentinel_quickstart::http::{Http, Secret};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::fleet::{Fleet, Person};

/// Everybody, with the newest tokens.
pub(super) type People = watch::Receiver<Vec<Person>>;

/// How often tokens are renewed, which live for a quarter of an hour.
const RENEW: Duration = Duration::from_mins(8);
/// How long the control plane may be away when they are.
const PATIENCE: Duration = Duration::from_mins(2);

/// Whoever keeps the tokens fresh.
pub(super) struct Tokens {
    http: Http,
    api: Api,
    people: watch::Sender<Vec<Person>>,
}

impl Tokens {
    /// Signs so many people in.
    pub(super) async fn of(fleet: &Fleet, count: usize) -> Result<Self> {
        let mut people = Vec::new();
        for number in 0..count {
            people.push(fleet.sign_in(number + 1).await?);
        }
        Ok(Self {
            http: fleet.http.clone(),
            api: Api::at(&fleet.system.urls.control_plane),
            people: watch::Sender::new(people),
        })
    }

    /// Everybody.
    pub(super) fn people(&self) -> People {
        self.people.subscribe()
    }

    /// Renews everybody's tokens again and again.
    pub(super) async fn keep(self) -> Result<Infallible> {
        loop {
            sleep(RENEW).await;
            self.renew().await?;
        }
    }

    async fn renew(&self) -> Result<()> {
        let mut people = self.people.borrow().clone();
        for person in &mut people {
            let ask = self.api.refresh(&person.refresh);
            let started = Instant::now();
            let pair = loop {
                // An answer that is lost with the control plane may be asked for again, within the grace that it gives.
                if let Ok(answer) = self.http.send(&ask).await
                    && answer.status < 500
                {
                    break answer.expect(200)?;
                }
                ensure!(started.elapsed() < PATIENCE, "tokens cannot be renewed");
                sleep(Duration::from_millis(100)).await;
            };
            person.access = Secret::new("an access token", pair.text("access_token")?);
            person.refresh = Secret::new("a refresh token", pair.text("refresh_token")?);
        }
        self.people.send_replace(people);
        Ok(())
    }
}
