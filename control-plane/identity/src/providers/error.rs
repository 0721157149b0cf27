//! Why a provider's answer gives no identity, and why its token is not accepted.

use openidconnect::{ClaimsVerificationError, SignatureVerificationError};

use crate::outbound::OutboundError;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a provider's answer gives no identity.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The discovery document cannot be fetched or does not fit the issuer.
    #[error("the discovery document of `{0}` cannot be used")]
    Discovery(String, #[source] Source),
    /// The configured addresses are none.
    #[error("the configured addresses of `{0}` are not URLs")]
    Address(String),
    /// A secret is needed and not configured.
    #[error("`{0}` has no client secret, and cannot be used without")]
    NoSecret(String),
    /// What calls out cannot be made.
    #[error("the outgoing HTTP client cannot be made")]
    Client(#[source] OutboundError),
    /// The code cannot be exchanged.
    #[error("the code cannot be exchanged at the token endpoint")]
    Exchange(#[source] Source),
    /// The answer has no ID token.
    #[error("the provider answered without an ID token")]
    NoIdToken,
    /// The ID token is not one for this login.
    #[error("the ID token is not accepted")]
    IdToken(#[from] ClaimsVerificationError),
    /// The ID token was made for another client (`aud`).
    #[error("the ID token was made for another client")]
    Audience,
    /// The ID token was given to another client (`azp`).
    #[error("the ID token was given to another client")]
    AuthorizedParty,
    /// The ID token or the sign-in it tells of is of a time that is still to come.
    #[error("the ID token is from the future: compare the clocks of the provider and of this machine")]
    Future,
    /// The ID token is not good yet (`nbf`).
    #[error("the ID token is not good yet: compare the clocks of the provider and of this machine")]
    NotYet,
    /// The ID token has a time that cannot be one.
    #[error("the ID token has a time that is no number or lies before 1970")]
    Time,
    /// The ID token is of another tenant than the configured one, or does not say which.
    #[error("the ID token is of another tenant than the configured one")]
    Tenant,
    /// The ID token does not say who it is (`oid`).
    #[error("the ID token has no object id")]
    NoObjectId,
    /// The answer names another issuer than the one that was asked.
    #[error("the answer is from another issuer than the one that was asked")]
    Issuer,
    /// The user-info endpoint does not answer, or about somebody else.
    #[error("the user info cannot be used")]
    UserInfo(#[source] Source),
}

/// Why a token that somebody brought from a provider is not accepted. The text is for whoever brought it, and repeats
/// nothing of the token.
#[derive(Debug, thiserror::Error)]
pub enum VouchError {
    /// It is over.
    #[error("Token expired")]
    Expired,
    /// It is no token of this provider for this application.
    #[error("Invalid token: {0}")]
    Invalid(&'static str),
    /// It was made for another sign-in than the one that whoever brings it began.
    #[error("Nonce mismatch")]
    Nonce,
    /// The provider does not vouch for the e-mail address.
    #[error("Email not verified")]
    EmailNotVerified,
    /// The provider gave no e-mail address.
    #[error("IdP token carries no email address — ask the provider for the scope that has it")]
    NoEmail,
    /// GitHub does not know the token.
    #[error("Invalid GitHub token")]
    GitHubToken,
    /// The token does not open the person's addresses.
    #[error("Could not fetch GitHub emails")]
    GitHubEmails,
    /// The person gave the token to another application.
    #[error("GitHub token was not issued to this application")]
    GitHubApplication,
    /// The service app takes tokens for certain clients only, and a token of GitHub does not say for whom it is.
    #[error(
        "Per-app IdP audience binding is configured for this app but cannot be enforced for GitHub tokens — remove the audiences of the service app, or sign in at another provider"
    )]
    GitHubAudiences,
    /// The provider does not answer as it should: nothing is known about the token.
    #[error("the identity provider cannot be reached")]
    Unreachable(#[source] ProviderError),
}

impl From<ProviderError> for VouchError {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::IdToken(error) => (&error).into(),
            ProviderError::NoIdToken => Self::Invalid("it is not an ID token"),
            ProviderError::Audience => Self::Invalid("it was made for another client"),
            ProviderError::AuthorizedParty => Self::Invalid("it was given to another client"),
            ProviderError::Future => Self::Invalid("it is from the future"),
            ProviderError::NotYet => Self::Invalid("it is not good yet"),
            ProviderError::Time => Self::Invalid("it has a time that is no number or lies before 1970"),
            ProviderError::Tenant => Self::Invalid("it is of another tenant"),
            ProviderError::NoObjectId => Self::Invalid("it has no object id"),
            ProviderError::Issuer => Self::Invalid("it is from another issuer"),
            ProviderError::Discovery(..)
            | ProviderError::Address(_)
            | ProviderError::NoSecret(_)
            | ProviderError::Client(_)
            | ProviderError::Exchange(_)
            | ProviderError::UserInfo(_) => Self::Unreachable(error),
        }
    }
}

impl From<&ClaimsVerificationError> for VouchError {
    fn from(error: &ClaimsVerificationError) -> Self {
        Self::Invalid(match error {
            ClaimsVerificationError::Expired(_) => return Self::Expired,
            ClaimsVerificationError::InvalidNonce(_) => return Self::Nonce,
            ClaimsVerificationError::InvalidIssuer(_) => "it is from another issuer",
            ClaimsVerificationError::SignatureVerification(error) => match error {
                SignatureVerificationError::NoMatchingKey => "the provider has no such key",
                SignatureVerificationError::AmbiguousKeyId(_) => "it does not name its key",
                SignatureVerificationError::NoSignature
                | SignatureVerificationError::DisallowedAlg(_)
                | SignatureVerificationError::UnsupportedAlg(_) => "its algorithm is not accepted",
                _ => "its signature is wrong",
            },
            _ => "it is not an ID token",
        })
    }
}
