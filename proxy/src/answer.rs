//! What a denied client is told: a problem document (RFC 9457) with a stable code, and never the reason in detail.
//!
//! Pingora's own error answers close the connection, name the product and carry no challenge, so none of them is used.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use sentinel_core::Denial;
use serde::Serialize;

use crate::names;
use crate::request_id::RequestId;

/// The most that is read of a refused request's body so that its connection can be used again.
const MAX_DRAIN: u64 = 64 * 1024;

/// The document (RFC 9457 §3), the same as the control plane's.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'static str,
    request_id: &'a str,
}

/// The answer to a request that was not let through.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Answer {
    /// The answer that stands for `denial`.
    pub fn to(denial: Denial, request: &RequestId) -> Self {
        let problem = Problem {
            r#type: "about:blank",
            title: denial.title(),
            status: denial.status(),
            code: denial.code(),
            detail: denial.title(),
            request_id: request.as_str(),
        };
        // INVARIANT: texts and a number can always be written.
        let body = Bytes::from(serde_json::to_vec(&problem).unwrap_or_default());
        let mut headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
            (CONTENT_LENGTH, HeaderValue::from(body.len())),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (names::REQUEST_ID, request.header_value()),
        ];
        headers.extend(challenge(denial).map(|value| (WWW_AUTHENTICATE, HeaderValue::from_static(value))));
        if denial.status() == 503 {
            headers.push((RETRY_AFTER, HeaderValue::from_static("1")));
        }
        Self {
            status: denial.status(),
            headers,
            body,
        }
    }

    /// The answer as bytes of HTTP/1.1, with the announcement that the connection ends. For requests whose framing cannot
    /// be trusted.
    pub fn closing(&self) -> Vec<u8> {
        let status =
            http::StatusCode::from_u16(self.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nConnection: close\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default()
        );
        for (name, value) in &self.headers {
            // INVARIANT: every value above is visible ASCII, and writing to a string cannot fail.
            let _ = write!(head, "{name}: {}\r\n", value.to_str().unwrap_or_default());
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Sends the answer. The connection stays usable if what is left of the request is small.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn send(self, session: &mut Session) -> pingora::Result<()> {
        let mut header = ResponseHeader::build(self.status, Some(self.headers.len()))?;
        for (name, value) in self.headers {
            header.insert_header(name, value)?;
        }
        if is_soon_read(session) {
            session.set_close_on_response_before_downstream_finish(false);
            session.set_total_drain_timeout(Some(std::time::Duration::from_secs(1)));
        }
        let bodiless = session.req_header().method == Method::HEAD;
        session.write_response_header(Box::new(header), bodiless).await?;
        if !bodiless {
            session.write_response_body(Some(self.body), true).await?;
        }
        Ok(())
    }
}

/// Whether the rest of the request is announced to be short, and comes without being asked for.
fn is_soon_read(session: &Session) -> bool {
    let fields = &session.req_header().headers;
    let length = fields
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    length.is_some_and(|length| length <= MAX_DRAIN) && !fields.contains_key(http::header::EXPECT)
}

/// The challenge of a 401 (RFC 6750 §3: no error code where no credential was shown).
fn challenge(denial: Denial) -> Option<&'static str> {
    match denial {
        Denial::TokenInvalid | Denial::TokenExpired | Denial::TokenRevoked => {
            Some(r#"Bearer realm="sentinel", error="invalid_token""#)
        }
        Denial::ServiceKeyInvalid => Some(r#"X-Service-Key realm="sentinel""#),
        other => (other.status() == 401).then_some(r#"Bearer realm="sentinel""#),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closing(denial: Denial) -> String {
        String::from_utf8(Answer::to(denial, &RequestId::fixed("r1")).closing()).expect("ASCII")
    }

    #[test]
    fn an_answer_is_a_problem_document() {
        insta::assert_snapshot!(closing(Denial::PermissionDenied).replace('\r', ""), @r#"
        HTTP/1.1 403 Forbidden
        Connection: close
        content-type: application/problem+json
        content-length: 135
        cache-control: no-store
        x-request-id: r1

        {"type":"about:blank","title":"Access is denied","status":403,"code":"permission_denied","detail":"Access is denied","request_id":"r1"}
        "#);
    }

    #[test]
    fn every_401_has_a_challenge_and_every_503_says_when_to_come_back() {
        for denial in Denial::ALL {
            let text = closing(*denial);
            assert_eq!(
                text.contains("www-authenticate: "),
                denial.status() == 401,
                "{denial}"
            );
            assert_eq!(text.contains("retry-after: "), denial.status() == 503, "{denial}");
        }
        assert!(closing(Denial::TokenRevoked).contains(r#"error="invalid_token""#));
        assert!(!closing(Denial::CredentialMissing).contains("error="));
    }
}
