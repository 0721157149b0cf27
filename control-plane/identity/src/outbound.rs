//! What calls out: to the identity providers that are configured, and to nowhere else that one of their
//! documents may name.
//!
//! No redirect is followed, an answer is read up to a size and a time, and addresses that are not public are only called
//! when the configuration names that host: a provider's document cannot make the control plane talk to its own network
//! (server-side request forgery). No proxy of the environment is used.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use openidconnect::reqwest::dns::{Addrs, Name, Resolve, Resolving};
use openidconnect::reqwest::{Client, redirect};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use url::{Host, Url};

/// The longest answer that is read.
const MAX_BODY: usize = 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(3);

/// Why a provider was not called, or its answer not read.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The address has a scheme or host that is not called.
    #[error(
        "`{0}` is not called: `https` and a public address are expected, unless the configuration names that host"
    )]
    Refused(String),
    /// The answer is longer than is read.
    #[error("the answer is longer than {MAX_BODY} bytes")]
    TooLong,
    /// The request could not be made or answered.
    #[error("the provider cannot be reached")]
    Failed(#[from] openidconnect::reqwest::Error),
    /// A part of the request or answer is no HTTP.
    #[error("the request or the answer is not HTTP")]
    Http(#[from] openidconnect::http::Error),
}

/// Makes the outgoing clients, one for each provider: what one provider may be called at, another's document may not name.
#[derive(Debug, Clone, Copy)]
pub struct Outbound {
    limit: Duration,
}

impl Default for Outbound {
    fn default() -> Self {
        Self::new(Self::LIMIT)
    }
}

/// The client for one provider. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct OutboundClient {
    client: Client,
    trusted: Arc<[Trusted]>,
}

/// The host of a configured address. It may have a private address, and plain `http` if the configured one has.
#[derive(Debug)]
struct Trusted {
    host: String,
    plain: bool,
}

impl Outbound {
    /// How long an answer may take by default.
    pub const LIMIT: Duration = Duration::from_secs(10);

    /// Clients that wait for a whole answer no longer than `limit`.
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }

    /// A client that may call the hosts of the configured addresses wherever they are, and public addresses.
    pub(crate) fn client(self, configured: &[&Url]) -> Result<OutboundClient, OutboundError> {
        let trusted: Arc<[Trusted]> = configured
            .iter()
            .filter_map(|url| {
                Some(Trusted {
                    host: url.host_str()?.to_owned(),
                    plain: url.scheme() == "http",
                })
            })
            .collect();
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that makes an outgoing client"
        )]
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT.min(self.limit))
            .timeout(self.limit)
            .no_proxy()
            .referer(false)
            .user_agent("sentinel-control-plane")
            .dns_resolver(Arc::new(PublicOnly(Arc::clone(&trusted))))
            .build()?;
        Ok(OutboundClient { client, trusted })
    }
}

impl OutboundClient {
    /// Sends a request, if its address may be called, and reads the whole answer.
    pub(crate) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, OutboundError> {
        let refused = || OutboundError::Refused(request.uri().to_string());
        let url = Url::parse(&request.uri().to_string()).map_err(|_| refused())?;
        if !may_call(&self.trusted, &url) {
            return Err(refused());
        }
        let mut answer = self.client.execute(request.try_into()?).await?;
        let mut response = openidconnect::http::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            response = response.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len().saturating_add(chunk.len()) > MAX_BODY {
                return Err(OutboundError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(response.body(body)?)
    }
}

impl<'c> AsyncHttpClient<'c> for OutboundClient {
    type Error = OutboundError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OutboundError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Whether the address may be called, as far as it shows; names are judged when they are resolved.
fn may_call(trusted: &[Trusted], url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let configured = trusted.iter().filter(|one| one.host == host);
    let is_trusted = configured.clone().count() > 0;
    let scheme =
        url.scheme() == "https" || (url.scheme() == "http" && configured.clone().any(|one| one.plain));
    let address = match url.host() {
        Some(Host::Ipv4(ip)) => is_public(ip.into()) || is_trusted,
        Some(Host::Ipv6(ip)) => is_public(ip.into()) || is_trusted,
        Some(Host::Domain(_)) => true,
        None => false,
    };
    scheme && address && url.username().is_empty() && url.password().is_none()
}

/// Resolves names, and leaves out addresses that are not public unless the name is trusted.
struct PublicOnly(Arc<[Trusted]>);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let trusted = self.0.iter().any(|one| one.host == name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found
                .filter(|address| trusted || is_public(address.ip()))
                .collect();
            if allowed.is_empty() {
                return Err(format!("`{}` has no public address", name.as_str()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public internet (IANA special-purpose registries).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // An IPv4 address in disguise is judged as what it is: mapped, NAT64 (RFC 6052) and 6to4 (RFC 3056).
    let [s0, s1, s2, s3, s4, s5, s6, s7] = ip.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    if let Some(mapped) = ip.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    if (s0, s1, s2, s3, s4, s5) == (0x64, 0xff9b, 0, 0, 0, 0) {
        return embedded(s6, s7);
    }
    if s0 == 0x2002 {
        return embedded(s1, s2);
    }
    // Only 2000::/3 is unicast on the internet; without 2001::/23 (Teredo and others) and documentation.
    (s0 & 0xe000) == 0x2000
        && !(s0 == 0x2001 && s1 < 0x0200)
        && !(s0 == 0x2001 && s1 == 0x0db8)
        && s0 != 0x3fff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_call(configured: &[&str], url: &str) -> bool {
        let configured: Vec<Url> = configured.iter().map(|one| one.parse().expect("url")).collect();
        let client = Outbound::default()
            .client(&configured.iter().collect::<Vec<_>>())
            .expect("client");
        super::may_call(&client.trusted, &Url::parse(url).expect("url"))
    }

    #[test]
    fn special_addresses_are_not_public() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "240.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(ip.parse().expect(ip)), "{ip}");
        }
        for ip in [
            "8.8.8.8",
            "1.1.1.1",
            "2606:4700:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(ip.parse().expect(ip)), "{ip}");
        }
    }

    #[test]
    fn a_public_issuer_cannot_point_into_the_own_network() {
        let issuer = ["https://idp.example.com"];
        assert!(may_call(&issuer, "https://keys.example.net/jwks"));
        for url in [
            "http://idp.example.com/token",
            "http://169.254.169.254/latest/meta-data",
            "https://127.0.0.1/token",
            "https://[::1]/token",
            "https://2130706433/token",
            "https://user:pass@idp.example.com/token",
            "file:///etc/passwd",
        ] {
            assert!(!may_call(&issuer, url), "{url}");
        }
    }

    #[test]
    fn one_provider_cannot_point_at_the_private_host_of_another() {
        let keys = "http://10.0.0.5:8080/jwks";
        assert!(may_call(&["http://10.0.0.5:8080"], keys));
        assert!(!may_call(&["https://idp.example.com"], keys));
        assert!(!may_call(&[], keys));
    }

    #[test]
    fn an_issuer_on_this_machine_may_be_called_there() {
        let issuer = ["http://127.0.0.1:9010"];
        assert!(may_call(&issuer, "http://127.0.0.1:9010/token"));
        assert!(!may_call(&issuer, "http://127.0.0.2:9010/token"));
        assert!(!may_call(&issuer, "http://localhost:9010/token"));
    }

    #[test]
    fn each_configured_address_has_its_own_scheme() {
        let configured = ["https://10.0.0.5", "http://10.0.0.6"];
        assert!(may_call(&configured, "https://10.0.0.5/login"));
        assert!(!may_call(&configured, "http://10.0.0.5/login"));
        assert!(may_call(&configured, "http://10.0.0.6/user"));
    }
}
