//! From a token of an identity provider to a user, his workspaces, and a token of ours.

use sentinel_access::activity::Action;
use sentinel_access::users::User;
use sentinel_core::Revision;
use sentinel_core::id::WorkspaceId;
use sentinel_core::principal::Service;
use sentinel_store::Tx;

use super::{Authz, Caller, Outcome, Resolution, ResolveError, ResolveRequest};
use crate::accounts::Identity;
use crate::error::IdentityError;
use crate::login::{WorkspaceChoice, entry_of_login};
use crate::providers::{Expected, Provider, Voucher};
use crate::sessions::{AuthzMinted, Context, Grant, Vouched};
use crate::tokens::plain_methods;

/// The longest part of a made-up provider's name that is repeated.
const MAX_NAME: usize = 64;

impl Authz {
    /// Says whose a token of an identity provider is, and makes an account for him at his first sign-in. With a workspace a
    /// service gets a token of ours for it; without one the caller learns which there are.
    ///
    /// It needs no short-lived store. For somebody who has been here before, and about whom nothing has changed, it does
    /// not wait for a turn to write either, and nor is anybody refused only after one.
    pub async fn resolve(
        &self,
        asked: ResolveRequest<'_>,
        caller: &Caller,
        context: &Context,
    ) -> Result<Resolution, ResolveError> {
        let wanted = match (asked.workspace, caller) {
            (Some(_), Caller::Page(_)) => return Err(ResolveError::KeyRequired),
            (Some(workspace), Caller::Service(service)) => Some((workspace, service)),
            (None, _) => None,
        };
        let audiences = self.audiences(caller).await?;
        let provider = self
            .0
            .providers
            .find(asked.provider)
            .ok_or_else(|| ResolveError::UnsupportedProvider(shown(asked.provider)))?;
        let expected = Expected {
            audiences: &audiences,
            nonce: asked.nonce,
        };
        let voucher = provider.vouch(asked.token, &expected).await?;
        let (user, revision) = self.user(provider, &voucher.identity, context).await?;
        let outcome = match wanted {
            Some((workspace, service)) => {
                let minted = self
                    .mint(&user, workspace, service, provider, voucher, context)
                    .await?;
                Outcome::Minted(minted)
            }
            None => Outcome::Choice(self.choice(&user).await?),
        };
        Ok(Resolution {
            user,
            outcome,
            revision,
        })
    }

    /// For whom the caller's tokens may have been made; empty for our own client.
    async fn audiences(&self, caller: &Caller) -> Result<Vec<String>, ResolveError> {
        let mut tx = self.0.database.read().await?;
        let app = self
            .0
            .access
            .service_apps
            .find(&mut tx, caller.app())
            .await
            .map_err(IdentityError::from)?
            .filter(|app| app.is_active)
            .ok_or(ResolveError::AppNotFound)?;
        Ok(app.allowed_idp_audiences)
    }

    async fn user(
        &self,
        provider: &Provider,
        identity: &Identity,
        context: &Context,
    ) -> Result<(User, Option<Revision>), ResolveError> {
        let accounts = &self.0.accounts;
        let refused = |refusal| ResolveError::of_account(refusal, identity.email.as_deref());
        let mut tx = self.0.database.read().await?;
        let unchanged = accounts.find_unchanged(&mut tx, provider.name(), identity);
        if let Some(user) = unchanged.await.map_err(refused)? {
            return Ok((user, None));
        }
        drop(tx);
        let mut tx = self.0.database.write().await?;
        let is_known = accounts.is_known(&mut tx, provider.name(), identity).await?;
        let user = accounts
            .resolve(&mut tx, provider.name(), identity, false)
            .await
            .map_err(refused)?;
        // An application asks every few minutes: only the first time is a login.
        if !is_known {
            self.note_login(&mut tx, &user, provider, context).await?;
        }
        let revision = tx.commit().await?;
        Ok((user, revision))
    }

    async fn note_login(
        &self,
        tx: &mut Tx,
        user: &User,
        provider: &Provider,
        context: &Context,
    ) -> Result<(), ResolveError> {
        let entry = entry_of_login(Action::UserLogin, user.id, provider, context);
        let written = self.0.access.activity.record(tx, entry).await;
        Ok(written.map_err(IdentityError::from)?)
    }

    async fn choice(&self, user: &User) -> Result<Vec<WorkspaceChoice>, ResolveError> {
        let mut tx = self.0.database.read().await?;
        let joined = self
            .0
            .access
            .members
            .workspaces_of(&mut tx, user.id)
            .await
            .map_err(IdentityError::from)?;
        Ok(joined.into_iter().map(WorkspaceChoice::from).collect())
    }

    async fn mint(
        &self,
        user: &User,
        workspace: WorkspaceId,
        service: &Service,
        provider: &Provider,
        voucher: Voucher,
        context: &Context,
    ) -> Result<AuthzMinted, ResolveError> {
        let grant = Grant {
            user: user.id,
            workspace: Some(workspace),
            client_app: None,
            service_app: Some(service.app),
            provider: provider.name().to_owned(),
            auth_time: voucher.auth_time,
            arrived_at: self.0.clock.now(),
            amr: plain_methods(voucher.amr),
            context: context.clone(),
        };
        let mut tx = self.0.database.begin().await?;
        // Account, membership and app are held from before the look at what he may do until the session is written: whoever
        // takes one of them away ends the session too. Custom roles are not held, and taking one away neither waits for this
        // nor revokes a token: what `actions` says may be out of date at once. It is for the application to look at, and
        // every decision of ours is made by the roles that there are then.
        self.0.sessions.hold_for_authz(&mut tx, &grant).await?;
        let actions = self
            .0
            .access
            .roles
            .actions_of(&mut tx, workspace, user.id, &service.name)
            .await
            .map_err(IdentityError::from)?;
        let actions = actions.iter().map(|action| action.as_str().to_owned()).collect();
        let proven = Vouched {
            subject: &voucher.subject,
            issuer: voucher.issuer.as_deref(),
        };
        let minted = self
            .0
            .sessions
            .mint_authz(&mut tx, &grant, &service.name, proven, actions)
            .await?;
        tx.commit().await?;
        Ok(minted)
    }
}

/// What a client wrote, as far as it may be repeated to it.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_wrote_is_repeated_in_part() {
        assert_eq!(shown("go\0og\nle"), "google");
        assert_eq!(shown(&"ë".repeat(100)).chars().count(), MAX_NAME);
    }
}
