//! What comes back from a service, made fit for its client: what the route changes, and what a service may not say where a
//! browser's session let the request through.

pub mod caching;

use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use pingora::http::ResponseHeader;

use crate::cors;
use crate::edge::Admitted;
use crate::request::cookies;

/// Writes the answer's header; `fields` are those of the request.
///
/// # Errors
/// A field cannot be written.
pub fn write(
    admitted: &Admitted,
    fields: &HeaderMap,
    session_cookie: &str,
    response: &mut ResponseHeader,
) -> pingora::Result<()> {
    let route = admitted.permit.route();
    let traffic = route.traffic();
    traffic.response_headers.apply_to_response(response)?;
    match &traffic.cors {
        Some(cors) => cors.mark(fields, response)?,
        // A service that mirrors every origin would let all of them read what a browser gets with its session.
        None if route.accepts().cookie => cors::silence(response),
        None => {}
    }
    drop_own_cookies(session_cookie, response)?;
    if route.accepts().cookie && admitted.request.presented.counts_by_cookie() {
        caching::keep_private(response)?;
    }
    // Last: whatever else is said about keeping the answer, nobody keeps one with a session in it.
    admitted.cookies.set_on(response)
}

/// Drops the lines by which a service would set, replace or remove a session.
fn drop_own_cookies(name: &str, response: &mut ResponseHeader) -> pingora::Result<()> {
    let lines = response.headers.get_all(SET_COOKIE);
    if !lines.iter().any(|line| cookies::is_own(line.as_bytes(), name)) {
        return Ok(());
    }
    let others: Vec<HeaderValue> = lines
        .iter()
        .filter(|line| !cookies::is_own(line.as_bytes(), name))
        .cloned()
        .collect();
    response.remove_header(&SET_COOKIE);
    for line in others {
        response.append_header(SET_COOKIE, line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_sets_its_own_cookies_and_none_of_ours() {
        let mut response = ResponseHeader::build(200, None).expect("a header");
        for line in [
            "theirs=1",
            "__Host-app=forged; Path=/; Secure",
            "__host-SENTINEL-refresh=; Max-Age=0",
            "other=2; Path=/",
        ] {
            response.append_header("Set-Cookie", line).expect("a line");
        }
        drop_own_cookies("__Host-app", &mut response).expect("written");
        let left: Vec<_> = response.headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(left, ["theirs=1", "other=2; Path=/"]);
        drop_own_cookies("__Host-app", &mut response).expect("written");
        assert_eq!(response.headers.get_all(SET_COOKIE).iter().count(), 2);
    }
}
