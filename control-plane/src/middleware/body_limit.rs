//! No request body above the limit: refused by what it announces, or cut off when it turns out to be longer.

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::extract::body::too_large;
use crate::problem::ApiError;

/// The limit that extractors keep while they read.
pub fn streamed(app: &App) -> DefaultBodyLimit {
    DefaultBodyLimit::max(app.settings.max_body)
}

/// Refuses what announces too much, before anything else looks at the request.
pub async fn announced(State(app): State<App>, request: Request, next: Next) -> Response {
    if let Some(value) = request.headers().get(CONTENT_LENGTH) {
        let length = value
            .to_str()
            .ok()
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse::<u64>().ok());
        match length {
            None => return ApiError::bad_request("Invalid Content-Length header").into_response(),
            Some(length) if length > u64::try_from(app.settings.max_body).unwrap_or(u64::MAX) => {
                return too_large().into_response();
            }
            Some(_) => {}
        }
    }
    next.run(request).await
}
