//! What the tests of this crate share.

mod control_plane;
mod edge;
mod reader;
mod relay;

pub(crate) use control_plane::ControlPlane;
pub(crate) use edge::{Edge, assert_equal, assertion_key, eventually};
pub(crate) use reader::{Reader, Word, authorized, docs, offered, settle};
pub(crate) use relay::Relay;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use sentinel_core::{Change, Fact, Revision};
use sentinel_token::FeedVerifyKey;
use sentinel_token::feed_key::signed_message;

use crate::signed::{Kind, Signed};

/// A control plane's feed key.
pub(crate) struct FeedKey {
    pair: Ed25519KeyPair,
    public: FeedVerifyKey,
}

impl FeedKey {
    pub(crate) fn generate() -> Self {
        Self::of(Ed25519KeyPair::generate().expect("a key"))
    }

    /// The same key for the same 32 bytes.
    pub(crate) fn from_seed(seed: &[u8]) -> Self {
        Self::of(Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes"))
    }

    fn of(pair: Ed25519KeyPair) -> Self {
        let public = FeedVerifyKey::from_bytes(pair.public_key().as_ref().try_into().expect("32 bytes"));
        Self { pair, public }
    }

    pub(crate) fn public(&self) -> &FeedVerifyKey {
        &self.public
    }

    pub(crate) fn sign(&self, context: &str, payload: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(&signed_message(context, payload));
        signature.as_ref().try_into().expect("64 bytes")
    }

    pub(crate) fn signer(&self) -> impl Fn(&str, &[u8]) -> [u8; 64] + '_ {
        |context, payload| self.sign(context, payload)
    }

    pub(crate) fn seal(&self, kind: Kind, payload: Vec<u8>) -> Signed {
        Signed::seal(kind, payload, self.signer())
    }
}

/// A revision of the epoch that tests live in.
pub(crate) fn rev(number: u64) -> Revision {
    Revision { epoch: 1, number }
}

/// `group:<group>#member@user:<user>`.
pub(crate) fn tuple(group: &str, user: &str) -> Fact {
    format!("tuple group:{group}#member@user:{user}")
        .parse()
        .expect("a tuple")
}

/// Five changes about three facts: the last three are the last words on them.
pub(crate) fn repeated_changes() -> Vec<Change> {
    let folder = |until: u64| -> Fact {
        format!("expiring-tuple {until} docs/folder:a#viewer@user:b")
            .parse()
            .expect("a fact")
    };
    vec![
        Change::Put(tuple("a", "b")),
        Change::Put(folder(5)),
        Change::Put(tuple("a", "c")),
        Change::Delete(tuple("a", "b")),
        Change::Put(folder(6)),
    ]
}

/// The model of a service in a fact's line.
pub(crate) const FOLDERS: &str = r"model\n  schema 1.1\ntype user\ntype folder\n  relations\n    define parent: [folder]\n    define viewer: [user, group#member] or viewer from parent";

/// At least one fact of every kind.
pub(crate) fn every_kind_of_fact() -> Vec<Fact> {
    let id = |n: u128| uuid::Uuid::from_u128(n).to_string();
    let jwk = signing_key();
    [
        "tuple group:a#member@user:b".to_owned(),
        "tuple group:a#member@group:c#member".to_owned(),
        format!("expiring-tuple 7 docs/folder:a#viewer@user:{}", id(5)),
        "tuple docs/folder:a#parent@docs/folder:b".to_owned(),
        format!("model docs 1 {FOLDERS}"),
        format!("service-key {} {} docs -1", "ab".repeat(32), id(1)),
        format!("service-key {} {} docs 5", "cd".repeat(32), id(1)),
        format!("signing-key {} 0 {}", jwk.kid(), jwk.to_json()),
        format!("revoked-session {} 5", id(2)),
        format!("revoked-token {} 6", id(3)),
        format!("disabled-user {}", id(4)),
    ]
    .iter()
    .map(|line| line.parse().expect(line))
    .collect()
}

/// A public signing key.
pub(crate) fn signing_key() -> sentinel_token::PublicJwk {
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).expect("a key");
    let public = pair.public_key();
    sentinel_token::PublicJwk::from_components(
        public.modulus().big_endian_without_leading_zero(),
        public.exponent().big_endian_without_leading_zero(),
    )
    .expect("a good key")
}
