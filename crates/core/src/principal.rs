//! Who is calling, once that has been verified.
//!
//! A `Principal` is only made by code that has checked a credential; holding one is the proof. Callers ask its methods
//! and do not look at how the credential was shaped.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::{ServiceAppId, SessionId, TokenId, UserId, WorkspaceId};
use crate::name::{ServiceName, Slug};
use crate::revision::Revision;
use crate::role::WorkspaceRole;

/// How long an open exchange (a tunnel, a stream, a download) may outlive the credential that it began with. The edge ends
/// it then, and the control plane keeps a revocation for longer: nothing is carried by a credential that could have been
/// revoked unseen.
pub const OUTLIVES: Duration = Duration::from_mins(30);

/// The credential that was verified. Each variant has only what its method of authentication knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user's access token (JWT).
    AccessToken {
        /// Its `jti`.
        token: TokenId,
        /// Its `sid`.
        session: SessionId,
        /// Its `exp`.
        expires_at: Timestamp,
    },
    /// A token of AuthZ mode (JWT): what its user may do through one service, which goes with an ID token of the
    /// identity provider.
    AuthzToken {
        /// Its `jti`.
        token: TokenId,
        /// Its `sid`.
        session: SessionId,
        /// Its `svc`: the scope that it was made for.
        service: ServiceName,
        /// Its `idp_sub`: the subject of the ID token that it goes with.
        idp_subject: String,
        /// Its `exp`.
        expires_at: Timestamp,
    },
    /// A service app's key.
    ServiceKey {
        /// The app it belongs to.
        app: ServiceAppId,
    },
}

impl Credential {
    /// The session and the id of a token; `None` for a key.
    pub fn token(&self) -> Option<(SessionId, TokenId)> {
        match self {
            Self::AccessToken { token, session, .. } | Self::AuthzToken { token, session, .. } => {
                Some((*session, *token))
            }
            Self::ServiceKey { .. } => None,
        }
    }

    /// When a token ends by itself; `None` for a key.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::AccessToken { expires_at, .. } | Self::AuthzToken { expires_at, .. } => Some(*expires_at),
            Self::ServiceKey { .. } => None,
        }
    }
}

/// A signed-in user, acting in one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// The e-mail address at the time the token was minted; a token of AuthZ mode has none.
    pub email: Option<String>,
    /// The name at the time the token was minted; a token of AuthZ mode has none.
    pub name: Option<String>,
    /// The workspace that the token is limited to.
    pub workspace: WorkspaceId,
    /// That workspace's slug.
    pub workspace_slug: Slug,
    /// The role when the token was minted. Decisions use the live role of the replica, never this one.
    pub role_at_mint: WorkspaceRole,
    /// The revision at which the token was minted: an older replica must not judge it.
    pub minted_at: Option<Revision>,
    /// The token.
    pub credential: Credential,
}

/// A calling service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The app whose key was shown.
    pub app: ServiceAppId,
    /// The app's scope.
    pub name: ServiceName,
    /// When the key that was shown ends; `None` while it is the app's current key.
    pub expires_at: Option<Timestamp>,
}

/// Somebody whom another issuer vouches for. He is a member of no workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalUser {
    /// The issuer, by the name that the configuration gives it.
    pub issuer: String,
    /// The `sub` of his token: who he is for that issuer.
    pub subject: String,
    /// Until when his token is taken.
    pub expires_at: Timestamp,
}

/// The verified caller of a request. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Principal {
    user: Option<Arc<User>>,
    external: Option<Arc<ExternalUser>>,
    service: Option<Arc<Service>>,
}

impl Principal {
    /// The caller whose credentials were verified: at most one of each kind. Nobody at all is the anonymous caller.
    pub fn verified(user: Option<Arc<User>>, service: Option<Arc<Service>>) -> Self {
        Self {
            user,
            external: None,
            service,
        }
    }

    /// The caller whose user's token another issuer made.
    pub fn external(user: Arc<ExternalUser>, service: Option<Arc<Service>>) -> Self {
        Self {
            user: None,
            external: Some(user),
            service,
        }
    }

    /// The user, if a user's token of the control plane was verified.
    pub fn user(&self) -> Option<&User> {
        self.user.as_deref()
    }

    /// The user of another issuer, if his token was verified.
    pub fn external_user(&self) -> Option<&ExternalUser> {
        self.external.as_deref()
    }

    /// The service, if a service key was verified.
    pub fn service(&self) -> Option<&Service> {
        self.service.as_deref()
    }

    /// Whether a person stands behind the request, of whichever issuer.
    pub fn has_user(&self) -> bool {
        self.user.is_some() || self.external.is_some()
    }

    /// Whether no credential was verified.
    pub fn is_anonymous(&self) -> bool {
        !self.has_user() && self.service.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_anonymous() {
        assert!(Principal::default().is_anonymous());
        let service = Service {
            app: uuid::Uuid::nil().into(),
            name: "docs".parse().expect("name"),
            expires_at: None,
        };
        let principal = Principal::verified(None, Some(Arc::new(service)));
        assert!(!principal.is_anonymous());
        assert!(principal.user().is_none());
    }
}
