//! Forms that many answers share: moments and pages.

use chrono::SecondsFormat;
use sentinel_core::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::problem::ApiError;

/// A moment as the API writes it: RFC 3339, UTC, `Z`, always six digits of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

/// The body of a success that has nothing else to say.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ok {
    status: &'static str,
}

/// `{"status":"ok"}`.
pub const OK: Ok = Ok { status: "ok" };

/// One page of a list, as the API writes it.
#[derive(Debug, Clone, Serialize)]
pub struct PageBody<T> {
    /// The rows of this page.
    pub items: Vec<T>,
    /// How many there are on all pages.
    pub total: i64,
    /// Which page this is, from 1.
    pub page: u32,
    /// How many rows a page has.
    pub page_size: u32,
}

/// Which page is asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct PageQuery {
    #[serde(default = "first_page")]
    page: u32,
    #[serde(default = "usual_size")]
    page_size: u32,
}

impl PageQuery {
    /// Page and size, if they are within bounds.
    ///
    /// # Errors
    /// 422 for a page below 1 or a size that is not 1 to 100.
    pub fn parts(self) -> Result<(u32, u32), ApiError> {
        if self.page == 0 {
            return Err(ApiError::invalid(["query", "page"], "1 or more is expected"));
        }
        if !(1..=100).contains(&self.page_size) {
            return Err(ApiError::invalid(["query", "page_size"], "1 to 100 is expected"));
        }
        Result::Ok((self.page, self.page_size))
    }
}

const fn first_page() -> u32 {
    1
}

const fn usual_size() -> u32 {
    20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_six_digits_and_a_z() {
        for (micros, text) in [
            (1_767_225_600_000_000, "\"2026-01-01T00:00:00.000000Z\""),
            (1_767_225_600_858_570, "\"2026-01-01T00:00:00.858570Z\""),
        ] {
            let at = Timestamp::from_timestamp_micros(micros).expect("in range");
            assert_eq!(serde_json::to_string(&Moment(at)).expect("json"), text);
        }
    }

    #[test]
    fn pages_have_bounds() {
        let query = |page, page_size| PageQuery { page, page_size }.parts().is_ok();
        assert!(query(1, 20) && query(1, 100) && query(9, 1));
        assert!(!query(0, 20) && !query(1, 0) && !query(1, 101));
    }
}
