//! The canonical request: what the edge is ready to judge, or the reason why it is not.
//!
//! Pingora hands on nearly every spelling byte for byte, repairs some and drops others. Here a request is refused
//! unless there is exactly one way to read it, so that the path that is judged is the path that is sent, whatever the
//! service behind makes of dots, slashes, semicolons or doubled headers. Nothing is repaired: a client that needs repair
//! gets 400. Two representations are checked, by the same rules: the bytes of an HTTP/1 head before Pingora parses them
//! ([`wire`]), and what Pingora parsed and will forward ([`CanonicalRequest::parse`]).
//!
//! This module takes values and returns values. It must not look at routes, credentials' contents or the replica.

pub(crate) mod characters;
pub mod cookies;
mod fields;
mod framing;
mod handshake;
mod host;
mod method;
mod page;
mod shown;
mod target;
pub mod wire;

use http::{HeaderMap, Version};
use sentinel_core::Denial;
use sentinel_core::revision::Revision;

pub use fields::Presented;
pub use host::Host;
pub use method::is_accepted as is_accepted_method;
pub use shown::Shown;
pub use target::Target;

/// How large a request head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes, request line and empty line included.
    pub bytes: usize,
    /// Header lines.
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            bytes: 32 * 1024,
            fields: 100,
        }
    }
}

/// What a parser made of a request head.
#[derive(Debug, Clone, Copy)]
pub struct Parsed<'a> {
    /// The version of the protocol.
    pub version: Version,
    /// The method as it was sent.
    pub method: &'a str,
    /// The request target as it would be forwarded.
    pub target: &'a [u8],
    /// HTTP/2's `:authority`.
    pub authority: Option<&'a str>,
    /// The headers.
    pub fields: &'a HeaderMap,
}

/// What a request is read by besides its head.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// How large the head may be.
    pub limits: HeadLimits,
    /// The name of the session cookie.
    pub session_cookie: &'a str,
    /// Whether the client's connection was encrypted.
    pub secure: bool,
}

impl Reading<'static> {
    /// These limits, the usual name of the session cookie, and a plain connection.
    pub fn with(limits: HeadLimits) -> Self {
        Self {
            limits,
            session_cookie: cookies::SESSION,
            secure: false,
        }
    }
}

/// A request that can be read in one way only.
#[derive(Debug, Clone)]
pub struct CanonicalRequest {
    /// The method, upper case.
    pub method: http::Method,
    /// The host, lower case.
    pub host: Host,
    /// Path and query.
    pub target: Target,
    /// The credentials that came with it, unverified.
    pub presented: Presented,
    /// The revision that the client has seen (`X-Sentinel-Revision`).
    pub seen: Option<Revision>,
    /// Whether it opens a WebSocket (RFC 6455 §4.1).
    pub opens_tunnel: bool,
}

impl CanonicalRequest {
    /// The canonical form of a parsed request that came over a plain connection, with the usual name of the session cookie.
    ///
    /// # Errors
    /// The reason why the request leaves room for a second reading.
    pub fn parse(parsed: Parsed<'_>, limits: HeadLimits) -> Result<Self, Denial> {
        Self::read(parsed, Reading::with(limits))
    }

    /// The canonical form of a parsed request.
    ///
    /// # Errors
    /// The reason why the request leaves room for a second reading.
    pub fn read(parsed: Parsed<'_>, reading: Reading<'_>) -> Result<Self, Denial> {
        let limits = reading.limits;
        let method = method::parse(parsed.method)?;
        fields::check_size(parsed.target.len(), parsed.fields, limits)?;
        let target = Target::parse(parsed.target)?;
        let hosts = parsed.fields.get_all(http::header::HOST);
        let host = host::parse(hosts.iter().map(http::HeaderValue::as_bytes), parsed.authority)?;
        framing::check(parsed.version, parsed.fields)?;
        fields::check(parsed.version, parsed.fields)?;
        let opens_tunnel = handshake::check(parsed.version, &method, parsed.fields)?;
        let mut presented = Presented::parse(parsed.fields, reading.session_cookie)?;
        presented.may_be_forged =
            page::may_be_forged(&method, opens_tunnel, parsed.fields, &host, reading.secure);
        Ok(Self {
            method,
            host,
            target,
            presented,
            seen: fields::seen_revision(parsed.fields)?,
            opens_tunnel,
        })
    }
}

#[cfg(test)]
mod tests;
