//! The services behind the edge: their addresses and how long is waited for them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pingora::upstreams::peer::HttpPeer;
use tokio::time::Instant;

use crate::moment;

/// How long a looked-up address is used before the name is looked up again.
const ADDRESS_LIFETIME: Duration = Duration::from_secs(10);
/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_mins(1);
/// How long an upgraded connection may be silent.
pub const SILENCE: Duration = Duration::from_hours(1);

/// One service.
#[derive(Debug)]
pub struct Upstream {
    host: String,
    port: u16,
    server_name: Option<String>,
    connect: Duration,
    wants_assertion: bool,
    /// The one address, where the configuration says that and no name.
    given: Option<SocketAddr>,
    found: ArcSwapOption<Found>,
    next: AtomicUsize,
}

/// The addresses of a name.
#[derive(Debug)]
struct Found {
    all: Vec<SocketAddr>,
    until: Instant,
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
        let given = host.parse::<IpAddr>().ok();
        Self {
            host: host.to_owned(),
            port,
            server_name,
            connect,
            wants_assertion: false,
            given: given.map(|address| SocketAddr::new(address, port)),
            found: ArcSwapOption::empty(),
            next: AtomicUsize::new(0),
        }
    }

    /// Whether requests to it carry an assertion.
    pub fn wants_assertion(&self) -> bool {
        self.wants_assertion
    }

    /// Where to send one request; `None` while the name has no address. The addresses of a name take turns. Where a tunnel
    /// is asked for, the caller keeps the time until there is one ([`crate::deadline`]).
    pub async fn peer(&self, wait: Duration, tunnel: bool) -> Option<HttpPeer> {
        let address = match self.given {
            Some(address) => address,
            None => self.next_found().await?,
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

    async fn next_found(&self) -> Option<SocketAddr> {
        let found = self.found().await?;
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        found.all.get(turn.checked_rem(found.all.len())?).copied()
    }

    async fn found(&self) -> Option<Arc<Found>> {
        let known = self.found.load_full();
        let fresh = known.as_ref().is_some_and(|known| moment::now() < known.until);
        if fresh {
            return known;
        }
        match tokio::net::lookup_host((self.host.as_str(), self.port)).await {
            Ok(found) => {
                let found = Arc::new(Found {
                    all: found.collect(),
                    until: Instant::now() + ADDRESS_LIFETIME,
                });
                self.found.store(Some(Arc::clone(&found)));
                Some(found)
            }
            Err(error) => {
                tracing::warn!(upstream.host = %self.host, %error, "the name of a service cannot be looked up");
                known
            }
        }
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
