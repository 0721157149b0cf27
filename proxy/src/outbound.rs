//! What the edge asks over HTTP by itself: the control plane's API, when somebody signs in, and the key sets of issuers. The
//! addresses come from the configuration and from nowhere else.
//!
//! No redirect is followed, no proxy of the environment is used, and an answer is read up to a size and a time. Certificates
//! are judged by the system's roots, as those of the feed are.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, IntoUrl, Method, RequestBuilder};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);

/// Asks, and reads answers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Outbound(Client);

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer. Neither text names the address, which may be nobody's business.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    /// The answer is longer than is read.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// Nobody could be asked, or no whole answer came in time.
    #[error("there was no answer")]
    Failed(#[source] reqwest::Error),
}

impl From<reqwest::Error> for OutboundError {
    fn from(error: reqwest::Error) -> Self {
        Self::Failed(error.without_url())
    }
}

impl Outbound {
    /// One that waits for a whole answer no longer than `limit`.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub(crate) fn new(limit: Duration) -> Result<Self, OutboundError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place of the edge that makes an outgoing client, with limits"
        )]
        let client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT.min(limit))
            .timeout(limit)
            .no_proxy()
            .referer(false)
            .tls_built_in_webpki_certs(false)
            .user_agent("sentinel-proxy")
            .build()?;
        Ok(Self(client))
    }

    /// A question that has yet to be asked.
    pub(crate) fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.0.request(method, url)
    }

    /// Asks, and reads an answer of at most `most` bytes.
    ///
    /// # Errors
    /// There is no such answer.
    pub(crate) async fn send(&self, request: RequestBuilder, most: usize) -> Result<Reply, OutboundError> {
        let mut answer = request.send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len().saturating_add(chunk.len()) > most {
                return Err(OutboundError::TooLong(most));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status: answer.status().as_u16(),
            body,
        })
    }
}
