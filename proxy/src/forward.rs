//! The request as the service behind gets it: what the client sent, without what only the edge may say, and with what the
//! edge found out.
//!
//! It is written at the last point before the wire (Pingora's `upstream_request_filter`), after Pingora has removed what
//! `Connection` nominates, so that no client header can take ours away again. Path and host are written from the canonical
//! request that was judged, and not from what happens to be in Pingora's copy.
//!
//! `Authorization` travels on: the user's token is limited in time, workspace and audience, and services use it to ask the
//! control plane on the user's behalf. `X-Service-Key` does not: it is another service's permanent secret, and what it
//! proves is said by `x-sentinel-service`.

use http::header::{COOKIE, HOST};
use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pingora::http::RequestHeader;
use sentinel_core::Denial;

use crate::client::Client;
use crate::decide::Permit;
use crate::names;
use crate::request::CanonicalRequest;
use crate::request_id::RequestId;

/// What `encodeURIComponent` encodes, so that every language can decode it.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// What is known about the way a request came.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'a> {
    /// Where the request came from.
    pub client: Client,
    /// The request's number.
    pub id: &'a RequestId,
}

/// Writes the request that `permit` allows over what Pingora would send.
///
/// # Errors
/// [`Denial::Internal`] if a value cannot be written; the request is not sent then.
pub fn write(
    permit: &Permit,
    request: &CanonicalRequest,
    hop: Hop<'_>,
    upstream: &mut RequestHeader,
) -> Result<(), Denial> {
    strip(upstream);
    join_cookies(upstream)?;
    upstream.set_method(request.method.clone());
    upstream
        .set_raw_path(request.target.raw().as_bytes())
        .map_err(|_| Denial::Internal)?;
    let mut set = |name: HeaderName, value: &str| {
        let value = HeaderValue::from_str(value).map_err(|_| Denial::Internal)?;
        upstream.insert_header(name, value).map_err(|_| Denial::Internal)
    };
    set(HOST, request.host.authority())?;
    set(names::REQUEST_ID, hop.id.as_str())?;
    set(names::FORWARDED_HOST, request.host.authority())?;
    set(names::FORWARDED_PROTO, hop.client.scheme())?;
    if let Some(client) = hop.client.address {
        set(names::FORWARDED_FOR, &client.to_string())?;
    }
    if let Some((user, role)) = permit.member() {
        set(names::USER_ID, &user.id.to_string())?;
        if let Some(email) = &user.email {
            set(names::USER_EMAIL, &encoded(email))?;
        }
        if let Some(name) = &user.name {
            set(names::USER_NAME, &encoded(name))?;
        }
        set(names::WORKSPACE_ID, &user.workspace.to_string())?;
        set(names::WORKSPACE_SLUG, user.workspace_slug.as_str())?;
        set(names::WORKSPACE_ROLE, role.as_str())?;
    }
    if let Some(service) = permit.service() {
        set(names::SERVICE, service.name.as_str())?;
    }
    Ok(())
}

/// Removes every statement that a client has made and that only the edge may make, and the service key.
fn strip(upstream: &mut RequestHeader) {
    let gone: Vec<HeaderName> = upstream
        .headers
        .keys()
        .filter(|name| names::is_statement(name.as_str()) || **name == names::SERVICE_KEY)
        .cloned()
        .collect();
    for name in &gone {
        upstream.remove_header(name);
    }
}

/// One `Cookie` line of what HTTP/2 may send in crumbs (RFC 9113 §8.2.3).
fn join_cookies(upstream: &mut RequestHeader) -> Result<(), Denial> {
    let crumbs: Vec<&[u8]> = upstream
        .headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() < 2 {
        return Ok(());
    }
    let whole = HeaderValue::from_bytes(&crumbs.join(b"; ".as_slice())).map_err(|_| Denial::Internal)?;
    upstream
        .insert_header(COOKIE, whole)
        .map_err(|_| Denial::Internal)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

#[cfg(test)]
mod tests;
