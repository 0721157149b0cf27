//! SQL of registered actions. They are of no workspace; every query but an administrator's begins with the service.

use std::collections::BTreeSet;

use sentinel_core::Timestamp;
use sentinel_core::id::ServiceActionId;
use sentinel_core::name::{ActionName, ServiceName};
use sentinel_store::{
    Sql, StoreError, Texts, Tx, Uuids, execute, fetch_all, fetch_one, fetch_optional, sql_any_text,
    sql_any_uuid,
};
use uuid::Uuid;

use super::super::ServiceAction;
use crate::row::parse;

pub(super) const TABLE: &str = "service_actions";

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: Uuid,
    service_name: String,
    action: String,
    description: Option<String>,
    created_at: Timestamp,
}

impl TryFrom<Row> for ServiceAction {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            service: parse(TABLE, "service_name", row.id, &row.service_name)?,
            action: parse(TABLE, "action", row.id, &row.action)?,
            description: row.description,
            created_at: row.created_at,
        })
    }
}

const NAMED: Sql = sql_any_text!(
    "SELECT id, service_name, action, description, created_at FROM service_actions
     WHERE service_name = $1 AND action",
    2,
    ""
);

/// Those of the service's actions that have one of these names.
pub(crate) async fn named(
    tx: &mut Tx,
    service: &ServiceName,
    actions: impl Iterator<Item = &ActionName>,
) -> Result<Vec<ServiceAction>, StoreError> {
    let names: Texts = actions.map(ActionName::as_str).collect();
    let rows = fetch_all!(tx, Row, NAMED, service.as_str(), names).await?;
    rows.into_iter().map(ServiceAction::try_from).collect()
}

const WITH_IDS: Sql = sql_any_uuid!(
    "SELECT id, service_name, action, description, created_at FROM service_actions WHERE id",
    1,
    "ORDER BY service_name, action"
);

/// Those of these actions that there are, by service and name.
pub(crate) async fn with_ids(
    tx: &mut Tx,
    ids: &BTreeSet<ServiceActionId>,
) -> Result<Vec<ServiceAction>, StoreError> {
    let ids: Uuids = ids.iter().map(ServiceActionId::as_uuid).collect();
    let rows = fetch_all!(tx, Row, WITH_IDS, ids).await?;
    rows.into_iter().map(ServiceAction::try_from).collect()
}

pub(crate) async fn find(tx: &mut Tx, action: ServiceActionId) -> Result<Option<ServiceAction>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, service_name, action, description, created_at FROM service_actions WHERE id = $1",
        action.as_uuid()
    )
    .await?;
    row.map(ServiceAction::try_from).transpose()
}

pub(crate) async fn list(
    tx: &mut Tx,
    service: Option<&ServiceName>,
) -> Result<Vec<ServiceAction>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT id, service_name, action, description, created_at FROM service_actions
         WHERE CAST($1 AS TEXT) IS NULL OR service_name = $1 ORDER BY service_name, action",
        service.map(ServiceName::as_str)
    )
    .await?;
    rows.into_iter().map(ServiceAction::try_from).collect()
}

/// Adds the action, or gives the one that has its name the description, if there is one. The id and time of the row that
/// was there first stay.
pub(crate) async fn upsert(tx: &mut Tx, new: &ServiceAction) -> Result<ServiceAction, StoreError> {
    let row = fetch_one!(
        tx,
        Row,
        "INSERT INTO service_actions (id, service_name, action, description, created_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (service_name, action) DO UPDATE
             SET description = COALESCE(excluded.description, service_actions.description)
         RETURNING id, service_name, action, description, created_at",
        new.id.as_uuid(),
        new.service.as_str(),
        new.action.as_str(),
        new.description.as_deref(),
        new.created_at
    )
    .await?;
    row.try_into()
}

/// Deletes an action that no role allows any more.
pub(crate) async fn delete(tx: &mut Tx, action: ServiceActionId) -> Result<(), StoreError> {
    execute!(tx, "DELETE FROM service_actions WHERE id = $1", action.as_uuid()).await?;
    Ok(())
}

/// Deletes the service's actions, none of which any role allows any more.
pub(crate) async fn delete_of_service(tx: &mut Tx, service: &ServiceName) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM service_actions WHERE service_name = $1",
        service.as_str()
    )
    .await?;
    Ok(())
}
