//! Client apps: front ends that sign users in. What one may have is a set of addresses that authorization codes are sent
//! to; nothing else about an app is believed.

mod repository;

use sentinel_core::Timestamp;
use sentinel_core::id::{ClientAppId, UserId};
use sentinel_store::{Tx, WriteTx};
use serde_json::{Value, json};

use crate::activity::{Action, Activity, Entry, Target, TargetKind};
use crate::error::AccessError;
use crate::sources::Sources;
use crate::text::Name;
use crate::web::RedirectUri;

/// A front end that signs users in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientApp {
    /// Its `client_id`.
    pub id: ClientAppId,
    /// Its name for people.
    pub name: String,
    /// Where authorization codes may be sent.
    pub redirect_uris: Vec<String>,
    /// Whether it may be used.
    pub is_active: bool,
    /// Who made it, while that account exists.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl ClientApp {
    /// Whether a code may be sent there: the app is active, and the address is one of its own to the letter.
    pub fn accepts(&self, redirect_uri: &str) -> bool {
        self.is_active && self.redirect_uris.iter().any(|own| own == redirect_uri)
    }
}

/// What to change about an app. What is not given stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientAppChange {
    /// Another name.
    pub name: Option<Name>,
    /// Other addresses, in place of all there were.
    pub redirect_uris: Option<Vec<RedirectUri>>,
    /// Whether it may be used.
    pub is_active: Option<bool>,
}

/// The service of client apps.
#[derive(Clone)]
pub struct ClientApps {
    sources: Sources,
    activity: Activity,
}

impl ClientApps {
    pub(crate) fn new(sources: Sources, activity: Activity) -> Self {
        Self { sources, activity }
    }

    /// All apps, oldest first.
    pub async fn list(&self, tx: &mut Tx) -> Result<Vec<ClientApp>, AccessError> {
        Ok(repository::list(tx).await?)
    }

    /// The app with this id.
    pub async fn find(&self, tx: &mut Tx, app: ClientAppId) -> Result<Option<ClientApp>, AccessError> {
        Ok(repository::find(tx, app).await?)
    }

    /// The app with this id, which stays as it is until the transaction ends: whoever deactivates it, or ends its
    /// sessions, waits for that.
    pub async fn find_locked(&self, tx: &mut Tx, app: ClientAppId) -> Result<Option<ClientApp>, AccessError> {
        Ok(repository::find_locked(tx, app).await?)
    }

    /// Waits for every transaction that has the app locked, so that what they began is seen by the next statement, and
    /// those that come later wait for this one. Done before its sessions are ended.
    pub async fn lock(&self, tx: &mut WriteTx, app: ClientAppId) -> Result<(), AccessError> {
        Ok(repository::lock(tx, app).await?)
    }

    /// The app with this id, which must exist.
    pub async fn get(&self, tx: &mut Tx, app: ClientAppId) -> Result<ClientApp, AccessError> {
        self.find(tx, app).await?.ok_or(AccessError::ClientAppNotFound)
    }

    /// The active apps to which codes may be sent at this address.
    pub async fn accepting(&self, tx: &mut Tx, redirect_uri: &str) -> Result<Vec<ClientApp>, AccessError> {
        let mut apps = self.list(tx).await?;
        apps.retain(|app| app.accepts(redirect_uri));
        Ok(apps)
    }

    /// The addresses of all active apps.
    pub async fn active_redirect_uris(&self, tx: &mut Tx) -> Result<Vec<String>, AccessError> {
        let apps = self.list(tx).await?;
        Ok(apps
            .into_iter()
            .filter(|app| app.is_active)
            .flat_map(|app| app.redirect_uris)
            .collect())
    }

    /// Makes an active app.
    pub async fn create(
        &self,
        tx: &mut Tx,
        actor: Option<UserId>,
        name: Name,
        redirect_uris: Vec<RedirectUri>,
    ) -> Result<ClientApp, AccessError> {
        let now = self.sources.now();
        let app = ClientApp {
            id: ClientAppId::generate(now, self.sources.random()),
            name: name.as_str().to_owned(),
            redirect_uris: texts(redirect_uris),
            is_active: true,
            created_by: actor,
            created_at: now,
            updated_at: now,
        };
        repository::insert(tx, &app).await?;
        self.record(
            tx,
            Action::ClientAppCreated,
            actor,
            &app,
            json!({ "name": app.name }),
        )
        .await?;
        Ok(app)
    }

    /// Takes over what is given and leaves the rest as it is. `tokens_revoked` is how many sessions the caller has ended
    /// with it, for the log.
    pub async fn update(
        &self,
        tx: &mut Tx,
        actor: Option<UserId>,
        app: ClientAppId,
        change: ClientAppChange,
        tokens_revoked: u64,
    ) -> Result<ClientApp, AccessError> {
        let mut app = self.get(tx, app).await?;
        if let Some(name) = change.name {
            name.as_str().clone_into(&mut app.name);
        }
        if let Some(redirect_uris) = change.redirect_uris {
            app.redirect_uris = texts(redirect_uris);
        }
        if let Some(is_active) = change.is_active {
            app.is_active = is_active;
        }
        app.updated_at = self.sources.now();
        repository::update(tx, &app).await?;
        let detail = json!({ "name": app.name, "tokens_revoked": tokens_revoked });
        self.record(tx, Action::ClientAppUpdated, actor, &app, detail)
            .await?;
        Ok(app)
    }

    /// Deletes the app. The caller ends its sessions in the same transaction, before: afterwards none says who began it.
    pub async fn delete(
        &self,
        tx: &mut Tx,
        actor: Option<UserId>,
        app: ClientAppId,
    ) -> Result<(), AccessError> {
        let app = self.get(tx, app).await?;
        repository::delete(tx, app.id).await?;
        self.record(
            tx,
            Action::ClientAppDeleted,
            actor,
            &app,
            json!({ "name": app.name }),
        )
        .await
    }

    async fn record(
        &self,
        tx: &mut Tx,
        action: Action,
        actor: Option<UserId>,
        app: &ClientApp,
        detail: Value,
    ) -> Result<(), AccessError> {
        let target = Target {
            kind: TargetKind::ClientApp,
            id: app.id.as_uuid(),
        };
        self.activity
            .record(
                tx,
                Entry {
                    action,
                    actor,
                    target,
                    workspace: None,
                    detail: Some(detail),
                },
            )
            .await
    }
}

/// Each address once, in the order in which they were given.
fn texts(redirect_uris: Vec<RedirectUri>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::with_capacity(redirect_uris.len());
    for uri in redirect_uris {
        if !texts.iter().any(|text| text == uri.as_str()) {
            texts.push(uri.as_str().to_owned());
        }
    }
    texts
}
