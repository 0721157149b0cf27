//! SQL of service apps and their keys. They belong to the installation, and to no tenant; a query of keys begins with
//! their app.

use sentinel_core::Timestamp;
use sentinel_core::id::ServiceAppId;
use sentinel_store::{
    Sql, StoreError, Tx, execute, fetch_all, fetch_optional, fetch_scalar_optional, sql_for_update,
};
use sqlx::types::Json;
use uuid::Uuid;

use super::{ServiceApp, ServiceKey};
use crate::row::parse;

/// The slot of the key that an app calls with.
const CURRENT: i64 = 1;
/// The slot of the key before it, which has an end.
const PREVIOUS: i64 = 2;

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    service_name: String,
    allowed_origins: Json<Vec<String>>,
    allowed_idp_audiences: Json<Vec<String>>,
    is_active: bool,
    created_by: Option<Uuid>,
    created_at: Timestamp,
    updated_at: Timestamp,
    key_prefix: Option<String>,
    last_used_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: Uuid,
    service_app_id: Uuid,
    digest: Vec<u8>,
    prefix: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl TryFrom<Row> for ServiceApp {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            service_name: parse("service_apps", "service_name", row.id, &row.service_name)?,
            key_prefix: row.key_prefix.unwrap_or_default(),
            allowed_origins: row.allowed_origins.0,
            allowed_idp_audiences: row.allowed_idp_audiences.0,
            is_active: row.is_active,
            last_used_at: row.last_used_at,
            created_by: row.created_by.map(Into::into),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl TryFrom<KeyRow> for ServiceKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            digest: row
                .digest
                .try_into()
                .map_err(|_| StoreError::corrupt("service_keys", "digest", row.id))?,
            prefix: row.prefix,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

pub(crate) async fn list(tx: &mut Tx) -> Result<Vec<ServiceApp>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT a.id, a.name, a.service_name, a.allowed_origins, a.allowed_idp_audiences, a.is_active, a.created_by,
                a.created_at, a.updated_at,
                (SELECT k.prefix FROM service_keys k WHERE k.service_app_id = a.id AND k.slot = 1) AS key_prefix,
                (SELECT MAX(k.last_used_at) FROM service_keys k WHERE k.service_app_id = a.id) AS last_used_at
         FROM service_apps a ORDER BY a.created_at, a.id"
    )
    .await?;
    rows.into_iter().map(ServiceApp::try_from).collect()
}

pub(super) async fn find(tx: &mut Tx, app: ServiceAppId) -> Result<Option<ServiceApp>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT a.id, a.name, a.service_name, a.allowed_origins, a.allowed_idp_audiences, a.is_active, a.created_by,
                a.created_at, a.updated_at,
                (SELECT k.prefix FROM service_keys k WHERE k.service_app_id = a.id AND k.slot = 1) AS key_prefix,
                (SELECT MAX(k.last_used_at) FROM service_keys k WHERE k.service_app_id = a.id) AS last_used_at
         FROM service_apps a WHERE a.id = $1",
        app.as_uuid()
    )
    .await?;
    row.map(ServiceApp::try_from).transpose()
}

/// Shared, so that tokens made for one app do not wait for each other. SQLite needs no lock, for writers take turns.
const HOLD: Sql = Sql::each(
    "SELECT id FROM service_apps WHERE id = $1 FOR SHARE",
    "SELECT id FROM service_apps WHERE id = $1",
);

pub(super) async fn find_locked(tx: &mut Tx, app: ServiceAppId) -> Result<Option<ServiceApp>, StoreError> {
    fetch_scalar_optional!(tx, Uuid, HOLD, app.as_uuid()).await?;
    find(tx, app).await
}

const LOCK: Sql = sql_for_update!("SELECT id FROM service_apps WHERE id = $1");

pub(super) async fn lock(tx: &mut Tx, app: ServiceAppId) -> Result<(), StoreError> {
    fetch_scalar_optional!(tx, Uuid, LOCK, app.as_uuid()).await?;
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, app: &ServiceApp) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO service_apps
             (id, name, service_name, allowed_origins, allowed_idp_audiences, is_active, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        app.id.as_uuid(),
        app.name.as_str(),
        app.service_name.as_str(),
        Json(&app.allowed_origins),
        Json(&app.allowed_idp_audiences),
        app.is_active,
        app.created_by.map(|user| user.as_uuid()),
        app.created_at,
        app.updated_at
    )
    .await?;
    Ok(())
}

pub(super) async fn update(tx: &mut Tx, app: &ServiceApp) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE service_apps
         SET name = $2, allowed_origins = $3, allowed_idp_audiences = $4, is_active = $5, updated_at = $6 WHERE id = $1",
        app.id.as_uuid(),
        app.name.as_str(),
        Json(&app.allowed_origins),
        Json(&app.allowed_idp_audiences),
        app.is_active,
        app.updated_at
    )
    .await?;
    Ok(())
}

/// Deletes an app, whose keys must be gone.
pub(super) async fn delete(tx: &mut Tx, app: ServiceAppId) -> Result<(), StoreError> {
    execute!(tx, "DELETE FROM service_apps WHERE id = $1", app.as_uuid()).await?;
    Ok(())
}

/// The app's keys that have a slot, the current one first.
pub(super) async fn keys_of(tx: &mut Tx, app: ServiceAppId) -> Result<Vec<ServiceKey>, StoreError> {
    let rows = fetch_all!(
        tx,
        KeyRow,
        "SELECT id, service_app_id, digest, prefix, created_at, expires_at FROM service_keys
         WHERE service_app_id = $1 AND slot IS NOT NULL ORDER BY slot",
        app.as_uuid()
    )
    .await?;
    rows.into_iter().map(ServiceKey::try_from).collect()
}

/// All keys of all apps that have a slot: the replicated state is about them all.
pub(crate) async fn keys(tx: &mut Tx) -> Result<Vec<(ServiceAppId, ServiceKey)>, StoreError> {
    let rows = fetch_all!(
        tx,
        KeyRow,
        "SELECT id, service_app_id, digest, prefix, created_at, expires_at FROM service_keys WHERE slot IS NOT NULL"
    )
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.service_app_id.into(), row.try_into()?)))
        .collect()
}

/// Adds the app's current key; the slot must be free.
pub(super) async fn insert_key(tx: &mut Tx, app: ServiceAppId, key: &ServiceKey) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO service_keys (id, service_app_id, slot, digest, prefix, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        key.id.as_uuid(),
        app.as_uuid(),
        CURRENT,
        key.digest.as_slice(),
        key.prefix.as_str(),
        key.created_at,
        key.expires_at
    )
    .await?;
    Ok(())
}

/// Takes all of the app's keys out of their slots; those without an end get this one.
pub(super) async fn retire_keys(tx: &mut Tx, app: ServiceAppId, now: Timestamp) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE service_keys SET slot = NULL, expires_at = COALESCE(expires_at, $2)
         WHERE service_app_id = $1 AND slot IS NOT NULL",
        app.as_uuid(),
        now
    )
    .await?;
    Ok(())
}

/// Lets a key that was taken out of its slot work on until its end.
pub(super) async fn keep_as_previous(
    tx: &mut Tx,
    app: ServiceAppId,
    key: &ServiceKey,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE service_keys SET slot = $3, expires_at = $4 WHERE service_app_id = $1 AND id = $2",
        app.as_uuid(),
        key.id.as_uuid(),
        PREVIOUS,
        key.expires_at
    )
    .await?;
    Ok(())
}

/// Apps with a key in a slot whose end has come.
pub(super) async fn with_expired_keys(tx: &mut Tx, now: Timestamp) -> Result<Vec<ServiceApp>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT a.id, a.name, a.service_name, a.allowed_origins, a.allowed_idp_audiences, a.is_active, a.created_by,
                a.created_at, a.updated_at, CAST(NULL AS TEXT) AS key_prefix,
                (SELECT MAX(k.last_used_at) FROM service_keys k WHERE k.service_app_id = a.id) AS last_used_at
         FROM service_apps a
         WHERE a.id IN (SELECT k.service_app_id FROM service_keys k WHERE k.slot IS NOT NULL AND k.expires_at <= $1)",
        now
    )
    .await?;
    rows.into_iter().map(ServiceApp::try_from).collect()
}

/// Takes the app's keys whose end has come out of their slots.
pub(super) async fn retire_expired_keys(
    tx: &mut Tx,
    app: ServiceAppId,
    now: Timestamp,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE service_keys SET slot = NULL WHERE service_app_id = $1 AND slot IS NOT NULL AND expires_at <= $2",
        app.as_uuid(),
        now
    )
    .await?;
    Ok(())
}

pub(super) async fn delete_keys(tx: &mut Tx, app: ServiceAppId) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM service_keys WHERE service_app_id = $1",
        app.as_uuid()
    )
    .await?;
    Ok(())
}

/// Notes the last use of a key, never an earlier one than is noted already.
pub(super) async fn mark_used(tx: &mut Tx, digest: &[u8; 32], at: Timestamp) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE service_keys SET last_used_at = $2
         WHERE digest = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
        digest.as_slice(),
        at
    )
    .await?;
    Ok(())
}
