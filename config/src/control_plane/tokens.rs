//! Lifetimes.

use std::time::Duration;

use crate::section::{Reader, Section, section};
use crate::value::between;

section! {
    /// How long tokens and sessions live.
    check check;
    pub struct Tokens {
        /// Lifetime of access tokens, 1m to 1h. An edge that is out of touch accepts one until it expires.
        pub access_ttl: Duration = "15m",
        /// Lifetime of refresh tokens, 5m to 90d. Each use begins it anew.
        pub refresh_ttl: Duration = "7d",
        /// How long after it was used a refresh token is answered once more, 0s to 1m: the answer may have been lost on its
        /// way. Whoever shows it a third time, or later, ends the session.
        pub refresh_grace: Duration = "10s",
        /// Lifetime of a session from its login, 5m to 365d, however often it is refreshed.
        pub session_ttl: Duration = "30d",
        /// Lifetime of a login to the admin panel, 5m to 12h.
        pub admin_ttl: Duration = "1h",
        /// Lifetime of tokens of AuthZ mode, 1m to 1h.
        pub authz_ttl: Duration = "5m",
    }
}

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn check(tokens: &Tokens, section: &Section<'_>, reader: &mut Reader<'_>) {
    between(section, "access_ttl", tokens.access_ttl, (MINUTE, HOUR), reader);
    between(
        section,
        "refresh_ttl",
        tokens.refresh_ttl,
        (5 * MINUTE, 90 * DAY),
        reader,
    );
    between(
        section,
        "refresh_grace",
        tokens.refresh_grace,
        (Duration::ZERO, MINUTE),
        reader,
    );
    between(section, "authz_ttl", tokens.authz_ttl, (MINUTE, HOUR), reader);
    between(
        section,
        "session_ttl",
        tokens.session_ttl,
        (5 * MINUTE, 365 * DAY),
        reader,
    );
    between(
        section,
        "admin_ttl",
        tokens.admin_ttl,
        (5 * MINUTE, 12 * HOUR),
        reader,
    );
    if tokens.access_ttl > tokens.refresh_ttl {
        reader.problem(
            &section.place_of("access_ttl"),
            "an access token may not outlive the refresh token: make it at most `refresh_ttl`",
        );
    }
    if tokens.refresh_ttl > tokens.session_ttl {
        reader.problem(
            &section.place_of("refresh_ttl"),
            "a refresh token may not outlive the session: make it at most `session_ttl`",
        );
    }
}
