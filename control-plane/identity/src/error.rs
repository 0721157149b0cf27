//! Faults that are nobody's mistake: a database that is away, a row or a key that cannot be read.

use sentinel_access::AccessError;
use sentinel_store::StoreError;

use crate::keys::KeysError;

/// A fault of the services below, as opposed to a refusal.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The database or the short-lived store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The domain services.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The signing keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A token would be longer than verifiers accept.
    #[error("the token would have {0} bytes, more than the {max} that verifiers accept: shorten the user's name or the issuer", max = sentinel_token::verify::MAX_TOKEN_BYTES)]
    TokenTooLong(usize),
    /// A value of ours could not be written as JSON.
    #[error("a value of the short-lived store cannot be written or read")]
    ShortLivedValue(#[from] serde_json::Error),
}
