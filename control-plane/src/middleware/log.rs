//! One log line and one count for every request. Of the request it has method, path template, status and time; never a
//! query string (codes are in it), header, cookie, body or e-mail address.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::response::Response;
use tokio::time::Instant;

use crate::app::App;
use crate::middleware::request_id::RequestId;

/// Writes the line when the answer's head is ready.
pub(super) async fn requests<F>(app: &App, request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let started = Instant::now();
    let method = method(request.method());
    // The template and not the path: ids stay out of the metric's labels, and typed-in paths out of the log.
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("none", MatchedPath::as_str);
    let id = request
        .extensions()
        .get::<RequestId>()
        .cloned()
        .unwrap_or_default();
    let response = next(request).await;
    let took = started.elapsed();
    let status = response.status().as_u16();
    app.metrics.request(route, method, status, took);
    tracing::info!(
        request.id = %id,
        http.method = method,
        http.route = route,
        http.status = status,
        duration_ms = took.as_secs_f64() * 1000.0,
        "request"
    );
    response
}

/// The method, if it is one of the standard's; a client can make up as many others as it likes, and each would be a time
/// series for ever.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_a_client_made_up_are_one() {
        assert_eq!(method(&Method::PATCH), "PATCH");
        for text in ["AAAA", "get", "PROPFIND"] {
            assert_eq!(
                method(&Method::from_bytes(text.as_bytes()).expect("a token")),
                "other"
            );
        }
    }
}
