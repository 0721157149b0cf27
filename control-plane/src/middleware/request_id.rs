//! `X-Request-ID`: the caller's own if it is plain, else a fresh one; in every answer, every problem document and every
//! log line of the request.

use std::fmt;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use sentinel_core::Random;

use crate::app::App;

/// The header's name.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 64;

/// The id of one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id as text: letters, digits and `-`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The caller's id, if it is one that cannot disturb a log.
    fn from_caller(text: &str) -> Option<Self> {
        let plain = (1..=MAX_LENGTH).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        plain.then(|| Self(text.into()))
    }

    fn fresh(random: &dyn Random) -> Self {
        let mut bytes = [0_u8; 16];
        random.fill(&mut bytes);
        Self(format!("{:032x}", u128::from_be_bytes(bytes)).into())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Gives every request its id, and every answer too.
pub(super) async fn assign<F>(app: &App, mut request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let id = request
        .headers()
        .get(REQUEST_ID_HEADER)
        .and_then(|value| value.to_str().ok())
        .and_then(RequestId::from_caller)
        .unwrap_or_else(|| RequestId::fresh(app.random()));
    request.extensions_mut().insert(id.clone());
    let mut response = next(request).await;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use sentinel_core::SystemRandom;

    use super::*;

    #[test]
    fn only_a_plain_id_of_the_caller_is_taken() {
        assert!(RequestId::from_caller("abc-123").is_some());
        for bad in ["", "a b", "a\"b", "a_b", &"a".repeat(65)] {
            assert!(RequestId::from_caller(bad).is_none(), "`{bad}`");
        }
    }

    #[test]
    fn a_fresh_id_is_32_hex_digits() {
        let id = RequestId::fresh(&SystemRandom);
        assert_eq!(id.as_str().len(), 32);
        assert!(id.as_str().bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
