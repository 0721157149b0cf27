//! The tokens of a session as the control plane hands them out, and what their times say. Nothing is verified here: what a
//! token is worth is found out where every credential is.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use sentinel_core::Timestamp;
use serde::Deserialize;

/// The longest token whose times are looked at.
const LONGEST: usize = 8192;
/// An access token is renewed when less than this is left of it, or a quarter of its life if that is shorter.
const SOON: i64 = 60;

/// An access token and the refresh token that follows it.
#[derive(Debug)]
pub(super) struct Pair {
    /// The access token.
    pub(super) access: SecretString,
    /// The refresh token.
    pub(super) refresh: SecretString,
}

/// When a token was made and when it ends, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Times {
    exp: i64,
    iat: Option<i64>,
}

impl Times {
    /// What the token says.
    pub(super) fn of(token: &str) -> Option<Self> {
        if token.len() > LONGEST {
            return None;
        }
        let payload = token.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    /// How long it is still good.
    pub(super) fn left(self, now: Timestamp) -> Duration {
        let left = self.exp.saturating_sub(now.timestamp());
        Duration::from_secs(u64::try_from(left).unwrap_or(0))
    }

    /// Whether it is over.
    pub(super) fn is_over(self, now: Timestamp) -> bool {
        self.left(now).is_zero()
    }

    /// Whether it is over or will be in a moment.
    pub(super) fn is_due(self, now: Timestamp) -> bool {
        let life = self.iat.map_or(i64::MAX, |iat| self.exp.saturating_sub(iat));
        let soon = SOON.min(life / 4);
        now.timestamp() >= self.exp.saturating_sub(soon)
    }
}

impl Pair {
    /// How long the access token is good.
    pub(super) fn access_left(&self, now: Timestamp) -> Duration {
        Times::of(self.access.expose_secret()).map_or(Duration::ZERO, |times| times.left(now))
    }

    /// How long the refresh token is good.
    pub(super) fn refresh_left(&self, now: Timestamp) -> Duration {
        Times::of(self.refresh.expose_secret()).map_or(Duration::ZERO, |times| times.left(now))
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("in range")
    }

    fn times(exp: i64, iat: Option<i64>) -> Times {
        Times { exp, iat }
    }

    #[test]
    fn times_are_read_out_of_a_token_and_out_of_nothing_else() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"exp":1000,"iat":100,"sub":"x"}"#);
        assert_eq!(Times::of(&format!("h.{payload}.s")), Some(times(1000, Some(100))));
        let without = URL_SAFE_NO_PAD.encode(r#"{"iat":1}"#);
        for bad in [
            String::new(),
            "a.b.c".to_owned(),
            payload.clone(),
            format!("h.{without}.s"),
            format!("h.{payload}{}.s", "A".repeat(LONGEST)),
        ] {
            assert_eq!(Times::of(&bad), None, "`{bad}`");
        }
    }

    #[test]
    fn a_token_is_due_a_minute_before_its_end() {
        let token = times(1000, Some(100));
        for (now, due, over) in [
            (939, false, false),
            (940, true, false),
            (999, true, false),
            (1000, true, true),
        ] {
            assert_eq!(
                (token.is_due(at(now)), token.is_over(at(now))),
                (due, over),
                "{now}"
            );
        }
        assert_eq!(token.left(at(990)), Duration::from_secs(10));
    }

    #[test]
    fn a_token_of_a_short_life_is_not_due_from_its_beginning() {
        let token = times(1000, Some(980));
        assert!(!token.is_due(at(980)) && !token.is_due(at(994)) && token.is_due(at(995)));
        assert!(times(i64::MIN, Some(i64::MAX)).is_due(at(0)));
        assert!(!times(i64::MAX, None).is_due(at(0)));
    }
}
