//! What a route does with requests besides deciding about them: limits, CORS, headers, another path.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::section::{Reader, Section, section};
use crate::value::words;

section! {
    /// How many requests one caller may make on a route.
    check check_rate;
    pub struct RateLimit {
        /// Whose requests are counted together.
        pub per: RatePer,
        /// How many are let through in `within`, at least 1.
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

section! {
    /// Which pages of other origins may use a route from a browser (the Fetch standard's CORS protocol). Preflight requests
    /// are answered by the edge and never forwarded.
    pub struct Cors {
        /// The origins, such as `https://app.example.com`, exactly; `"*"` alone for every origin, without credentials.
        pub origins: Vec<String>,
        /// The header fields that a page may send besides the safelisted ones, by lower-case name.
        pub headers: Vec<String> = "[]",
        /// The header fields of an answer that a page may read besides the safelisted ones, by lower-case name.
        pub expose: Vec<String> = "[]",
        /// Whether a page may send credentials (cookies).
        pub credentials: bool = "false",
        /// How long a browser may remember the answer to a preflight request, 0s to 1d.
        pub max_age: Duration = "10m",
    }
}

section! {
    /// Header fields that are changed on the way.
    pub struct HeaderRules {
        /// Fields that get this value, by lower-case name, whatever they had before.
        pub set: BTreeMap<String, String> = "{}",
        /// Fields that are taken away, by lower-case name.
        pub remove: Vec<String> = "[]",
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

fn check_rate(limit: &RateLimit, section: &Section<'_>, reader: &mut Reader<'_>) {
    if limit.requests == 0 {
        reader.problem(
            &section.place_of("requests"),
            "with `0` nobody could ever pass: allow at least one request",
        );
    }
    let bounds = (Duration::from_secs(1), Duration::from_hours(24));
    crate::value::between(section, "within", limit.within, bounds, reader);
}
