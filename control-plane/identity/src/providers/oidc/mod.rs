//! An OpenID provider: the address where a login begins, the exchange of its code for an identity that was verified
//! (OpenID Connect Core 1.0 §3.1, PKCE RFC 7636, `iss` RFC 9207), and the verification of an ID token that somebody
//! brings. What the provider says about itself is in [`discovery`].

mod claims;
mod discovery;

use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::CoreAuthenticationFlow;
use openidconnect::{
    AuthorizationCode, ClaimsVerificationError, CsrfToken, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, SignatureVerificationError, TokenResponse,
};
use sentinel_core::{Clock, Timestamp};
use url::Url;
use uuid::Uuid;

use super::{Arrival, Expected, ProviderError, ProviderSettings, VouchError, Voucher, entra};
use crate::accounts::Identity;
use crate::outbound::{Outbound, OutboundClient};
use claims::{Info, Token};
use discovery::{Discovered, Discovery, describe};

pub(super) use claims::{Claims, address_shaped, text};

/// How far the provider's clock may be ahead of ours.
const CLOCK_DIFFERENCE: Duration = Duration::from_mins(5);

/// How old an ID token may be that somebody brings, however long it is good: a sign-in is not proved by what lay in a log
/// for a month.
const MAX_AGE: Duration = Duration::from_hours(24);

/// An OpenID provider.
pub(super) struct Oidc {
    client_id: String,
    scopes: Vec<Scope>,
    /// The tenant, if the provider is Microsoft Entra ID.
    tenant: Option<Uuid>,
    discovery: Discovery,
    client: OutboundClient,
    clock: Arc<dyn Clock>,
}

impl Oidc {
    pub(super) fn new(
        settings: ProviderSettings,
        issuer: String,
        tenant: Option<Uuid>,
        outbound: &Outbound,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ProviderError> {
        let at: Url = issuer
            .parse()
            .map_err(|_| ProviderError::Address(settings.name.clone()))?;
        let client = outbound.client(&[&at]).map_err(ProviderError::Client)?;
        Ok(Self {
            client_id: settings.client_id.clone(),
            // `openid` is added by the library.
            scopes: settings
                .scopes
                .iter()
                .filter(|scope| *scope != "openid")
                .cloned()
                .map(Scope::new)
                .collect(),
            tenant,
            discovery: Discovery::new(settings, issuer, client.clone()),
            client,
            clock,
        })
    }

    /// The address that begins a login.
    pub(super) async fn depart(
        &self,
        callback: &Url,
        state: &str,
        nonce: &str,
        pkce_verifier: &str,
    ) -> Result<Url, ProviderError> {
        let discovered = self.discovery.current().await?;
        let client = discovered
            .client
            .clone()
            .set_redirect_uri(RedirectUrl::from_url(callback.clone()));
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(pkce_verifier.to_owned()));
        let (state, nonce) = (CsrfToken::new(state.to_owned()), Nonce::new(nonce.to_owned()));
        let (url, _, _) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || state,
                move || nonce,
            )
            .add_scopes(self.scopes.iter().cloned())
            .set_pkce_challenge(challenge)
            .url();
        Ok(url)
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
        let claims = self
            .verify(token, Some(nonce), |audience| audience == self.client_id)
            .await?;
        let mut identity = self.identity(&claims)?;
        // The library makes a header of the access token, and takes it for granted that it can be one.
        let can_ask = answer
            .access_token()
            .secret()
            .bytes()
            .all(|byte| byte.is_ascii_graphic());
        if identity.email.is_none() && self.tenant.is_none() && client.user_info_url().is_some() && can_ask {
            let info: Info = client
                .user_info(answer.access_token().to_owned(), Some(claims.subject().clone()))
                .map_err(|error| ProviderError::UserInfo(error.into()))?
                .request_async(&self.client)
                .await
                .map_err(|error| ProviderError::UserInfo(describe(&error)))?;
            claims::complete(&mut identity, &info);
        }
        claims::fall_back(&mut identity, &claims);
        Ok(Arrival {
            identity,
            auth_time: auth_time(&claims),
            amr: amr(&claims),
        })
    }

    /// Verifies an ID token that somebody brings. User info is not asked for: there is no access token to ask with.
    pub(super) async fn vouch(&self, token: &str, expected: &Expected<'_>) -> Result<Voucher, VouchError> {
        let token: Token = token
            .parse()
            .map_err(|_| VouchError::Invalid("it is not an ID token"))?;
        let is_expected = |audience: &str| {
            if expected.audiences.is_empty() {
                audience == self.client_id
            } else {
                expected.audiences.iter().any(|one| one == audience)
            }
        };
        let claims = self.verify(&token, expected.nonce, is_expected).await?;
        if claims.issue_time() < self.clock.now() - MAX_AGE {
            return Err(VouchError::Expired);
        }
        let mut identity = self.identity(&claims)?;
        claims::fall_back(&mut identity, &claims);
        Ok(Voucher {
            identity,
            subject: claims.subject().as_str().to_owned(),
            issuer: Some(claims.issuer().as_str().to_owned()),
            auth_time: auth_time(&claims),
            amr: amr(&claims),
            expires_at: Some(claims.expiration()),
        })
    }

    fn identity(&self, claims: &Claims) -> Result<Identity, ProviderError> {
        match self.tenant {
            Some(tenant) => entra::identity(claims, tenant),
            None => Ok(claims::identity(claims)),
        }
    }

    /// The claims of a token that this provider made for one who is expected, and that is good now.
    async fn verify(
        &self,
        token: &Token,
        nonce: Option<&str>,
        is_expected: impl Fn(&str) -> bool + Send,
    ) -> Result<Claims, ProviderError> {
        let discovered = self.discovery.current().await?;
        let claims = match self.signed(&discovered, token, nonce) {
            // The provider may have changed its keys since the discovery document was fetched.
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => {
                let again = self.discovery.renewed().await?;
                self.signed(&again, token, nonce)?
            }
            result => result?,
        };
        // What the library leaves to us (OpenID Connect Core §3.1.3.7, items 3, 5 and 10). Whoever else a token is for has
        // it, and could use it here.
        let audiences = claims.audiences();
        if audiences.is_empty() || !audiences.iter().all(|audience| is_expected(audience)) {
            return Err(ProviderError::Audience);
        }
        let is_audience = |party: &str| audiences.iter().any(|audience| audience.as_str() == party);
        if claims.authorized_party().is_some_and(|party| !is_audience(party)) {
            return Err(ProviderError::AuthorizedParty);
        }
        check_times(&claims, self.clock.now() + CLOCK_DIFFERENCE)?;
        Ok(claims)
    }

    /// The claims of a token with the signature, issuer, end and nonce that it must have.
    fn signed(
        &self,
        discovered: &Discovered,
        token: &Token,
        nonce: Option<&str>,
    ) -> Result<Claims, ClaimsVerificationError> {
        let clock = Arc::clone(&self.clock);
        let verifier = discovered
            .client
            .id_token_verifier()
            .require_audience_match(false)
            .set_allowed_algs(discovered.algorithms.iter().cloned())
            .set_time_fn(move || clock.now());
        match nonce {
            Some(nonce) => token.claims(&verifier, &Nonce::new(nonce.to_owned())),
            None => token.claims(&verifier, |_: Option<&Nonce>| Ok(())),
        }
        .cloned()
    }
}

/// Whether the token may have been made and may be used by now. A number may be any time at all, of which a database
/// keeps only some.
fn check_times(claims: &Claims, latest: Timestamp) -> Result<(), ProviderError> {
    let mut times = [Some(claims.issue_time()), claims.auth_time()]
        .into_iter()
        .flatten();
    if times.clone().any(|at| at < Timestamp::UNIX_EPOCH) {
        return Err(ProviderError::Time);
    }
    if times.any(|at| at > latest) {
        return Err(ProviderError::Future);
    }
    let Some(nbf) = &claims.additional_claims().nbf else {
        return Ok(());
    };
    let nbf = nbf.as_f64().ok_or(ProviderError::Time)?;
    let latest = latest.signed_duration_since(Timestamp::UNIX_EPOCH).to_std();
    // What is too far off for a duration is later than now too.
    match (Duration::try_from_secs_f64(nbf.max(0.0)), latest) {
        (Ok(nbf), Ok(latest)) if nbf <= latest => Ok(()),
        _ => Err(ProviderError::NotYet),
    }
}

fn auth_time(claims: &Claims) -> Timestamp {
    claims.auth_time().unwrap_or_else(|| claims.issue_time())
}

fn amr(claims: &Claims) -> Vec<String> {
    let methods = claims.auth_method_refs();
    methods
        .map(|methods| methods.iter().map(|one| one.to_string()).collect())
        .unwrap_or_default()
}
