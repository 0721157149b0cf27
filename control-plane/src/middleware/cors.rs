//! Cross-origin requests (Fetch standard, "CORS protocol"). The admin panel's endpoints may be called from the panel's own
//! origin and from no other; those of permissions, models, tuples, roles and realms, which are for services, from none; everything else
//! from the origins of active client apps' redirect URIs and those of active service apps. That list comes from the
//! database and is kept for a moment.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
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

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE, OPTIONS";
const HEADERS: &str =
    "Content-Type, Authorization, X-Requested-With, X-Authz-Token, X-Request-ID, X-Sentinel-Revision";
/// What only services call, with a key that no page may have.
const OF_SERVICES: [&str; 3] = ["/permissions", "/roles", "/realm"];
/// The same of what the replaced service did not have.
const OF_RELATIONS: [&str; 7] = [
    "/authz/models",
    "/authz/tuples",
    "/authz/check",
    "/authz/batch-check",
    "/authz/expand",
    "/authz/list-objects",
    "/authz/list-subjects",
];
/// What a page may send without being allowed to (Fetch standard, "CORS-safelisted request-header").
const SAFELISTED: [&str; 3] = ["Accept", "Accept-Language", "Content-Language"];
const TRUE: HeaderValue = HeaderValue::from_static("true");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that browsers may call from.
#[derive(Debug, Default)]
pub struct AllowedOrigins(Mutex<Option<(Instant, Arc<Origins>)>>);

#[derive(Debug)]
struct Origins {
    /// Of both kinds of apps, as browsers write them.
    all: HashSet<String>,
    /// Of service apps, as they are registered.
    of_services: HashSet<String>,
}

impl AllowedOrigins {
    /// Whether an active service app has pages of this origin.
    pub(crate) async fn is_of_service(&self, app: &App, origin: &str) -> Result<bool, ApiError> {
        Ok(self.current(app).await?.of_services.contains(origin))
    }

    async fn current(&self, app: &App) -> Result<Arc<Origins>, ApiError> {
        let mut kept = self.0.lock().await;
        if let Some((at, origins)) = &*kept
            && at.elapsed() < KEPT
        {
            return Ok(Arc::clone(origins));
        }
        let mut tx = app.database().read().await?;
        let uris = app.access().client_apps.active_redirect_uris(&mut tx).await?;
        let services = app.access().service_apps.active_origins(&mut tx).await?;
        let origins = Arc::new(Origins {
            all: uris
                .iter()
                .chain(&services)
                .filter_map(|uri| origin_of(uri))
                .collect(),
            of_services: services.into_iter().collect(),
        });
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

/// Who may call a path from a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Callers {
    AdminPanel,
    Nobody,
    Apps,
}

impl Callers {
    fn of(path: &str) -> Self {
        let is_under = |base: &str| is_under(path, base);
        if is_under("/admin") || is_under("/auth/admin") {
            Self::AdminPanel
        } else if OF_SERVICES.into_iter().chain(OF_RELATIONS).any(is_under) {
            Self::Nobody
        } else {
            Self::Apps
        }
    }
}

/// Whether the path is this one or one below it.
fn is_under(path: &str, base: &str) -> bool {
    path.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

async fn allows(app: &App, path: &str, origin: &str) -> Result<bool, ApiError> {
    Ok(match Callers::of(path) {
        Callers::AdminPanel => app.settings.admin_url.origin().ascii_serialization() == origin,
        Callers::Nobody => false,
        Callers::Apps => app.origins.current(app).await?.all.contains(origin),
    })
}

/// Answers preflight requests and marks the answers that a page may read.
pub(super) async fn mark_answers<F>(app: &App, request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        return next(request).await;
    };
    let allowed = match origin.to_str() {
        Ok(text) => match allows(app, request.uri().path(), text).await {
            Ok(allowed) => allowed,
            Err(error) => return error.into_response(),
        },
        Err(_) => false,
    };
    let preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if preflight {
        return answer_preflight(allowed.then_some(origin), request.headers());
    }
    let path = request.uri().path();
    let in_contract = !OF_RELATIONS.into_iter().any(|base| is_under(path, base));
    let mut response = next(request).await;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if in_contract {
        // Of no use without an allowed origin, and a part of the contract.
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
    }
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

fn answer_preflight(origin: Option<HeaderValue>, asked: &HeaderMap) -> Response {
    let every = |name: HeaderName, allowed: &dyn Fn(&str) -> bool| {
        asked.get(name).is_none_or(|value| {
            value
                .to_str()
                .is_ok_and(|text| text.split(',').all(|one| allowed(one.trim())))
        })
    };
    let is_method = |one: &str| METHODS.split(", ").any(|method| method == one);
    let is_header = |one: &str| {
        let mut known = HEADERS.split(", ").chain(SAFELISTED);
        one.is_empty() || known.any(|header| header.eq_ignore_ascii_case(one))
    };
    let mut failures = Vec::new();
    if origin.is_none() {
        failures.push("origin");
    }
    if !every(header::ACCESS_CONTROL_REQUEST_METHOD, &is_method) {
        failures.push("method");
    }
    if !every(header::ACCESS_CONTROL_REQUEST_HEADERS, &is_header) {
        failures.push("headers");
    }
    let Some(origin) = origin.filter(|_| failures.is_empty()) else {
        return refused(format!("Disallowed CORS {}", failures.join(", ")));
    };
    let mut response = (StatusCode::OK, Body::from("OK")).into_response();
    let headers = response.headers_mut();
    mark(headers, origin);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::CONTENT_TYPE, TEXT);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(METHODS),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(HEADERS),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

fn mark(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
}

/// The refusal of a preflight, which no program reads: plain text, as in the contract.
fn refused(text: String) -> Response {
    let mut response = (StatusCode::BAD_REQUEST, Body::from(text)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::CONTENT_TYPE, TEXT);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_a_redirect_uri_is_as_browsers_write_it() {
        assert_eq!(
            origin_of("https://App.example.com:443/cb").as_deref(),
            Some("https://app.example.com")
        );
        assert_eq!(
            origin_of("http://localhost:3000/cb").as_deref(),
            Some("http://localhost:3000")
        );
        assert_eq!(origin_of("com.example.app:/cb"), None);
        assert_eq!(origin_of("not a uri"), None);
    }

    #[test]
    fn only_whole_segments_make_a_path_the_panels() {
        for (path, callers) in [
            ("/admin", Callers::AdminPanel),
            ("/admin/users", Callers::AdminPanel),
            ("/auth/admin/me", Callers::AdminPanel),
            ("/administration", Callers::Apps),
            ("/auth/token", Callers::Apps),
            ("/permissions/check", Callers::Nobody),
            ("/roles/check-action", Callers::Nobody),
            ("/realm/whoami", Callers::Nobody),
            ("/authz/tuples/export", Callers::Nobody),
            ("/authz/check", Callers::Nobody),
            ("/authz/resolve", Callers::Apps),
            ("/realms", Callers::Apps),
        ] {
            assert_eq!(Callers::of(path), callers, "{path}");
        }
    }

    #[test]
    fn a_preflight_from_elsewhere_is_refused() {
        let asked = |method, headers| {
            HeaderMap::from_iter([
                (
                    header::ACCESS_CONTROL_REQUEST_METHOD,
                    HeaderValue::from_static(method),
                ),
                (
                    header::ACCESS_CONTROL_REQUEST_HEADERS,
                    HeaderValue::from_static(headers),
                ),
            ])
        };
        let origin = HeaderValue::from_static("https://a.example");
        let usual = asked("POST", "content-type,authorization, accept");
        assert_eq!(answer_preflight(None, &usual).status(), StatusCode::BAD_REQUEST);
        for (method, headers) in [("TRACE", ""), ("POST", "x-service-key")] {
            let response = answer_preflight(Some(origin.clone()), &asked(method, headers));
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{method} {headers}");
        }
        let response = answer_preflight(Some(origin), &usual);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()["access-control-allow-origin"],
            "https://a.example"
        );
    }
}
