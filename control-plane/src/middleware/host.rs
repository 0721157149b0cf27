//! The `Host` of a request over HTTP/1: there, once, and a host (RFC 9112 §3.2). Whoever stands before us and reads another
//! of two than we do would be talking of another host. HTTP/2 has `:authority` instead (RFC 9113 §8.3.1).

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{StatusCode, Version};
use axum::response::{IntoResponse, Response};

use crate::problem::ApiError;

/// Turns away what does not say, or not clearly, which host it is for.
pub(super) async fn require<F>(request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    if is_clear(&request) {
        next(request).await
    } else {
        ApiError::new(StatusCode::BAD_REQUEST, "host_invalid", "Invalid host header").into_response()
    }
}

fn is_clear(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() != Version::HTTP_11,
        (Some(host), None) => {
            let bytes = host.as_bytes();
            !bytes.contains(&b'@') && Authority::try_from(bytes).is_ok()
        }
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn is_clear_with(version: Version, hosts: &[&str]) -> bool {
        let request = Request::builder().version(version);
        let request = hosts
            .iter()
            .fold(request, |request, host| request.header(HOST, *host));
        is_clear(&request.body(Body::empty()).expect("a request"))
    }

    #[test]
    fn one_host_is_asked_for() {
        for host in ["a", "a.example:8443", "127.0.0.1:1", "[::1]:80"] {
            assert!(is_clear_with(Version::HTTP_11, &[host]), "{host}");
        }
        for hosts in [
            &[][..],
            &[""],
            &["a b"],
            &["a/b"],
            &["me@a"],
            &["a", "b"],
            &["a", "a"],
        ] {
            assert!(!is_clear_with(Version::HTTP_11, hosts), "{hosts:?}");
        }
    }

    #[test]
    fn older_and_newer_versions_can_do_without() {
        for version in [Version::HTTP_10, Version::HTTP_2] {
            assert!(is_clear_with(version, &[]), "{version:?}");
            assert!(is_clear_with(version, &["a"]), "{version:?}");
            assert!(!is_clear_with(version, &["a", "b"]), "{version:?}");
        }
    }
}
