//! Tokens of AuthZ mode, and the session that all of a user's tokens for one service app in a workspace belong to.

use secrecy::SecretString;
use sentinel_access::workspaces::Workspace;
use sentinel_core::WorkspaceRole;
use sentinel_core::id::SessionId;
use sentinel_core::name::ServiceName;
use sentinel_store::Tx;

use super::member::{Hold, Member};
use super::{Grant, Sessions, StartError, rows};
use crate::error::IdentityError;
use crate::tokens::Scope;

/// A token of AuthZ mode, and what its answer says besides.
#[derive(Debug)]
pub struct AuthzMinted {
    /// The token.
    pub token: SecretString,
    /// How long it lasts, in seconds.
    pub expires_in: u64,
    /// The workspace that it is limited to.
    pub workspace: Workspace,
    /// The user's role there.
    pub role: WorkspaceRole,
}

/// Whom a token of an identity provider is about.
#[derive(Debug, Clone, Copy)]
pub struct Vouched<'a> {
    /// Its `sub`.
    pub subject: &'a str,
    /// Its `iss`; `None` if it is no ID token.
    pub issuer: Option<&'a str>,
}

impl<'a> From<&'a str> for Vouched<'a> {
    fn from(subject: &'a str) -> Self {
        Self {
            subject,
            issuer: None,
        }
    }
}

impl Sessions {
    /// Makes a token of AuthZ mode for a member of `grant.workspace`, to be used through `grant.service_app` together with
    /// an ID token of `vouched`. `made_for` is the scope that it counts in, `actions` are what the user's roles allow
    /// there now.
    ///
    /// All of them belong to one session, which is the live one of this user in this workspace through this app, or a new
    /// one; it ends when the last of them does. So whatever ends a user's sessions ends these tokens too, though none of
    /// them is written down. The caller commits.
    ///
    /// # Errors
    /// [`StartError`]; [`StartError::AppNotFound`] when the service app is gone or disabled.
    pub async fn mint_authz(
        &self,
        tx: &mut Tx,
        grant: &Grant,
        made_for: &ServiceName,
        vouched: impl Into<Vouched<'_>>,
        actions: Vec<String>,
    ) -> Result<AuthzMinted, StartError> {
        let (vouched, now) = (vouched.into(), self.clock.now());
        let member = self.held(tx, grant).await?;
        let fresh = SessionId::generate(now, &*self.random);
        let session = rows::continue_authz(tx, fresh, grant, now, now + self.lifetimes.authz)
            .await
            .map_err(IdentityError::from)?;
        let scope = Scope {
            service: made_for,
            idp_subject: vouched.subject,
            idp_issuer: vouched.issuer,
            actions,
        };
        let claims = member.claims(session, grant.auth_time, &grant.amr);
        let token = self.tokens.authz(tx, claims, scope).await?;
        Ok(AuthzMinted {
            token,
            expires_in: self.lifetimes.authz.as_secs(),
            workspace: member.workspace,
            role: member.role,
        })
    }

    /// Holds what a token of AuthZ mode is made by until the transaction ends: the account, the membership with its role, and
    /// the service app. Whoever takes one of them away waits for that, and then finds the token's session. Custom roles and
    /// what they allow are not held.
    ///
    /// # Errors
    /// As [`Sessions::mint_authz`].
    pub(crate) async fn hold_for_authz(&self, tx: &mut Tx, grant: &Grant) -> Result<(), StartError> {
        self.held(tx, grant).await.map(drop)
    }

    async fn held(&self, tx: &mut Tx, grant: &Grant) -> Result<Member, StartError> {
        let app = grant.service_app.ok_or(StartError::AppNotFound)?;
        let workspace = grant.workspace.ok_or(StartError::WorkspaceNotFound)?;
        self.access
            .service_apps
            .find_locked(tx, app)
            .await
            .map_err(IdentityError::from)?
            .filter(|app| app.is_active)
            .ok_or(StartError::AppNotFound)?;
        self.subject(tx, grant.user, workspace, Hold::Locked).await
    }
}
