//! SQL of resources.

use sentinel_core::Timestamp;
use sentinel_core::id::{PermissionId, WorkspaceId};
use sentinel_core::name::ServiceName;
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_optional, fetch_scalar_optional};
use uuid::Uuid;

use super::super::{Resource, ResourceName};
use crate::row::parse;

const TABLE: &str = "resource_permissions";

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: Uuid,
    service_name: String,
    resource_type: String,
    resource_id: Uuid,
    workspace_id: Uuid,
    owner_id: Option<Uuid>,
    visibility: String,
    created_at: Timestamp,
}

impl TryFrom<Row> for Resource {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            name: name(row.id, &row.service_name, &row.resource_type, row.resource_id)?,
            workspace: row.workspace_id.into(),
            owner: row.owner_id.map(Into::into),
            visibility: parse(TABLE, "visibility", row.id, &row.visibility)?,
            created_at: row.created_at,
        })
    }
}

/// A resource's name from the columns of the row `row`.
pub(super) fn name(row: Uuid, service: &str, kind: &str, id: Uuid) -> Result<ResourceName, StoreError> {
    let service = parse(TABLE, "service_name", row, service)?;
    let kind = parse(TABLE, "resource_type", row, kind)?;
    ResourceName::new(service, kind, id.into()).map_err(|_| StoreError::corrupt(TABLE, "resource_type", row))
}

pub(crate) async fn find_in_workspace(
    tx: &mut Tx,
    workspace: WorkspaceId,
    name: &ResourceName,
) -> Result<Option<Resource>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, service_name, resource_type, resource_id, workspace_id, owner_id, visibility, created_at
         FROM resource_permissions
         WHERE workspace_id = $1 AND service_name = $2 AND resource_type = $3 AND resource_id = $4",
        workspace.as_uuid(),
        name.service().as_str(),
        name.kind().as_str(),
        name.id().as_uuid()
    )
    .await?;
    row.map(Resource::try_from).transpose()
}

/// For the resource's own service, which knows the workspace of its resources.
pub(crate) async fn find(tx: &mut Tx, name: &ResourceName) -> Result<Option<Resource>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, service_name, resource_type, resource_id, workspace_id, owner_id, visibility, created_at
         FROM resource_permissions WHERE service_name = $1 AND resource_type = $2 AND resource_id = $3",
        name.service().as_str(),
        name.kind().as_str(),
        name.id().as_uuid()
    )
    .await?;
    row.map(Resource::try_from).transpose()
}

pub(crate) async fn find_by_id(
    tx: &mut Tx,
    service: &ServiceName,
    permission: PermissionId,
) -> Result<Option<Resource>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, service_name, resource_type, resource_id, workspace_id, owner_id, visibility, created_at
         FROM resource_permissions WHERE service_name = $1 AND id = $2",
        service.as_str(),
        permission.as_uuid()
    )
    .await?;
    row.map(Resource::try_from).transpose()
}

/// For administrators of the installation, who name a record without its service.
pub(crate) async fn find_anywhere(
    tx: &mut Tx,
    permission: PermissionId,
) -> Result<Option<Resource>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, service_name, resource_type, resource_id, workspace_id, owner_id, visibility, created_at
         FROM resource_permissions WHERE id = $1",
        permission.as_uuid()
    )
    .await?;
    row.map(Resource::try_from).transpose()
}

/// Which service a record belongs to, and nothing else about it.
pub(crate) async fn service_of(
    tx: &mut Tx,
    permission: PermissionId,
) -> Result<Option<ServiceName>, StoreError> {
    let name = fetch_scalar_optional!(
        tx,
        String,
        "SELECT service_name FROM resource_permissions WHERE id = $1",
        permission.as_uuid()
    )
    .await?;
    name.map(|name| parse(TABLE, "service_name", permission.as_uuid(), &name))
        .transpose()
}

/// Adds the resource; `false` if its name is taken, in whatever workspace.
pub(crate) async fn insert(tx: &mut Tx, resource: &Resource) -> Result<bool, StoreError> {
    let added = execute!(
        tx,
        "INSERT INTO resource_permissions
             (id, service_name, resource_type, resource_id, workspace_id, owner_id, visibility, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (service_name, resource_type, resource_id) DO NOTHING",
        resource.id.as_uuid(),
        resource.name.service().as_str(),
        resource.name.kind().as_str(),
        resource.name.id().as_uuid(),
        resource.workspace.as_uuid(),
        resource.owner.map(|owner| owner.as_uuid()),
        resource.visibility.as_str(),
        resource.created_at
    )
    .await?;
    Ok(added == 1)
}

pub(crate) async fn update_visibility(tx: &mut Tx, resource: &Resource) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE resource_permissions SET visibility = $3 WHERE workspace_id = $1 AND id = $2",
        resource.workspace.as_uuid(),
        resource.id.as_uuid(),
        resource.visibility.as_str()
    )
    .await?;
    Ok(())
}

/// Deletes a resource, whose shares must be gone.
pub(crate) async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    permission: PermissionId,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM resource_permissions WHERE workspace_id = $1 AND id = $2",
        workspace.as_uuid(),
        permission.as_uuid()
    )
    .await?;
    Ok(())
}

/// Deletes all resources of the workspace, whose shares must be gone, and says which they were.
pub(crate) async fn delete_of_workspace(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<Vec<Resource>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "DELETE FROM resource_permissions WHERE workspace_id = $1
         RETURNING id, service_name, resource_type, resource_id, workspace_id, owner_id, visibility, created_at",
        workspace.as_uuid()
    )
    .await?;
    rows.into_iter().map(Resource::try_from).collect()
}

/// Deletes all resources of the service, whose shares must be gone, and says which they were.
pub(crate) async fn delete_of_service(
    tx: &mut Tx,
    service: &ServiceName,
) -> Result<Vec<Resource>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "DELETE FROM resource_permissions WHERE service_name = $1
         RETURNING id, service_name, resource_type, resource_id, workspace_id, owner_id, visibility, created_at",
        service.as_str()
    )
    .await?;
    rows.into_iter().map(Resource::try_from).collect()
}

/// All resources of all workspaces: the replicated state is about them all.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Resource>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT id, service_name, resource_type, resource_id, workspace_id, owner_id, visibility, created_at
         FROM resource_permissions"
    )
    .await?;
    rows.into_iter().map(Resource::try_from).collect()
}
