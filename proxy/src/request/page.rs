//! Whether a page of another site may have caused a request, by what its browser says: Fetch Metadata, and where there is
//! none `Origin` (RFC 6454 §7). Both are names that scripts cannot set.
//!
//! It matters where a cookie is the credential, which a browser attaches by itself.

use http::header::ORIGIN;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::Host;

/// What the page has to do with the address that it asks for.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the request may do more than look, and nothing shows that it comes from a page of its own origin, or from none. A
/// WebSocket may always do more.
pub(super) fn may_be_forged(
    method: &Method,
    opens_tunnel: bool,
    fields: &HeaderMap,
    host: &Host,
    secure: bool,
) -> bool {
    let only_looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) && !opens_tunnel;
    !only_looks && !is_of_own_page(fields, host, secure)
}

fn is_of_own_page(fields: &HeaderMap, host: &Host, secure: bool) -> bool {
    let mut sites = fields.get_all(SEC_FETCH_SITE).iter().map(HeaderValue::as_bytes);
    let mut origins = fields.get_all(ORIGIN).iter().map(HeaderValue::as_bytes);
    match (sites.next(), sites.next()) {
        // `none`: a person did it, and no page.
        (Some(site), None) => site == b"same-origin" || site == b"none",
        (Some(_), Some(_)) => false,
        (None, _) => match (origins.next(), origins.next()) {
            (Some(origin), None) => is_own_origin(origin, host, secure),
            _ => false,
        },
    }
}

/// Whether `origin` is the origin of the address that was asked for: scheme, host and port.
fn is_own_origin(origin: &[u8], host: &Host, secure: bool) -> bool {
    let (scheme, default_port) = if secure {
        (b"https://".as_slice(), ":443")
    } else {
        (b"http://".as_slice(), ":80")
    };
    let authority = host.authority();
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    origin.strip_prefix(scheme) == Some(authority.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own(host: &str, secure: bool, lines: &[(&'static str, &'static str)]) -> bool {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(*name, HeaderValue::from_static(value));
        }
        let host = super::super::host::parse([host.as_bytes()], None).expect("a host");
        assert!(!may_be_forged(&Method::GET, false, &fields, &host, secure));
        let forged = may_be_forged(&Method::POST, false, &fields, &host, secure);
        assert_eq!(may_be_forged(&Method::GET, true, &fields, &host, secure), forged);
        !forged
    }

    #[test]
    fn what_the_browser_says_of_the_site_counts_first() {
        let own = ("origin", "https://a.example");
        let site = |value| ("sec-fetch-site", value);
        assert!(is_own("a.example", true, &[site("same-origin")]));
        assert!(is_own("a.example", true, &[site("none")]));
        assert!(is_own(
            "a.example",
            true,
            &[site("same-origin"), ("origin", "null")]
        ));
        for lines in [
            &[site("same-site"), own] as &[_],
            &[site("cross-site"), own],
            &[site("Same-Origin"), own],
            &[site("same-origin, none"), own],
            &[site(""), own],
            &[site("same-origin"), site("same-origin")],
            &[site("same-origin"), site("cross-site"), own],
        ] {
            assert!(!is_own("a.example", true, lines), "{lines:?}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (host, secure, origin, expected) in [
            ("a.example", true, "https://a.example", true),
            ("A.Example", true, "https://a.example", true),
            ("a.example:443", true, "https://a.example", true),
            ("a.example:8443", true, "https://a.example:8443", true),
            ("a.example", false, "http://a.example", true),
            ("a.example:80", false, "http://a.example", true),
            ("[::1]:8080", false, "http://[::1]:8080", true),
            ("a.example", true, "http://a.example", false),
            ("a.example", false, "https://a.example", false),
            ("a.example:443", false, "http://a.example", false),
            ("a.example:8443", true, "https://a.example", false),
            ("a.example", true, "https://a.example:8443", false),
            ("a.example", true, "https://a.example.evil.example", false),
            ("a.example", true, "https://evil.example", false),
            ("a.example", true, "https://b.a.example", false),
            ("a.example", true, "https://a.example/", false),
            ("a.example", true, "https://a.example https://evil.example", false),
            ("a.example", true, "null", false),
            ("a.example", true, "", false),
            ("a.example", true, "a.example", false),
        ] {
            let is_own = is_own(host, secure, &[("origin", origin)]);
            assert_eq!(is_own, expected, "`{origin}` at `{host}`");
        }
    }

    #[test]
    fn silence_and_two_voices_are_no_proof() {
        let own = ("origin", "https://a.example");
        assert!(!is_own("a.example", true, &[]));
        assert!(!is_own("a.example", true, &[own, own]));
        assert!(!is_own("a.example", true, &[("referer", "https://a.example/")]));
    }

    #[test]
    fn a_method_that_only_looks_needs_no_proof() {
        let host = super::super::host::parse([b"a.example".as_slice()], None).expect("a host");
        let fields = HeaderMap::new();
        let forged = |method: &str| {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            may_be_forged(&method, false, &fields, &host, true)
        };
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert!(!forged(method), "{method}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "QUERY", "X"] {
            assert!(forged(method), "{method}");
        }
    }
}
