//! Security headers of every answer, errors included.

use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::response::Response;

use crate::app::App;

const FIXED: [(HeaderName, HeaderValue); 9] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("strict-origin-when-cross-origin"),
    ),
    (header::X_XSS_PROTECTION, HeaderValue::from_static("0")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    ),
    (
        HeaderName::from_static("cross-origin-embedder-policy"),
        HeaderValue::from_static("require-corp"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("x-permitted-cross-domain-policies"),
        HeaderValue::from_static("none"),
    ),
];

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
);
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
);
const STRICT_TRANSPORT: HeaderValue =
    HeaderValue::from_static("max-age=63072000; includeSubDomains; preload");

/// Sets the headers.
pub(super) async fn headers<F>(app: &App, request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let private = is_private(request.uri().path());
    let mut response = next(request).await;
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    let headers = response.headers_mut();
    // An endpoint may be stricter about who learns of its address.
    let referrer_policy = headers.get(header::REFERRER_POLICY).cloned();
    for (name, value) in FIXED {
        headers.insert(name, value);
    }
    if let Some(policy) = referrer_policy {
        headers.insert(header::REFERRER_POLICY, policy);
    }
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        if is_page { PAGE_POLICY } else { POLICY },
    );
    if private {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    }
    if app.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    response
}

/// Whether answers under `path` are about one person and may not be kept by any cache.
fn is_private(path: &str) -> bool {
    [
        "/auth",
        "/admin",
        "/users",
        "/workspaces",
        "/permissions",
        "/roles",
    ]
    .iter()
    .any(|prefix| path.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_health_may_be_cached_and_people_may_not() {
        assert!(!is_private("/.well-known/jwks.json"));
        assert!(!is_private("/health"));
        assert!(is_private("/auth/token"));
        assert!(is_private("/users/me"));
    }
}
