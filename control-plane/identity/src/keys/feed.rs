//! The Ed25519 key that signs what edges are told. Edges pin its public half when they are enrolled.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretSlice};
use sentinel_core::Random;
use sentinel_core::random::secret_bytes;
use sentinel_token::feed_key::signed_message;
use sentinel_token::{FeedVerifyKey, sha256};

use super::KeysError;

/// The private feed key.
pub struct FeedKey {
    kid: String,
    public: FeedVerifyKey,
    pair: Ed25519KeyPair,
    pkcs8: SecretSlice<u8>,
}

impl FeedKey {
    pub(super) fn generate(random: &dyn Random) -> Result<Self, KeysError> {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(&secret_bytes(random)).map_err(|_| KeysError::Generate)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeysError::Generate)?;
        Self::from_pkcs8(&SecretSlice::from(pkcs8.as_ref().to_vec())).ok_or(KeysError::Generate)
    }

    pub(super) fn from_pkcs8(pkcs8: &SecretSlice<u8>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8.expose_secret()).ok()?;
        let public = <[u8; 32]>::try_from(pair.public_key().as_ref()).ok()?;
        let x = URL_SAFE_NO_PAD.encode(public);
        // RFC 7638 §3 for an OKP key (RFC 8037 §2).
        let thumbprint = sha256(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#).as_bytes());
        Some(Self {
            kid: URL_SAFE_NO_PAD.encode(thumbprint),
            public: FeedVerifyKey::from_bytes(public),
            pair,
            pkcs8: SecretSlice::from(pkcs8.expose_secret().to_vec()),
        })
    }

    /// The key's RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What verifies its signatures.
    pub fn verify_key(&self) -> FeedVerifyKey {
        self.public
    }

    /// Signs a message of the feed, in its context.
    pub fn sign(&self, context: &str, payload: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(&signed_message(context, payload));
        let mut bytes = [0_u8; 64];
        // INVARIANT: an Ed25519 signature has 64 bytes (RFC 8032 §5.1.6).
        for (to, from) in bytes.iter_mut().zip(signature.as_ref()) {
            *to = *from;
        }
        bytes
    }

    pub(super) fn jwk(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.public.as_bytes());
        format!(
            r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","use":"sig","alg":"EdDSA","kid":"{}"}}"#,
            self.kid
        )
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        self.pkcs8.expose_secret()
    }
}

impl std::fmt::Debug for FeedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FeedKey({})", self.kid)
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::SystemRandom;

    use super::*;

    #[test]
    fn its_signature_is_the_one_that_edges_verify() {
        let key = FeedKey::generate(&SystemRandom).expect("key");
        let signature = key.sign("frame", b"payload");
        assert!(key.verify_key().verify("frame", b"payload", &signature).is_ok());
        assert!(
            key.verify_key()
                .verify("heartbeat", b"payload", &signature)
                .is_err()
        );
        let again = FeedKey::from_pkcs8(&SecretSlice::from(key.pkcs8().to_vec())).expect("own DER");
        assert_eq!(again.verify_key(), key.verify_key());
        assert_eq!(again.kid(), key.kid());
    }
}
