//! SQL of who has a role. Every query begins with the workspace, or with a role or group that was found in it.

use sentinel_authz::sentinel::Grantee;
use sentinel_core::Timestamp;
use sentinel_core::id::{GroupId, RoleAssignmentId, RoleId, UserId, WorkspaceId};
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_scalar_all};
use uuid::Uuid;

use super::super::{GroupHolder, Role, UserHolder};
use crate::groups::Group;

/// The circumstances in which a role is given to somebody.
pub(crate) struct Assigned {
    /// The row's id.
    pub(crate) id: RoleAssignmentId,
    /// By whom.
    pub(crate) by: Option<UserId>,
    /// When.
    pub(crate) at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct UserRow {
    user_id: Uuid,
    email: String,
    name: String,
    assigned_at: Timestamp,
    assigned_by: Option<Uuid>,
}

#[derive(sqlx::FromRow)]
struct GroupRow {
    group_id: Uuid,
    name: String,
    description: Option<String>,
    member_count: i64,
    assigned_at: Timestamp,
    assigned_by: Option<Uuid>,
}

#[derive(sqlx::FromRow)]
struct OfUserRow {
    role_id: Uuid,
    user_id: Uuid,
}

#[derive(sqlx::FromRow)]
struct OfGroupRow {
    role_id: Uuid,
    group_id: Uuid,
}

impl From<UserRow> for UserHolder {
    fn from(row: UserRow) -> Self {
        Self {
            user: row.user_id.into(),
            email: row.email,
            name: row.name,
            assigned_at: row.assigned_at,
            assigned_by: row.assigned_by.map(Into::into),
        }
    }
}

impl From<GroupRow> for GroupHolder {
    fn from(row: GroupRow) -> Self {
        Self {
            group: row.group_id.into(),
            name: row.name,
            description: row.description,
            member_count: row.member_count,
            assigned_at: row.assigned_at,
            assigned_by: row.assigned_by.map(Into::into),
        }
    }
}

impl From<OfUserRow> for (RoleId, Grantee) {
    fn from(row: OfUserRow) -> Self {
        (row.role_id.into(), Grantee::User(row.user_id.into()))
    }
}

impl From<OfGroupRow> for (RoleId, Grantee) {
    fn from(row: OfGroupRow) -> Self {
        (row.role_id.into(), Grantee::Group(row.group_id.into()))
    }
}

pub(crate) async fn users(tx: &mut Tx, role: &Role) -> Result<Vec<UserHolder>, StoreError> {
    let rows = fetch_all!(
        tx,
        UserRow,
        "SELECT ur.user_id, u.email, u.name, ur.assigned_at, ur.assigned_by
         FROM user_roles ur JOIN users u ON u.id = ur.user_id
         WHERE ur.role_id = $1 ORDER BY ur.assigned_at, ur.id",
        role.id.as_uuid()
    )
    .await?;
    Ok(rows.into_iter().map(UserHolder::from).collect())
}

pub(crate) async fn groups(tx: &mut Tx, role: &Role) -> Result<Vec<GroupHolder>, StoreError> {
    let rows = fetch_all!(
        tx,
        GroupRow,
        "SELECT gr.group_id, g.name, g.description,
                (SELECT COUNT(*) FROM group_memberships m WHERE m.group_id = g.id) AS member_count,
                gr.assigned_at, gr.assigned_by
         FROM group_roles gr JOIN groups g ON g.id = gr.group_id
         WHERE gr.role_id = $1 ORDER BY gr.assigned_at, gr.id",
        role.id.as_uuid()
    )
    .await?;
    Ok(rows.into_iter().map(GroupHolder::from).collect())
}

/// Gives the user the role; `false` if he has it already.
pub(crate) async fn add_user(
    tx: &mut Tx,
    role: &Role,
    user: UserId,
    assigned: &Assigned,
) -> Result<bool, StoreError> {
    let added = execute!(
        tx,
        "INSERT INTO user_roles (id, user_id, role_id, assigned_by, assigned_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (user_id, role_id) DO NOTHING",
        assigned.id.as_uuid(),
        user.as_uuid(),
        role.id.as_uuid(),
        assigned.by.map(|user| user.as_uuid()),
        assigned.at
    )
    .await?;
    Ok(added == 1)
}

/// Takes the role from the user; `false` if he does not have it.
pub(crate) async fn remove_user(tx: &mut Tx, role: &Role, user: UserId) -> Result<bool, StoreError> {
    let removed = execute!(
        tx,
        "DELETE FROM user_roles WHERE role_id = $1 AND user_id = $2",
        role.id.as_uuid(),
        user.as_uuid()
    )
    .await?;
    Ok(removed == 1)
}

/// Gives a group of the role's workspace the role; `false` if it has it already.
pub(crate) async fn add_group(
    tx: &mut Tx,
    role: &Role,
    group: GroupId,
    assigned: &Assigned,
) -> Result<bool, StoreError> {
    let added = execute!(
        tx,
        "INSERT INTO group_roles (id, group_id, role_id, assigned_by, assigned_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (group_id, role_id) DO NOTHING",
        assigned.id.as_uuid(),
        group.as_uuid(),
        role.id.as_uuid(),
        assigned.by.map(|user| user.as_uuid()),
        assigned.at
    )
    .await?;
    Ok(added == 1)
}

/// Takes the role from the group; `false` if it does not have it.
pub(crate) async fn remove_group(tx: &mut Tx, role: &Role, group: GroupId) -> Result<bool, StoreError> {
    let removed = execute!(
        tx,
        "DELETE FROM group_roles WHERE role_id = $1 AND group_id = $2",
        role.id.as_uuid(),
        group.as_uuid()
    )
    .await?;
    Ok(removed == 1)
}

/// Takes the role from everybody, and says who had it.
pub(crate) async fn delete_of_role(tx: &mut Tx, role: &Role) -> Result<Vec<Grantee>, StoreError> {
    let users = fetch_scalar_all!(
        tx,
        Uuid,
        "DELETE FROM user_roles WHERE role_id = $1 RETURNING user_id",
        role.id.as_uuid()
    )
    .await?;
    let groups = fetch_scalar_all!(
        tx,
        Uuid,
        "DELETE FROM group_roles WHERE role_id = $1 RETURNING group_id",
        role.id.as_uuid()
    )
    .await?;
    let users = users.into_iter().map(|user| Grantee::User(user.into()));
    let groups = groups.into_iter().map(|group| Grantee::Group(group.into()));
    Ok(users.chain(groups).collect())
}

/// Takes all roles of the workspace from the user, and says which he had.
pub(crate) async fn delete_of_user(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Vec<RoleId>, StoreError> {
    let ids = fetch_scalar_all!(
        tx,
        Uuid,
        "DELETE FROM user_roles
         WHERE role_id IN (SELECT id FROM roles WHERE workspace_id = $1) AND user_id = $2 RETURNING role_id",
        workspace.as_uuid(),
        user.as_uuid()
    )
    .await?;
    Ok(ids.into_iter().map(RoleId::from).collect())
}

/// Takes all roles from a group that was found in its workspace, and says which it had.
pub(crate) async fn delete_of_group(tx: &mut Tx, group: &Group) -> Result<Vec<RoleId>, StoreError> {
    let ids = fetch_scalar_all!(
        tx,
        Uuid,
        "DELETE FROM group_roles WHERE group_id = $1 RETURNING role_id",
        group.id.as_uuid()
    )
    .await?;
    Ok(ids.into_iter().map(RoleId::from).collect())
}

/// Takes all roles of the workspace from everybody, and says who had which.
pub(crate) async fn delete_of_workspace(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<Vec<(RoleId, Grantee)>, StoreError> {
    let users = fetch_all!(
        tx,
        OfUserRow,
        "DELETE FROM user_roles WHERE role_id IN (SELECT id FROM roles WHERE workspace_id = $1)
         RETURNING role_id, user_id",
        workspace.as_uuid()
    )
    .await?;
    let groups = fetch_all!(
        tx,
        OfGroupRow,
        "DELETE FROM group_roles WHERE role_id IN (SELECT id FROM roles WHERE workspace_id = $1)
         RETURNING role_id, group_id",
        workspace.as_uuid()
    )
    .await?;
    Ok(together(users, groups))
}

/// Who has which role, in all workspaces: the replicated state is about them all.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<(RoleId, Grantee)>, StoreError> {
    let users = fetch_all!(tx, OfUserRow, "SELECT role_id, user_id FROM user_roles").await?;
    let groups = fetch_all!(tx, OfGroupRow, "SELECT role_id, group_id FROM group_roles").await?;
    Ok(together(users, groups))
}

fn together(users: Vec<OfUserRow>, groups: Vec<OfGroupRow>) -> Vec<(RoleId, Grantee)> {
    let users = users.into_iter().map(Into::into);
    users.chain(groups.into_iter().map(Into::into)).collect()
}
