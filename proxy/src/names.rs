//! Header names that mean something to the edge or to the service behind it.
//!
//! Two rules hang on them. What looks like a statement about the caller is removed before a request is forwarded, because
//! only the edge may make it. And a name that only *spells* one of these (`X_Sentinel_User_Id`, which CGI, WSGI and
//! several frameworks fold into the real one) is refused at the door.

use http::HeaderName;

/// The caller's user id.
pub const USER_ID: HeaderName = HeaderName::from_static("x-sentinel-user-id");
/// His e-mail address when his token was minted, percent-encoded.
pub const USER_EMAIL: HeaderName = HeaderName::from_static("x-sentinel-email");
/// His name when his token was minted, percent-encoded.
pub const USER_NAME: HeaderName = HeaderName::from_static("x-sentinel-name");
/// The workspace he acts in.
pub const WORKSPACE_ID: HeaderName = HeaderName::from_static("x-sentinel-workspace-id");
/// That workspace's slug.
pub const WORKSPACE_SLUG: HeaderName = HeaderName::from_static("x-sentinel-workspace-slug");
/// His live role there.
pub const WORKSPACE_ROLE: HeaderName = HeaderName::from_static("x-sentinel-workspace-role");
/// The calling service.
pub const SERVICE: HeaderName = HeaderName::from_static("x-sentinel-service");
/// The edge's signed statement about the request.
pub const ASSERTION: HeaderName = HeaderName::from_static("x-sentinel-assertion");
/// The revision that a client has seen.
pub const REVISION: HeaderName = HeaderName::from_static("x-sentinel-revision");
/// The credential of a service.
pub const SERVICE_KEY: HeaderName = HeaderName::from_static("x-service-key");
/// What a user of AuthZ mode may do, which goes with the ID token in `Authorization`. It travels on to the service.
pub const AUTHZ_TOKEN: HeaderName = HeaderName::from_static("x-authz-token");
/// The other issuer that vouches for the caller, by its name at this edge.
pub const ISSUER: HeaderName = HeaderName::from_static("x-sentinel-issuer");
/// Who the caller is for that issuer, percent-encoded.
pub const SUBJECT: HeaderName = HeaderName::from_static("x-sentinel-subject");
/// The number of a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The client's address.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The scheme that the client used.
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The host that the client asked for.
pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Everything under these prefixes is a statement that only an edge may make.
const STATEMENT_PREFIXES: &[&str] = &[
    "x-sentinel-",
    "x-forwarded-",
    "x-auth-request-",
    "x-authenticated-",
    "x-amzn-oidc-",
    "x-authentik-",
    "x-goog-authenticated-user-",
    "x-goog-iap-",
    "x-ms-client-principal",
    "x-pomerium-",
    "x-remote-",
    "x-ssl-client-",
    "x-vouch-",
    "cf-access-",
    "impersonate-",
    "ssl-client-",
    "tailscale-",
];

/// Statements about the caller by which other gateways are known.
const STATEMENTS: &[&str] = &[
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    // CGI makes the variable `HTTP_PROXY` of it, and programs take that for their own proxy.
    "proxy",
    "remote-addr",
    "remote-email",
    "remote-groups",
    "remote-name",
    "remote-user",
    "true-client-ip",
    "x-auth-email",
    "x-auth-groups",
    "x-auth-user",
    "x-auth-username",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-consumer-custom-id",
    "x-consumer-groups",
    "x-consumer-id",
    "x-consumer-username",
    "x-credential-identifier",
    "x-email",
    "x-groups",
    "x-host",
    "x-original-forwarded-for",
    "x-original-host",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-email",
    "x-remote-groups",
    "x-remote-ip",
    "x-remote-user",
    "x-request-id",
    "x-role",
    "x-roles",
    "x-scheme",
    "x-user",
    "x-user-email",
    "x-user-groups",
    "x-user-id",
    "x-user-name",
    "x-user-role",
    "x-user-roles",
    "x-userinfo",
    "x-username",
    "x-webauth-email",
    "x-webauth-groups",
    "x-webauth-name",
    "x-webauth-user",
];

/// What frames a request, carries a credential or ends at this hop.
const MEANINGFUL: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-authz-token",
    "x-service-key",
];

/// Names by which a request asks to be read as another one. Refused in every spelling.
const OVERRIDES: &[&str] = &[
    "x-http-method",
    "x-http-method-override",
    "x-envoy-original-path",
    "x-method-override",
    // A service that believes it skips its own checks.
    "x-middleware-subrequest",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

/// Whether a name begins like a statement. Most headers of a request do not, and are told apart by that.
fn begins_like_one(name: &str) -> bool {
    matches!(
        name.as_bytes().first_chunk(),
        Some(b"cf" | b"cl" | b"fa" | b"fo" | b"im" | b"pr" | b"re" | b"ss" | b"ta" | b"tr" | b"x-")
    )
}

/// Whether a name has nothing but letters, digits and hyphens.
fn is_plain(name: &str) -> bool {
    const IS_PLAIN: [bool; 256] = {
        let (mut table, mut byte) = ([false; 256], 0_u8);
        while byte < 128 {
            table[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-';
            byte += 1;
        }
        table
    };
    let is_plain = |byte: u8| IS_PLAIN.get(usize::from(byte)).is_some_and(|plain| *plain);
    // To the end in every case: nearly all names are plain, and there are many of them.
    name.bytes().fold(true, |plain, byte| plain & is_plain(byte))
}

/// Whether a header, by its lower-case name, is a statement about the caller that a client may not make.
pub fn is_statement(name: &str) -> bool {
    begins_like_one(name)
        && (STATEMENT_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || STATEMENTS.contains(&name))
}

/// Whether a request with such a header is refused: it asks for another path or method than it shows, or it only spells
/// a name that means something.
pub fn is_refused(name: &str) -> bool {
    if is_plain(name) {
        // All of them begin like that, and most fields do not.
        return name.starts_with("x-") && OVERRIDES.contains(&name);
    }
    let folded: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    is_statement(&folded) || MEANINGFUL.contains(&folded.as_str()) || OVERRIDES.contains(&folded.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_override_begins_alike() {
        assert!(OVERRIDES.iter().all(|name| name.starts_with("x-")));
    }

    #[test]
    fn every_statement_has_a_known_beginning() {
        for statement in STATEMENTS.iter().chain(STATEMENT_PREFIXES) {
            assert!(begins_like_one(statement), "{statement}");
            assert!(is_statement(statement), "{statement}");
        }
    }

    #[test]
    fn statements_are_known_by_name_and_by_prefix() {
        for name in [
            "x-sentinel-user-id",
            "x-sentinel-anything",
            "x-forwarded-for",
            "forwarded",
            "remote-user",
            "proxy",
            "x-user-id",
            "x-user",
            "x-auth-user",
            "x-forwarded-user",
            "x-amzn-oidc-data",
            "x-goog-authenticated-user-email",
            "x-authentik-username",
            "tailscale-user-login",
            "ssl-client-verify",
            "x-ssl-client-cert",
            "x-ms-client-principal-name",
            "cf-connecting-ip",
            "client-ip",
            "x-original-host",
            "x-host",
        ] {
            assert!(is_statement(name), "`{name}`");
            assert!(!is_refused(name), "`{name}` is removed, not refused");
        }
        for name in ["accept", "x-sentinel", "authorization", "x-user-timezone"] {
            assert!(!is_statement(name), "`{name}`");
        }
    }

    #[test]
    fn spellings_that_fold_into_a_meaningful_name_are_refused() {
        for name in [
            "x_sentinel_user_id",
            "x.sentinel.user.id",
            "x-sentinel_user-id",
            "x!sentinel!user!id",
            "x_forwarded_for",
            "x_service_key",
            "x_authz_token",
            "content_length",
            "transfer.encoding",
            "x_request_id",
            "x_original_url",
        ] {
            assert!(is_refused(name), "`{name}`");
        }
        for name in ["x_custom", "my.header", "accept_language", "sentinel_user_id"] {
            assert!(!is_refused(name), "`{name}`");
        }
    }

    #[test]
    fn requests_to_be_read_as_another_one_are_refused() {
        for name in ["x-original-url", "x-rewrite-url", "x-http-method-override"] {
            assert!(is_refused(name), "`{name}`");
        }
    }
}
