//! Login through outside providers: to an application, which gets a code that it exchanges for tokens, and to the admin
//! panel, which gets a cookie.
//!
//! Both legs are authorization code with PKCE S256. While the browser is at the provider the login's state is in the
//! short-lived store under the digest of `state`, and bound to the browser by a cookie; it is taken once. When that
//! store is away nobody can log in, and nothing else is affected.

mod arrive;
mod depart;
mod exchange;
mod refusal;
pub(crate) mod state;

use std::sync::Arc;

use sentinel_access::Access;
use sentinel_access::activity::{Action, Entry, Target, TargetKind};
use sentinel_access::client_apps::ClientApp;
use sentinel_access::workspaces::Workspace;
use sentinel_core::id::{ClientAppId, WorkspaceId};
use sentinel_core::name::Slug;
use sentinel_core::{Clock, Random, WorkspaceRole};
use sentinel_store::{Database, ShortLived, Tx};
use url::Url;
use uuid::Uuid;

pub(crate) use arrive::entry_of_login;
pub use refusal::{CallbackRefusal, ExchangeError, LoginError};

use crate::accounts::Accounts;
use crate::error::IdentityError;
use crate::providers::{Provider, ProviderError, Providers};
use crate::sessions::{Context, Sessions};
use crate::tokens::AdminToken;
use state::{Purpose, digest};

/// What is configured about logins.
#[derive(Clone)]
pub struct LoginSettings {
    /// The control plane's public URL, under which callbacks are.
    pub public_url: Url,
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

impl From<(Workspace, WorkspaceRole)> for WorkspaceChoice {
    fn from((workspace, role): (Workspace, WorkspaceRole)) -> Self {
        Self {
            id: workspace.id,
            name: workspace.name,
            slug: workspace.slug,
            role,
        }
    }
}

/// The service of logins. Cheap to clone.
#[derive(Clone)]
pub struct Login(Arc<Inner>);

struct Inner {
    public_url: Url,
    providers: Providers,
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
        providers: Providers,
        database: Database,
        short_lived: Arc<dyn ShortLived>,
        access: Access,
        sessions: Sessions,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let accounts = Accounts::new(
            access.clone(),
            settings.admin_emails,
            providers.linking().map(str::to_owned),
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
        self.0.providers.names()
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

    fn provider(&self, name: &str) -> Result<&Provider, LoginError> {
        self.0.providers.find(name).ok_or(LoginError::UnknownProvider)
    }

    fn callback_url(&self, path: &str, provider: &Provider) -> Result<Url, LoginError> {
        let base = self.0.public_url.as_str().trim_end_matches('/');
        format!("{base}/{path}/{}", provider.name())
            .parse()
            .map_err(|_| LoginError::Provider(ProviderError::Address(provider.name().to_owned())))
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
