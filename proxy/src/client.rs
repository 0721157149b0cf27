//! Where a request came from: the address of the client, and whether its connection was encrypted.

use std::net::IpAddr;

use pingora::proxy::Session;

/// Who sent a request, as far as the connection tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Client {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Whether the client's connection was encrypted.
    pub secure: bool,
}

impl Client {
    /// That of a session.
    pub fn of(session: &Session) -> Self {
        let address = session.client_addr().and_then(|address| address.as_inet());
        let digest = session.digest();
        Self {
            address: address.map(std::net::SocketAddr::ip),
            secure: digest.is_some_and(|digest| digest.ssl_digest.is_some()),
        }
    }

    /// The scheme of what the client asked for.
    pub fn scheme(self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}
