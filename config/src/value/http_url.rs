//! Base addresses of HTTP services.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::{Schema, SchemaGenerator, json_schema};
use url::{Host, Url};

use super::plain::read_text;
use crate::section::{Place, Reader, Setting};

/// The base address of an HTTP service: `http` or `https`, a host, perhaps a port and a path; nothing else. Shown
/// without a slash at the end, so that paths are appended to it and issuers compare equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    url: Url,
    text: String,
}

/// A text that is not the base address of an HTTP service. It is not shown, because addresses may carry passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHttpUrl {
    /// Not an absolute URL.
    #[error("this is not a URL: one such as `https://auth.example.com` is expected")]
    Shape,
    /// Another scheme.
    #[error("the URL must begin with `http://` or `https://`")]
    Scheme,
    /// User name or password.
    #[error("the URL may not contain a user name or password: remove what stands before the `@`")]
    UserInfo,
    /// Query or fragment.
    #[error("the URL may not contain `?` or `#`: remove them and what follows")]
    Query,
}

impl HttpUrl {
    /// The address without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address as a parsed URL.
    pub fn as_url(&self) -> &Url {
        &self.url
    }

    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The host name, or the IP address without brackets.
    pub fn host(&self) -> String {
        match self.url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            None => String::new(),
        }
    }

    /// The IP address, if the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.url.host() {
            Some(Host::Ipv4(ip)) => Some(ip.into()),
            Some(Host::Ipv6(ip)) => Some(ip.into()),
            _ => None,
        }
    }

    /// The port, by default 80 or 443.
    pub fn port(&self) -> u16 {
        self.url
            .port_or_known_default()
            .unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// Whether the address has a path.
    pub fn has_path(&self) -> bool {
        !matches!(self.url.path(), "" | "/")
    }

    /// Whether what is sent there stays on this machine: a loopback address or `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.ip()
            .map_or_else(|| self.url.host_str() == Some("localhost"), |ip| ip.is_loopback())
    }
}

impl FromStr for HttpUrl {
    type Err = InvalidHttpUrl;

    fn from_str(text: &str) -> Result<Self, InvalidHttpUrl> {
        let url = Url::parse(text).map_err(|_| InvalidHttpUrl::Shape)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidHttpUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidHttpUrl::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidHttpUrl::Query);
        }
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { url, text })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Setting for HttpUrl {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        read_text(place, reader)
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^https?://[^?#@]+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slash_at_the_end_does_not_matter() {
        let url = |text: &str| text.parse::<HttpUrl>().expect(text);
        assert_eq!(url("http://127.0.0.1:9003/").as_str(), "http://127.0.0.1:9003");
        assert_eq!(
            url("https://example.com/tenant/").as_str(),
            "https://example.com/tenant"
        );
        assert_eq!(url("https://EXAMPLE.com").as_str(), "https://example.com");
        assert_eq!(url("https://example.com").port(), 443);
        assert!(url("https://example.com/a").has_path());
    }

    #[test]
    fn loopback_is_an_address_or_localhost_and_nothing_that_looks_like_it() {
        let loopback = |text: &str| text.parse::<HttpUrl>().expect(text).is_loopback();
        for text in [
            "http://127.0.0.1:1",
            "http://127.9.9.9",
            "http://[::1]:80",
            "http://localhost",
        ] {
            assert!(loopback(text), "{text}");
        }
        for text in [
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "http://10.0.0.1",
        ] {
            assert!(!loopback(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_base_address_is_refused() {
        for (text, error) in [
            ("example.com", InvalidHttpUrl::Shape),
            ("", InvalidHttpUrl::Shape),
            ("https://", InvalidHttpUrl::Shape),
            ("ftp://example.com", InvalidHttpUrl::Scheme),
            ("https://user:secret@example.com", InvalidHttpUrl::UserInfo),
            ("https://example.com/?a=b", InvalidHttpUrl::Query),
            ("https://example.com/#a", InvalidHttpUrl::Query),
        ] {
            assert_eq!(text.parse::<HttpUrl>(), Err(error), "`{text}`");
        }
    }
}
