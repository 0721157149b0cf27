//! Which credentials a route takes, besides their tier.

use sentinel_config::edge::RouteSettings;
use sentinel_core::name::ServiceName;

/// How a user may show who he is on a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepts {
    /// By an access token of the control plane.
    pub access: bool,
    /// By an authz token together with an ID token.
    pub authz: bool,
    /// By access tokens of these issuers.
    pub issuers: Box<[Box<str>]>,
    /// By the session cookie, where an access token is taken.
    pub cookie: bool,
    /// The service that an authz token must have been made for; without it none is taken.
    pub service: Option<ServiceName>,
}

/// A user's token, by what it is and how it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserToken<'a> {
    /// An access token in `Authorization`.
    Access,
    /// An access token in the session cookie.
    Cookie,
    /// An authz token with the ID token that it goes with.
    Authz,
    /// An access token of the other issuer with this name.
    Issuer(&'a str),
}

impl Accepts {
    /// What the settings of a route say that leads to `service`.
    pub fn from_settings(settings: &RouteSettings, service: Option<&ServiceName>) -> Self {
        let named = |word: &str| settings.tokens.iter().any(|token| token == word);
        let issuers = settings.tokens.iter();
        Self {
            access: named("access"),
            authz: named("authz"),
            issuers: issuers
                .filter(|name| !matches!(name.as_str(), "access" | "authz"))
                .map(|name| name.as_str().into())
                .collect(),
            cookie: settings.cookie,
            service: service.cloned(),
        }
    }

    /// Whether a user's token is taken that comes so.
    pub fn takes(&self, token: UserToken<'_>) -> bool {
        match token {
            UserToken::Access => self.access,
            UserToken::Cookie => self.access && self.cookie,
            UserToken::Authz => self.authz,
            UserToken::Issuer(issuer) => self.issuers.iter().any(|name| **name == *issuer),
        }
    }
}

impl Default for Accepts {
    fn default() -> Self {
        Self {
            access: true,
            authz: false,
            issuers: Box::default(),
            cookie: false,
            service: None,
        }
    }
}
