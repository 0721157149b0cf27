//! Verifying what callers show: access, refresh and admin tokens (JWT, RFC 7519), tokens of other issuers, service keys and
//! edge keys, and the signatures on what the control plane feeds to edges.
//!
//! This crate cannot sign a token. It reads no clock, holds no state but the tokens that were verified already, and opens
//! no socket; revocation is looked up by whoever calls it.

pub mod assertion_key;
mod claimed;
pub mod claims;
mod compact;
pub mod edge_key;
pub mod error;
pub mod feed_key;
pub mod fingerprint;
pub mod hash;
pub mod issuer;
mod json;
pub mod jwk;
pub mod key_set;
pub mod remembered;
mod roca;
pub mod service_key;
#[cfg(test)]
mod testing;
pub mod verify;

pub use assertion_key::AssertionKey;
pub use claimed::claimed_kind;
pub use claims::{AccessClaims, AdminClaims, Audience, AuthzClaims, RefreshClaims, TokenKind};
pub use edge_key::{EdgeSecret, HashedEdgeKey, InvalidEdgeKey, PlainEdgeKey};
pub use error::TokenError;
pub use feed_key::{BadSignature, FeedVerifyKey};
pub use fingerprint::{Fingerprint, Fingerprinter};
pub use hash::sha256;
pub use issuer::{
    InvalidIssuerKeys, IssuerKeys, IssuerVerifier, VerifiedExternal, VerifiedIdentity, claimed_issuer,
};
pub use jwk::{InvalidJwk, PublicJwk};
pub use key_set::{InvalidKeySet, KeySet};
pub use remembered::{Lasting, Remembered};
pub use service_key::{HashedServiceKey, InvalidServiceKey, PlainServiceKey};
pub use verify::{Verified, VerifiedAccess, VerifiedAdmin, VerifiedAuthz, VerifiedRefresh, Verifier};
