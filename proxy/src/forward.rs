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

mod user_fields;

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{COOKIE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pingora::http::RequestHeader;
use sentinel_core::Denial;

use crate::client::Client;
use crate::decide::Permit;
use crate::names;
use crate::request::{CanonicalRequest, cookies};
use crate::request_id::RequestId;

use user_fields::Lines;

pub use user_fields::UserFields;

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
    /// The name of the session cookie.
    pub session_cookie: &'a str,
    /// What is known of the user's fields from earlier requests with his token.
    pub user_fields: Option<&'a UserFields>,
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
    let traffic = permit.route().traffic();
    traffic.request_headers.apply_to_request(upstream)?;
    join_cookies(upstream)?;
    strip_own_cookies(upstream, hop.session_cookie)?;
    without_spellings(upstream, |fields| write_facts(permit, request, hop, fields))?;
    upstream.set_method(request.method.clone());
    let rewritten = traffic
        .rewrite
        .as_ref()
        .map(|rewrite| rewrite.apply(&request.target));
    let target = rewritten.as_deref().unwrap_or(request.target.raw()).as_bytes();
    if upstream.uri.authority().is_some() || upstream.raw_path() != target {
        upstream.set_raw_path(target).map_err(|_| Denial::Internal)?;
    }
    Ok(())
}

/// Writes what only the edge may say.
fn write_facts(
    permit: &Permit,
    request: &CanonicalRequest,
    hop: Hop<'_>,
    fields: &mut HeaderMap,
) -> Result<(), Denial> {
    let host = match sole(fields, &HOST) {
        Some(host) if host == request.host.authority() => host.clone(),
        _ => {
            let host = text(request.host.authority())?;
            set(fields, HOST, host.clone())?;
            host
        }
    };
    let mut set = |name, value| set(fields, name, value);
    set(names::FORWARDED_HOST, host)?;
    set(names::REQUEST_ID, hop.id.header_value())?;
    set(
        names::FORWARDED_PROTO,
        HeaderValue::from_static(hop.client.scheme()),
    )?;
    if let Some(client) = hop.client.address {
        set(names::FORWARDED_FOR, address_value(client)?)?;
    }
    if let Some(user) = permit.principal().external_user() {
        set(names::ISSUER, text(&user.issuer)?)?;
        set(names::SUBJECT, text(&encoded(&user.subject))?)?;
    }
    if let Some(service) = permit.service() {
        set(names::SERVICE, text(service.name.as_str())?)?;
    }
    if let Some((user, role)) = permit.member() {
        match hop.user_fields.and_then(|known| known.about(user)) {
            Some(lines) => lines.write(role, fields)?,
            None => Lines::of(user)?.write(role, fields)?,
        }
    }
    Ok(())
}

fn set(fields: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Result<(), Denial> {
    let inserted = fields.try_insert(name, value);
    inserted.map(drop).map_err(|_| Denial::Internal)
}

/// The value of a field that is there exactly once.
fn sole<'f>(fields: &'f HeaderMap, name: &HeaderName) -> Option<&'f HeaderValue> {
    let mut values = fields.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn text(text: &str) -> Result<HeaderValue, Denial> {
    HeaderValue::from_str(text).map_err(|_| Denial::Internal)
}

/// An address as text; of IPv4 by hand, which takes a fraction of the time.
fn address_value(address: IpAddr) -> Result<HeaderValue, Denial> {
    let IpAddr::V4(address) = address else {
        return text(&address.to_string());
    };
    let mut text = Vec::with_capacity("255.255.255.255".len());
    for octet in address.octets() {
        if !text.is_empty() {
            text.push(b'.');
        }
        let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|digit| b'0' | digit);
        let zeros = usize::from(octet < 100) + usize::from(octet < 10);
        text.extend_from_slice(digits.get(zeros..).unwrap_or_default());
    }
    HeaderValue::try_from(text).map_err(|_| Denial::Internal)
}

/// Changes the fields of a request. Pingora remembers how each name was spelt, and every change would have to be made in both
/// places, at several times the cost; so the spellings are forgotten, and names go out in lower case, as over HTTP/2.
///
/// On an error the request is an empty one.
fn without_spellings(
    upstream: &mut RequestHeader,
    change: impl FnOnce(&mut HeaderMap) -> Result<(), Denial>,
) -> Result<(), Denial> {
    let mut parts = taken(upstream);
    change(&mut parts.headers)?;
    *upstream = parts.into();
    Ok(())
}

/// Forgets how names were spelt, before Pingora copies what it would send: none of it is used.
pub fn forget_spellings(request: &mut RequestHeader) {
    *request = taken(request).into();
}

fn taken(request: &mut RequestHeader) -> Parts {
    let (empty, ()) = http::Request::new(()).into_parts();
    std::mem::replace(request, empty.into()).into()
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

/// Removes the session cookie and what else the edge keeps with browsers. It is for the edge alone.
fn strip_own_cookies(upstream: &mut RequestHeader, name: &str) -> Result<(), Denial> {
    let line = upstream.headers.get(COOKIE).map(HeaderValue::as_bytes);
    let Some(others) = line.and_then(|line| cookies::without(line, name)) else {
        return Ok(());
    };
    if others.is_empty() {
        upstream.remove_header(&COOKIE);
        return Ok(());
    }
    let others = HeaderValue::from_bytes(&others).map_err(|_| Denial::Internal)?;
    upstream
        .insert_header(COOKIE, others)
        .map_err(|_| Denial::Internal)
}

fn encoded(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, COMPONENT).into()
}

#[cfg(test)]
mod tests;
