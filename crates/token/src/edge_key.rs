//! Keys that edges enrol with: `edge_<secret>.<public key>`. One line proves the edge to the control plane (the
//! secret) and the control plane to the edge (the public half of the key that signs the feed).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use sentinel_core::random::{Random, secret_bytes};

use crate::feed_key::FeedVerifyKey;
use crate::hash::{constant_time_eq, sha256};
use crate::service_key::parse_secret;

/// What every edge key begins with.
pub const PREFIX: &str = "edge_";

/// An edge key in clear, as an operator puts it into the edge's configuration.
#[derive(Clone)]
pub struct PlainEdgeKey {
    secret: EdgeSecret,
    feed_key: FeedVerifyKey,
}

/// The half of an edge key that the edge shows to the control plane.
#[derive(Clone)]
pub struct EdgeSecret(SecretString);

/// SHA-256 of the secret half: what the control plane stores.
#[derive(Clone, Copy)]
pub struct HashedEdgeKey([u8; 32]);

/// A text that cannot be an edge key. It does not say which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an edge key: `edge_<43 base64url characters>.<43 base64url characters>` is expected, one line as the control plane printed it"
)]
pub struct InvalidEdgeKey;

impl PlainEdgeKey {
    /// A fresh key that pins `feed_key`.
    pub fn generate(random: &dyn Random, feed_key: FeedVerifyKey) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(secret_bytes(random));
        Self {
            secret: EdgeSecret(SecretString::from(secret)),
            feed_key,
        }
    }

    /// The half that is shown to the control plane.
    pub fn secret(&self) -> &EdgeSecret {
        &self.secret
    }

    /// The digest that the control plane finds the edge under.
    pub fn digest(&self) -> HashedEdgeKey {
        self.secret.digest()
    }

    /// The key that everything from the control plane must be signed with.
    pub fn feed_key(&self) -> &FeedVerifyKey {
        &self.feed_key
    }

    /// The whole line, to be shown to the operator once.
    pub fn expose(&self) -> String {
        let secret = self.secret.0.expose_secret();
        format!(
            "{PREFIX}{secret}.{}",
            URL_SAFE_NO_PAD.encode(self.feed_key.as_bytes())
        )
    }
}

impl EdgeSecret {
    /// The digest that the control plane finds the edge under.
    pub fn digest(&self) -> HashedEdgeKey {
        HashedEdgeKey(sha256(self.0.expose_secret().as_bytes()))
    }

    /// The credential as it goes over the wire: `edge_<secret>`.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", self.0.expose_secret())
    }
}

impl HashedEdgeKey {
    /// A digest from storage.
    pub const fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Equal in a time that does not tell where two digests differ.
impl PartialEq for HashedEdgeKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for HashedEdgeKey {}

impl FromStr for EdgeSecret {
    type Err = InvalidEdgeKey;

    fn from_str(text: &str) -> Result<Self, InvalidEdgeKey> {
        let secret = text.strip_prefix(PREFIX).ok_or(InvalidEdgeKey)?;
        parse_secret(secret).ok_or(InvalidEdgeKey)?;
        Ok(Self(SecretString::from(secret)))
    }
}

impl FromStr for PlainEdgeKey {
    type Err = InvalidEdgeKey;

    fn from_str(text: &str) -> Result<Self, InvalidEdgeKey> {
        let (secret, feed_key) = text.split_once('.').ok_or(InvalidEdgeKey)?;
        Ok(Self {
            secret: secret.parse()?,
            feed_key: FeedVerifyKey::from_bytes(parse_secret(feed_key).ok_or(InvalidEdgeKey)?),
        })
    }
}

macro_rules! redacted {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )+};
}

redacted!(PlainEdgeKey, EdgeSecret, HashedEdgeKey);

#[cfg(test)]
mod tests {
    use sentinel_core::SystemRandom;

    use super::*;

    #[test]
    fn one_line_carries_both_halves() {
        let key = PlainEdgeKey::generate(&SystemRandom, FeedVerifyKey::from_bytes([7; 32]));
        let read: PlainEdgeKey = key.expose().parse().expect("own spelling");
        assert_eq!(read.digest(), key.digest());
        assert_eq!(read.feed_key(), key.feed_key());
        let shown: EdgeSecret = key.secret().expose().parse().expect("wire form");
        assert_eq!(shown.digest(), key.digest());
    }

    #[test]
    fn nothing_is_printed() {
        let key = PlainEdgeKey::generate(&SystemRandom, FeedVerifyKey::from_bytes([7; 32]));
        let printed = format!("{key:?} {:?} {:?}", key.secret(), key.digest());
        assert_eq!(printed, "PlainEdgeKey(…) EdgeSecret(…) HashedEdgeKey(…)");
    }

    #[test]
    fn only_the_one_spelling_is_a_key() {
        let half = "A".repeat(43);
        for bad in [
            String::new(),
            format!("edge_{half}"),
            format!("edge_{half}."),
            format!("edge_{half}.{half}.{half}"),
            format!("edge_{half}.{half}\n"),
            format!("sk_{half}.{half}"),
            format!("edge_{}.{half}", &half[1..]),
            format!("edge_{half}.{}B", &half[1..]),
        ] {
            assert!(bad.parse::<PlainEdgeKey>().is_err(), "`{bad}`");
        }
        assert!(format!("edge_{half}.{half}").parse::<PlainEdgeKey>().is_ok());
    }
}
