//! Methods: the registered ones, in their one spelling.

use http::Method;
use sentinel_core::Denial;

/// The IANA registry of methods without `CONNECT` (it asks for a tunnel), `TRACE` (it echoes credentials) and `PRI` (it
/// is no request). Methods are case-sensitive (RFC 9110 §9.1), so `get` is a method that nobody has registered.
const ACCEPTED: &[&str] = &[
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "QUERY",
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PROPFIND",
    "PROPPATCH",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Whether requests with this method are accepted at all.
pub fn is_accepted(method: &str) -> bool {
    ACCEPTED.contains(&method)
}

pub(super) fn parse(method: &str) -> Result<Method, Denial> {
    if !is_accepted(method) {
        return Err(Denial::MethodInvalid);
    }
    Method::from_bytes(method.as_bytes()).map_err(|_| Denial::MethodInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_registered_methods_in_upper_case() {
        for good in ["GET", "HEAD", "POST", "PROPFIND", "QUERY"] {
            assert_eq!(parse(good).expect(good).as_str(), good);
        }
        for bad in [
            "", "get", "Get", "CONNECT", "TRACE", "PRI", "GETX", "GET ", "G\tET",
        ] {
            assert_eq!(parse(bad), Err(Denial::MethodInvalid), "`{bad}`");
        }
    }
}
