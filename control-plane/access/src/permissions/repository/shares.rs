//! SQL of shares.

use sentinel_authz::sentinel::{Grantee, ShareLevel};
use sentinel_core::Timestamp;
use sentinel_core::id::{PermissionId, ShareId, WorkspaceId};
use sentinel_core::name::ServiceName;
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_optional};
use uuid::Uuid;

use super::super::sharing::{grantee_words, level_word};
use super::super::{ResourceName, Share};
use super::resources;

const TABLE: &str = "resource_shares";

/// A share with the name of what is shared: all that edges know of it.
pub(crate) struct Granted {
    /// What is shared.
    pub(crate) resource: ResourceName,
    /// With whom.
    pub(crate) grantee: Grantee,
    /// How much.
    pub(crate) level: ShareLevel,
}

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) grantee_type: String,
    pub(super) grantee_id: Uuid,
    pub(super) permission: String,
    pub(super) granted_by: Option<Uuid>,
    pub(super) granted_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct GrantedRow {
    id: Uuid,
    grantee_type: String,
    grantee_id: Uuid,
    permission: String,
    permission_id: Uuid,
    service_name: String,
    resource_type: String,
    resource_id: Uuid,
}

impl TryFrom<Row> for Share {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            grantee: grantee(row.id, &row.grantee_type, row.grantee_id)?,
            level: level(row.id, &row.permission)?,
            granted_by: row.granted_by.map(Into::into),
            granted_at: row.granted_at,
        })
    }
}

impl TryFrom<GrantedRow> for Granted {
    type Error = StoreError;

    fn try_from(row: GrantedRow) -> Result<Self, StoreError> {
        Ok(Self {
            resource: resources::name(
                row.permission_id,
                &row.service_name,
                &row.resource_type,
                row.resource_id,
            )?,
            grantee: grantee(row.id, &row.grantee_type, row.grantee_id)?,
            level: level(row.id, &row.permission)?,
        })
    }
}

pub(crate) async fn of_resource(tx: &mut Tx, permission: PermissionId) -> Result<Vec<Share>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT id, grantee_type, grantee_id, permission, granted_by, granted_at FROM resource_shares
         WHERE permission_id = $1 ORDER BY granted_at, id",
        permission.as_uuid()
    )
    .await?;
    rows.into_iter().map(Share::try_from).collect()
}

pub(crate) async fn find(
    tx: &mut Tx,
    permission: PermissionId,
    grantee: Grantee,
) -> Result<Option<Share>, StoreError> {
    let (grantee_type, grantee_id) = grantee_words(grantee);
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, grantee_type, grantee_id, permission, granted_by, granted_at FROM resource_shares
         WHERE permission_id = $1 AND grantee_type = $2 AND grantee_id = $3",
        permission.as_uuid(),
        grantee_type,
        grantee_id
    )
    .await?;
    row.map(Share::try_from).transpose()
}

/// Adds the share, or gives the one that the grantee has the new level.
pub(crate) async fn upsert(tx: &mut Tx, permission: PermissionId, share: &Share) -> Result<(), StoreError> {
    let (grantee_type, grantee_id) = grantee_words(share.grantee);
    execute!(
        tx,
        "INSERT INTO resource_shares
             (id, permission_id, grantee_type, grantee_id, permission, granted_by, granted_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (permission_id, grantee_type, grantee_id) DO UPDATE
             SET permission = excluded.permission, granted_by = excluded.granted_by, granted_at = excluded.granted_at",
        share.id.as_uuid(),
        permission.as_uuid(),
        grantee_type,
        grantee_id,
        level_word(share.level),
        share.granted_by.map(|user| user.as_uuid()),
        share.granted_at
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, permission: PermissionId, share: ShareId) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM resource_shares WHERE permission_id = $1 AND id = $2",
        permission.as_uuid(),
        share.as_uuid()
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete_of_resource(tx: &mut Tx, permission: PermissionId) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM resource_shares WHERE permission_id = $1",
        permission.as_uuid()
    )
    .await?;
    Ok(())
}

/// Deletes what is shared with the grantee in the workspace, and says what it was.
pub(crate) async fn delete_of_grantee(
    tx: &mut Tx,
    workspace: WorkspaceId,
    grantee: Grantee,
) -> Result<Vec<Granted>, StoreError> {
    let (grantee_type, grantee_id) = grantee_words(grantee);
    let rows = fetch_all!(
        tx,
        GrantedRow,
        "SELECT s.id, s.grantee_type, s.grantee_id, s.permission,
                p.id AS permission_id, p.service_name, p.resource_type, p.resource_id
         FROM resource_shares s JOIN resource_permissions p ON p.id = s.permission_id
         WHERE p.workspace_id = $1 AND s.grantee_type = $2 AND s.grantee_id = $3",
        workspace.as_uuid(),
        grantee_type,
        grantee_id
    )
    .await?;
    execute!(
        tx,
        "DELETE FROM resource_shares
         WHERE permission_id IN (SELECT id FROM resource_permissions WHERE workspace_id = $1)
           AND grantee_type = $2 AND grantee_id = $3",
        workspace.as_uuid(),
        grantee_type,
        grantee_id
    )
    .await?;
    rows.into_iter().map(Granted::try_from).collect()
}

/// Deletes all shares in the workspace, and says what they were.
pub(crate) async fn delete_of_workspace(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<Vec<Granted>, StoreError> {
    let rows = fetch_all!(
        tx,
        GrantedRow,
        "SELECT s.id, s.grantee_type, s.grantee_id, s.permission,
                p.id AS permission_id, p.service_name, p.resource_type, p.resource_id
         FROM resource_shares s JOIN resource_permissions p ON p.id = s.permission_id
         WHERE p.workspace_id = $1",
        workspace.as_uuid()
    )
    .await?;
    execute!(
        tx,
        "DELETE FROM resource_shares
         WHERE permission_id IN (SELECT id FROM resource_permissions WHERE workspace_id = $1)",
        workspace.as_uuid()
    )
    .await?;
    rows.into_iter().map(Granted::try_from).collect()
}

/// Deletes all shares of the service's resources, and says what they were.
pub(crate) async fn delete_of_service(
    tx: &mut Tx,
    service: &ServiceName,
) -> Result<Vec<Granted>, StoreError> {
    let rows = fetch_all!(
        tx,
        GrantedRow,
        "SELECT s.id, s.grantee_type, s.grantee_id, s.permission,
                p.id AS permission_id, p.service_name, p.resource_type, p.resource_id
         FROM resource_shares s JOIN resource_permissions p ON p.id = s.permission_id
         WHERE p.service_name = $1",
        service.as_str()
    )
    .await?;
    execute!(
        tx,
        "DELETE FROM resource_shares
         WHERE permission_id IN (SELECT id FROM resource_permissions WHERE service_name = $1)",
        service.as_str()
    )
    .await?;
    rows.into_iter().map(Granted::try_from).collect()
}

/// All shares of all workspaces: the replicated state is about them all.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Granted>, StoreError> {
    let rows = fetch_all!(
        tx,
        GrantedRow,
        "SELECT s.id, s.grantee_type, s.grantee_id, s.permission,
                p.id AS permission_id, p.service_name, p.resource_type, p.resource_id
         FROM resource_shares s JOIN resource_permissions p ON p.id = s.permission_id"
    )
    .await?;
    rows.into_iter().map(Granted::try_from).collect()
}

fn grantee(row: Uuid, kind: &str, id: Uuid) -> Result<Grantee, StoreError> {
    match kind {
        "user" => Ok(Grantee::User(id.into())),
        "group" => Ok(Grantee::Group(id.into())),
        _ => Err(StoreError::corrupt(TABLE, "grantee_type", row)),
    }
}

fn level(row: Uuid, word: &str) -> Result<ShareLevel, StoreError> {
    match word {
        "view" => Ok(ShareLevel::View),
        "edit" => Ok(ShareLevel::Edit),
        _ => Err(StoreError::corrupt(TABLE, "permission", row)),
    }
}
