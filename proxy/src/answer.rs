//! What the edge answers by itself: denials (`denial`), and what other modules make.
//!
//! Pingora's own error answers close the connection, name the product and carry no challenge, so none of them is used.

mod accept;
mod denial;

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderName, HeaderValue, Method};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use tokio::time::timeout;

use crate::names;
use crate::request_id::RequestId;

pub use accept::prefers_page;
pub use denial::{Case, told};

/// The most that is read of a refused request's body so that its connection can be used again.
const MAX_DRAIN: u64 = 64 * 1024;
/// The most that is read of a body that is not wanted, while its client has not yet heard so.
const MAX_LINGER: usize = 256 * 1024;
/// And how long.
const LINGER: Duration = Duration::from_secs(1);

/// An answer of the edge.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Answer {
    /// An answer of the edge's own making, with these headers besides its length and the number of the request.
    pub(crate) fn new(
        status: u16,
        mut headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        request: &RequestId,
    ) -> Self {
        // RFC 9110 §8.6: an answer that cannot have a body has no length either.
        if status != 204 {
            headers.push((CONTENT_LENGTH, HeaderValue::from(body.len())));
        }
        headers.push((names::REQUEST_ID, request.header_value()));
        Self {
            status,
            headers,
            body,
        }
    }

    /// Adds headers, whichever of these names are there already.
    pub(crate) fn add(&mut self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) {
        self.headers.extend(headers);
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
            header.append_header(name, value)?;
        }
        let soon_read = is_soon_read(session);
        if soon_read {
            session.set_close_on_response_before_downstream_finish(false);
            session.set_total_drain_timeout(Some(LINGER));
        }
        let bodiless = self.body.is_empty() || session.req_header().method == Method::HEAD;
        session.write_response_header(Box::new(header), bodiless).await?;
        if !bodiless {
            session.write_response_body(Some(self.body), true).await?;
        }
        if !soon_read {
            linger(session).await;
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
    length.is_some_and(|length| length <= MAX_DRAIN) && !fields.contains_key(EXPECT)
}

/// Reads on for a moment where the client still sends a body that nobody wants: closing at once would make his kernel
/// throw the answer away (RFC 9112 §9.6).
async fn linger(session: &mut Session) {
    let waits_to_be_asked = session.req_header().headers.contains_key(EXPECT);
    let downstream = session.as_downstream_mut();
    if downstream.is_http2() || waits_to_be_asked || downstream.is_body_done() {
        return;
    }
    let reading = async {
        let mut left = MAX_LINGER;
        while let Ok(Some(piece)) = downstream.read_request_body().await {
            match left.checked_sub(piece.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Whether he heard it does not matter any more.
    let _ = timeout(LINGER, reading).await;
}
