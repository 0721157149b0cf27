//! The way out: to the provider, with state, nonce and a challenge of our own.

use url::Url;

use super::state::{self, LoginState, Purpose, digest, fresh_secret};
use super::{AppLogin, Login, LoginError, Started};
use crate::error::IdentityError;
use crate::providers::Provider;

/// The longest `state` that an application may have echoed, in characters.
const MAX_STATE: usize = 512;

impl Login {
    pub(super) async fn begin_app(&self, provider: &str, asked: AppLogin) -> Result<Started, LoginError> {
        let provider = self.provider(provider)?;
        if asked.code_challenge_method != "S256" {
            return Err(LoginError::ChallengeMethod);
        }
        let is_challenge = asked.code_challenge.len() == 43
            && asked
                .code_challenge
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !is_challenge {
            return Err(LoginError::Challenge);
        }
        if asked
            .state
            .as_ref()
            .is_some_and(|state| state.chars().count() > MAX_STATE)
        {
            return Err(LoginError::State);
        }
        let mut tx = self.0.database.read().await.map_err(IdentityError::from)?;
        let app = self
            .client_app(&mut tx, asked.client_id, &asked.redirect_uri)
            .await?;
        drop(tx);
        let purpose = Purpose::App {
            client_app: app.ok_or(LoginError::AppNotAllowed)?.id,
            redirect_uri: asked.redirect_uri,
            code_challenge: asked.code_challenge,
            state: asked.state,
        };
        self.depart(provider, &self.callback_url("auth/callback", provider)?, purpose)
            .await
    }

    /// Keeps the login's state and sends the browser to the provider.
    pub(super) async fn depart(
        &self,
        provider: &Provider,
        callback: &Url,
        purpose: Purpose,
    ) -> Result<Started, LoginError> {
        let secret = || fresh_secret(&*self.0.random);
        let (login, cookie_value) = (secret(), secret());
        let departure = provider.depart(callback, &login, secret(), secret()).await?;
        let kept = LoginState {
            provider: provider.name().to_owned(),
            nonce: departure.nonce,
            pkce_verifier: departure.pkce_verifier,
            binding: digest(&cookie_value),
            purpose,
            expires_at: self.0.clock.now() + state::LOGIN,
        };
        state::put(&*self.0.short_lived, &login, &kept, state::LOGIN).await?;
        Ok(Started {
            url: departure.url,
            cookie_name: Self::cookie_name(&login),
            cookie_value,
            max_age: state::LOGIN.as_secs(),
        })
    }
}
