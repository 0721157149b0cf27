//! The way back: from the provider's answer to a code for the application, or to a session of the admin panel.

use sentinel_access::activity::{Action, Entry, Target};
use sentinel_core::id::UserId;
use sentinel_store::WriteTx;
use sentinel_token::hash::constant_time_eq;

use super::state::{self, CodeGrant, LoginState, Purpose, digest, fresh_secret};
use super::{CallbackQuery, CallbackRefusal, Finished, Login};
use crate::error::IdentityError;
use crate::providers::{Arrival, Provider};
use crate::sessions::{Context, Grant};
use crate::tokens::plain_methods;

impl Login {
    /// Checks that the answer belongs to a login of this browser, asks the provider who it was, and ends the login.
    pub(super) async fn finish<'c>(
        &self,
        provider: &str,
        query: CallbackQuery,
        cookie: impl FnOnce(&str) -> Option<&'c str> + Send,
        admin: bool,
        context: &Context,
    ) -> Result<Finished, CallbackRefusal> {
        let provider = self
            .provider(provider)
            .map_err(|_| CallbackRefusal::UnknownProvider)?;
        let login = query.state.as_deref().ok_or(CallbackRefusal::InvalidSession)?;
        let bound = cookie(&Self::cookie_name(login)).map(digest);
        let kept: LoginState = state::take(&*self.0.short_lived, login, self.0.clock.now())
            .await?
            .ok_or(CallbackRefusal::SessionExpired)?;
        let same_browser =
            bound.is_some_and(|bound| constant_time_eq(bound.as_bytes(), kept.binding.as_bytes()));
        let same_flow = kept.provider == provider.name() && matches!(kept.purpose, Purpose::Admin) == admin;
        if !same_browser || !same_flow {
            return Err(CallbackRefusal::InvalidSession);
        }
        let Some(code) = query.code.filter(|_| query.error.is_none()) else {
            return Err(CallbackRefusal::Declined);
        };
        let path = if admin {
            "auth/admin/callback"
        } else {
            "auth/callback"
        };
        let callback = self
            .callback_url(path, provider)
            .map_err(|_| CallbackRefusal::UnknownProvider)?;
        let mut arrival = provider
            .arrive(
                &callback,
                code,
                query.iss.as_deref(),
                &kept.nonce,
                kept.pkce_verifier,
            )
            .await?;
        arrival.amr = plain_methods(arrival.amr);
        match kept.purpose {
            Purpose::App {
                client_app,
                redirect_uri,
                code_challenge,
                state,
            } => {
                let mut tx = self.0.database.write().await.map_err(IdentityError::from)?;
                let app = self.client_app(&mut tx, Some(client_app), &redirect_uri).await?;
                if app.is_none() {
                    return Err(CallbackRefusal::AppNotAllowed);
                }
                let user = self
                    .user(&mut tx, provider, &arrival, false, Action::UserLogin, context)
                    .await?;
                let code = fresh_secret(&*self.0.random);
                let grant = CodeGrant {
                    user,
                    provider: provider.name().to_owned(),
                    client_app,
                    code_challenge,
                    auth_time: arrival.auth_time,
                    amr: arrival.amr,
                    arrived_at: self.0.clock.now(),
                    expires_at: self.0.clock.now() + state::CODE,
                };
                tx.commit().await.map_err(IdentityError::from)?;
                state::put(&*self.0.short_lived, &code, &grant, state::CODE).await?;
                Ok(Finished::App(with_code(&redirect_uri, &code, state.as_deref())))
            }
            Purpose::Admin => {
                let mut tx = self.0.database.write().await.map_err(IdentityError::from)?;
                let user = self
                    .user(&mut tx, provider, &arrival, true, Action::AdminLogin, context)
                    .await?;
                let grant = Grant {
                    user,
                    workspace: None,
                    client_app: None,
                    service_app: None,
                    arrived_at: self.0.clock.now(),
                    provider: provider.name().to_owned(),
                    auth_time: arrival.auth_time,
                    amr: arrival.amr,
                    context: context.clone(),
                };
                let token = self.0.sessions.start_admin(&mut tx, &grant).await?;
                tx.commit().await.map_err(IdentityError::from)?;
                Ok(Finished::Admin(token))
            }
        }
    }

    /// The user of an arrival, with the activity row of his login.
    async fn user(
        &self,
        tx: &mut WriteTx,
        provider: &Provider,
        arrival: &Arrival,
        admins_only: bool,
        action: Action,
        context: &Context,
    ) -> Result<UserId, CallbackRefusal> {
        let user = self
            .0
            .accounts
            .resolve(tx, provider.name(), &arrival.identity, admins_only)
            .await?;
        let entry = entry_of_login(action, user.id, provider, context);
        self.0
            .access
            .activity
            .record(tx, entry)
            .await
            .map_err(IdentityError::from)?;
        Ok(user.id)
    }
}

/// The activity row of a login.
pub(crate) fn entry_of_login(action: Action, user: UserId, provider: &Provider, context: &Context) -> Entry {
    Entry {
        action,
        actor: Some(user),
        target: Target::user(user),
        workspace: None,
        detail: Some(serde_json::json!({
            "provider": provider.name(), "ip": context.ip, "user_agent": context.user_agent,
        })),
    }
}

/// The application's address with our code and its own state.
fn with_code(redirect_uri: &str, code: &str, state: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("code", code);
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    let separator = if redirect_uri.contains('?') { '&' } else { '?' };
    format!("{redirect_uri}{separator}{}", query.finish())
}
