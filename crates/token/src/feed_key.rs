//! Signatures on what the control plane sends to edges (Ed25519, RFC 8032).
//!
//! Each kind of message has a context, which is signed with it: a signed heartbeat can never pass for a signed frame.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

/// The public key that signs the feed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FeedVerifyKey([u8; 32]);

/// The signature does not fit: whoever made the message does not have the control plane's feed key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the signature does not fit the pinned feed key: enrol the edge again if the control plane's feed key was replaced"
)]
pub struct BadSignature;

impl FeedVerifyKey {
    /// A key from its 32 bytes.
    pub const fn from_bytes(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The key's 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks that `payload` was signed, in that context, with this key.
    pub fn verify(&self, context: &str, payload: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(&signed_message(context, payload), signature)
            .map_err(|_| BadSignature)
    }
}

impl std::fmt::Debug for FeedVerifyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FeedVerifyKey(…)")
    }
}

/// The bytes that are signed: the context, a zero byte, the payload. Contexts have no zero byte, so no two pairs of
/// context and payload give the same bytes.
pub fn signed_message(context: &str, payload: &[u8]) -> Vec<u8> {
    [context.as_bytes(), &[0], payload].concat()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn a_signature_holds_for_its_key_context_and_payload_only() {
        let pair = Ed25519KeyPair::generate().expect("a key");
        let key = FeedVerifyKey::from_bytes(pair.public_key().as_ref().try_into().expect("32 bytes"));
        let signature = pair.sign(&signed_message("frame", b"payload"));
        let signature = signature.as_ref();
        assert_eq!(key.verify("frame", b"payload", signature), Ok(()));
        assert_eq!(key.verify("heartbeat", b"payload", signature), Err(BadSignature));
        assert_eq!(key.verify("fram", b"epayload", signature), Err(BadSignature));
        assert_eq!(key.verify("frame", b"payloae", signature), Err(BadSignature));
        assert_eq!(
            key.verify("frame", b"payload", &signature[1..]),
            Err(BadSignature)
        );
        assert_eq!(key.verify("frame", b"payload", &[]), Err(BadSignature));
        let other = FeedVerifyKey::from_bytes([0; 32]);
        assert_eq!(other.verify("frame", b"payload", signature), Err(BadSignature));
    }
}
