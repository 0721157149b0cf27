//! Keys that services show in `X-Service-Key`: 256 random bits behind a prefix that scanners find.
//!
//! The key in clear and its digest are two types; only the digest can be stored, replicated or compared.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use sentinel_core::random::{Random, secret_bytes};

use crate::hash::{constant_time_eq, sha256};

/// What every service key begins with.
pub const PREFIX: &str = "sk_";

/// A service key in clear. It exists when it is made (and shown once) and while a request is looked at.
#[derive(Clone)]
pub struct PlainServiceKey(SecretString);

/// SHA-256 of a service key, prefix included: what is stored and replicated. The key has 256 random bits, so a fast
/// hash is enough.
#[derive(Clone, Copy)]
pub struct HashedServiceKey([u8; 32]);

/// A text that cannot be a service key. It does not say which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a service key: `sk_` and 43 base64url characters are expected")]
pub struct InvalidServiceKey;

impl PlainServiceKey {
    /// A fresh key.
    pub fn generate(random: &dyn Random) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(secret_bytes(random));
        Self(SecretString::from(format!("{PREFIX}{secret}")))
    }

    /// The digest that it is stored and found under.
    pub fn digest(&self) -> HashedServiceKey {
        HashedServiceKey(sha256(self.0.expose_secret().as_bytes()))
    }

    /// Enough to tell one's keys apart in a list: `sk_Ab3d****`.
    pub fn display_prefix(&self) -> String {
        let shown: String = self.0.expose_secret().chars().take(PREFIX.len() + 4).collect();
        format!("{shown}****")
    }

    /// The key itself, to be shown to its owner once.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl HashedServiceKey {
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
impl PartialEq for HashedServiceKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for HashedServiceKey {}

impl FromStr for PlainServiceKey {
    type Err = InvalidServiceKey;

    fn from_str(text: &str) -> Result<Self, InvalidServiceKey> {
        let secret = text.strip_prefix(PREFIX).ok_or(InvalidServiceKey)?;
        parse_secret(secret).ok_or(InvalidServiceKey)?;
        Ok(Self(SecretString::from(text)))
    }
}

impl fmt::Debug for PlainServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainServiceKey(…)")
    }
}

impl fmt::Debug for HashedServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedServiceKey(…)")
    }
}

/// 32 bytes in their one spelling: 43 characters of base64url, no padding, no bits left over.
pub(crate) fn parse_secret(text: &str) -> Option<[u8; 32]> {
    if text.len() != 43 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use sentinel_core::SystemRandom;

    use super::*;

    #[test]
    fn a_fresh_key_is_read_back_and_found_by_its_digest() {
        let key = PlainServiceKey::generate(&SystemRandom);
        assert_eq!(key.expose().len(), 46);
        let shown: PlainServiceKey = key.expose().parse().expect("own spelling");
        assert_eq!(shown.digest(), key.digest());
        assert_eq!(key.digest().as_bytes(), &sha256(key.expose().as_bytes()));
        assert_ne!(PlainServiceKey::generate(&SystemRandom).digest(), key.digest());
        assert_eq!(
            HashedServiceKey::from_bytes(*key.digest().as_bytes()),
            key.digest()
        );
    }

    #[test]
    fn neither_key_nor_digest_is_printed() {
        let key: PlainServiceKey = format!("sk_{}", "A".repeat(43)).parse().expect("a key");
        assert_eq!(
            format!("{key:?} {:?}", key.digest()),
            "PlainServiceKey(…) HashedServiceKey(…)"
        );
        assert_eq!(key.display_prefix(), "sk_AAAA****");
    }

    #[test]
    fn only_the_one_spelling_is_a_key() {
        let good = "A".repeat(43);
        for bad in [
            String::new(),
            good.clone(),
            format!("SK_{good}"),
            format!("sk_{good}A"),
            format!("sk_{}", &good[1..]),
            format!("sk_{}=", &good[1..]),
            format!("sk_{}+", &good[1..]),
            format!("sk_{}B", &good[1..]),
            format!("sk_ {good}"),
            format!("sk_{good}\n"),
            format!("sk_{}é", &good[2..]),
        ] {
            assert!(bad.parse::<PlainServiceKey>().is_err(), "`{bad}`");
        }
    }
}
