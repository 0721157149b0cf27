//! SQL of client apps. They belong to the installation, and to no tenant.

use sentinel_core::Timestamp;
use sentinel_core::id::ClientAppId;
use sentinel_store::{
    Sql, StoreError, Tx, execute, fetch_all, fetch_optional, fetch_scalar_optional, sql_for_update,
};
use sqlx::types::Json;
use uuid::Uuid;

use super::ClientApp;

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    redirect_uris: Json<Vec<String>>,
    is_active: bool,
    created_by: Option<Uuid>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Row> for ClientApp {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            redirect_uris: row.redirect_uris.0,
            is_active: row.is_active,
            created_by: row.created_by.map(Into::into),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

pub(super) async fn list(tx: &mut Tx) -> Result<Vec<ClientApp>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT id, name, redirect_uris, is_active, created_by, created_at, updated_at
         FROM client_apps ORDER BY created_at, id"
    )
    .await?;
    Ok(rows.into_iter().map(ClientApp::from).collect())
}

pub(super) async fn find(tx: &mut Tx, app: ClientAppId) -> Result<Option<ClientApp>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, name, redirect_uris, is_active, created_by, created_at, updated_at
         FROM client_apps WHERE id = $1",
        app.as_uuid()
    )
    .await?;
    Ok(row.map(ClientApp::from))
}

/// Shared, so that logins to one app do not wait for each other. SQLite needs no lock, for writers take turns.
const FIND_LOCKED: Sql = Sql::each(
    "SELECT id, name, redirect_uris, is_active, created_by, created_at, updated_at
     FROM client_apps WHERE id = $1 FOR SHARE",
    "SELECT id, name, redirect_uris, is_active, created_by, created_at, updated_at
     FROM client_apps WHERE id = $1",
);

pub(super) async fn find_locked(tx: &mut Tx, app: ClientAppId) -> Result<Option<ClientApp>, StoreError> {
    let row = fetch_optional!(tx, Row, FIND_LOCKED, app.as_uuid()).await?;
    Ok(row.map(ClientApp::from))
}

const LOCK: Sql = sql_for_update!("SELECT id FROM client_apps WHERE id = $1");

pub(super) async fn lock(tx: &mut Tx, app: ClientAppId) -> Result<(), StoreError> {
    fetch_scalar_optional!(tx, Uuid, LOCK, app.as_uuid()).await?;
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, app: &ClientApp) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO client_apps (id, name, redirect_uris, is_active, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        app.id.as_uuid(),
        app.name.as_str(),
        Json(&app.redirect_uris),
        app.is_active,
        app.created_by.map(|user| user.as_uuid()),
        app.created_at,
        app.updated_at
    )
    .await?;
    Ok(())
}

pub(super) async fn update(tx: &mut Tx, app: &ClientApp) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE client_apps SET name = $2, redirect_uris = $3, is_active = $4, updated_at = $5 WHERE id = $1",
        app.id.as_uuid(),
        app.name.as_str(),
        Json(&app.redirect_uris),
        app.is_active,
        app.updated_at
    )
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, app: ClientAppId) -> Result<(), StoreError> {
    execute!(tx, "DELETE FROM client_apps WHERE id = $1", app.as_uuid()).await?;
    Ok(())
}
