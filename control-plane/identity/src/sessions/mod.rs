//! Sessions: one for each login, in the database. A session is the family of its refresh tokens; ending it ends them, and
//! every access token of it at every edge.
//!
//! A refresh token works once. Rotation is a compare-and-swap in the database, so of any number of callers one wins; to
//! show a spent token again is taken for theft and ends the session, whoever shows it (RFC 9700 §4.14.2).
//!
//! There is one exception, for an answer that was lost on its way: within [`Lifetimes::refresh_grace`] of being spent, a
//! token is answered a second time, with the same successor, if nobody has used that yet. A second compare-and-swap makes
//! it once and not twice. The successor that was sent twice has no grace of its own: two may hold it, its owner and a thief
//! who was that quick, and whoever of them shows it second ends the session. So a thief gains nothing over one who shows
//! the token first, and cannot go along with its owner from one link to the next. Of two answers in a row the second cannot
//! be lost without harm, and an application that asks many times at once loses its session still; its user is asked to sign
//! in. With a grace of nothing there is no exception.
//!
//! A session of AuthZ mode belongs to a service app and has no refresh tokens; there is one for each user in a workspace.

mod admin;
mod authz;
mod end;
mod member;
mod refresh;
mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use sentinel_access::Access;
use sentinel_access::activity::{Action, Entry, Target};
use sentinel_core::id::{ClientAppId, ServiceAppId, SessionId, UserId, WorkspaceId};
use sentinel_core::principal::OUTLIVES;
use sentinel_core::{Clock, Random, Timestamp};
use sentinel_store::{Database, Tx};

pub use admin::{AdminRefusal, AdminSession};
pub use authz::{AuthzMinted, Vouched};
pub use end::Swept;
pub(crate) use end::facts;
pub use refresh::RefreshError;

use crate::Lifetimes;
use crate::error::IdentityError;
use crate::keys::Keys;
use crate::tokens::{Successor, TokenPair, Tokens};
use member::Hold;

/// For how long a revocation is kept after the last access token of a session was minted: the longest life that a token can
/// be configured to have (so that a configuration that was changed in between cannot bring one back), the time that an open
/// exchange may outlive it at an edge, and then some for clocks that differ.
const REVOCATION_LIFE: Duration = Duration::from_mins(60 + 5).saturating_add(OUTLIVES);

/// From where a session is used, as far as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// The address.
    pub ip: Option<String>,
    /// The beginning of the user agent.
    pub user_agent: Option<String>,
}

/// Who may get a session, as a login has found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The user.
    pub user: UserId,
    /// The workspace; `None` for the admin panel.
    pub workspace: Option<WorkspaceId>,
    /// The application that the user signed in to.
    pub client_app: Option<ClientAppId>,
    /// The service app that tokens of AuthZ mode are made for.
    pub service_app: Option<ServiceAppId>,
    /// The identity provider.
    pub provider: String,
    /// When the user signed in there.
    pub auth_time: Timestamp,
    /// When that reached us. If all of his sessions are ended after it, there is none to begin.
    pub arrived_at: Timestamp,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// From where.
    pub context: Context,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The user signed out.
    Logout,
    /// A spent refresh token was shown again.
    Reuse,
    /// The user is no member of the workspace any more.
    NotAMember,
    /// The account was deactivated.
    Deactivated,
    /// The user has another role in the workspace, or has left a group of it.
    RightsChanged,
    /// The user is no administrator of the installation any more.
    Demoted,
    /// The application was withdrawn.
    AppWithdrawn,
    /// An administrator ended it.
    Revoked,
}

impl EndReason {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Reuse => "reuse",
            Self::NotAMember => "not_a_member",
            Self::Deactivated => "deactivated",
            Self::RightsChanged => "rights_changed",
            Self::Demoted => "demoted",
            Self::AppWithdrawn => "app_withdrawn",
            Self::Revoked => "revoked",
        }
    }
}

/// Why a session was not begun.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no such active app.
    #[error("there is no such active app")]
    AppNotFound,
    /// There is no such active user.
    #[error("there is no such active user")]
    UserNotFound,
    /// There is no such workspace.
    #[error("there is no such workspace")]
    WorkspaceNotFound,
    /// The user is no member of the workspace.
    #[error("the user is no member of the workspace")]
    NotAMember,
    /// All of the user's sessions were ended after he signed in.
    #[error("all sessions of the user were ended after this sign-in")]
    SignedOut,
    /// A fault.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

/// The service of sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    database: Database,
    access: Access,
    keys: Keys,
    tokens: Tokens,
    lifetimes: Lifetimes,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Sessions {
    /// The service.
    pub fn new(
        database: Database,
        access: Access,
        keys: Keys,
        tokens: Tokens,
        lifetimes: Lifetimes,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            database,
            access,
            keys,
            tokens,
            lifetimes,
            clock,
            random,
        }
    }

    /// Begins a session in a workspace, for a member of it.
    pub async fn start(&self, grant: &Grant) -> Result<TokenPair, StartError> {
        let workspace = grant.workspace.ok_or(StartError::WorkspaceNotFound)?;
        let now = self.clock.now();
        let session = SessionId::generate(now, &*self.random);
        let session_until = now + self.lifetimes.session;
        let refresh = self.successor(now, session_until);
        let mut tx = self.database.begin().await.map_err(IdentityError::from)?;
        if let Some(app) = grant.client_app {
            self.access
                .client_apps
                .find_locked(&mut tx, app)
                .await
                .map_err(IdentityError::from)?
                .filter(|app| app.is_active)
                .ok_or(StartError::AppNotFound)?;
        }
        let subject = self.subject(&mut tx, grant.user, workspace, Hold::Locked).await?;
        if subject.signed_out_since(grant.arrived_at) {
            return Err(StartError::SignedOut);
        }
        let insert = async {
            rows::insert_session(&mut tx, session, grant, now, session_until).await?;
            rows::insert_refresh(&mut tx, session, refresh).await
        };
        insert.await.map_err(IdentityError::from)?;
        let claims = subject.claims(session, grant.auth_time, &grant.amr);
        let pair = self.tokens.pair(&mut tx, claims, refresh).await?;
        tx.commit().await.map_err(IdentityError::from)?;
        Ok(pair)
    }

    async fn note(
        &self,
        tx: &mut Tx,
        action: Action,
        user: UserId,
        detail: Option<serde_json::Value>,
    ) -> Result<(), IdentityError> {
        let entry = Entry {
            action,
            actor: Some(user),
            target: Target::user(user),
            workspace: None,
            detail,
        };
        Ok(self.access.activity.record(tx, entry).await?)
    }

    /// A fresh refresh token. None outlives its session.
    fn successor(&self, now: Timestamp, session_until: Timestamp) -> Successor {
        Successor {
            id: self.tokens.fresh_id(),
            issued_at: now,
            expires_at: (now + self.lifetimes.refresh).min(session_until),
        }
    }
}
