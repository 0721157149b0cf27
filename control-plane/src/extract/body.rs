//! `Json`, `Path` and `Query` that refuse with a 422 problem document, and never with axum's plain texts.

use std::error::Error;

use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::{body::Bytes, http::StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::extract::json;
use crate::problem::{ApiError, FieldError};
use crate::serve::Stalled;

/// A JSON body, in and out. Objects are objects ([`json`]). Unknown fields are ignored unless `T` says otherwise, as the API's contract has it.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|media| {
                let media = media.trim().to_ascii_lowercase();
                media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
            });
        if !is_json {
            return Err(ApiError::invalid(
                ["body"],
                "a JSON body with `Content-Type: application/json` is expected",
            ));
        }
        let Whole(bytes) = Whole::from_request(request, state).await?;
        Ok(Self(json::read(&bytes)?))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A body as it came, up to the limit.
#[derive(Debug, Clone)]
pub struct Whole(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        Bytes::from_request(request, state)
            .await
            .map(Self)
            .map_err(not_read)
    }
}

/// The parameters of the path. A segment that is not of the type asked for is 422.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) if rejection.status().is_server_error() => Err(ApiError::internal(rejection)),
            Err(rejection) => Err(ApiError::invalid(["path"], rejection.body_text())),
        }
    }
}

/// The parameters of the query string.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::unprocessable(vec![FieldError::new(
                ["query"],
                rejection.body_text(),
            )])),
        }
    }
}

/// The media type of a request's body, in lower case and without parameters; `None` if the request does not say.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?;
    // What is no text is no type that anybody knows.
    let text = value.to_str().unwrap_or_default();
    text.split(';')
        .next()
        .map(|media| media.trim().to_ascii_lowercase())
}

/// Why a body that was read piece by piece did not come to its end.
pub fn broken_off(error: axum::Error) -> ApiError {
    if causes(&error).any(<dyn Error>::is::<Stalled>) {
        return stalled();
    }
    ApiError::bad_request("The request body could not be read").caused_by(error)
}

fn stalled() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "body_timeout",
        "The request body did not arrive in time",
    )
}

/// 413 of the whole API.
pub fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        "Request body too large",
    )
}

fn not_read(rejection: BytesRejection) -> ApiError {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => too_large(),
        other if causes(&other).any(<dyn Error>::is::<Stalled>) => stalled(),
        other => ApiError::bad_request("The request body could not be read").caused_by(other),
    }
}

/// An error, what led to it, and so on.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn body(content_type: Option<&str>, text: &str) -> Result<Vec<u8>, ApiError> {
        let mut request = Request::builder().uri("/");
        if let Some(value) = content_type {
            request = request.header(CONTENT_TYPE, value);
        }
        let request = request.body(Body::from(text.to_owned())).expect("request");
        Json::from_request(request, &()).await.map(|Json(value)| value)
    }

    #[tokio::test]
    async fn only_whole_json_with_its_media_type_is_read() {
        assert_eq!(
            body(Some("application/json; charset=utf-8"), "[1,2]")
                .await
                .expect("json"),
            [1, 2]
        );
        for (content_type, text) in [
            (None, "[1]"),
            (Some("text/plain"), "[1]"),
            (Some("application/json"), ""),
            (Some("application/json"), "[1"),
            (Some("application/json"), "[1] x"),
            (Some("application/json"), r#"["a"]"#),
        ] {
            let error = body(content_type, text).await.expect_err(text);
            assert_eq!(error.status(), StatusCode::UNPROCESSABLE_ENTITY, "{text}");
        }
    }
}
