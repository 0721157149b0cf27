//! Why a login does not go on, one enum for each of its three steps. What a person is told about it is the control
//! plane's; the causes are for the log.

use crate::accounts::AccountRefusal;
use crate::error::IdentityError;
use crate::providers::ProviderError;
use crate::sessions::StartError;

/// Why a login does not begin.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// There is no such provider.
    #[error("there is no such identity provider")]
    UnknownProvider,
    /// PKCE with another method than `S256`.
    #[error("the PKCE method is not `S256`")]
    ChallengeMethod,
    /// The challenge is none: 43 characters of base64url.
    #[error("the PKCE challenge is not 43 characters of base64url")]
    Challenge,
    /// The state is too long.
    #[error("the state is longer than 512 characters")]
    State,
    /// No active client app has this redirect URI.
    #[error("no active client app has this redirect URI")]
    AppNotAllowed,
    /// The provider does not answer as it should.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A fault of ours.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

impl LoginError {
    /// The stable word for it in the activity log; `None` for a request that is malformed, and for a fault.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::UnknownProvider => Some("provider_not_configured"),
            Self::ChallengeMethod | Self::Challenge => Some("pkce_method_rejected"),
            Self::AppNotAllowed => Some("redirect_uri_not_allowed"),
            Self::Provider(_) => Some("provider_answer"),
            Self::State | Self::Failed(_) => None,
        }
    }
}

/// Why a login that came back from the provider is refused.
#[derive(Debug, thiserror::Error)]
pub enum CallbackRefusal {
    /// There is no such provider.
    #[error("there is no such identity provider")]
    UnknownProvider,
    /// The login took too long, or has come back already.
    #[error("the login is over or has come back before")]
    SessionExpired,
    /// The login was begun in another browser, at another provider, or not at all.
    #[error("the login was not begun in this browser")]
    InvalidSession,
    /// The user or the provider declined.
    #[error("the login was declined at the provider")]
    Declined,
    /// The client app was deactivated, or lost the redirect URI.
    #[error("the client app may not be used any more")]
    AppNotAllowed,
    /// The provider's id of the person cannot be kept.
    #[error("the provider's id of the person is not 1 to 255 characters without control characters")]
    InvalidSubject,
    /// The provider gave no e-mail address.
    #[error("the provider gave no e-mail address")]
    NoEmail,
    /// The provider does not vouch for the e-mail address.
    #[error("the provider does not vouch for the e-mail address")]
    EmailNotVerified,
    /// Another account has the e-mail address.
    #[error("another account has the e-mail address")]
    EmailUsed,
    /// The account is deactivated.
    #[error("the account is deactivated")]
    Deactivated,
    /// The user is no administrator.
    #[error("the user is no administrator")]
    NotAdmin,
    /// The provider's answer is not accepted.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A fault of ours.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

impl CallbackRefusal {
    /// The stable word for it, in the activity log and in the address of the admin panel; `None` for a fault.
    pub fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::UnknownProvider => "provider_not_configured",
            Self::SessionExpired => "session_expired",
            Self::InvalidSession => "invalid_session",
            Self::Declined => "declined",
            Self::AppNotAllowed => "redirect_uri_not_allowed",
            Self::InvalidSubject => "invalid_subject",
            Self::NoEmail => "no_email_claim",
            Self::EmailNotVerified => "email_not_verified",
            Self::EmailUsed => "email_conflict",
            Self::Deactivated => "account_deactivated",
            Self::NotAdmin => "not_admin",
            Self::Provider(_) => "provider_answer",
            Self::Failed(_) => return None,
        })
    }
}

impl From<AccountRefusal> for CallbackRefusal {
    fn from(refusal: AccountRefusal) -> Self {
        match refusal {
            AccountRefusal::Subject => Self::InvalidSubject,
            AccountRefusal::NoEmail => Self::NoEmail,
            AccountRefusal::EmailNotVerified => Self::EmailNotVerified,
            AccountRefusal::EmailUsed => Self::EmailUsed,
            AccountRefusal::Deactivated => Self::Deactivated,
            AccountRefusal::NotAdmin => Self::NotAdmin,
            AccountRefusal::Failed(error) => Self::Failed(error),
        }
    }
}

impl From<StartError> for CallbackRefusal {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Failed(error) => Self::Failed(error),
            StartError::AppNotFound => Self::AppNotAllowed,
            StartError::SignedOut => Self::SessionExpired,
            StartError::UserNotFound | StartError::WorkspaceNotFound | StartError::NotAMember => {
                Self::Deactivated
            }
        }
    }
}

/// Why a code is not exchanged.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// There is no such code, or it is over, or was exchanged.
    #[error("the authorization code is not valid any more")]
    InvalidCode,
    /// The provider or the client app behind the code is gone.
    #[error("the authorization code was withdrawn")]
    WithdrawnCode,
    /// The verifier is not the one that the code was asked for with.
    #[error("the PKCE verifier does not fit")]
    Pkce,
    /// There is no such active user.
    #[error("there is no such active user")]
    UserNotFound,
    /// There is no such workspace.
    #[error("there is no such workspace")]
    WorkspaceNotFound,
    /// The user is no member of the workspace.
    #[error("the user is no member of the workspace")]
    NotAMember,
    /// A fault of ours.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

impl From<StartError> for ExchangeError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::AppNotFound => Self::WithdrawnCode,
            StartError::SignedOut => Self::InvalidCode,
            StartError::UserNotFound => Self::UserNotFound,
            StartError::WorkspaceNotFound => Self::WorkspaceNotFound,
            StartError::NotAMember => Self::NotAMember,
            StartError::Failed(error) => Self::Failed(error),
        }
    }
}
