//! Cross-origin requests (Fetch standard, "CORS protocol"): browsers may call from the origins of active client apps'
//! redirect URIs, and from no other. The list comes from the database and is kept for a moment.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::app::App;
use crate::commit::REVISION_HEADER;
use crate::middleware::request_id::REQUEST_ID_HEADER;
use crate::problem::ApiError;

/// How long the list is kept.
const KEPT: Duration = Duration::from_secs(5);

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "Content-Type, Authorization, X-Requested-With, X-Authz-Token, X-Request-ID, X-Sentinel-Revision",
);
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that browsers may call from.
#[derive(Debug, Default)]
pub struct AllowedOrigins(Mutex<Option<(Instant, Arc<HashSet<String>>)>>);

impl AllowedOrigins {
    async fn current(&self, app: &App) -> Result<Arc<HashSet<String>>, ApiError> {
        let mut kept = self.0.lock().await;
        if let Some((at, origins)) = &*kept
            && at.elapsed() < KEPT
        {
            return Ok(Arc::clone(origins));
        }
        let mut tx = app.database().read().await?;
        let uris = app.access().client_apps.active_redirect_uris(&mut tx).await?;
        let origins: HashSet<String> = uris.iter().filter_map(|uri| origin_of(uri)).collect();
        let origins = Arc::new(origins);
        *kept = Some((Instant::now(), Arc::clone(&origins)));
        Ok(origins)
    }

    /// Forgets the list, so that the next request reads it again.
    pub async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

/// The origin of a redirect URI as a browser sends it (RFC 6454 §6.1).
fn origin_of(uri: &str) -> Option<String> {
    let origin = Url::parse(uri).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// Answers preflight requests and marks the answers that a page may read.
pub async fn cors(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        return next.run(request).await;
    };
    let allowed = match origin.to_str() {
        Ok(text) => match app.origins.current(&app).await {
            Ok(origins) => origins.contains(text),
            Err(error) => return error.into_response(),
        },
        Err(_) => false,
    };
    let preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if preflight {
        return answer_preflight(allowed.then_some(origin));
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if allowed {
        mark(headers, origin);
        let exposed = format!("{REQUEST_ID_HEADER}, {REVISION_HEADER}, retry-after");
        if let Ok(value) = HeaderValue::try_from(exposed) {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, value);
        }
        // A page of another origin that may read the answer must also be let through by the policy of its own embedder.
        headers.insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        );
    }
    response
}

fn answer_preflight(origin: Option<HeaderValue>) -> Response {
    let Some(origin) = origin else {
        return ApiError::bad_request("Disallowed CORS origin").with_code("cors_origin").into_response();
    };
    let mut response = (StatusCode::OK, Body::from("OK")).into_response();
    let headers = response.headers_mut();
    mark(headers, origin);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

fn mark(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_a_redirect_uri_is_as_browsers_write_it() {
        assert_eq!(origin_of("https://App.example.com:443/cb").as_deref(), Some("https://app.example.com"));
        assert_eq!(origin_of("http://localhost:3000/cb").as_deref(), Some("http://localhost:3000"));
        assert_eq!(origin_of("com.example.app:/cb"), None);
        assert_eq!(origin_of("not a uri"), None);
    }

    #[test]
    fn a_preflight_from_elsewhere_is_refused() {
        assert_eq!(answer_preflight(None).status(), StatusCode::BAD_REQUEST);
        let response = answer_preflight(Some(HeaderValue::from_static("https://a.example")));
        assert_eq!(response.headers()["access-control-allow-origin"], "https://a.example");
    }
}
