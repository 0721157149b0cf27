//! What an application does with its code: lists the workspaces to choose from, and exchanges it for tokens.

use sentinel_core::id::WorkspaceId;

use super::state::{self, CodeGrant};
use super::{ExchangeError, Login, WorkspaceChoice};
use crate::error::IdentityError;
use crate::sessions::{Context, Grant, StartError};
use crate::tokens::TokenPair;

impl Login {
    /// The workspaces that the user of a code may choose from. The code stays good. With `verifier` whoever asks also
    /// proves that the code was made for him.
    pub async fn workspaces(
        &self,
        code: &str,
        verifier: Option<&str>,
    ) -> Result<Vec<WorkspaceChoice>, ExchangeError> {
        let grant: CodeGrant = state::peek(&*self.0.short_lived, code, self.0.clock.now())
            .await?
            .ok_or(ExchangeError::InvalidCode)?;
        if verifier.is_some_and(|verifier| !grant.is_proved_by(verifier)) {
            return Err(ExchangeError::Pkce);
        }
        let mut tx = self.0.database.read().await.map_err(IdentityError::from)?;
        let user = self
            .0
            .access
            .users
            .find(&mut tx, grant.user)
            .await
            .map_err(IdentityError::from)?;
        let user = user
            .filter(|user| user.is_active)
            .ok_or(ExchangeError::UserNotFound)?;
        if user.signed_out_at.is_some_and(|at| at > grant.arrived_at) {
            return Err(ExchangeError::InvalidCode);
        }
        let workspaces = self
            .0
            .access
            .members
            .workspaces_of(&mut tx, grant.user)
            .await
            .map_err(IdentityError::from)?;
        Ok(workspaces.into_iter().map(WorkspaceChoice::from).collect())
    }

    /// Exchanges a code for tokens. The code is gone whatever comes of it, also a wrong verifier burns it; but for a fault
    /// of ours, after which it may be tried again.
    pub async fn exchange(
        &self,
        code: &str,
        verifier: &str,
        workspace: WorkspaceId,
        context: Context,
    ) -> Result<TokenPair, ExchangeError> {
        let kept: CodeGrant = state::take(&*self.0.short_lived, code, self.0.clock.now())
            .await?
            .ok_or(ExchangeError::InvalidCode)?;
        if !kept.is_proved_by(verifier) {
            return Err(ExchangeError::Pkce);
        }
        let grant = kept.clone();
        if self.0.providers.find(&grant.provider).is_none() {
            return Err(ExchangeError::WithdrawnCode);
        }
        let grant = Grant {
            user: grant.user,
            workspace: Some(workspace),
            client_app: Some(grant.client_app),
            service_app: None,
            arrived_at: grant.arrived_at,
            provider: grant.provider,
            auth_time: grant.auth_time,
            amr: grant.amr,
            context,
        };
        match self.0.sessions.start(&grant).await {
            Ok(pair) => Ok(pair),
            Err(error) => {
                if matches!(error, StartError::Failed(_)) {
                    self.give_back(code, &kept).await;
                }
                Err(error.into())
            }
        }
    }

    /// Puts a code back that was taken in vain. That it cannot be put back changes nothing about the answer.
    async fn give_back(&self, code: &str, grant: &CodeGrant) {
        let left = (grant.expires_at - self.0.clock.now())
            .to_std()
            .unwrap_or_default();
        if let Err(error) = state::put(&*self.0.short_lived, code, grant, left).await {
            tracing::warn!(error = %error, "a code that was taken in vain could not be put back");
        }
    }
}
