//! SQL of roles. Every query but an administrator's look-up begins with the workspace.

use sentinel_core::Timestamp;
use sentinel_core::id::{RoleId, WorkspaceId};
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_optional};
use uuid::Uuid;

use super::super::{ListedRole, Role};

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    workspace_id: Uuid,
    name: String,
    description: Option<String>,
    created_by: Option<Uuid>,
    created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    #[sqlx(flatten)]
    role: Row,
    action_count: i64,
    member_count: i64,
    group_count: i64,
}

#[derive(sqlx::FromRow)]
struct PlaceRow {
    id: Uuid,
    workspace_id: Uuid,
}

impl From<Row> for Role {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            workspace: row.workspace_id.into(),
            name: row.name,
            description: row.description,
            created_by: row.created_by.map(Into::into),
            created_at: row.created_at,
        }
    }
}

impl From<ListedRow> for ListedRole {
    fn from(row: ListedRow) -> Self {
        Self {
            role: row.role.into(),
            action_count: row.action_count,
            member_count: row.member_count,
            group_count: row.group_count,
        }
    }
}

impl From<PlaceRow> for (RoleId, WorkspaceId) {
    fn from(row: PlaceRow) -> Self {
        (row.id.into(), row.workspace_id.into())
    }
}

pub(crate) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    role: RoleId,
) -> Result<Option<Role>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, workspace_id, name, description, created_by, created_at FROM roles
         WHERE workspace_id = $1 AND id = $2",
        workspace.as_uuid(),
        role.as_uuid()
    )
    .await?;
    Ok(row.map(Role::from))
}

/// The role with this id in whatever workspace.
pub(crate) async fn find_anywhere(tx: &mut Tx, role: RoleId) -> Result<Option<ListedRole>, StoreError> {
    let row = fetch_optional!(
        tx,
        ListedRow,
        "SELECT r.id, r.workspace_id, r.name, r.description, r.created_by, r.created_at,
                (SELECT COUNT(*) FROM role_actions a WHERE a.role_id = r.id) AS action_count,
                (SELECT COUNT(*) FROM user_roles u WHERE u.role_id = r.id) AS member_count,
                (SELECT COUNT(*) FROM group_roles g WHERE g.role_id = r.id) AS group_count
         FROM roles r WHERE r.id = $1",
        role.as_uuid()
    )
    .await?;
    Ok(row.map(ListedRole::from))
}

pub(crate) async fn list(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<ListedRole>, StoreError> {
    let rows = fetch_all!(
        tx,
        ListedRow,
        "SELECT r.id, r.workspace_id, r.name, r.description, r.created_by, r.created_at,
                (SELECT COUNT(*) FROM role_actions a WHERE a.role_id = r.id) AS action_count,
                (SELECT COUNT(*) FROM user_roles u WHERE u.role_id = r.id) AS member_count,
                (SELECT COUNT(*) FROM group_roles g WHERE g.role_id = r.id) AS group_count
         FROM roles r WHERE r.workspace_id = $1 ORDER BY r.created_at, r.id",
        workspace.as_uuid()
    )
    .await?;
    Ok(rows.into_iter().map(ListedRole::from).collect())
}

pub(crate) async fn insert(tx: &mut Tx, role: &Role) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO roles (id, workspace_id, name, description, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        role.id.as_uuid(),
        role.workspace.as_uuid(),
        role.name.as_str(),
        role.description.as_deref(),
        role.created_by.map(|user| user.as_uuid()),
        role.created_at
    )
    .await?;
    Ok(())
}

/// Writes what is given, and nothing else: whoever changes another column at the same time loses nothing.
pub(crate) async fn update(
    tx: &mut Tx,
    workspace: WorkspaceId,
    role: RoleId,
    name: Option<&str>,
    description: Option<&str>,
) -> Result<Option<Role>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "UPDATE roles
         SET name = COALESCE(CAST($3 AS TEXT), name), description = COALESCE(CAST($4 AS TEXT), description)
         WHERE workspace_id = $1 AND id = $2
         RETURNING id, workspace_id, name, description, created_by, created_at",
        workspace.as_uuid(),
        role.as_uuid(),
        name,
        description
    )
    .await?;
    Ok(row.map(Role::from))
}

/// Deletes a role that allows nothing and that nobody has any more.
pub(crate) async fn delete(tx: &mut Tx, workspace: WorkspaceId, role: RoleId) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM roles WHERE workspace_id = $1 AND id = $2",
        workspace.as_uuid(),
        role.as_uuid()
    )
    .await?;
    Ok(())
}

/// Deletes all roles of the workspace, which allow nothing and which nobody has any more, and says which they were.
pub(crate) async fn delete_of_workspace(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<Vec<(RoleId, WorkspaceId)>, StoreError> {
    let rows = fetch_all!(
        tx,
        PlaceRow,
        "DELETE FROM roles WHERE workspace_id = $1 RETURNING id, workspace_id",
        workspace.as_uuid()
    )
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// All roles of all workspaces: the replicated state is about them all.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<(RoleId, WorkspaceId)>, StoreError> {
    let rows = fetch_all!(tx, PlaceRow, "SELECT id, workspace_id FROM roles").await?;
    Ok(rows.into_iter().map(Into::into).collect())
}
