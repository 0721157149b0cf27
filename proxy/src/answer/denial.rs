//! What a denied client is told: a problem document (RFC 9457) with a stable code, or a page that says the same to
//! somebody who looks at it. Never the reason in detail.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method};
use sentinel_config::edge::{Access, CredentialTier, Strangers};
use sentinel_core::Denial;
use serde::Serialize;

use super::{Answer, prefers_page};
use crate::request_id::RequestId;
use crate::routes::Route;

/// The challenge to somebody who shows no token, or none that counts (RFC 6750 §3).
const BEARER: HeaderValue = HeaderValue::from_static(r#"Bearer realm="sentinel""#);
/// The challenge to somebody whose token is bad.
const INVALID_TOKEN: HeaderValue =
    HeaderValue::from_static(r#"Bearer realm="sentinel", error="invalid_token""#);
/// The challenge to a service without a key that counts.
const SERVICE_KEY: HeaderValue = HeaderValue::from_static(r#"X-Service-Key realm="sentinel""#);

/// The document (RFC 9457 §3), the same as the control plane's.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'static str,
    request_id: &'a str,
}

/// The page's only style, which the page's policy names by its hash.
const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem}small{color:#666}@media(prefers-color-scheme:dark){body{background:#111;color:#eee}small{color:#999}}";
/// Nothing is loaded, run, sent or framed.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'sha256-yhIDh4XrS4I+0/bxh0q4CumTpDmUyEE6ot1Oi2ejNVA='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What an answer depends on besides the reason.
#[derive(Debug, Clone, Copy, Default)]
pub struct Case<'a> {
    /// The route of the request, if it has one.
    pub route: Option<&'a Route>,
    /// Method and header fields of the request, if it can be read.
    pub asked: Option<(&'a Method, &'a HeaderMap)>,
    /// When the client may come again, in seconds, if that is known.
    pub retry_after: Option<u64>,
}

impl Answer {
    /// The document that stands for `denial` where nothing is known of the request.
    pub fn to(denial: Denial, request: &RequestId) -> Self {
        Self::denying(denial, Case::default(), request)
    }

    /// The answer to a request that is not let through, as its client reads it best. On a route that hides itself from
    /// strangers, 403 is told exactly as if there were no route.
    pub fn denying(denial: Denial, case: Case<'_>, request: &RequestId) -> Self {
        let told = told(denial, case.route);
        if told != denial {
            let elsewhere = Case { route: None, ..case };
            return Self::denying(told, elsewhere, request);
        }
        let may_be_page = case
            .asked
            .is_some_and(|(method, _)| matches!(*method, Method::GET | Method::HEAD));
        let as_page = case
            .asked
            .is_some_and(|(method, fields)| prefers_page(method, fields));
        let (kind, body) = if as_page {
            ("text/html; charset=utf-8", page(denial, request))
        } else {
            ("application/problem+json", document(denial, request))
        };
        let mut headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static(kind)),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        if as_page {
            headers.push((CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY)));
            headers.push((REFERRER_POLICY, HeaderValue::from_static("no-referrer")));
        }
        if may_be_page {
            headers.push((VARY, HeaderValue::from_static("accept")));
        }
        let challenges = challenges(denial, case.route);
        headers.extend(challenges.map(|challenge| (WWW_AUTHENTICATE, challenge)));
        if let Some(seconds) = case.retry_after.or((denial.status() == 503).then_some(1)) {
            headers.push((RETRY_AFTER, HeaderValue::from(seconds)));
        }
        let cors = case.route.and_then(|route| route.traffic().cors.as_ref());
        if let (Some(cors), Some((_, fields))) = (cors, case.asked) {
            headers.extend(cors.marks(fields));
        }
        Self::new(denial.status(), headers, body, request)
    }
}

/// The reason that the client is told: a route may hide itself from strangers.
pub fn told(denial: Denial, route: Option<&Route>) -> Denial {
    let hides = |route: &Route| route.settings().strangers == Strangers::NotFound;
    if denial.status() == 403 && route.is_some_and(hides) {
        Denial::NoRoute
    } else {
        denial
    }
}

fn document(denial: Denial, request: &RequestId) -> Bytes {
    let problem = Problem {
        r#type: "about:blank",
        title: denial.title(),
        status: denial.status(),
        code: denial.code(),
        detail: denial.title(),
        request_id: request.as_str(),
    };
    // INVARIANT: texts and a number can always be written.
    Bytes::from(serde_json::to_vec(&problem).unwrap_or_default())
}

/// INVARIANT: titles and request numbers have no character that means something in HTML.
fn page(denial: Denial, request: &RequestId) -> Bytes {
    let (title, status, id) = (denial.title(), denial.status(), request.as_str());
    Bytes::from(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1><p><small>{status} &middot; request {id}</small></p></body></html>\n"
    ))
}

/// The challenges of a 401. RFC 6750 §3: no error code where no credential was shown.
fn challenges(denial: Denial, route: Option<&Route>) -> impl Iterator<Item = HeaderValue> {
    let tier = route.and_then(|route| match route.access() {
        Access::Protected { credentials, .. } => Some(*credentials),
        Access::Public => None,
    });
    let wanted = match denial {
        Denial::TokenInvalid | Denial::TokenBindingInvalid | Denial::TokenExpired | Denial::TokenRevoked => {
            [Some(INVALID_TOKEN), None]
        }
        Denial::ServiceKeyInvalid => [Some(SERVICE_KEY), None],
        other if other.status() != 401 => [None, None],
        _ => {
            let tier = tier.unwrap_or(CredentialTier::User);
            [
                tier.takes_user().then_some(BEARER),
                tier.takes_service().then_some(SERVICE_KEY),
            ]
        }
    };
    wanted.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closing(denial: Denial) -> String {
        String::from_utf8(Answer::to(denial, &RequestId::fixed("r1")).closing()).expect("ASCII")
    }

    fn in_a_browser(denial: Denial, accept: &'static str) -> String {
        let mut fields = HeaderMap::new();
        fields.insert(http::header::ACCEPT, HeaderValue::from_static(accept));
        let case = Case {
            asked: Some((&Method::GET, &fields)),
            ..Case::default()
        };
        let answer = Answer::denying(denial, case, &RequestId::fixed("r1"));
        String::from_utf8(answer.closing()).expect("ASCII")
    }

    #[test]
    fn an_answer_is_a_problem_document() {
        insta::assert_snapshot!(closing(Denial::PermissionDenied).replace('\r', ""), @r#"
        HTTP/1.1 403 Forbidden
        Connection: close
        content-type: application/problem+json
        cache-control: no-store
        x-content-type-options: nosniff
        content-length: 135
        x-request-id: r1

        {"type":"about:blank","title":"Access is denied","status":403,"code":"permission_denied","detail":"Access is denied","request_id":"r1"}
        "#);
    }

    #[test]
    fn in_a_browser_it_is_a_page() {
        insta::assert_snapshot!(in_a_browser(Denial::PermissionDenied, "text/html").replace('\r', ""), @r#"
        HTTP/1.1 403 Forbidden
        Connection: close
        content-type: text/html; charset=utf-8
        cache-control: no-store
        x-content-type-options: nosniff
        content-security-policy: default-src 'none'; style-src 'sha256-yhIDh4XrS4I+0/bxh0q4CumTpDmUyEE6ot1Oi2ejNVA='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
        referrer-policy: no-referrer
        vary: accept
        content-length: 443
        x-request-id: r1

        <!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Access is denied</title><style>body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem}small{color:#666}@media(prefers-color-scheme:dark){body{background:#111;color:#eee}small{color:#999}}</style></head><body><h1>Access is denied</h1><p><small>403 &middot; request r1</small></p></body></html>
        "#);
        assert!(in_a_browser(Denial::NoRoute, "*/*").contains("\r\nvary: accept\r\n"));
    }

    #[test]
    fn the_policy_of_a_page_names_its_style() {
        use base64::Engine as _;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(digest);
        assert!(PAGE_POLICY.contains(&format!("'sha256-{hash}'")), "{hash}");
    }

    #[test]
    fn every_401_has_a_challenge_and_every_503_says_when_to_come_back() {
        for denial in Denial::ALL {
            let text = closing(*denial);
            assert_eq!(
                text.contains("www-authenticate: "),
                denial.status() == 401,
                "{denial}"
            );
            assert_eq!(text.contains("retry-after: "), denial.status() == 503, "{denial}");
        }
        assert!(closing(Denial::TokenRevoked).contains(r#"error="invalid_token""#));
        assert!(!closing(Denial::CredentialMissing).contains("error="));
    }

    #[test]
    fn nothing_in_a_page_needs_to_be_escaped() {
        for denial in Denial::ALL {
            assert!(!denial.title().contains(['<', '>', '&', '"', '\'']), "{denial}");
        }
    }
}
