//! The identity providers: where a login is sent to, and what their answers and tokens are worth. Everything of one
//! protocol is below it; what is outside of this module sees an [`Identity`], and not how it came about.
//!
//! An account is keyed by what a provider never gives to somebody else: `sub` at an OpenID provider, tenant and object id at
//! Microsoft Entra ID, the numeric id at GitHub; the same for somebody who logs in here and for somebody whose
//! application brings the provider's token.

mod entra;
mod error;
mod github;
mod oidc;

use std::sync::Arc;

use secrecy::SecretString;
use sentinel_core::{Clock, Timestamp};
use url::Url;
use uuid::Uuid;

pub use error::{ProviderError, VouchError};

use crate::accounts::{EmailTrust, Identity, is_subject};
use crate::outbound::Outbound;
use oidc::Oidc;

pub(crate) use github::GitHub;

/// The longest token of a provider that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;

/// What is configured about a provider.
#[derive(Clone)]
pub struct ProviderSettings {
    /// Its name in addresses and accounts.
    pub name: String,
    /// How to talk to it, and where it is.
    pub protocol: Protocol,
    /// Our client id there.
    pub client_id: String,
    /// Our client secret there; `None` for a public client.
    pub client_secret: Option<SecretString>,
    /// What to ask for.
    pub scopes: Vec<String>,
    /// Whether its word about an e-mail address links a sign-in to an account that is there, and accounts that it made to
    /// sign-ins at others like it.
    pub link_by_verified_email: bool,
}

/// How to talk to a provider, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// OpenID Connect with discovery.
    Oidc {
        /// The issuer, as ID tokens name it.
        issuer: String,
    },
    /// OpenID Connect of one tenant of Microsoft Entra ID.
    Entra {
        /// The tenant.
        tenant: Uuid,
        /// The tenant's issuer, as ID tokens name it.
        issuer: String,
    },
    /// OAuth 2 and the API of GitHub.
    GitHub {
        /// Where people log in.
        url: String,
        /// Where the API is.
        api_url: String,
    },
}

/// What whoever hands in a token of a provider may ask of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected<'a> {
    /// For whom it may have been made; empty for our own client id.
    pub audiences: &'a [String],
    /// The nonce that it must have.
    pub nonce: Option<&'a str>,
}

/// What a token of a provider says, after it was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// Who it is.
    pub identity: Identity,
    /// `sub` of the token as an application sees it, which is not always what the account is keyed by; `github|<id>` for a
    /// token of GitHub, which has none.
    pub subject: String,
    /// `iss` of the token; `None` for a token of GitHub, which has none.
    pub issuer: Option<String>,
    /// When the person signed in.
    pub auth_time: Timestamp,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// When the token ends; `None` if nobody says.
    pub expires_at: Option<Timestamp>,
}

/// The providers, in the order in which they are listed. Cheap to clone.
#[derive(Clone)]
pub struct Providers(Arc<[Provider]>);

/// One provider.
pub struct Provider {
    name: String,
    links_by_verified_email: bool,
    of: Of,
}

enum Of {
    Oidc(Oidc),
    GitHub(GitHub),
}

/// What the browser is sent away with, and what must be remembered until it comes back.
pub(crate) struct Departure {
    pub(crate) url: Url,
    pub(crate) nonce: String,
    pub(crate) pkce_verifier: String,
}

/// What a provider vouches for.
pub(crate) struct Arrival {
    pub(crate) identity: Identity,
    pub(crate) auth_time: Timestamp,
    pub(crate) amr: Vec<String>,
}

impl Providers {
    /// The providers. Nobody is called before somebody needs him.
    pub fn new(
        settings: impl IntoIterator<Item = ProviderSettings>,
        outbound: &Outbound,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ProviderError> {
        settings
            .into_iter()
            .map(|settings| Provider::new(settings, outbound, Arc::clone(clock)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The provider of that name.
    pub fn find(&self, name: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.name == name)
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Provider::name)
    }

    /// The names of those whose word about an e-mail address links a sign-in to an account that is there.
    pub fn linking(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|provider| provider.links_by_verified_email)
            .map(Provider::name)
    }
}

impl Provider {
    fn new(
        settings: ProviderSettings,
        outbound: &Outbound,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ProviderError> {
        Ok(Self {
            name: settings.name.clone(),
            links_by_verified_email: settings.link_by_verified_email,
            of: match settings.protocol.clone() {
                Protocol::Oidc { issuer } => Of::Oidc(Oidc::new(settings, issuer, None, outbound, clock)?),
                Protocol::Entra { tenant, issuer } => {
                    Of::Oidc(Oidc::new(settings, issuer, Some(tenant), outbound, clock)?)
                }
                Protocol::GitHub { url, api_url } => {
                    Of::GitHub(GitHub::new(settings, &url, &api_url, outbound, clock)?)
                }
            },
        })
    }

    /// Its name in addresses and accounts.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The provider as what it is, if it is GitHub: the only one whose access tokens applications get by way of us.
    pub(crate) fn as_github(&self) -> Option<&GitHub> {
        match &self.of {
            Of::GitHub(github) => Some(github),
            Of::Oidc(_) => None,
        }
    }

    /// The address that begins a login. `nonce` and `pkce_verifier` are random.
    pub(crate) async fn depart(
        &self,
        callback: &Url,
        state: &str,
        nonce: String,
        pkce_verifier: String,
    ) -> Result<Departure, ProviderError> {
        let url = match &self.of {
            Of::Oidc(oidc) => oidc.depart(callback, state, &nonce, &pkce_verifier).await?,
            Of::GitHub(github) => github.authorize(callback, state, &pkce_verifier),
        };
        Ok(Departure {
            url,
            nonce,
            pkce_verifier,
        })
    }

    /// The identity that a code stands for.
    pub(crate) async fn arrive(
        &self,
        callback: &Url,
        code: String,
        iss: Option<&str>,
        nonce: &str,
        pkce_verifier: String,
    ) -> Result<Arrival, ProviderError> {
        match &self.of {
            Of::Oidc(oidc) => oidc.arrive(callback, code, iss, nonce, pkce_verifier).await,
            Of::GitHub(github) => github.arrive(callback, &code, &pkce_verifier).await,
        }
    }

    /// Verifies a token that an application got from the provider by itself: an ID token, or an access token of GitHub.
    /// What it vouches for has an e-mail address that may have an account, and subjects that can be kept and repeated in
    /// tokens of ours.
    pub async fn vouch(&self, token: &str, expected: &Expected<'_>) -> Result<Voucher, VouchError> {
        if token.len() > MAX_TOKEN {
            return Err(VouchError::Invalid("it is longer than 8192 bytes"));
        }
        let voucher = match &self.of {
            Of::Oidc(oidc) => oidc.vouch(token, expected).await?,
            Of::GitHub(github) => github.vouch(token, expected).await?,
        };
        if !is_subject(&voucher.subject) || !is_subject(&voucher.identity.subject) {
            return Err(VouchError::Invalid("its subject cannot be kept"));
        }
        if voucher.identity.email.is_none() {
            return Err(VouchError::NoEmail);
        }
        if voucher.identity.email_trust == EmailTrust::Unverified {
            return Err(VouchError::EmailNotVerified);
        }
        Ok(voucher)
    }
}
