//! Where a request came from: the address of the client, and whether his connection was encrypted.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use pingora::proxy::Session;

use crate::forwarded::{TrustedProxies, forwarded_for, forwarded_proto};
use crate::names;

/// Who sent a request, as far as the connection tells, and the proxies in front of the edge that are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Client {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Whether the client's connection was encrypted.
    pub secure: bool,
}

impl Client {
    /// That of a session.
    pub fn of(session: &Session, trusted: &TrustedProxies) -> Self {
        let peer = session.client_addr().and_then(|address| address.as_inet());
        let encrypted = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        let Some(peer) = peer.map(SocketAddr::ip) else {
            return Self {
                address: None,
                secure: encrypted,
            };
        };
        if !trusted.trusts(peer) {
            return Self {
                address: Some(peer.to_canonical()),
                secure: encrypted,
            };
        }
        let fields = &session.req_header().headers;
        let lines = |name| fields.get_all(name).iter().map(HeaderValue::as_bytes);
        Self {
            address: Some(forwarded_for(peer, lines(names::FORWARDED_FOR), trusted)),
            secure: forwarded_proto(peer, lines(names::FORWARDED_PROTO), trusted).unwrap_or(encrypted),
        }
    }

    /// The scheme of what the client asked for.
    pub fn scheme(self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}
