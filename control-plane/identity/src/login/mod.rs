//! Login through outside providers: to an application, which gets a code that it exchanges for tokens, and to the admin
//! panel, which gets a cookie.
//!
//! Both legs are authorization code with PKCE S256. While the browser is at the provider the login's state is in the
//! short-lived store under the digest of `state`, and bound to the browser by a cookie; it is taken once. When that
//! store is away nobody can log in, and nothing else is affected.

mod discovery;
mod provider;
mod refusal;
mod state;

use std::sync::Arc;

use sentinel_access::Access;
use sentinel_access::activity::{Action, Entry, Target, TargetKind};
use sentinel_access::client_apps::ClientApp;
use sentinel_core::id::{ClientAppId, WorkspaceId};
use sentinel_core::name::Slug;
use sentinel_core::{Clock, Random, WorkspaceRole};
use sentinel_store::{Database, ShortLived, Tx};
use sentinel_token::hash::constant_time_eq;
use url::Url;
use uuid::Uuid;

pub use provider::{ProviderError, ProviderSettings};
pub use refusal::{CallbackRefusal, ExchangeError, LoginError};

use crate::accounts::Accounts;
use crate::error::IdentityError;
use crate::outbound::Outbound;
use crate::sessions::{Context, Grant, Sessions};
use crate::tokens::{AdminToken, TokenPair, plain_methods};
use provider::{Arrival, Provider};
use state::{CodeGrant, LoginState, Purpose, digest, fresh_secret};

/// The longest `state` that an application may have echoed, in characters.
const MAX_STATE: usize = 512;

/// What is configured about logins.
#[derive(Clone)]
pub struct LoginSettings {
    /// The control plane's public URL, under which callbacks are.
    pub public_url: Url,
    /// The providers, in the order in which they are listed.
    pub providers: Vec<ProviderSettings>,
    /// Who becomes an administrator by signing in.
    pub admin_emails: Vec<String>,
}

/// What an application asks for when it sends a browser to log in.
#[derive(Debug, Clone)]
pub struct AppLogin {
    /// The client app; may be left out where its redirect URI belongs to no other.
    pub client_id: Option<ClientAppId>,
    /// Where the code goes: exactly one of the app's.
    pub redirect_uri: String,
    /// PKCE challenge.
    pub code_challenge: String,
    /// PKCE method; only `S256`.
    pub code_challenge_method: String,
    /// Echoed to the application.
    pub state: Option<String>,
}

/// A login that has begun: where the browser goes, and the cookie that it must bring back.
#[derive(Debug, Clone)]
pub struct Started {
    /// The provider's page.
    pub url: Url,
    /// The name of the cookie, of this login only.
    pub cookie_name: String,
    /// Its value.
    pub cookie_value: String,
    /// How long it is of use, in seconds.
    pub max_age: u64,
}

/// What a provider sends the browser back with.
#[derive(Debug, Clone, Default)]
pub struct CallbackQuery {
    /// The login.
    pub state: Option<String>,
    /// The provider's code.
    pub code: Option<String>,
    /// The provider's refusal.
    pub error: Option<String>,
    /// Who answers (RFC 9207).
    pub iss: Option<String>,
}

/// How a login ended well.
#[derive(Debug)]
pub enum Finished {
    /// Send the browser to the application, with our code in the address.
    App(String),
    /// Give the browser the admin cookie.
    Admin(AdminToken),
}

/// A workspace that somebody may choose at the end of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceChoice {
    /// Which.
    pub id: WorkspaceId,
    /// Its name for people.
    pub name: String,
    /// Its short name.
    pub slug: Slug,
    /// The user's role there.
    pub role: WorkspaceRole,
}

/// The service of logins. Cheap to clone.
#[derive(Clone)]
pub struct Login(Arc<Inner>);

struct Inner {
    public_url: Url,
    providers: Vec<Provider>,
    database: Database,
    short_lived: Arc<dyn ShortLived>,
    access: Access,
    accounts: Accounts,
    sessions: Sessions,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Login {
    /// The service.
    #[expect(clippy::too_many_arguments, reason = "called once, by the composition root")]
    pub fn new(
        settings: LoginSettings,
        database: Database,
        short_lived: Arc<dyn ShortLived>,
        access: Access,
        sessions: Sessions,
        outbound: &Outbound,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let providers = settings
            .providers
            .into_iter()
            .map(|provider| Provider::new(provider, outbound, Arc::clone(&clock)))
            .collect();
        let accounts = Accounts::new(
            access.clone(),
            settings.admin_emails,
            Arc::clone(&clock),
            Arc::clone(&random),
        );
        Self(Arc::new(Inner {
            public_url: settings.public_url,
            providers,
            database,
            short_lived,
            access,
            accounts,
            sessions,
            clock,
            random,
        }))
    }

    /// The names of the providers.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.0
            .providers
            .iter()
            .map(|provider| provider.settings.name.as_str())
    }

    /// Begins a login to an application.
    pub async fn begin(
        &self,
        provider: &str,
        asked: AppLogin,
        context: &Context,
    ) -> Result<Started, LoginError> {
        let result = self.begin_app(provider, asked).await;
        let reason = result.as_ref().err().and_then(LoginError::reason);
        self.note_failure(Action::LoginFailed, provider, context, reason)
            .await;
        result
    }

    async fn begin_app(&self, provider: &str, asked: AppLogin) -> Result<Started, LoginError> {
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

    /// Begins a login to the admin panel.
    pub async fn begin_admin(&self, provider: &str) -> Result<Started, LoginError> {
        let provider = self.provider(provider)?;
        self.depart(
            provider,
            &self.callback_url("auth/admin/callback", provider)?,
            Purpose::Admin,
        )
        .await
    }

    /// Ends a login to an application. `cookie` looks up a cookie of the browser by its name.
    pub async fn callback<'c>(
        &self,
        provider: &str,
        query: CallbackQuery,
        cookie: impl FnOnce(&str) -> Option<&'c str> + Send,
        context: &Context,
    ) -> Result<Finished, CallbackRefusal> {
        let result = self.finish(provider, query, cookie, false, context).await;
        let reason = result.as_ref().err().and_then(CallbackRefusal::reason);
        self.note_failure(Action::LoginFailed, provider, context, reason)
            .await;
        result
    }

    /// Ends a login to the admin panel.
    pub async fn admin_callback<'c>(
        &self,
        provider: &str,
        query: CallbackQuery,
        cookie: impl FnOnce(&str) -> Option<&'c str> + Send,
        context: &Context,
    ) -> Result<Finished, CallbackRefusal> {
        let result = self.finish(provider, query, cookie, true, context).await;
        let reason = result.as_ref().err().and_then(CallbackRefusal::reason);
        self.note_failure(Action::AdminLoginFailed, provider, context, reason)
            .await;
        result
    }

    /// The name of the cookie that binds the login of `state` to its browser.
    pub fn cookie_name(state: &str) -> String {
        let digest: String = digest(state)
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(16)
            .collect();
        format!("sentinel_login_{digest}")
    }

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
        if !user.is_some_and(|user| user.is_active) {
            return Err(ExchangeError::UserNotFound);
        }
        let workspaces = self
            .0
            .access
            .members
            .workspaces_of(&mut tx, grant.user)
            .await
            .map_err(IdentityError::from)?;
        Ok(workspaces
            .into_iter()
            .map(|(workspace, role)| WorkspaceChoice {
                id: workspace.id,
                name: workspace.name,
                slug: workspace.slug,
                role,
            })
            .collect())
    }

    /// Exchanges a code for tokens. The code is gone whatever comes of it: also a wrong verifier burns it.
    pub async fn exchange(
        &self,
        code: &str,
        verifier: &str,
        workspace: WorkspaceId,
        context: Context,
    ) -> Result<TokenPair, ExchangeError> {
        let grant: CodeGrant = state::take(&*self.0.short_lived, code, self.0.clock.now())
            .await?
            .ok_or(ExchangeError::InvalidCode)?;
        if !grant.is_proved_by(verifier) {
            return Err(ExchangeError::Pkce);
        }
        let known = self
            .0
            .providers
            .iter()
            .any(|provider| provider.settings.name == grant.provider);
        if !known {
            return Err(ExchangeError::WithdrawnCode);
        }
        let grant = Grant {
            user: grant.user,
            workspace: Some(workspace),
            client_app: Some(grant.client_app),
            provider: grant.provider,
            auth_time: grant.auth_time,
            amr: grant.amr,
            context,
        };
        Ok(self.0.sessions.start(&grant).await?)
    }

    fn provider(&self, name: &str) -> Result<&Provider, LoginError> {
        self.0
            .providers
            .iter()
            .find(|provider| provider.settings.name == name)
            .ok_or(LoginError::UnknownProvider)
    }

    fn callback_url(&self, path: &str, provider: &Provider) -> Result<Url, LoginError> {
        let base = self.0.public_url.as_str().trim_end_matches('/');
        format!("{base}/{path}/{}", provider.settings.name)
            .parse()
            .map_err(|_| LoginError::Provider(ProviderError::Address(provider.settings.name.clone())))
    }

    /// The active client app that may be sent a code to exactly this address.
    async fn client_app(
        &self,
        tx: &mut Tx,
        id: Option<ClientAppId>,
        redirect_uri: &str,
    ) -> Result<Option<ClientApp>, IdentityError> {
        let apps = &self.0.access.client_apps;
        let app = if let Some(id) = id {
            apps.find(tx, id).await?
        } else {
            let mut found = apps.accepting(tx, redirect_uri).await?;
            if found.len() == 1 { found.pop() } else { None }
        };
        Ok(app.filter(|app| app.accepts(redirect_uri)))
    }

    async fn depart(
        &self,
        provider: &Provider,
        callback: &Url,
        purpose: Purpose,
    ) -> Result<Started, LoginError> {
        let secret = || fresh_secret(&*self.0.random);
        let (login, cookie_value) = (secret(), secret());
        let departure = provider.depart(callback, &login, secret(), secret()).await?;
        let kept = LoginState {
            provider: provider.settings.name.clone(),
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

    async fn finish<'c>(
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
        let same_flow =
            kept.provider == provider.settings.name && matches!(kept.purpose, Purpose::Admin) == admin;
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
                    provider: provider.settings.name.clone(),
                    client_app,
                    code_challenge,
                    auth_time: arrival.auth_time,
                    amr: arrival.amr,
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
                    provider: provider.settings.name.clone(),
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

    async fn user(
        &self,
        tx: &mut Tx,
        provider: &Provider,
        arrival: &Arrival,
        admins_only: bool,
        action: Action,
        context: &Context,
    ) -> Result<sentinel_core::id::UserId, CallbackRefusal> {
        let settings = &provider.settings;
        let user = self
            .0
            .accounts
            .resolve(
                tx,
                &settings.name,
                settings.link_by_verified_email,
                &arrival.identity,
                admins_only,
            )
            .await?;
        let entry = Entry {
            action,
            actor: Some(user.id),
            target: Target {
                kind: TargetKind::User,
                id: user.id.as_uuid(),
            },
            workspace: None,
            detail: Some(serde_json::json!({
                "provider": settings.name, "ip": context.ip, "user_agent": context.user_agent,
            })),
        };
        self.0
            .access
            .activity
            .record(tx, entry)
            .await
            .map_err(IdentityError::from)?;
        Ok(user.id)
    }

    /// Writes down that a login was refused; that it could not be written down changes nothing about the refusal.
    async fn note_failure(
        &self,
        action: Action,
        provider: &str,
        context: &Context,
        reason: Option<&'static str>,
    ) {
        let Some(reason) = reason else { return };
        // Anybody can write anything into the address; PostgreSQL takes no NUL.
        let provider: String = provider.chars().filter(|c| !c.is_control()).take(64).collect();
        let entry = Entry {
            action,
            actor: None,
            target: Target {
                kind: TargetKind::System,
                id: Uuid::nil(),
            },
            workspace: None,
            detail: Some(serde_json::json!({
                "reason": reason, "provider": provider, "ip": context.ip, "user_agent": context.user_agent,
            })),
        };
        let written = async {
            let mut tx = self.0.database.begin().await?;
            self.0.access.activity.record(&mut tx, entry).await?;
            tx.commit().await?;
            Ok::<(), IdentityError>(())
        };
        if let Err(error) = written.await {
            tracing::warn!(error = %error, "a refused login could not be written down");
        }
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
