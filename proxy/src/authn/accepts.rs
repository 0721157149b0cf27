//! Which credentials a route takes, besides their tier.

use sentinel_config::edge::RouteSettings;

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
}

impl Accepts {
    /// What the settings of a route say.
    pub fn from_settings(settings: &RouteSettings) -> Self {
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
        }
    }
}
