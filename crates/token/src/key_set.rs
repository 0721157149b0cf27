//! The keys that tokens may be signed with at one revision, the current one first.

use std::sync::Arc;

use sentinel_core::fact::SigningKeyFact;

use crate::jwk::{InvalidJwk, PublicJwk};

/// The public signing keys, ordered by position: the first is the one that signs now. Cheap to clone, and a clone is
/// equal without a look at the keys.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Arc<[PublicJwk]>,
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.keys, &other.keys) || self.keys == other.keys
    }
}

impl Eq for KeySet {}

/// Why keys are not a set. If one key is bad, the set is bad.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySet {
    /// One of the keys is not accepted.
    #[error("signing key `{kid}` is not accepted")]
    Key {
        /// The key's name.
        kid: String,
        /// What is wrong with it.
        #[source]
        reason: InvalidJwk,
    },
    /// Two keys have one name, so a token could mean either.
    #[error("signing key `{0}` is there twice")]
    Duplicate(String),
}

impl KeySet {
    /// The set of the given facts.
    pub fn from_facts<'a>(
        facts: impl IntoIterator<Item = &'a SigningKeyFact>,
    ) -> Result<Self, InvalidKeySet> {
        let mut facts: Vec<&SigningKeyFact> = facts.into_iter().collect();
        facts.sort_by(|a, b| (a.position, &a.kid).cmp(&(b.position, &b.kid)));
        let mut keys: Vec<PublicJwk> = Vec::with_capacity(facts.len());
        for fact in facts {
            let invalid = |reason| InvalidKeySet::Key {
                kid: fact.kid.clone(),
                reason,
            };
            let key = PublicJwk::parse(&fact.jwk).map_err(invalid)?;
            if key.kid() != fact.kid {
                return Err(invalid(InvalidJwk::Kid));
            }
            if keys.iter().any(|other| other.kid() == key.kid()) {
                return Err(InvalidKeySet::Duplicate(fact.kid.clone()));
            }
            keys.push(key);
        }
        Ok(Self { keys: keys.into() })
    }

    /// The key of that name.
    pub fn get(&self, kid: &str) -> Option<&PublicJwk> {
        self.keys.iter().find(|key| key.kid() == kid)
    }

    /// The key that signs now.
    pub fn current(&self) -> Option<&PublicJwk> {
        self.keys.first()
    }

    /// All keys, the current one first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &PublicJwk> {
        self.keys.iter()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no token at all can be verified.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The set as a JWK Set document (RFC 7517 §5), the current key first.
    pub fn to_jwks_json(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(PublicJwk::to_json).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestKey;

    #[test]
    fn keys_are_ordered_by_position_and_found_by_name() {
        let (old, new) = (TestKey::a(), TestKey::b());
        let set = KeySet::from_facts([&old.fact(1), &new.fact(0)]).expect("two good keys");
        assert_eq!(set.current().map(PublicJwk::kid), Some(new.kid()));
        assert_eq!(set.get(old.kid()).map(PublicJwk::kid), Some(old.kid()));
        assert!(set.get("other").is_none());
        assert_eq!(set.len(), 2);
        let document: serde_json::Value = serde_json::from_str(&set.to_jwks_json()).expect("JSON");
        assert_eq!(document["keys"][0]["kid"], new.kid());
        assert_eq!(document["keys"][1]["key_ops"], serde_json::json!(["verify"]));
    }

    #[test]
    fn one_bad_key_makes_the_set_bad() {
        let (good, mut bad) = (TestKey::a().fact(0), TestKey::b().fact(1));
        bad.jwk = bad.jwk.replace("RS256", "HS256");
        assert_eq!(
            KeySet::from_facts([&good, &bad]),
            Err(InvalidKeySet::Key {
                kid: bad.kid.clone(),
                reason: InvalidJwk::Member("alg")
            })
        );
    }

    #[test]
    fn one_name_for_two_keys_is_refused() {
        let (a, mut b) = (TestKey::a().fact(0), TestKey::b().fact(1));
        assert_eq!(
            KeySet::from_facts([&a, &a]),
            Err(InvalidKeySet::Duplicate(a.kid.clone()))
        );
        b.kid.clone_from(&a.kid);
        assert!(matches!(
            KeySet::from_facts([&a, &b]),
            Err(InvalidKeySet::Key { .. })
        ));
    }

    #[test]
    fn an_empty_set_knows_no_key() {
        let set = KeySet::from_facts([]).expect("nothing wrong with nothing");
        assert!(set.is_empty());
        assert_eq!(set.to_jwks_json(), r#"{"keys":[]}"#);
    }
}
