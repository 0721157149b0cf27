//! What a route does with requests besides deciding about them: limits, CORS, headers, another path.

mod cors;
mod headers;
mod rewrite;

use std::time::Duration;

use super::pattern::RoutePattern;
use super::route::{Access, RouteSettings};
use crate::section::{Reader, Section, section};
use crate::value::{between, words};

pub use cors::Cors;
pub use headers::HeaderRules;

section! {
    /// How many requests one caller may make on a route.
    check check_rate;
    pub struct RateLimit {
        /// Whose requests are counted together.
        pub per: RatePer,
        /// How many are let through in `within`, at least 1, and at most 10000 a second.
        pub requests: u32,
        /// The time in which they may come, 1s to 1d. They are given back evenly over it, and all of them may come at once.
        pub within: Duration = "1m",
    }
}

words! {
    /// Whose requests are counted together.
    pub enum RatePer {
        /// Those of one verified caller: user, service, or both. Needs a route with `require`.
        Principal = "principal",
        /// Those of one client address; an IPv6 address counts with its /64. It is asked before credentials are.
        Address = "address",
    }
}

words! {
    /// What a caller is told who was recognised and may not.
    pub enum Strangers {
        /// That he may not: 403.
        Forbidden = "forbidden",
        /// That there is nothing: 404, the same as for a path without a route. Whoever is not recognised still gets 401.
        NotFound = "not_found",
    }
}

words! {
    /// Whether the decision counts.
    pub enum Mode {
        /// What is not permitted is not forwarded.
        Enforce = "enforce",
        /// The decision is made, logged and counted, and the request is forwarded whatever it was.
        Shadow = "shadow",
    }
}

/// The most requests a second that a rate can be about; the edge counts in microseconds.
const MOST_PER_SECOND: u64 = 10_000;

fn check_rate(limit: &RateLimit, section: &Section<'_>, reader: &mut Reader<'_>) {
    if limit.requests == 0 {
        reader.problem(
            &section.place_of("requests"),
            "with `0` nobody could ever pass: allow at least one request",
        );
    }
    let bounds = (Duration::from_secs(1), Duration::from_hours(24));
    between(section, "within", limit.within, bounds, reader);
    let most = limit.within.as_secs().max(1).saturating_mul(MOST_PER_SECOND);
    if u64::from(limit.requests) > most {
        reader.problem(
            &section.place_of("requests"),
            format!("this is more than {MOST_PER_SECOND} requests a second: allow fewer, or leave `rate_limit` out"),
        );
    }
}

/// The most that `retries` may be.
const MOST_RETRIES: u32 = 3;

/// The settings of a route that are about its traffic, judged with what else the route says.
pub(super) fn check_route(
    settings: &RouteSettings,
    pattern: Option<&RoutePattern>,
    access: Option<&Access>,
    section: &Section<'_>,
    reader: &mut Reader<'_>,
) {
    if settings.retries > MOST_RETRIES {
        let given = settings.retries;
        reader.problem(
            &section.place_of("retries"),
            format!("`{given}` is out of bounds: 0 to {MOST_RETRIES} is accepted"),
        );
    }
    let is_public = matches!(access, Some(Access::Public));
    let rate = settings.rate_limit.as_ref();
    if is_public && rate.is_some_and(|rate| rate.per == RatePer::Principal) {
        reader.problem(
            &section.place_of("rate_limit").child("per"),
            "a public route knows no caller to count for: use `per: address`, or replace `public` with `require`",
        );
    }
    if let (Some(to), Some(pattern)) = (&settings.rewrite, pattern) {
        rewrite::check(to, &pattern.path, &section.place_of("rewrite"), reader);
    }
}
