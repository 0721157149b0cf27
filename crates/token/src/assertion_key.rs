//! The public half of the key that an edge signs assertions with: Ed25519, as a JWK (RFC 8037) and by its thumbprint
//! (RFC 7638). The edge announces it, the control plane publishes it, and services verify with it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::hash::sha256;

/// A public Ed25519 key (RFC 8032) that verifies the assertions of one edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssertionKey([u8; 32]);

impl AssertionKey {
    /// A key from its 32 bytes.
    pub const fn from_bytes(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The key's 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key's name: the SHA-256 of its required members in their one order (RFC 7638 §3, RFC 8037 §2), in base64url.
    pub fn kid(&self) -> String {
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.x());
        URL_SAFE_NO_PAD.encode(sha256(members.as_bytes()))
    }

    /// The key as a JWK. `edge` is a private member (RFC 7517 §4): whose key it is, for people who read the document.
    pub fn to_jwk(&self, edge: &str) -> Value {
        json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "x": self.x(),
            "kid": self.kid(),
            "use": "sig",
            "alg": "EdDSA",
            "edge": edge,
        })
    }

    fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 8037 appendix A.2.
    fn example() -> AssertionKey {
        let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        AssertionKey::from_bytes(x.expect("base64url").try_into().expect("32 bytes"))
    }

    #[test]
    fn the_name_is_the_thumbprint_of_rfc_8037_a_3() {
        assert_eq!(example().kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_jwk_says_what_it_is_for_and_has_no_private_half() {
        assert_eq!(
            example().to_jwk("edge-1"),
            json!({
                "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "use": "sig", "alg": "EdDSA", "edge": "edge-1",
            })
        );
    }
}
