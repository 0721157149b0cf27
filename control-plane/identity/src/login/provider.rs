//! One OpenID provider: its discovery document, the address where a login begins, and the exchange of its code for an
//! identity that was verified (OpenID Connect Core 1.0 §3.1, Discovery 1.0, PKCE RFC 7636, `iss` RFC 9207).

use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
    CoreGrantType, CoreIdTokenClaims, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType, CoreUserInfoClaims,
};
use openidconnect::{
    AdditionalProviderMetadata, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret,
    CsrfToken, DiscoveryError, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata, RedirectUrl, Scope, SignatureVerificationError,
    TokenResponse,
};
use secrecy::{ExposeSecret, SecretString};
use sentinel_core::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::accounts::Identity;
use crate::outbound::{Outbound, OutboundError};

/// For how long a discovery document is used.
const KEPT: Duration = Duration::from_hours(1);
/// How soon it may be fetched again because a token names a key that it does not have.
const AGAIN: Duration = Duration::from_secs(10);

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
    /// The answer names another issuer than the one that was asked.
    #[error("the answer is from another issuer than the one that was asked")]
    Issuer,
    /// The user-info endpoint does not answer, or about somebody else.
    #[error("the user info cannot be used")]
    UserInfo(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The member of the discovery document that openidconnect does not know (RFC 9207 §3).
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct Extra {
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Extra {}

type Metadata = ProviderMetadata<
    Extra,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

struct Discovered {
    client: Client,
    /// The issuer as the provider writes it.
    issuer: String,
    algorithms: Vec<CoreJwsSigningAlgorithm>,
    says_iss: bool,
    at: Instant,
}

/// A provider.
pub(super) struct Provider {
    pub(super) settings: ProviderSettings,
    discovered: Mutex<Option<Arc<Discovered>>>,
    outbound: Outbound,
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
    pub(super) fn new(settings: ProviderSettings, outbound: Outbound, clock: Arc<dyn Clock>) -> Self {
        Self {
            settings,
            discovered: Mutex::default(),
            outbound,
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
        let discovered = self.discover(KEPT).await?;
        let client = discovered.client.clone().set_redirect_uri(RedirectUrl::from_url(callback.clone()));
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(pkce_verifier.clone()));
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
        let discovered = self.discover(KEPT).await?;
        match iss {
            Some(iss) if iss != discovered.issuer => return Err(ProviderError::Issuer),
            None if discovered.says_iss => return Err(ProviderError::Issuer),
            _ => {}
        }
        let client = discovered.client.clone().set_redirect_uri(RedirectUrl::from_url(callback.clone()));
        let answer = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| ProviderError::Exchange(error.into()))?
            .set_pkce_verifier(PkceCodeVerifier::new(pkce_verifier))
            .request_async(&self.outbound)
            .await
            .map_err(|error| ProviderError::Exchange(describe(&error)))?;
        let token = answer.id_token().ok_or(ProviderError::NoIdToken)?;
        let nonce = Nonce::new(nonce.to_owned());
        let claims = match self.verify(&discovered, token, &nonce) {
            // The provider may have changed its keys since the discovery document was fetched.
            Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) => {
                let again = self.discover(AGAIN).await?;
                self.verify(&again, token, &nonce)?
            }
            result => result?,
        };
        let mut identity = identity(&claims);
        if identity.email.is_none() && client.user_info_url().is_some() {
            let info: CoreUserInfoClaims = client
                .user_info(answer.access_token().to_owned(), Some(claims.subject().clone()))
                .map_err(|error| ProviderError::UserInfo(error.into()))?
                .request_async(&self.outbound)
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

    fn extra_scopes(&self) -> impl Iterator<Item = Scope> + '_ {
        // `openid` is added by the library.
        self.settings.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new)
    }

    /// The discovery document with its keys; fetched if it is older than `max_age`. One that cannot be fetched again
    /// goes on being used: it was good, and tokens are verified by its keys.
    async fn discover(&self, max_age: Duration) -> Result<Arc<Discovered>, ProviderError> {
        let mut kept = self.discovered.lock().await;
        if let Some(discovered) = &*kept
            && discovered.at.elapsed() < max_age
        {
            return Ok(Arc::clone(discovered));
        }
        match (self.fetch().await, &*kept) {
            (Ok(discovered), _) => {
                let discovered = Arc::new(discovered);
                *kept = Some(Arc::clone(&discovered));
                Ok(discovered)
            }
            (Err(error), Some(old)) => {
                tracing::warn!(provider = self.settings.name, error = %error, "a discovery document cannot be fetched again; the old one is used");
                Ok(Arc::clone(old))
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn document(&self, issuer: &str) -> Result<Metadata, DiscoveryError<OutboundError>> {
        Metadata::discover_async(IssuerUrl::new(issuer.to_owned()).map_err(DiscoveryError::UrlParse)?, &self.outbound).await
    }

    async fn fetch(&self) -> Result<Discovered, ProviderError> {
        let settings = &self.settings;
        // The document must name the very issuer that it was fetched from (Discovery 1.0 §4.3); some write theirs with a
        // slash at the end.
        let metadata = match self.document(&settings.issuer).await {
            Err(DiscoveryError::Validation(_)) => self.document(&format!("{}/", settings.issuer)).await,
            result => result,
        };
        let metadata = metadata.map_err(|error| ProviderError::Discovery(settings.name.clone(), describe(&error)))?;
        let issuer = metadata.issuer().as_str().to_owned();
        let says_iss = metadata.additional_metadata().authorization_response_iss_parameter_supported;
        let algorithms = metadata
            .id_token_signing_alg_values_supported()
            .iter()
            .filter(|algorithm| is_asymmetric(algorithm))
            .cloned()
            .collect();
        let post_only = metadata.token_endpoint_auth_methods_supported().is_some_and(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let secret = settings
            .client_secret
            .as_ref()
            .map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let mut client = CoreClient::from_provider_metadata(metadata, ClientId::new(settings.client_id.clone()), secret);
        if post_only {
            client = client.set_auth_type(AuthType::RequestBody);
        }
        Ok(Discovered {
            client,
            issuer,
            algorithms,
            says_iss,
            at: Instant::now(),
        })
    }
}

/// The algorithms that an ID token may be signed with: never `none`, and never one whose key we know too.
fn is_asymmetric(algorithm: &CoreJwsSigningAlgorithm) -> bool {
    matches!(
        algorithm,
        CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256
            | CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384
            | CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512
            | CoreJwsSigningAlgorithm::RsaSsaPssSha256
            | CoreJwsSigningAlgorithm::RsaSsaPssSha384
            | CoreJwsSigningAlgorithm::RsaSsaPssSha512
            | CoreJwsSigningAlgorithm::EcdsaP256Sha256
            | CoreJwsSigningAlgorithm::EcdsaP384Sha384
            | CoreJwsSigningAlgorithm::EdDsa
    )
}

fn identity(claims: &CoreIdTokenClaims) -> Identity {
    Identity {
        subject: claims.subject().as_str().to_owned(),
        email: claims.email().map(|email| email.as_str().to_owned()),
        email_verified: claims.email_verified() == Some(true),
        name: claims.name().and_then(|name| name.get(None)).map(|name| name.as_str().to_owned()),
        picture: claims
            .picture()
            .and_then(|picture| picture.get(None))
            .map(|picture| picture.as_str().to_owned()),
    }
}

/// Providers may leave the profile to the user-info endpoint (OpenID Connect Core §5.4).
fn complete(identity: &mut Identity, info: &CoreUserInfoClaims) {
    identity.email = info.email().map(|email| email.as_str().to_owned());
    identity.email_verified = info.email_verified() == Some(true);
    if identity.name.is_none() {
        identity.name = info.name().and_then(|name| name.get(None)).map(|name| name.as_str().to_owned());
    }
    if identity.picture.is_none() {
        identity.picture = info
            .picture()
            .and_then(|picture| picture.get(None))
            .map(|picture| picture.as_str().to_owned());
    }
}

/// An error with its causes as one text. The library's errors hold answers and are not `Sync`; the text has no secret,
/// since it tells of what the provider sent and not of what it was sent.
fn describe(error: &dyn std::error::Error) -> Box<dyn std::error::Error + Send + Sync> {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.into()
}
