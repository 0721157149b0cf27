//! Verifying tokens of other issuers: access tokens of somebody else's authorization server, and ID tokens of identity
//! providers.
//!
//! Nothing is taken for granted about how their documents and tokens look, except what RFC 7517, RFC 9068 and OpenID Connect
//! Core say that every one of them has. What could be read in two ways is refused, as in our own.

mod algorithm;
mod claims;
mod key;
mod keys;
mod verify;

pub use claims::claimed_issuer;
pub use key::BadKey;
pub use keys::{InvalidIssuerKeys, IssuerKeys, MAX_KEYS, MAX_KEYS_BYTES};
pub use verify::{IssuerVerifier, VerifiedExternal, VerifiedIdentity};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
