//! A request that nobody has sent: written as the bytes of a head and read as every head is.

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use sentinel_config::edge::{TestRequest, TestToken};
use sentinel_core::Denial;

use super::caller::Caller;
use crate::names;
use crate::request::{CanonicalRequest, HeadLimits, Parsed, Reading, wire};

/// Stands where a token or a key would be. Nobody verifies it: who calls is known.
const CREDENTIAL: &str = "verified";

/// The canonical form of a request with these header fields and the caller's credentials, and all its fields.
///
/// # Errors
/// The reason why the edge does not take it.
pub(super) fn canonical(
    line: &TestRequest,
    fields: &[(String, String)],
    caller: &Caller,
    session_cookie: &str,
) -> Result<(CanonicalRequest, HeaderMap), Denial> {
    let mut fields: Vec<(String, String)> = fields.to_vec();
    fields.extend(credentials(caller, session_cookie));
    let limits = HeadLimits::default();
    let mut head = format!(
        "{} {} HTTP/1.1\r\nhost: {}\r\n",
        line.method, line.target, line.host
    );
    for (name, value) in &fields {
        head.extend([name.as_str(), ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    wire::check(head.as_bytes(), limits)?;

    let mut map = HeaderMap::new();
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| Denial::HeaderInvalid);
    map.append(HOST, value(&line.host)?);
    for (name, text) in &fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Denial::HeaderInvalid)?;
        map.append(name, value(text.trim_matches([' ', '\t']))?);
    }
    let parsed = Parsed {
        version: Version::HTTP_11,
        method: &line.method,
        target: line.target.as_bytes(),
        authority: None,
        fields: &map,
    };
    let reading = Reading {
        limits,
        session_cookie,
        secure: line.secure,
    };
    let request = CanonicalRequest::read(parsed, reading)?;
    Ok((request, map))
}

/// The header fields by which the caller shows who he is.
fn credentials(caller: &Caller, session_cookie: &str) -> Vec<(String, String)> {
    let bearer = || ("authorization".to_owned(), format!("Bearer {CREDENTIAL}"));
    let mut fields = Vec::new();
    match caller.user.as_ref().map(|(token, _)| token) {
        None if caller.external.is_none() => {}
        None | Some(TestToken::Access) => fields.push(bearer()),
        Some(TestToken::Cookie) => {
            fields.push(("cookie".to_owned(), format!("{session_cookie}={CREDENTIAL}")));
        }
        Some(TestToken::Authz) => {
            fields.push(bearer());
            fields.push(("x-authz-token".to_owned(), CREDENTIAL.to_owned()));
        }
    }
    if caller.service.is_some() {
        fields.push((names::SERVICE_KEY.as_str().to_owned(), CREDENTIAL.to_owned()));
    }
    fields
}
