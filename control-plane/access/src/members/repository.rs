//! SQL of memberships. Every query but those about one user's own workspaces begins with the workspace.

use sentinel_core::Timestamp;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_store::{
    Sql, StoreError, Tx, Uuids, execute, fetch_all, fetch_optional, fetch_scalar, fetch_scalar_all,
};
use uuid::Uuid;

use super::{Member, Membership};
use crate::row::parse;

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    workspace_id: Uuid,
    user_id: Uuid,
    role: String,
    joined_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct MemberRow {
    id: Uuid,
    user_id: Uuid,
    email: String,
    name: String,
    avatar_url: Option<String>,
    role: String,
    joined_at: Timestamp,
}

impl TryFrom<Row> for Membership {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            workspace: row.workspace_id.into(),
            user: row.user_id.into(),
            role: parse("workspace_memberships", "role", row.id, &row.role)?,
            joined_at: row.joined_at,
        })
    }
}

impl TryFrom<MemberRow> for Member {
    type Error = StoreError;

    fn try_from(row: MemberRow) -> Result<Self, StoreError> {
        Ok(Self {
            user: row.user_id.into(),
            email: row.email,
            name: row.name,
            avatar_url: row.avatar_url,
            role: parse("workspace_memberships", "role", row.id, &row.role)?,
            joined_at: row.joined_at,
        })
    }
}

pub(crate) async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<Membership>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, workspace_id, user_id, role, joined_at FROM workspace_memberships
         WHERE workspace_id = $1 AND user_id = $2",
        workspace.as_uuid(),
        user.as_uuid()
    )
    .await?;
    row.map(Membership::try_from).transpose()
}

/// Shared, so that logins do not wait for each other. SQLite needs no lock, for writers take turns.
const FIND_LOCKED: Sql = Sql::each(
    "SELECT id, workspace_id, user_id, role, joined_at FROM workspace_memberships
     WHERE workspace_id = $1 AND user_id = $2 FOR SHARE",
    "SELECT id, workspace_id, user_id, role, joined_at FROM workspace_memberships
     WHERE workspace_id = $1 AND user_id = $2",
);

pub(super) async fn find_locked(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<Membership>, StoreError> {
    let row = fetch_optional!(tx, Row, FIND_LOCKED, workspace.as_uuid(), user.as_uuid()).await?;
    row.map(Membership::try_from).transpose()
}

const LOCK: Sql = Sql::each(
    "SELECT id FROM workspace_memberships WHERE workspace_id = $1 AND user_id = ANY($2) FOR UPDATE",
    "SELECT id FROM workspace_memberships WHERE workspace_id = $1 AND user_id IN (SELECT unhex(value) FROM json_each($2))",
);

pub(super) async fn lock(tx: &mut Tx, workspace: WorkspaceId, users: &[UserId]) -> Result<(), StoreError> {
    let users: Uuids = users.iter().map(UserId::as_uuid).collect();
    fetch_scalar_all!(tx, Uuid, LOCK, workspace.as_uuid(), &users).await?;
    Ok(())
}

pub(super) async fn list(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<Member>, StoreError> {
    let rows = fetch_all!(
        tx,
        MemberRow,
        "SELECT m.id, m.user_id, u.email, u.name, u.avatar_url, m.role, m.joined_at
         FROM workspace_memberships m JOIN users u ON u.id = m.user_id
         WHERE m.workspace_id = $1 ORDER BY m.joined_at, m.id",
        workspace.as_uuid()
    )
    .await?;
    rows.into_iter().map(Member::try_from).collect()
}

pub(super) async fn owners(tx: &mut Tx, workspace: WorkspaceId) -> Result<i64, StoreError> {
    let count = fetch_scalar!(
        tx,
        i64,
        "SELECT COUNT(*) FROM workspace_memberships WHERE workspace_id = $1 AND role = 'owner'",
        workspace.as_uuid()
    )
    .await?;
    Ok(count)
}

pub(crate) async fn insert(tx: &mut Tx, membership: &Membership) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO workspace_memberships (id, workspace_id, user_id, role, joined_at) VALUES ($1, $2, $3, $4, $5)",
        membership.id.as_uuid(),
        membership.workspace.as_uuid(),
        membership.user.as_uuid(),
        membership.role.as_str(),
        membership.joined_at
    ).await?;
    Ok(())
}

pub(super) async fn update_role(tx: &mut Tx, membership: &Membership) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE workspace_memberships SET role = $3 WHERE workspace_id = $1 AND user_id = $2",
        membership.workspace.as_uuid(),
        membership.user.as_uuid(),
        membership.role.as_str()
    )
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, workspace: WorkspaceId, user: UserId) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM workspace_memberships WHERE workspace_id = $1 AND user_id = $2",
        workspace.as_uuid(),
        user.as_uuid()
    )
    .await?;
    Ok(())
}

/// Deletes all memberships of the workspace, and says which they were.
pub(crate) async fn delete_of_workspace(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<Vec<Membership>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "DELETE FROM workspace_memberships WHERE workspace_id = $1 RETURNING id, workspace_id, user_id, role, joined_at",
        workspace.as_uuid()
    ).await?;
    rows.into_iter().map(Membership::try_from).collect()
}

/// All memberships of all workspaces: the replicated state is about them all.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Membership>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT id, workspace_id, user_id, role, joined_at FROM workspace_memberships"
    )
    .await?;
    rows.into_iter().map(Membership::try_from).collect()
}
