//! Service apps: back ends that call with a key. The key itself is made and shown elsewhere; what arrives here is its
//! digest, which is all that the database and the edges ever know.

mod keys;
mod name;
mod repository;

use sentinel_core::id::{ServiceAppId, UserId};
use sentinel_core::name::ServiceName;
use sentinel_core::{Change, Timestamp};
use sentinel_store::{Tx, WriteTx};
use serde_json::{Value, json};

pub use keys::{HashedKey, ServiceKey};
pub use name::{AppServiceName, InvalidAppServiceName};
pub(crate) use repository::{keys as key_rows, list as app_rows};

use crate::activity::{Action, Activity, Entry, Target, TargetKind};
use crate::error::AccessError;
use crate::permissions::Permissions;
use crate::projection;
use crate::roles;
use crate::sources::Sources;
use crate::text::Name;
use crate::web::Origin;

/// The constraint on service names, as the store names it.
const SERVICE_NAME_UNIQUE: &str = "service_apps__service_name";

/// A back end that calls with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceApp {
    /// Which.
    pub id: ServiceAppId,
    /// Its name for people.
    pub name: String,
    /// Its scope: the `service_name` of everything it may reach. It never changes.
    pub service_name: ServiceName,
    /// What people see of its current key.
    pub key_prefix: String,
    /// Origins whose pages may call on its behalf.
    pub allowed_origins: Vec<String>,
    /// Audiences of identity providers' tokens that it takes.
    pub allowed_idp_audiences: Vec<String>,
    /// Whether its keys work.
    pub is_active: bool,
    /// When one of its keys was last used, to within a few seconds.
    pub last_used_at: Option<Timestamp>,
    /// Who made it, while that account exists.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A service app to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServiceApp {
    /// Its name for people.
    pub name: Name,
    /// Its scope.
    pub service_name: AppServiceName,
    /// Origins whose pages may call on its behalf.
    pub allowed_origins: Vec<Origin>,
    /// Audiences of identity providers' tokens that it takes.
    pub allowed_idp_audiences: Vec<Name>,
}

/// What to change about an app. What is not given stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceAppChange {
    /// Another name.
    pub name: Option<Name>,
    /// Whether its keys work.
    pub is_active: Option<bool>,
    /// Other origins, in place of all there were.
    pub allowed_origins: Option<Vec<Origin>>,
    /// Other audiences, in place of all there were.
    pub allowed_idp_audiences: Option<Vec<Name>>,
}

/// The service of service apps and their keys.
#[derive(Clone)]
pub struct ServiceApps {
    sources: Sources,
    activity: Activity,
    permissions: Permissions,
}

impl ServiceApps {
    pub(crate) fn new(sources: Sources, activity: Activity, permissions: Permissions) -> Self {
        Self {
            sources,
            activity,
            permissions,
        }
    }

    /// All apps, oldest first.
    pub async fn list(&self, tx: &mut Tx) -> Result<Vec<ServiceApp>, AccessError> {
        Ok(repository::list(tx).await?)
    }

    /// The app with this id.
    pub async fn find(&self, tx: &mut Tx, app: ServiceAppId) -> Result<Option<ServiceApp>, AccessError> {
        Ok(repository::find(tx, app).await?)
    }

    /// The app with this id, which must exist.
    pub async fn get(&self, tx: &mut Tx, app: ServiceAppId) -> Result<ServiceApp, AccessError> {
        self.find(tx, app).await?.ok_or(AccessError::ServiceAppNotFound)
    }

    /// The app with this id, which stays as it is until the transaction ends: whoever deactivates or deletes it waits for
    /// that.
    pub async fn find_locked(
        &self,
        tx: &mut Tx,
        app: ServiceAppId,
    ) -> Result<Option<ServiceApp>, AccessError> {
        Ok(repository::find_locked(tx, app).await?)
    }

    /// Waits for every transaction that has the app locked, so that what they began is seen by the next statement, and
    /// those that come later wait for this one. Done before its sessions are ended.
    pub async fn lock(&self, tx: &mut WriteTx, app: ServiceAppId) -> Result<(), AccessError> {
        Ok(repository::lock(tx, app).await?)
    }

    /// The active app whose pages are of this origin, as a browser writes it; the oldest of several.
    pub async fn of_origin(&self, tx: &mut Tx, origin: &str) -> Result<Option<ServiceApp>, AccessError> {
        let mut apps = self.list(tx).await?.into_iter();
        Ok(apps.find(|app| app.is_active && app.allowed_origins.iter().any(|allowed| allowed == origin)))
    }

    /// The origins of all active apps.
    pub async fn active_origins(&self, tx: &mut Tx) -> Result<Vec<String>, AccessError> {
        let apps = self.list(tx).await?;
        Ok(apps
            .into_iter()
            .filter(|app| app.is_active)
            .flat_map(|app| app.allowed_origins)
            .collect())
    }

    /// Makes an active app with its first key.
    pub async fn create(
        &self,
        tx: &mut WriteTx,
        actor: Option<UserId>,
        new: NewServiceApp,
        key: HashedKey,
    ) -> Result<ServiceApp, AccessError> {
        let now = self.sources.now();
        let app = ServiceApp {
            id: ServiceAppId::generate(now, self.sources.random()),
            name: new.name.as_str().to_owned(),
            service_name: new.service_name.into(),
            key_prefix: key.prefix.clone(),
            allowed_origins: texts(&new.allowed_origins, Origin::as_str),
            allowed_idp_audiences: texts(&new.allowed_idp_audiences, Name::as_str),
            is_active: true,
            last_used_at: None,
            created_by: actor,
            created_at: now,
            updated_at: now,
        };
        repository::insert(tx, &app).await.map_err(|error| {
            let taken = AccessError::ServiceNameTaken(app.service_name.clone());
            AccessError::on_conflict(error, SERVICE_NAME_UNIQUE, taken)
        })?;
        let key = self.new_key(key);
        repository::insert_key(tx, app.id, &key).await?;
        tx.record_all(projection::service_app(&app, &[key]).into_iter().map(Change::Put));
        let detail = json!({ "name": app.name, "service_name": app.service_name });
        self.record(tx, Action::ServiceAppCreated, actor, &app, detail)
            .await?;
        Ok(app)
    }

    /// Takes over what is given and leaves the rest as it is. An app that is not active has no keys at any edge.
    pub async fn update(
        &self,
        tx: &mut WriteTx,
        actor: Option<UserId>,
        app: ServiceAppId,
        change: ServiceAppChange,
    ) -> Result<ServiceApp, AccessError> {
        let before = self.get(tx, app).await?;
        let mut after = before.clone();
        if let Some(name) = change.name {
            name.as_str().clone_into(&mut after.name);
        }
        if let Some(is_active) = change.is_active {
            after.is_active = is_active;
        }
        if let Some(origins) = change.allowed_origins {
            after.allowed_origins = texts(&origins, Origin::as_str);
        }
        if let Some(audiences) = change.allowed_idp_audiences {
            after.allowed_idp_audiences = texts(&audiences, Name::as_str);
        }
        after.updated_at = self.sources.now();
        repository::update(tx, &after).await?;
        let keys = repository::keys_of(tx, after.id).await?;
        let (was, is) = (
            projection::service_app(&before, &keys),
            projection::service_app(&after, &keys),
        );
        tx.record_all(projection::difference(&was, is));
        let detail = json!({ "name": after.name, "is_active": after.is_active });
        self.record(tx, Action::ServiceAppUpdated, actor, &after, detail)
            .await?;
        Ok(after)
    }

    /// Deletes the app with its keys, and forgets every resource and action of its service.
    pub async fn delete(
        &self,
        tx: &mut WriteTx,
        actor: Option<UserId>,
        app: ServiceAppId,
    ) -> Result<(), AccessError> {
        let app = self.get(tx, app).await?;
        let purged = self.permissions.purge_service(tx, &app.service_name).await?;
        if purged > 0 {
            let detail = json!({ "service_name": app.service_name, "deleted_count": purged });
            self.record(tx, Action::PermissionsPurged, actor, &app, detail)
                .await?;
        }
        roles::purge::of_service(tx, &app.service_name).await?;
        let keys = repository::keys_of(tx, app.id).await?;
        tx.record_all(
            projection::service_app(&app, &keys)
                .into_iter()
                .map(Change::Delete),
        );
        repository::delete_keys(tx, app.id).await?;
        repository::delete(tx, app.id).await?;
        let detail = json!({ "name": app.name, "service_name": app.service_name });
        self.record(tx, Action::ServiceAppDeleted, actor, &app, detail)
            .await
    }

    async fn record(
        &self,
        tx: &mut Tx,
        action: Action,
        actor: Option<UserId>,
        app: &ServiceApp,
        detail: Value,
    ) -> Result<(), AccessError> {
        let target = Target {
            kind: TargetKind::ServiceApp,
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

fn texts<T>(items: &[T], text: fn(&T) -> &str) -> Vec<String> {
    items.iter().map(|item| text(item).to_owned()).collect()
}
