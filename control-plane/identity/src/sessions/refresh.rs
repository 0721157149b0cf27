//! The exchange of a refresh token for the next pair, and what becomes of one that is shown again.

use sentinel_access::activity::Action;
use sentinel_core::Timestamp;
use sentinel_core::id::{SessionId, TokenId, UserId, WorkspaceId};
use sentinel_store::{StoreError, Tx};

use super::member::Hold;
use super::{Context, EndReason, Sessions, StartError, rows};
use crate::error::IdentityError;
use crate::tokens::{Successor, TokenPair};

/// Why a refresh token was not exchanged. The client is told the same for all of the first three.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It is no refresh token of ours, or has expired.
    #[error("the refresh token is not valid")]
    Invalid,
    /// It was spent before: the session is over now.
    #[error("the refresh token was used before")]
    Reused,
    /// Its session is over, or may not go on: the user was deactivated or is no member any more.
    #[error("the session is over")]
    Over,
    /// A fault. The token is not spent.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

impl Sessions {
    /// Exchanges a refresh token for the next pair.
    pub async fn refresh(&self, token: &str, context: &Context) -> Result<TokenPair, RefreshError> {
        let now = self.clock.now();
        let mut tx = self.database.begin().await.map_err(IdentityError::from)?;
        let keys = self.keys.published(&mut tx).await.map_err(IdentityError::from)?;
        let verified = self
            .tokens
            .verify_refresh(token, &keys, now)
            .map_err(|_| RefreshError::Invalid)?;
        let (jti, session) = (verified.token(), verified.session());
        // The session before its tokens: whoever refreshes it, ends it or deletes it with them takes his turn here.
        let Some(row) = rows::touch(&mut tx, session, now)
            .await
            .map_err(IdentityError::from)?
        else {
            return Err(RefreshError::Over);
        };
        let (user, workspace) = (UserId::from(row.user_id), row.workspace_id.map(WorkspaceId::from));
        let Some(workspace) = workspace.filter(|_| user == verified.user_id()) else {
            return Err(RefreshError::Invalid);
        };
        let fresh = self.successor(now, row.expires_at);
        let next = self
            .exchange(&mut tx, jti, session, fresh, now)
            .await
            .map_err(IdentityError::from)?;
        let Some(successor) = next else {
            drop(tx);
            return Err(self.reused(user, session, context).await?);
        };
        let subject = match self.subject(&mut tx, user, workspace, Hold::Free).await {
            Ok(subject) => subject,
            Err(StartError::Failed(error)) => return Err(error.into()),
            Err(refusal) => {
                drop(tx);
                let reason = match refusal {
                    StartError::UserNotFound => EndReason::Deactivated,
                    _ => EndReason::NotAMember,
                };
                return Err(self.over(session, reason).await?);
            }
        };
        let claims = subject.claims(session, row.auth_time, &row.amr);
        let pair = self.tokens.pair(&mut tx, claims, successor).await?;
        tx.commit().await.map_err(IdentityError::from)?;
        Ok(pair)
    }

    /// The refresh token that follows: `fresh` if this one was not spent yet, the one it was exchanged for if that answer
    /// was lost, and none if it was used before.
    async fn exchange(
        &self,
        tx: &mut Tx,
        jti: TokenId,
        session: SessionId,
        fresh: Successor,
        now: Timestamp,
    ) -> Result<Option<Successor>, StoreError> {
        if rows::spend(tx, jti, session, fresh.id, now).await? {
            rows::insert_refresh(tx, session, fresh).await?;
            return Ok(Some(fresh));
        }
        let grace = self.lifetimes.refresh_grace;
        // Not only to save a look: the clock of the process that spent it may be ahead of this one's.
        if grace.is_zero() || !rows::replay(tx, jti, session, now - grace, now).await? {
            return Ok(None);
        }
        let successor = rows::unspent_successor(tx, jti, session, now).await?;
        if successor.is_some() {
            tracing::debug!(session.id = %session, "the answer to a refresh was lost, and is sent again");
        }
        Ok(successor)
    }

    async fn reused(
        &self,
        user: UserId,
        session: SessionId,
        context: &Context,
    ) -> Result<RefreshError, IdentityError> {
        let mut tx = self.database.write().await?;
        if self.end(&mut tx, session, EndReason::Reuse).await? > 0 {
            let detail =
                serde_json::json!({ "session": session, "ip": context.ip, "user_agent": context.user_agent });
            self.note(&mut tx, Action::RefreshReuseDetected, user, Some(detail))
                .await?;
            tracing::warn!(session.id = %session, user.id = %user, "a spent refresh token was shown again: its session was ended");
        }
        tx.commit().await?;
        Ok(RefreshError::Reused)
    }

    async fn over(&self, session: SessionId, reason: EndReason) -> Result<RefreshError, IdentityError> {
        let mut tx = self.database.write().await?;
        self.end(&mut tx, session, reason).await?;
        tx.commit().await?;
        Ok(RefreshError::Over)
    }
}
