//! SQL of groups and who is in them. Every query begins with the workspace, or with a group that was found in it.

use sentinel_core::Timestamp;
use sentinel_core::id::{GroupId, GroupMembershipId, UserId, WorkspaceId};
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_optional, fetch_scalar, fetch_scalar_all};
use uuid::Uuid;

use super::{Group, GroupMember};

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
struct MemberRow {
    user_id: Uuid,
    email: String,
    name: String,
    added_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct PairRow {
    group_id: Uuid,
    user_id: Uuid,
}

impl From<Row> for Group {
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

impl From<MemberRow> for GroupMember {
    fn from(row: MemberRow) -> Self {
        Self {
            user: row.user_id.into(),
            email: row.email,
            name: row.name,
            added_at: row.added_at,
        }
    }
}

impl From<PairRow> for (GroupId, UserId) {
    fn from(row: PairRow) -> Self {
        (row.group_id.into(), row.user_id.into())
    }
}

pub(crate) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    group: GroupId,
) -> Result<Option<Group>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, workspace_id, name, description, created_by, created_at FROM groups
         WHERE workspace_id = $1 AND id = $2",
        workspace.as_uuid(),
        group.as_uuid()
    )
    .await?;
    Ok(row.map(Group::from))
}

/// Whether there is such a group, in whatever workspace.
pub(crate) async fn exists(tx: &mut Tx, group: GroupId) -> Result<bool, StoreError> {
    let count = fetch_scalar!(
        tx,
        i64,
        "SELECT COUNT(*) FROM groups WHERE id = $1",
        group.as_uuid()
    )
    .await?;
    Ok(count > 0)
}

/// For administrators of the installation, who name a group without its workspace.
pub(super) async fn find_anywhere(tx: &mut Tx, group: GroupId) -> Result<Option<Group>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, workspace_id, name, description, created_by, created_at FROM groups WHERE id = $1",
        group.as_uuid()
    )
    .await?;
    Ok(row.map(Group::from))
}

pub(super) async fn list(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<Group>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT id, workspace_id, name, description, created_by, created_at FROM groups
         WHERE workspace_id = $1 ORDER BY created_at, id",
        workspace.as_uuid()
    )
    .await?;
    Ok(rows.into_iter().map(Group::from).collect())
}

pub(super) async fn of_user(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Vec<GroupId>, StoreError> {
    let ids = fetch_scalar_all!(
        tx,
        Uuid,
        "SELECT g.id FROM groups g JOIN group_memberships m ON m.group_id = g.id
         WHERE g.workspace_id = $1 AND m.user_id = $2 ORDER BY g.id",
        workspace.as_uuid(),
        user.as_uuid()
    )
    .await?;
    Ok(ids.into_iter().map(GroupId::from).collect())
}

pub(super) async fn insert(tx: &mut Tx, group: &Group) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO groups (id, workspace_id, name, description, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        group.id.as_uuid(),
        group.workspace.as_uuid(),
        group.name.as_str(),
        group.description.as_deref(),
        group.created_by.map(|user| user.as_uuid()),
        group.created_at
    )
    .await?;
    Ok(())
}

/// Writes what is given, and nothing else: whoever changes another column at the same time loses nothing.
pub(super) async fn update(
    tx: &mut Tx,
    workspace: WorkspaceId,
    group: GroupId,
    name: Option<&str>,
    description: Option<&str>,
) -> Result<Option<Group>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "UPDATE groups
         SET name = COALESCE(CAST($3 AS TEXT), name), description = COALESCE(CAST($4 AS TEXT), description)
         WHERE workspace_id = $1 AND id = $2
         RETURNING id, workspace_id, name, description, created_by, created_at",
        workspace.as_uuid(),
        group.as_uuid(),
        name,
        description
    )
    .await?;
    Ok(row.map(Group::from))
}

pub(super) async fn delete(tx: &mut Tx, workspace: WorkspaceId, group: GroupId) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM groups WHERE workspace_id = $1 AND id = $2",
        workspace.as_uuid(),
        group.as_uuid()
    )
    .await?;
    Ok(())
}

/// Deletes all groups of the workspace, whose memberships must be gone, and says which they were.
pub(crate) async fn delete_of_workspace(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<Vec<Group>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "DELETE FROM groups WHERE workspace_id = $1
         RETURNING id, workspace_id, name, description, created_by, created_at",
        workspace.as_uuid()
    )
    .await?;
    Ok(rows.into_iter().map(Group::from).collect())
}

pub(super) async fn members(
    tx: &mut Tx,
    workspace: WorkspaceId,
    group: GroupId,
) -> Result<Vec<GroupMember>, StoreError> {
    let rows = fetch_all!(
        tx,
        MemberRow,
        "SELECT m.user_id, u.email, u.name, m.added_at
         FROM group_memberships m JOIN groups g ON g.id = m.group_id JOIN users u ON u.id = m.user_id
         WHERE g.workspace_id = $1 AND g.id = $2 ORDER BY m.added_at, m.id",
        workspace.as_uuid(),
        group.as_uuid()
    )
    .await?;
    Ok(rows.into_iter().map(GroupMember::from).collect())
}

/// Adds the user to a group that was found in its workspace; `false` if he is in it already.
pub(super) async fn add_member(
    tx: &mut Tx,
    id: GroupMembershipId,
    group: &Group,
    user: UserId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let added = execute!(
        tx,
        "INSERT INTO group_memberships (id, group_id, user_id, added_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (group_id, user_id) DO NOTHING",
        id.as_uuid(),
        group.id.as_uuid(),
        user.as_uuid(),
        now
    )
    .await?;
    Ok(added == 1)
}

/// Takes the user out of a group that was found in its workspace; `false` if he is not in it.
pub(super) async fn remove_member(tx: &mut Tx, group: &Group, user: UserId) -> Result<bool, StoreError> {
    let removed = execute!(
        tx,
        "DELETE FROM group_memberships WHERE group_id = $1 AND user_id = $2",
        group.id.as_uuid(),
        user.as_uuid()
    )
    .await?;
    Ok(removed == 1)
}

/// Takes everybody out of a group that was found in its workspace, and says who was in it.
pub(super) async fn delete_members(tx: &mut Tx, group: &Group) -> Result<Vec<UserId>, StoreError> {
    let ids = fetch_scalar_all!(
        tx,
        Uuid,
        "DELETE FROM group_memberships WHERE group_id = $1 RETURNING user_id",
        group.id.as_uuid()
    )
    .await?;
    Ok(ids.into_iter().map(UserId::from).collect())
}

/// Takes the user out of all groups of the workspace, and says which they were.
pub(crate) async fn delete_memberships_of_user(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Vec<GroupId>, StoreError> {
    let ids = fetch_scalar_all!(
        tx,
        Uuid,
        "DELETE FROM group_memberships
         WHERE group_id IN (SELECT id FROM groups WHERE workspace_id = $1) AND user_id = $2 RETURNING group_id",
        workspace.as_uuid(),
        user.as_uuid()
    )
    .await?;
    Ok(ids.into_iter().map(GroupId::from).collect())
}

/// Takes everybody out of all groups of the workspace, and says who was in which.
pub(crate) async fn delete_members_of_workspace(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<Vec<(GroupId, UserId)>, StoreError> {
    let rows = fetch_all!(
        tx,
        PairRow,
        "DELETE FROM group_memberships WHERE group_id IN (SELECT id FROM groups WHERE workspace_id = $1)
         RETURNING group_id, user_id",
        workspace.as_uuid()
    )
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// All groups of all workspaces: the replicated state is about them all.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Group>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT id, workspace_id, name, description, created_by, created_at FROM groups"
    )
    .await?;
    Ok(rows.into_iter().map(Group::from).collect())
}

/// Who is in which group, in all workspaces.
pub(crate) async fn all_members(tx: &mut Tx) -> Result<Vec<(GroupId, UserId)>, StoreError> {
    let rows = fetch_all!(tx, PairRow, "SELECT group_id, user_id FROM group_memberships").await?;
    Ok(rows.into_iter().map(Into::into).collect())
}
