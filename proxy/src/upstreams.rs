//! The services behind the edge: their addresses and how long is waited for them.

mod name;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pingora::upstreams::peer::HttpPeer;

use self::name::Name;

/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_mins(1);
/// How long an upgraded connection may be silent.
pub const SILENCE: Duration = Duration::from_hours(1);

/// One service.
#[derive(Debug)]
pub struct Upstream {
    at: Place,
    server_name: Option<String>,
    connect: Duration,
    wants_assertion: bool,
}

/// Where a service is, as the configuration says it.
#[derive(Debug)]
enum Place {
    Address(SocketAddr),
    Name(Arc<Name>),
}

impl Upstream {
    /// The service of a configuration.
    pub fn from_config(config: &sentinel_config::edge::Upstream) -> Self {
        let url = &config.url;
        let upstream = Self::new(
            &url.host(),
            url.port(),
            config.server_name(),
            config.connect_timeout,
        );
        Self {
            wants_assertion: config.assertion,
            ..upstream
        }
    }

    /// The service at a host (an address without brackets) and port; encrypted if its certificate has to show a name.
    fn new(host: &str, port: u16, server_name: Option<String>, connect: Duration) -> Self {
        let at = match host.parse::<IpAddr>() {
            Ok(address) => Place::Address(SocketAddr::new(address, port)),
            Err(_) => Place::Name(Name::new(host, port)),
        };
        Self {
            at,
            server_name,
            connect,
            wants_assertion: false,
        }
    }

    /// Whether requests to it carry an assertion.
    pub fn wants_assertion(&self) -> bool {
        self.wants_assertion
    }

    /// Where to send one request; `None` while the name has no address. Where a tunnel is asked for, the caller keeps the
    /// time until there is one ([`crate::deadline`]).
    pub async fn peer(&self, wait: Duration, tunnel: bool) -> Option<HttpPeer> {
        let address = match &self.at {
            Place::Address(address) => *address,
            Place::Name(name) => name.address().await?,
        };
        // Pingora verifies no certificate at all for an empty name, so there is none without encryption and never an
        // empty one with it.
        let name = match &self.server_name {
            Some(name) if name.is_empty() => return None,
            name => name.clone(),
        };
        let mut peer = HttpPeer::new(address, name.is_some(), name.unwrap_or_default());
        let options = &mut peer.options;
        options.connection_timeout = Some(self.connect);
        options.total_connection_timeout = Some(self.connect.saturating_mul(2));
        options.read_timeout = Some(if tunnel { SILENCE } else { wait });
        options.write_timeout = Some(wait);
        options.idle_timeout = Some(IDLE);
        Some(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn upstream(host: &str, name: Option<&str>) -> Upstream {
        Upstream::new(host, 9000, name.map(str::to_owned), SECOND)
    }

    #[tokio::test]
    async fn an_address_needs_no_lookup_and_a_name_gets_one() {
        for host in ["127.0.0.1", "localhost", "::1"] {
            let peer = upstream(host, None).peer(5 * SECOND, false).await;
            assert!(peer.is_some_and(|peer| !peer.is_tls()), "`{host}`");
        }
    }

    #[tokio::test]
    async fn waiting_is_bounded_and_an_open_tunnel_may_be_silent() {
        let upstream = upstream("127.0.0.1", None);
        let peer = upstream.peer(5 * SECOND, false).await.expect("an address");
        assert_eq!(peer.options.read_timeout, Some(5 * SECOND));
        assert_eq!(peer.options.connection_timeout, Some(SECOND));
        let tunnel = upstream.peer(5 * SECOND, true).await.expect("an address");
        assert_eq!(tunnel.options.read_timeout, Some(SILENCE));
    }

    #[tokio::test]
    async fn certificates_are_checked_against_a_name_and_never_against_none() {
        let named = upstream("127.0.0.1", Some("docs.internal"));
        let peer = named.peer(SECOND, false).await.expect("an address");
        assert_eq!(peer.sni, "docs.internal");
        assert!(peer.is_tls() && peer.options.verify_cert && peer.options.verify_hostname);
        assert!(
            upstream("127.0.0.1", Some(""))
                .peer(SECOND, false)
                .await
                .is_none()
        );
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_nobody() {
        let nobody = upstream("no-such-host.invalid", None);
        assert!(nobody.peer(SECOND, false).await.is_none());
    }
}
