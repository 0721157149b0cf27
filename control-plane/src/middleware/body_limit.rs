//! No request body above the limit of its endpoint: refused by what it announces, or cut off when it turns out to be longer.

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};

use crate::api::authz::{self, transfer};
use crate::app::App;
use crate::extract::body::too_large;
use crate::problem::ApiError;

/// Refuses what announces too much, before anything else looks at the request, and has extractors keep the limit while
/// they read.
pub(super) async fn keep<F>(app: &App, mut request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let limit = limit(app, request.uri().path());
    if let Some(value) = request.headers().get(CONTENT_LENGTH) {
        let length = value
            .to_str()
            .ok()
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse::<u64>().ok());
        match length {
            None => return ApiError::bad_request("Invalid Content-Length header").into_response(),
            Some(length) if length > announced(request.uri().path(), limit) => {
                return too_large().into_response();
            }
            Some(_) => {}
        }
    }
    DefaultBodyLimit::max(limit).apply(&mut request);
    next(request).await
}

/// The longest body of a request for this path.
fn limit(app: &App, path: &str) -> usize {
    authz::max_body(path).map_or(app.settings.max_body, |own| own.min(app.settings.max_body))
}

/// The longest that may be announced. What is imported is never in memory as a whole.
fn announced(path: &str, limit: usize) -> u64 {
    if path == transfer::IMPORT {
        return transfer::MAX_IMPORT;
    }
    u64::try_from(limit).unwrap_or(u64::MAX)
}
