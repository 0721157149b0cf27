//! How often the edge's own pages ask the control plane. Anybody can load them, so each client has as much as somebody needs
//! who signs in, and what he asks for takes nothing from those whose sessions have to be renewed.

use std::time::Duration;

use sentinel_config::edge::{RateLimit, RatePer};
use sentinel_core::Denial;

use super::jar::SetCookies;
use super::pages::Page;
use super::{Login, Said, Visit};
use crate::limits::{Buckets, Caller, Rate};

/// How many pages that ask the control plane one address may load at once, and within a minute. To sign in takes three at
/// most.
pub(super) const PAGES: u32 = 30;
const WITHIN: Duration = Duration::from_mins(1);

/// What each client has left.
#[derive(Debug)]
pub(super) struct Allowance {
    buckets: Buckets,
    rate: Rate,
}

impl Allowance {
    /// Nobody has asked yet.
    pub(super) fn new() -> Self {
        let limit = RateLimit {
            per: RatePer::Address,
            requests: PAGES,
            within: WITHIN,
        };
        Self {
            buckets: Buckets::new(true),
            rate: Rate::new(&limit, 0),
        }
    }
}

impl Login {
    /// Whether this client may have the control plane asked once more. It is asked last, so that what is refused anyway
    /// uses nothing up.
    ///
    /// # Errors
    /// The page that tells him to wait.
    pub(super) fn may_ask(&self, visit: Visit<'_>) -> Result<(), Said> {
        let Allowance { buckets, rate } = &self.allowance;
        let Err(seconds) = buckets.take(Caller::at(visit.client.address), rate) else {
            return Ok(());
        };
        let page = Page::new(
            429,
            "There were too many requests",
            "Too many people signed in or out from where you are. Wait a moment, and load this page again.",
        );
        let cookies = SetCookies::default();
        Err(visit.say(page.later(seconds), cookies, Err(Denial::RateLimited)))
    }
}
