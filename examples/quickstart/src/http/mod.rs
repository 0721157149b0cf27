//! The HTTP client of the tour and of the whole-system tests: it follows no redirect, keeps no cookie behind anybody's
//! back, and measures how long each answer took.

mod answer;
mod ask;
mod browser;
mod form;
mod raw;

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

pub use answer::Answer;
pub(crate) use ask::masked;
pub use ask::{Ask, Secret};
pub use browser::Browser;
pub use form::{Form, forms};
pub use raw::raw;

/// How long an answer may take. Longer than anything here waits on purpose.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends requests and hands back what came, whatever its status. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http(reqwest::Client);

impl Http {
    /// A client that talks to this machine only: proxies of the environment are ignored.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one client of the demo; the product's own has limits that would hide what the tour shows"
    )]
    pub fn new() -> Result<Self> {
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .map(Self)
            .context("cannot set up the HTTP client")
    }

    /// What it sends with.
    pub fn client(&self) -> reqwest::Client {
        self.0.clone()
    }

    /// Sends one request.
    ///
    /// # Errors
    /// Nothing listens there, or no whole answer came.
    pub async fn send(&self, ask: &Ask) -> Result<Answer> {
        let started = Instant::now();
        let failed = || format!("no answer to {} {}", ask.method(), ask.url());
        let response = ask.request(&self.0).send().await.with_context(failed)?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let body = response.text().await.with_context(failed)?;
        Ok(Answer {
            status,
            headers,
            body,
            took: started.elapsed(),
        })
    }
}
