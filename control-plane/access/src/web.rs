//! Addresses that administrators register for apps: redirect URIs and origins. Parsed once; compared as whole texts ever
//! after (RFC 9700 §4.1.3), so what is stored is exactly what was checked.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// The longest address that is taken.
const MAX_LENGTH: usize = 2_048;

/// A text that cannot be registered, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {kind}: {rule}")]
pub struct InvalidAddress {
    kind: &'static str,
    rule: &'static str,
    text: String,
}

/// Where an authorization code may be sent: http(s) with a host, without user, query, fragment or `*`, written as a
/// browser would write it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RedirectUri(String);

/// An origin (RFC 6454): `scheme://host[:port]` and nothing more, written as a browser sends it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(String);

impl RedirectUri {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Origin {
    /// The origin.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RedirectUri {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let refuse = |rule| InvalidAddress {
            kind: "a redirect URI",
            rule,
            text: text.chars().take(128).collect(),
        };
        let url = web_url(text).map_err(refuse)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it may have neither a query (`?`) nor a fragment (`#`)"));
        }
        // A bare host is the one text that a browser writes with a path that was not typed.
        let bare = url.path() == "/" && url.as_str().strip_suffix('/') == Some(text);
        if url.as_str() != text && !bare {
            return Err(refuse(
                "write it as a browser would: lower-case scheme and host, no default port, no dot segments",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Origin {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let refuse = |rule| InvalidAddress {
            kind: "an origin",
            rule,
            text: text.chars().take(128).collect(),
        };
        let url = web_url(text).map_err(refuse)?;
        if url.origin().ascii_serialization() != text {
            return Err(refuse(
                "write it as `scheme://host[:port]`, lower case, without a default port or a path",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

fn web_url(text: &str) -> Result<Url, &'static str> {
    if text.len() > MAX_LENGTH {
        return Err("at most 2048 characters are expected");
    }
    if text.contains('*') {
        return Err("a `*` would not stand for anything; register each address");
    }
    let url = Url::parse(text).map_err(|_| "an absolute URL is expected")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("`http://` or `https://` and a host are expected");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it may have no user name or password");
    }
    Ok(url)
}

macro_rules! text_forms {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = InvalidAddress;

            fn try_from(text: String) -> Result<Self, InvalidAddress> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text_forms!(RedirectUri, Origin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_are_kept_as_they_are_written() {
        for good in [
            "https://app.example.com/callback",
            "http://localhost:3000/auth/callback",
            "http://localhost:3000",
            "https://app.example.com/",
            "http://127.0.0.1:8080/cb",
            "http://[::1]:8080/cb",
        ] {
            assert_eq!(good.parse::<RedirectUri>().expect(good).as_str(), good);
        }
    }

    #[test]
    fn redirect_uris_that_could_be_read_two_ways_are_refused() {
        for bad in [
            "",
            "/callback",
            "app.example.com/cb",
            "javascript:alert(1)",
            "ftp://example.com/cb",
            "https:///cb",
            "https://user@example.com/cb",
            "https://user:pw@example.com/cb",
            "https://example.com/cb?x=1",
            "https://example.com/cb?",
            "https://example.com/cb#x",
            "https://example.com/cb#",
            "https://*.example.com/cb",
            "https://EXAMPLE.com/cb",
            "HTTPS://example.com/cb",
            "https://example.com:443/cb",
            "https://example.com/a/../cb",
            "https://example.com/%2e%2e/cb",
            "https://example.com\\cb",
            " https://example.com/cb",
            "https://example.com/cb ",
            "https://exa\tmple.com/cb",
            "https://bücher.example/cb",
        ] {
            assert!(bad.parse::<RedirectUri>().is_err(), "`{bad}` must be refused");
        }
    }

    #[test]
    fn origins_are_scheme_host_and_port() {
        for good in [
            "https://example.com",
            "http://localhost:3000",
            "http://[::1]:3000",
        ] {
            assert_eq!(good.parse::<Origin>().expect(good).as_str(), good);
        }
        for bad in [
            "",
            "null",
            "*",
            "example.com",
            "https://example.com/",
            "https://example.com:443",
            "https://EXAMPLE.com",
            "https://u@example.com",
            "https://example.com?x",
            "file:///etc",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "`{bad}` must be refused");
        }
    }

    #[test]
    fn the_error_says_how_to_mend_it() {
        let error = "https://example.com/cb?x=1"
            .parse::<RedirectUri>()
            .expect_err("query");
        assert_eq!(
            error.to_string(),
            "`https://example.com/cb?x=1` is not a redirect URI: it may have neither a query (`?`) nor a fragment (`#`)"
        );
    }
}
