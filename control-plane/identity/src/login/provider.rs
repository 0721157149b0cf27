//! One OpenID provider: the address where a login begins, and the exchange of its code for an identity that was verified
//! (OpenID Connect Core 1.0 §3.1, PKCE RFC 7636, `iss` RFC 9207). What the provider says about itself is in
//! [`super::discovery`].

use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{CoreAuthenticationFlow, CoreIdTokenClaims, CoreUserInfoClaims};
use openidconnect::{
    AuthorizationCode, ClaimsVerificationError, CsrfToken, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, SignatureVerificationError, TokenResponse,
};
use secrecy::SecretString;
use sentinel_core::{Clock, Timestamp};
use url::Url;

use super::discovery::{Discovered, Discovery, describe};
use crate::accounts::{EmailTrust, Identity};
use crate::outbound::{IssuerClient, Outbound};

/// How far the provider's clock may be ahead of ours.
const CLOCK_DIFFERENCE: Duration = Duration::from_mins(5);

/// What is configured about a provider.
#[derive(Clone)]
pub struct ProviderSettings {
    /// Its name in addresses and accounts.
    pub name: String,
    /// Its issuer, as ID tokens name it.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// Our client secret there; `None` for a public client.
    pub client_secret: Option<SecretString>,
    /// What to ask for.
    pub scopes: Vec<String>,
    /// Whether its word about an e-mail address links a sign-in to an account that is there.
    pub link_by_verified_email: bool,
}

/// Why a provider's answer gives no identity.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The discovery document cannot be fetched or does not fit the issuer.
    #[error("the discovery document of `{0}` cannot be used")]
    Discovery(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The configured addresses are none.
    #[error("the configured addresses of `{0}` are not URLs")]
    Address(String),
    /// The code cannot be exchanged.
    #[error("the code cannot be exchanged at the token endpoint")]
    Exchange(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer has no ID token.
    #[error("the provider answered without an ID token")]
    NoIdToken,
    /// The ID token is not one for this login.
    #[error("the ID token is not accepted")]
    IdToken(#[from] ClaimsVerificationError),
    /// The ID token was given to another client (`azp`).
    #[error("the ID token was given to another client")]
    AuthorizedParty,
    /// The ID token or the sign-in it tells of is of a time that is still to come.
    #[error("the ID token is from the future: compare the clocks of the provider and of this machine")]
    Future,
    /// The answer names another issuer than the one that was asked.
    #[error("the answer is from another issuer than the one that was asked")]
    Issuer,
    /// The user-info endpoint does not answer, or about somebody else.
    #[error("the user info cannot be used")]
    UserInfo(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A provider.
pub(super) struct Provider {
    pub(super) settings: ProviderSettings,
    discovery: Discovery,
    client: IssuerClient,
    clock: Arc<dyn Clock>,
}

/// What the browser is sent away with, and what must be remembered until it comes back.
pub(super) struct Departure {
    pub(super) url: Url,
    pub(super) nonce: String,
    pub(super) pkce_verifier: String,
}

/// What a provider vouches for.
pub(super) struct Arrival {
    pub(super) identity: Identity,
    pub(super) auth_time: Timestamp,
    pub(super) amr: Vec<String>,
}

impl Provider {
    pub(super) fn new(settings: ProviderSettings, outbound: &Outbound, clock: Arc<dyn Clock>) -> Self {
        let client = outbound.client(&settings.issuer);
        Self {
            discovery: Discovery::new(settings.clone(), client.clone()),
            settings,
            client,
            clock,
        }
    }

    /// The address that begins a login. `secrets` are the random parts: nonce and PKCE verifier.
    pub(super) async fn depart(
        &self,
        callback: &Url,
        state: &str,
        nonce: String,
        pkce_verifier: String,
    ) -> Result<Departure, ProviderError> {
        let discovered = self.discovery.current().await?;
        let client = discovered
            .client
            .clone()
            .set_redirect_uri(RedirectUrl::from_url(callback.clone()));
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(pkce_verifier.clone()));
        let (state, asked_nonce) = (CsrfToken::new(state.to_owned()), Nonce::new(nonce.clone()));
        let (url, _, _) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || state,
                move || asked_nonce,
            )
            .add_scopes(self.extra_scopes())
            .set_pkce_challenge(challenge)
            .url();
        Ok(Departure {
            url,
            nonce,
            pkce_verifier,
        })
    }

    /// The identity that a code stands for.
    pub(super) async fn arrive(
        &self,
        callback: &Url,
        code: String,
        iss: Option<&str>,
        nonce: &str,
        pkce_verifier: String,
    ) -> Result<Arrival, ProviderError> {
        let discovered = self.discovery.current().await?;
        match iss {
            Some(iss) if iss != discovered.issuer => return Err(ProviderError::Issuer),
            None if discovered.says_iss => return Err(ProviderError::Issuer),
            _ => {}
        }
        let client = discovered
            .client
            .clone()
            .set_redirect_uri(RedirectUrl::from_url(callback.clone()));
        let answer = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| ProviderError::Exchange(error.into()))?
            .set_pkce_verifier(PkceCodeVerifier::new(pkce_verifier))
            .request_async(&self.client)
            .await
            .map_err(|error| ProviderError::Exchange(describe(&error)))?;
        let token = answer.id_token().ok_or(ProviderError::NoIdToken)?;
        let nonce = Nonce::new(nonce.to_owned());
        let claims = match self.verify(&discovered, token, &nonce) {
            // The provider may have changed its keys since the discovery document was fetched.
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => {
                let again = self.discovery.renewed().await?;
                self.verify(&again, token, &nonce)?
            }
            result => result?,
        };
        self.check(&claims)?;
        let mut identity = identity(&claims);
        if identity.email.is_none() && client.user_info_url().is_some() {
            let info: CoreUserInfoClaims = client
                .user_info(answer.access_token().to_owned(), Some(claims.subject().clone()))
                .map_err(|error| ProviderError::UserInfo(error.into()))?
                .request_async(&self.client)
                .await
                .map_err(|error| ProviderError::UserInfo(describe(&error)))?;
            complete(&mut identity, &info);
        }
        let amr = claims
            .auth_method_refs()
            .map(|refs| refs.iter().map(|one| one.to_string()).collect());
        Ok(Arrival {
            identity,
            auth_time: claims.auth_time().unwrap_or_else(|| claims.issue_time()),
            amr: amr.unwrap_or_default(),
        })
    }

    fn verify(
        &self,
        discovered: &Discovered,
        token: &openidconnect::core::CoreIdToken,
        nonce: &Nonce,
    ) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
        let clock = Arc::clone(&self.clock);
        let verifier = discovered
            .client
            .id_token_verifier()
            .set_allowed_algs(discovered.algorithms.iter().cloned())
            .set_time_fn(move || clock.now());
        token.claims(&verifier, nonce).cloned()
    }

    /// What the library leaves to us (OpenID Connect Core §3.1.3.7, items 5 and 10).
    fn check(&self, claims: &CoreIdTokenClaims) -> Result<(), ProviderError> {
        if claims
            .authorized_party()
            .is_some_and(|party| party.as_str() != self.settings.client_id)
        {
            return Err(ProviderError::AuthorizedParty);
        }
        let latest = self.clock.now() + CLOCK_DIFFERENCE;
        if claims.issue_time() > latest || claims.auth_time().is_some_and(|at| at > latest) {
            return Err(ProviderError::Future);
        }
        Ok(())
    }

    fn extra_scopes(&self) -> impl Iterator<Item = Scope> + '_ {
        // `openid` is added by the library.
        self.settings
            .scopes
            .iter()
            .filter(|scope| *scope != "openid")
            .cloned()
            .map(Scope::new)
    }
}

fn identity(claims: &CoreIdTokenClaims) -> Identity {
    Identity {
        subject: claims.subject().as_str().to_owned(),
        email: claims.email().map(|email| email.as_str().to_owned()),
        email_trust: trust(claims.email_verified()),
        name: claims
            .name()
            .and_then(|name| name.get(None))
            .map(|name| name.as_str().to_owned()),
        picture: claims
            .picture()
            .and_then(|picture| picture.get(None))
            .map(|picture| picture.as_str().to_owned()),
    }
}

fn trust(verified: Option<bool>) -> EmailTrust {
    if verified == Some(true) {
        EmailTrust::Verified
    } else {
        EmailTrust::Unverified
    }
}

/// Providers may leave the profile to the user-info endpoint (OpenID Connect Core §5.4).
fn complete(identity: &mut Identity, info: &CoreUserInfoClaims) {
    identity.email = info.email().map(|email| email.as_str().to_owned());
    identity.email_trust = trust(info.email_verified());
    if identity.name.is_none() {
        identity.name = info
            .name()
            .and_then(|name| name.get(None))
            .map(|name| name.as_str().to_owned());
    }
    if identity.picture.is_none() {
        identity.picture = info
            .picture()
            .and_then(|picture| picture.get(None))
            .map(|picture| picture.as_str().to_owned());
    }
}
