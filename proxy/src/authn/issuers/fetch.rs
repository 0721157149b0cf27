//! Asking an issuer for its keys: by their address, or by what its discovery document says (OpenID Connect Discovery 1.0 §4,
//! RFC 8414 §3).

use reqwest::Method;
use reqwest::header::ACCEPT;
use sentinel_token::issuer::{InvalidIssuerKeys, IssuerKeys, MAX_KEYS_BYTES};
use serde::Deserialize;
use url::{Host, Url};

use crate::outbound::{Outbound, OutboundError};

/// Where the keys of an issuer come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// They were in a file.
    File,
    /// From their own address.
    Keys(Url),
    /// From the address that the issuer's document names.
    Discovery {
        /// Where the document is.
        document: Url,
        /// What it must call the issuer.
        issuer: String,
    },
}

/// Why keys were not fetched. It says nothing that stood in an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// There was no answer.
    #[error("the issuer did not answer")]
    Outbound(#[from] OutboundError),
    /// An answer that is none. Redirects are not followed: they could lead anywhere.
    #[error("the issuer answered with status {0}, and 200 is expected")]
    Status(u16),
    /// The document is not one of OpenID Connect Discovery.
    #[error("the discovery document is not a JSON object with `issuer` and `jwks_uri`")]
    Document,
    /// The document is another issuer's.
    #[error("the discovery document is another issuer's: its `issuer` is not the configured one")]
    Issuer,
    /// The document names an address that is not asked.
    #[error("the `jwks_uri` of the discovery document is not an `https` address")]
    Address,
    /// The set of keys is not good.
    #[error(transparent)]
    Keys(#[from] InvalidIssuerKeys),
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Source {
    /// The keys as they are now. Keys in a file are not fetched: `None`.
    pub(super) async fn fetch(&self, outbound: &Outbound) -> Result<Option<IssuerKeys>, FetchError> {
        let address = match self {
            Self::File => return Ok(None),
            Self::Keys(address) => address.clone(),
            Self::Discovery { document, issuer } => {
                let text = get(outbound, document.clone()).await?;
                address_of_keys(&text, issuer, document)?
            }
        };
        let set = get(outbound, address).await?;
        Ok(Some(IssuerKeys::parse(&set)?))
    }
}

async fn get(outbound: &Outbound, address: Url) -> Result<Vec<u8>, FetchError> {
    let request = outbound
        .request(Method::GET, address)
        .header(ACCEPT, "application/json, application/jwk-set+json");
    let reply = outbound.send(request, MAX_KEYS_BYTES).await?;
    match reply.status {
        200 => Ok(reply.body),
        status => Err(FetchError::Status(status)),
    }
}

/// Where a discovery document says that the keys are.
fn address_of_keys(document: &[u8], issuer: &str, came_from: &Url) -> Result<Url, FetchError> {
    let document: Document = serde_json::from_slice(document).map_err(|_| FetchError::Document)?;
    // Else one tenant of a provider could answer for another (Discovery 1.0 §4.3).
    if document.issuer != issuer {
        return Err(FetchError::Issuer);
    }
    let address: Url = document.jwks_uri.parse().map_err(|_| FetchError::Address)?;
    let is_local = came_from.scheme() == "http" && is_loopback(&address);
    let has_user = !address.username().is_empty() || address.password().is_some();
    match address.scheme() {
        _ if has_user => Err(FetchError::Address),
        "https" => Ok(address),
        "http" if is_local => Ok(address),
        _ => Err(FetchError::Address),
    }
}

fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://idp.example";

    fn address(jwks_uri: &str, from: &str) -> Option<String> {
        let document = serde_json::json!({"issuer": ISSUER, "jwks_uri": jwks_uri, "x": [1]}).to_string();
        let from: Url = from.parse().expect("an address");
        let address = address_of_keys(document.as_bytes(), ISSUER, &from).ok()?;
        Some(address.to_string())
    }

    #[test]
    fn keys_come_by_an_encrypted_connection_or_from_this_machine() {
        let away = "https://idp.example/.well-known/openid-configuration";
        let here = "http://127.0.0.1:1/.well-known/openid-configuration";
        assert!(address("https://keys.example/jwks?a=b", away).is_some());
        assert!(address("http://127.0.0.1:2/jwks", here).is_some());
        assert!(address("http://localhost:2/jwks", here).is_some());
        for bad in [
            "http://idp.example/jwks",
            "http://127.0.0.1/jwks",
            "https://user:pass@idp.example/jwks",
            "file:///etc/passwd",
            "data:application/json,{}",
            "/jwks",
            "",
        ] {
            assert_eq!(address(bad, away), None, "{bad}");
        }
        assert_eq!(address("http://10.0.0.1/jwks", here), None);
    }

    #[test]
    fn a_document_is_of_the_very_issuer() {
        let from: Url = "https://idp.example/x".parse().expect("an address");
        let read = |text: &str| address_of_keys(text.as_bytes(), ISSUER, &from);
        for other in [
            "https://idp.example/",
            "https://IDP.example",
            "https://evil.example",
            "",
        ] {
            let text = serde_json::json!({"issuer": other, "jwks_uri": "https://idp.example/k"}).to_string();
            assert!(matches!(read(&text), Err(FetchError::Issuer)), "{other}");
        }
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"issuer":"https://idp.example"}"#,
            r#"{"issuer":["https://idp.example"],"jwks_uri":"https://idp.example/k"}"#,
            r#"{"issuer":"https://evil.example","issuer":"https://idp.example","jwks_uri":"https://idp.example/k"}"#,
            "<html>",
        ] {
            assert!(matches!(read(bad), Err(FetchError::Document)), "{bad}");
        }
    }
}
