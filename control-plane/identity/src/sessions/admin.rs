//! Sessions of the admin panel. Nothing of them but the key that signed their tokens is in a replica: what a token is worth
//! is asked of the database.

use sentinel_access::activity::Action;
use sentinel_core::Timestamp;
use sentinel_core::id::{SessionId, TokenId, UserId};
use sentinel_store::{Tx, WriteTx};
use sentinel_token::VerifiedAdmin;

use super::{EndReason, Grant, Sessions, StartError, rows};
use crate::error::IdentityError;
use crate::tokens::AdminToken;

/// A live session of an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSession {
    /// Who.
    pub user: UserId,
    /// His e-mail address, from the token.
    pub email: String,
    /// His name, from the token.
    pub name: String,
    /// The token's id.
    pub token: TokenId,
    /// The session.
    pub session: SessionId,
    /// When the token is over by itself.
    pub expires_at: Timestamp,
}

/// Why an admin token is not accepted, in the order in which it is checked.
#[derive(Debug, thiserror::Error)]
pub enum AdminRefusal {
    /// It is not for an administrator.
    #[error("the token is not an administrator's")]
    NotAdmin,
    /// Its session is over.
    #[error("the admin session is over")]
    Revoked,
    /// The account was deactivated.
    #[error("the account is deactivated")]
    Deactivated,
    /// The user is no administrator any more.
    #[error("the user is no administrator any more")]
    PrivilegesRevoked,
    /// A fault.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

impl Sessions {
    /// Begins a session of the admin panel. Whether the user is an administrator is checked at every request.
    pub async fn start_admin(&self, tx: &mut Tx, grant: &Grant) -> Result<AdminToken, StartError> {
        let user = self
            .access
            .users
            .find_locked(tx, grant.user)
            .await
            .map_err(IdentityError::from)?
            .filter(|user| user.is_active)
            .ok_or(StartError::UserNotFound)?;
        let now = self.clock.now();
        let session = SessionId::generate(now, &*self.random);
        rows::insert_session(tx, session, grant, now, now + self.lifetimes.admin)
            .await
            .map_err(IdentityError::from)?;
        let who = (user.id, user.email.as_str(), user.name.as_str());
        Ok(self
            .tokens
            .admin(tx, who, session, grant.auth_time, &grant.amr)
            .await?)
    }

    /// Whether an administrator's session goes on and he is one still, by the rows of this very transaction: what he
    /// writes in it is written by an administrator, though he was demoted a moment after the request came in.
    ///
    /// # Errors
    /// As [`Sessions::admin`].
    pub async fn confirm_admin(
        &self,
        tx: &mut WriteTx,
        admin: UserId,
        session: SessionId,
    ) -> Result<(), AdminRefusal> {
        self.live_admin(tx, admin, session, self.clock.now()).await
    }

    async fn live_admin(
        &self,
        tx: &mut Tx,
        admin: UserId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<(), AdminRefusal> {
        let row = rows::live(tx, session, now)
            .await
            .map_err(IdentityError::from)?
            .filter(|row| row.user_id == admin.as_uuid())
            .ok_or(AdminRefusal::Revoked)?;
        if row.workspace_id.is_some() {
            return Err(AdminRefusal::NotAdmin);
        }
        let user = self
            .access
            .users
            .find(tx, admin)
            .await
            .map_err(IdentityError::from)?;
        match user {
            Some(user) if !user.is_active => Err(AdminRefusal::Deactivated),
            Some(user) if user.is_admin => Ok(()),
            _ => Err(AdminRefusal::PrivilegesRevoked),
        }
    }

    /// The administrator's session that a token belongs to, by what the database says now. The token has been verified
    /// before, by the keys of a replica: nobody else's has the database asked.
    pub async fn admin(&self, verified: &VerifiedAdmin) -> Result<AdminSession, AdminRefusal> {
        let now = self.clock.now();
        let claims = verified.claims();
        let mut tx = self.database.read().await.map_err(IdentityError::from)?;
        self.live_admin(&mut tx, claims.sub, claims.sid, now).await?;
        Ok(AdminSession {
            user: claims.sub,
            email: claims.email.clone(),
            name: claims.name.clone(),
            token: claims.jti,
            session: claims.sid,
            expires_at: verified.expires_at(),
        })
    }

    /// Signs an administrator out of the panel. Other sessions of his go on.
    pub async fn admin_logout(&self, admin: UserId, session: SessionId) -> Result<(), IdentityError> {
        let mut tx = self.database.write().await?;
        self.end(&mut tx, session, EndReason::Logout).await?;
        self.note(&mut tx, Action::AdminLogout, admin, None).await?;
        tx.commit().await?;
        Ok(())
    }
}
