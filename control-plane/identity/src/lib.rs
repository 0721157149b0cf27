//! The authentication facade: [`Login`], [`Sessions`], [`Tokens`], [`Keys`]. Nobody else sees a credential.
//!
//! Services return structs and domain errors; a secret leaves only as the token or code that its owner is handed, and a
//! digest never. The control plane does not receive, store or check a password: people sign in at identity providers.
//!
//! Tables `social_accounts`, `sessions`, `refresh_tokens`, `revocations` and `signing_keys` belong to this crate; the SQL
//! on them is in the files named `rows`, and names no table of another crate.

mod accounts;
mod authz;
mod error;
mod keys;
mod login;
mod outbound;
mod providers;
mod sessions;
#[cfg(test)]
mod testing;
mod tokens;

use std::time::Duration;

use sentinel_core::Fact;
use sentinel_store::Tx;

pub use accounts::{EmailTrust, Identity, SocialAccount, social_accounts};
pub use authz::{Authz, Caller, HandoverError, Outcome, Resolution, ResolveError, ResolveRequest};
pub use error::IdentityError;
pub use keys::{EncryptionKey, FeedKey, InvalidEncryptionKey, InvalidTokenKey, KeyInfo, Keys, KeysError};
pub use login::{
    AppLogin, CallbackQuery, CallbackRefusal, ExchangeError, Finished, Login, LoginError, LoginSettings,
    Started, WorkspaceChoice,
};
pub use outbound::{Outbound, OutboundError};
pub use providers::{
    Expected, Protocol, Provider, ProviderError, ProviderSettings, Providers, VouchError, Voucher,
};
pub use sessions::{
    AdminRefusal, AdminSession, AuthzMinted, Context, EndReason, Grant, RefreshError, Sessions, StartError,
    Swept, Vouched,
};
pub use tokens::{AdminToken, TokenPair, Tokens};

/// How long tokens and sessions last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// An access token.
    pub access: Duration,
    /// A refresh token, from each rotation anew.
    pub refresh: Duration,
    /// For how long after it was spent a refresh token is answered once more, because the answer was lost.
    pub refresh_grace: Duration,
    /// A session, however often it is refreshed.
    pub session: Duration,
    /// An admin token and its session.
    pub admin: Duration,
    /// A token of AuthZ mode.
    pub authz: Duration,
}

impl Lifetimes {
    /// The longest that any token of ours is valid.
    fn longest(&self) -> Duration {
        self.access.max(self.refresh).max(self.admin).max(self.authz)
    }
}

/// What edges must know of this crate's tables: public signing keys and revocations.
pub async fn facts(tx: &mut Tx) -> Result<Vec<Fact>, IdentityError> {
    let mut facts = keys::facts(tx).await?;
    facts.extend(sessions::facts(tx).await?);
    Ok(facts)
}
