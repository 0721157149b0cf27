//! What a client is told when something did not work: `application/problem+json` (RFC 9457) with a stable `code`, and
//! `detail` texts as the API's contract has them.
//!
//! Handlers return [`ApiError`]. The document itself is written by `render`, the layer that knows the request id; a 500
//! says nothing but that id, and its chain of causes is logged there, once.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use sentinel_access::{AccessError, ErrorKind};
use sentinel_core::{Denial, Revision};
use sentinel_identity::{IdentityError, KeysError};
use sentinel_store::StoreError;
use serde::Serialize;

use crate::commit::REVISION_HEADER;
use crate::middleware::request_id::RequestId;

/// The media type of every error body.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// One part of a request that was refused: where it is, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The place, outermost first: `["body", "redirect_uris", "0"]`.
    pub loc: Vec<String>,
    /// What is wrong, in words for a person.
    pub msg: String,
}

impl FieldError {
    /// An error at `loc`, which begins with `body`, `query` or `path`.
    pub fn new<'a>(loc: impl IntoIterator<Item = &'a str>, msg: impl Into<String>) -> Self {
        Self {
            loc: loc.into_iter().map(str::to_owned).collect(),
            msg: msg.into(),
        }
    }
}

/// An error answer of the API. Cheap to clone; made by the constructor that says what is meant.
#[derive(Debug, Clone)]
pub struct ApiError(Arc<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The chain of causes, for the log only.
    cause: Option<Arc<anyhow::Error>>,
}

impl ApiError {
    /// An answer with any status, a stable `code` and a `detail` text.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
            cause: None,
        }))
    }

    /// 400: the request is understood and cannot be served as it is.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// 401: the caller is not known.
    pub fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 403: the caller is known, and may not.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404: it does not exist, or the caller may not know that it does.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 409: it contradicts what is there.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// 422: some parts of the request are not what they should be.
    pub fn unprocessable(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => "The request is not valid".to_owned(),
            [one] => format!("{}: {}", one.loc.join("."), one.msg),
            many => format!("{} parts of the request are not valid", many.len()),
        };
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail);
        error.edit(|inner| inner.errors = errors);
        error
    }

    /// 422 about one field: `ApiError::invalid(["body", "slug"], error)`.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers hand over an error or a text as they have it"
    )]
    pub fn invalid<'a>(loc: impl IntoIterator<Item = &'a str>, msg: impl ToString) -> Self {
        Self::unprocessable(vec![FieldError::new(loc, msg.to_string())])
    }

    /// 429: too often, come back later.
    pub fn too_many_requests(retry_after_seconds: u64) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "Too many requests",
        )
        .with_header(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds))
    }

    /// 503: it cannot be known or done now. The cause goes to the log.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// 500: a defect. The client sees the request id, the log has the chain of causes.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The request could not be handled",
        )
        .caused_by(cause)
    }

    /// The same error with a more exact stable word for programs.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.edit(|inner| inner.code = code);
        self
    }

    /// The same error with another text for a person.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        self.edit(|inner| inner.detail = detail);
        self
    }

    /// The same error with the parts of the request, or of what is stored, that it is about.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.edit(|inner| inner.errors = errors);
        self
    }

    /// The same error with one more response header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.edit(|inner| inner.headers.push((name, value)));
        self
    }

    /// The same error with the revision that it was decided at, which the answer says as others do. The first word
    /// counts: it is of whoever looked.
    #[must_use]
    pub fn decided_at(self, revision: Revision) -> Self {
        if self.0.headers.iter().any(|(name, _)| *name == REVISION_HEADER) {
            return self;
        }
        match HeaderValue::try_from(revision.to_string()) {
            Ok(value) => self.with_header(REVISION_HEADER, value),
            Err(_) => self,
        }
    }

    /// The same error with what led to it, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<anyhow::Error>) -> Self {
        let cause = Arc::new(cause.into());
        self.edit(|inner| inner.cause = Some(cause));
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable word.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The text for a person.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Logs what led to the error, if it is one that somebody has to look at. Done once, by who writes the answer.
    pub(crate) fn log(&self, id: &RequestId) {
        let Some(cause) = &self.0.cause else { return };
        if self.0.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(request.id = %id, error = format!("{cause:#}"), "a request could not be handled");
        } else {
            tracing::warn!(request.id = %id, error = format!("{cause:#}"), code = self.0.code, "a request was turned away");
        }
    }

    fn edit(&mut self, change: impl FnOnce(&mut Inner)) {
        change(Arc::make_mut(&mut self.0));
    }

    fn document(&self, request_id: &str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Document<'a> {
            r#type: &'a str,
            title: &'a str,
            status: u16,
            code: &'a str,
            detail: &'a str,
            request_id: &'a str,
            #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
            errors: &'a [FieldError],
        }
        let document = Document {
            r#type: "about:blank",
            title: self.0.status.canonical_reason().unwrap_or("Error"),
            status: self.0.status.as_u16(),
            code: self.0.code,
            detail: &self.0.detail,
            request_id,
            errors: &self.0.errors,
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

/// What the store says: a database that is away or busy is 503, everything else a defect.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Busy(_) => {
                Self::unavailable("The service cannot answer now").caused_by(error)
            }
            error => Self::internal(error),
        }
    }
}

/// What the domain says, in its own words.
impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        let status = match error.kind() {
            ErrorKind::BadRequest => StatusCode::BAD_REQUEST,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Internal => {
                return match error {
                    AccessError::Store(error) => error.into(),
                    error => Self::internal(error),
                };
            }
        };
        Self::new(status, error.code(), error.to_string())
    }
}

/// A fault of the identity services.
impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Store(error) | IdentityError::Keys(KeysError::Store(error)) => error.into(),
            IdentityError::Access(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

/// A denial of the permission engine or the token verifier, in the words of the edge.
impl From<Denial> for ApiError {
    fn from(denial: Denial) -> Self {
        let status = StatusCode::from_u16(denial.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, denial.code(), denial.title())
    }
}

/// The bare status and headers; `render` writes the body.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        for (name, value) in &self.0.headers {
            response.headers_mut().append(name.clone(), value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The layer that writes the problem document of every [`ApiError`], and logs the causes of those that someone has to
/// look at.
pub(crate) async fn render<F>(request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let id = request
        .extensions()
        .get::<RequestId>()
        .cloned()
        .unwrap_or_default();
    let head = request.method() == Method::HEAD;
    let mut response = next(request).await;
    let Some(error) = response.extensions_mut().remove::<ApiError>() else {
        return response;
    };
    error.log(&id);
    response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
    if !head {
        *response.body_mut() = error.document(id.as_str()).into();
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_field_is_named_in_the_detail() {
        let error = ApiError::invalid(["body", "slug"], "too short");
        assert_eq!(error.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(error.detail(), "body.slug: too short");
        let document: serde_json::Value = serde_json::from_slice(&error.document("r1")).expect("json");
        assert_eq!(document["errors"][0]["loc"], serde_json::json!(["body", "slug"]));
        assert_eq!(document["request_id"], "r1");
    }

    #[test]
    fn an_internal_error_tells_the_client_nothing_of_its_cause() {
        let error = ApiError::internal(anyhow::anyhow!("password of the database is hunter2"));
        let document = String::from_utf8(error.document("r2")).expect("text");
        assert!(!document.contains("hunter2"), "{document}");
        assert!(document.contains(r#""code":"internal""#), "{document}");
    }

    #[test]
    fn headers_of_an_error_reach_the_answer() {
        let response = ApiError::too_many_requests(60).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()["retry-after"], "60");
        let [first, second] = [1, 2].map(|number| Revision { epoch: 7, number });
        let refused = ApiError::forbidden("no").decided_at(first).decided_at(second);
        let response = refused.into_response();
        let revisions: Vec<_> = response.headers().get_all(REVISION_HEADER).iter().collect();
        assert_eq!(revisions, ["7.1"]);
    }
}
