//! Why a token of an identity provider leads to nothing, and why a round trip to one does not. The texts of what the
//! caller can mend are for him.

use sentinel_store::StoreError;

use crate::accounts::AccountRefusal;
use crate::error::IdentityError;
use crate::providers::{ProviderError, VouchError};
use crate::sessions::StartError;

/// Why a token of an identity provider leads to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A page asks for a token of ours.
    #[error(
        "Minting an authz token requires a service key. Call this endpoint from your backend with X-Service-Key."
    )]
    KeyRequired,
    /// The service app was deleted or deactivated a moment ago.
    #[error("there is no such active service app")]
    AppNotFound,
    /// There is no such provider.
    #[error("Unsupported provider: {0}")]
    UnsupportedProvider(String),
    /// The token is not accepted, or the provider does not answer.
    #[error(transparent)]
    Token(#[from] VouchError),
    /// Another account has the e-mail address that the token names.
    #[error("Another account has the email address {0}. Sign in the way you did before.")]
    EmailUsed(String),
    /// The account is deactivated.
    #[error("User account is inactive")]
    Inactive,
    /// The user is no member of the workspace, or it does not exist.
    #[error("User is not a member of this workspace")]
    NotAMember,
    /// A fault of ours.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

impl ResolveError {
    /// Why there is no account for what was vouched for. `email` is the address that the token names.
    pub(super) fn of_account(refusal: AccountRefusal, email: Option<&str>) -> Self {
        match refusal {
            AccountRefusal::Subject => VouchError::Invalid("its subject cannot be kept").into(),
            AccountRefusal::NoEmail => VouchError::NoEmail.into(),
            AccountRefusal::EmailNotVerified => VouchError::EmailNotVerified.into(),
            AccountRefusal::EmailUsed => Self::EmailUsed(email.unwrap_or_default().to_owned()),
            // Nobody asks for administrators here.
            AccountRefusal::Deactivated | AccountRefusal::NotAdmin => Self::Inactive,
            AccountRefusal::Failed(error) => error.into(),
        }
    }
}

impl From<StartError> for ResolveError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::AppNotFound => Self::AppNotFound,
            StartError::UserNotFound | StartError::SignedOut => Self::Inactive,
            // Whether there is such a workspace is only its members' business.
            StartError::WorkspaceNotFound | StartError::NotAMember => Self::NotAMember,
            StartError::Failed(error) => error.into(),
        }
    }
}

impl From<StoreError> for ResolveError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// Why a browser is not sent to a provider, or comes back without a token.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// A page signs people in at this provider by itself, or there is no such provider.
    #[error("Proxy login not supported for {0}")]
    Unsupported(String),
    /// GitHub is none of the providers.
    #[error("GitHub OAuth is not configured")]
    NotConfigured,
    /// The address to return to is none.
    #[error("Invalid redirect_uri")]
    RedirectUri,
    /// The address to return to has a fragment, where the token goes.
    #[error("redirect_uri must not contain a fragment")]
    Fragment,
    /// The address to return to belongs to no active service app.
    #[error("redirect_uri origin is not registered on any active service")]
    Origin,
    /// The nonce is too long.
    #[error("the nonce is longer than 512 characters")]
    Nonce,
    /// The round trip was begun in another browser, or not at all; took too long, or has come back before.
    #[error("Invalid or missing OAuth state — start from /authz/idp/{0}/login")]
    State(String),
    /// The user or the provider declined.
    #[error("GitHub OAuth error: {0}")]
    Declined(String),
    /// The provider does not answer as it should.
    #[error("GitHub code exchange failed")]
    Provider(#[from] ProviderError),
    /// A fault of ours.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}
