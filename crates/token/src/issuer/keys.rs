//! The keys of another issuer: a JWK Set (RFC 7517 §5), good or refused as a whole.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::key::{BadKey, Entry, Key};
use crate::hash::sha256;
use crate::json::unambiguous_object;

/// The longest document that is read, in bytes.
pub const MAX_KEYS_BYTES: usize = 256 * 1024;
/// The most keys that a set may have.
pub const MAX_KEYS: usize = 64;

/// The keys that another issuer signs tokens with. Cheap to clone, and a clone is equal without a look at the keys.
///
/// A key verifies by one algorithm only: the one that its `alg` names, or else RS256 for RSA and the one of its curve for
/// others. Keys that are not for signatures, and those of types and algorithms that are not supported, are left out.
#[derive(Clone)]
pub struct IssuerKeys(Arc<Inner>);

struct Inner {
    /// SHA-256 of the document.
    document: [u8; 32],
    keys: Vec<Key>,
}

/// Why a document is not a set of keys. It says nothing that stood in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIssuerKeys {
    /// It is too long.
    #[error("the document is longer than {MAX_KEYS_BYTES} bytes")]
    TooLong,
    /// It is not a JWK Set.
    #[error("the document is not a JWK Set: one JSON object with a list `keys`, no member twice")]
    NotASet,
    /// It has too many keys.
    #[error("the set has more than {MAX_KEYS} keys")]
    TooMany,
    /// Two keys have one name, so a token could mean either.
    #[error("key {0} of the set has the `kid` of an earlier one")]
    Duplicate(usize),
    /// A key is not accepted, and with it the set.
    #[error("key {number} of the set is not accepted: {reason}")]
    Key {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        reason: BadKey,
    },
    /// No key verifies signatures by an algorithm that is supported.
    #[error(
        "the set has no key that verifies signatures by RS256 to RS512, PS256 to PS512, ES256, ES384 or EdDSA with Ed25519"
    )]
    NoKey,
}

impl IssuerKeys {
    /// Reads a JWK Set.
    ///
    /// # Errors
    /// The document is not a set of good keys. One bad key makes the set bad: an issuer that publishes a weak key or a secret
    /// is not one to trust by halves.
    pub fn parse(document: &[u8]) -> Result<Self, InvalidIssuerKeys> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        if document.len() > MAX_KEYS_BYTES {
            return Err(InvalidIssuerKeys::TooLong);
        }
        unambiguous_object(document).map_err(|_| InvalidIssuerKeys::NotASet)?;
        let set: Set = serde_json::from_slice(document).map_err(|_| InvalidIssuerKeys::NotASet)?;
        if set.keys.len() > MAX_KEYS {
            return Err(InvalidIssuerKeys::TooMany);
        }
        let mut names = HashSet::new();
        let mut keys = Vec::new();
        for (number, json) in (1..).zip(set.keys) {
            let entry = Entry::read(json).map_err(|reason| InvalidIssuerKeys::Key { number, reason })?;
            if entry.kid.is_some_and(|kid| !names.insert(kid)) {
                return Err(InvalidIssuerKeys::Duplicate(number));
            }
            keys.extend(entry.key);
        }
        if keys.is_empty() {
            return Err(InvalidIssuerKeys::NoKey);
        }
        Ok(Self(Arc::new(Inner {
            document: sha256(document),
            keys,
        })))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.keys.len()
    }

    /// Whether there is no key; a set that was read has one.
    pub fn is_empty(&self) -> bool {
        self.0.keys.is_empty()
    }

    /// The key that a token means by its `kid`. A token without one means the only key that there is (OpenID Connect Core
    /// §10.1).
    pub(super) fn meant(&self, kid: Option<&str>) -> Option<&Key> {
        match (kid, self.0.keys.as_slice()) {
            (Some(kid), keys) => keys.iter().find(|key| key.kid.as_deref() == Some(kid)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

impl PartialEq for IssuerKeys {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.document == other.0.document
    }
}

impl Eq for IssuerKeys {}

impl fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.keys.iter().map(|key| key.kid.as_deref());
        f.debug_list().entries(names).finish()
    }
}
