//! Who the client is, as far as a log may know: whoever is at the other end of the connection, or, if that is a proxy that
//! the configuration trusts, whom it says that it speaks for.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::app::App;

/// The header in which each proxy writes, behind what stands there already, who has connected to it.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The peers whose `X-Forwarded-For` is believed. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl FromIterator<IpNet> for TrustedProxies {
    fn from_iter<T: IntoIterator<Item = IpNet>>(networks: T) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl TrustedProxies {
    /// Whether the address is a proxy's.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }

    /// Whose request it is that came from `peer`: from the right, the first address that is no proxy's. What stands to the
    /// left of that was written by the client, and means nothing. Nor does what stands to the left of something that is no
    /// address: then it is the last one before.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let mut forwarded = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .rev()
            // A value that is no text becomes an entry that is no address.
            .flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        while self.contains(client) {
            let Some(before) = forwarded.next().and_then(address) else {
                break;
            };
            client = before;
        }
        client
    }
}

/// An entry of the header: an address, which some proxies write with its port.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim_matches([' ', '\t']);
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let ip = entry.parse::<IpAddr>().ok().or_else(with_port)?;
    Some(ip.to_canonical())
}

/// The longest part of a user agent that is kept.
const MAX_USER_AGENT: usize = 200;

/// The address and the user agent of the caller.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// The address; a forwarded one only if proxies wrote it that the configuration trusts.
    pub ip: Option<IpAddr>,
    /// The beginning of `User-Agent`.
    pub user_agent: Option<String>,
}

impl FromRequestParts<App> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self {
            ip: parts
                .extensions
                .get::<ConnectInfo<SocketAddr>>()
                .map(|info| app.settings.trusted_proxies.client(info.0.ip(), &parts.headers)),
            user_agent: parts
                .headers
                .get(USER_AGENT)
                .and_then(|value| value.to_str().ok())
                .map(|text| text.chars().take(MAX_USER_AGENT).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    /// The client of a request from a peer with these headers, where the load balancers are in `10.0.0.0/8` and
    /// `2001:db8::/48`.
    fn client(peer: &str, forwarded: &[&[u8]]) -> String {
        let trusted: TrustedProxies = ["10.0.0.0/8", "2001:db8::/48"]
            .iter()
            .map(|network| network.parse::<IpNet>().expect("network"))
            .collect();
        let headers = forwarded
            .iter()
            .map(|value| (FORWARDED_FOR, HeaderValue::from_bytes(value).expect("value")))
            .collect();
        trusted
            .client(peer.parse().expect("address"), &headers)
            .to_string()
    }

    #[test]
    fn who_is_no_proxy_speaks_for_himself() {
        for peer in ["192.0.2.7", "2001:db8:1::1", "::ffff:192.0.2.7"] {
            let alone = client(peer, &[]);
            assert_eq!(client(peer, &[b"198.51.100.1"]), alone);
            assert_eq!(client(peer, &[b"10.0.0.1", b"198.51.100.1, 10.0.0.2"]), alone);
        }
        assert_eq!(client("::ffff:192.0.2.7", &[]), "192.0.2.7");
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_proxys() {
        let cases: [(&str, &[&[u8]], &str); 11] = [
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[b"198.51.100.1"], "198.51.100.1"),
            // He wrote the first one himself.
            ("10.0.0.1", &[b"203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            (
                "10.0.0.1",
                &[b"203.0.113.9, 198.51.100.1 ,10.0.0.2,\t10.0.0.3"],
                "198.51.100.1",
            ),
            // Several headers are one list.
            (
                "10.0.0.1",
                &[b"203.0.113.9", b"198.51.100.1, 10.0.0.2"],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                &[b"203.0.113.9, 198.51.100.1", b"10.0.0.2"],
                "198.51.100.1",
            ),
            ("10.0.0.1", &[b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (
                "::ffff:10.0.0.1",
                &[b"::ffff:198.51.100.1, ::ffff:10.0.0.2"],
                "198.51.100.1",
            ),
            ("2001:db8::1", &[b"2001:db8:1::7"], "2001:db8:1::7"),
            ("10.0.0.1", &[b"198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &[b"[2001:db8:1::7]:4711"], "2001:db8:1::7"),
        ];
        for (peer, forwarded, expected) in cases {
            assert_eq!(client(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn what_stands_before_something_that_is_no_address_counts_for_nothing() {
        for bad in [
            "unknown",
            "",
            "_hidden",
            "198.51.100",
            "for=198.51.100.1",
            "198.51.100.1 x",
        ] {
            for before in ["203.0.113.9, ", "10.0.0.9, ", ""] {
                assert_eq!(
                    client("10.0.0.1", &[format!("{before}{bad}").as_bytes()]),
                    "10.0.0.1",
                    "`{bad}`"
                );
                let then = format!("{before}{bad}, 10.0.0.2");
                assert_eq!(client("10.0.0.1", &[then.as_bytes()]), "10.0.0.2", "`{bad}`");
            }
        }
        assert_eq!(
            client("10.0.0.1", &[b"203.0.113.9", b"\xff", b"10.0.0.2"]),
            "10.0.0.2"
        );
    }
}
