//! The end of every write: commit it, wait until this control plane's own replica has applied it, and tell the client at
//! which revision it holds. The next question, wherever it is asked with that revision, is answered with the change.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponseParts, ResponseParts};
use sentinel_core::Revision;
use sentinel_store::WriteTx;

use crate::app::App;
use crate::problem::ApiError;

/// The header that carries a revision, in requests and in answers.
pub const REVISION_HEADER: HeaderName = HeaderName::from_static("x-sentinel-revision");

/// How long the own replica may take to apply what was just committed.
const OWN_REPLICA_WAIT: Duration = Duration::from_secs(5);

/// A committed write. As a part of a response it sets `X-Sentinel-Revision`: the revision of what it changed, or, when it
/// changed nothing that edges know, one at which everything that it found holds. A call that wrote nothing has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "put it into the response: `(committed, Json(body))`"]
pub struct Committed(Option<Revision>);

impl Committed {
    /// The revision of the write, if it changed anything that edges know.
    pub fn revision(&self) -> Option<Revision> {
        self.0
    }
}

/// Commits `tx`, and answers when the own replica has applied it.
///
/// # Errors
/// When the commit failed nothing is stored. When the replica does not follow in time the answer is 503 and says that the
/// change is stored.
pub async fn commit(app: &App, tx: WriteTx) -> Result<Committed, ApiError> {
    // What was found as it should be holds since then, or from before.
    let found = tx.base();
    let revision = tx.commit().await?;
    published(app, revision.or(Some(found))).await
}

/// After a write of rows that no edge knows: the newest revision that is known here, which says no more than that.
pub fn unreplicated(app: &App) -> Committed {
    Committed(Some(app.replica().load().revision()))
}

/// The revision that a question was answered at. As a part of a response it sets `X-Sentinel-Revision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "put it into the response: `(AnsweredAt(revision), Json(body))`"]
pub struct AnsweredAt(pub Revision);

impl IntoResponseParts for AnsweredAt {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        Committed(Some(self.0)).into_response_parts(parts)
    }
}

/// The same for what a service has committed itself.
///
/// # Errors
/// As [`commit`], once it is stored.
pub async fn published(app: &App, revision: Option<Revision>) -> Result<Committed, ApiError> {
    let Some(revision) = revision else {
        return Ok(Committed(None));
    };
    if app.replica().wait_for(revision, OWN_REPLICA_WAIT).await {
        return Ok(Committed(Some(revision)));
    }
    let error = ApiError::unavailable("The change was saved but cannot be seen here yet");
    Err(error.with_code("revision_not_reached").decided_at(revision))
}

impl IntoResponseParts for Committed {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        if let Some(value) = self
            .0
            .and_then(|revision| HeaderValue::try_from(revision.to_string()).ok())
        {
            parts.headers_mut().insert(REVISION_HEADER, value);
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn the_revision_is_a_header_and_no_revision_is_none() {
        let revision = Revision { epoch: 7, number: 42 };
        let response = (Committed(Some(revision)), "done").into_response();
        assert_eq!(response.headers()[REVISION_HEADER], "7.42");
        let response = (Committed(None), "done").into_response();
        assert!(!response.headers().contains_key(REVISION_HEADER));
    }
}
