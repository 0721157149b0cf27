//! SQL of workspaces.

use sentinel_core::Timestamp;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::name::Slug;
use sentinel_store::{
    Sql, StoreError, Tx, execute, fetch_all, fetch_optional, fetch_scalar, fetch_scalar_optional,
    sql_for_update,
};
use uuid::Uuid;

use super::{DetailedWorkspace, JoinedWorkspace, ListedWorkspace, NamedWorkspace, Workspace};
use crate::row::parse;

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    slug: String,
    name: String,
    description: Option<String>,
    created_by: Option<Uuid>,
    created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    #[sqlx(flatten)]
    workspace: Row,
    member_count: i64,
}

#[derive(sqlx::FromRow)]
struct JoinedRow {
    #[sqlx(flatten)]
    workspace: Row,
    membership_id: Uuid,
    role: String,
    joined_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct DetailedRow {
    #[sqlx(flatten)]
    workspace: Row,
    member_count: i64,
    group_count: i64,
}

#[derive(sqlx::FromRow)]
struct NamedRow {
    id: Uuid,
    name: String,
    slug: String,
}

impl TryFrom<Row> for Workspace {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            slug: parse("workspaces", "slug", row.id, &row.slug)?,
            name: row.name,
            description: row.description,
            created_by: row.created_by.map(Into::into),
            created_at: row.created_at,
        })
    }
}

pub(crate) async fn find(tx: &mut Tx, workspace: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, slug, name, description, created_by, created_at FROM workspaces WHERE id = $1",
        workspace.as_uuid()
    )
    .await?;
    row.map(Workspace::try_from).transpose()
}

/// Shared, so that logins to one workspace do not wait for each other. SQLite needs no lock, for writers take turns.
const FIND_LOCKED: Sql = Sql::each(
    "SELECT id, slug, name, description, created_by, created_at FROM workspaces WHERE id = $1 FOR SHARE",
    "SELECT id, slug, name, description, created_by, created_at FROM workspaces WHERE id = $1",
);

pub(super) async fn find_locked(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<Option<Workspace>, StoreError> {
    let row = fetch_optional!(tx, Row, FIND_LOCKED, workspace.as_uuid()).await?;
    row.map(Workspace::try_from).transpose()
}

const LOCK: Sql = sql_for_update!("SELECT id FROM workspaces WHERE id = $1");

pub(super) async fn lock(tx: &mut Tx, workspace: WorkspaceId) -> Result<(), StoreError> {
    fetch_scalar_optional!(tx, Uuid, LOCK, workspace.as_uuid()).await?;
    Ok(())
}

/// The workspaces that the user is a member of, oldest first.
pub(crate) async fn of_user(tx: &mut Tx, user: UserId) -> Result<Vec<JoinedWorkspace>, StoreError> {
    let rows = fetch_all!(
        tx,
        JoinedRow,
        "SELECT w.id, w.slug, w.name, w.description, w.created_by, w.created_at, m.id AS membership_id, m.role,
                m.joined_at
         FROM workspaces w JOIN workspace_memberships m ON m.workspace_id = w.id
         WHERE m.user_id = $1 ORDER BY w.created_at, w.id",
        user.as_uuid()
    )
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(JoinedWorkspace {
                role: parse("workspace_memberships", "role", row.membership_id, &row.role)?,
                workspace: row.workspace.try_into()?,
                joined_at: row.joined_at,
            })
        })
        .collect()
}

/// The workspace with the numbers of its members and groups.
pub(super) async fn detail(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<Option<DetailedWorkspace>, StoreError> {
    let row = fetch_optional!(
        tx,
        DetailedRow,
        "SELECT w.id, w.slug, w.name, w.description, w.created_by, w.created_at,
                (SELECT COUNT(*) FROM workspace_memberships m WHERE m.workspace_id = w.id) AS member_count,
                (SELECT COUNT(*) FROM groups g WHERE g.workspace_id = w.id) AS group_count
         FROM workspaces w WHERE w.id = $1",
        workspace.as_uuid()
    )
    .await?;
    row.map(|row| {
        Ok(DetailedWorkspace {
            workspace: row.workspace.try_into()?,
            member_count: row.member_count,
            group_count: row.group_count,
        })
    })
    .transpose()
}

/// All tenants' workspaces, for administrators of the installation.
pub(super) async fn names(tx: &mut Tx) -> Result<Vec<NamedWorkspace>, StoreError> {
    let rows = fetch_all!(
        tx,
        NamedRow,
        "SELECT id, name, slug FROM workspaces ORDER BY LOWER(name), name, id"
    )
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(NamedWorkspace {
                id: row.id.into(),
                slug: parse("workspaces", "slug", row.id, &row.slug)?,
                name: row.name,
            })
        })
        .collect()
}

/// All tenants' workspaces, for administrators of the installation.
pub(super) async fn page(tx: &mut Tx, limit: i64, offset: i64) -> Result<Vec<ListedWorkspace>, StoreError> {
    let rows = fetch_all!(
        tx,
        ListedRow,
        "SELECT w.id, w.slug, w.name, w.description, w.created_by, w.created_at,
                (SELECT COUNT(*) FROM workspace_memberships m WHERE m.workspace_id = w.id) AS member_count
         FROM workspaces w ORDER BY w.created_at DESC, w.id DESC LIMIT $1 OFFSET $2",
        limit,
        offset
    )
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ListedWorkspace {
                workspace: row.workspace.try_into()?,
                member_count: row.member_count,
            })
        })
        .collect()
}

pub(super) async fn count(tx: &mut Tx) -> Result<i64, StoreError> {
    fetch_scalar!(tx, i64, "SELECT COUNT(*) FROM workspaces").await
}

pub(super) async fn has_slug(tx: &mut Tx, slug: &Slug) -> Result<bool, StoreError> {
    let count = fetch_scalar!(
        tx,
        i64,
        "SELECT COUNT(*) FROM workspaces WHERE slug = $1",
        slug.as_str()
    )
    .await?;
    Ok(count > 0)
}

pub(super) async fn insert(tx: &mut Tx, workspace: &Workspace) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO workspaces (id, slug, name, description, created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        workspace.id.as_uuid(),
        workspace.slug.as_str(),
        workspace.name.as_str(),
        workspace.description.as_deref(),
        workspace.created_by.map(|user| user.as_uuid()),
        workspace.created_at
    ).await?;
    Ok(())
}

/// Writes what is given, and nothing else: whoever changes another column at the same time loses nothing.
pub(super) async fn update(
    tx: &mut Tx,
    workspace: WorkspaceId,
    name: Option<&str>,
    description: Option<&str>,
) -> Result<Option<Workspace>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "UPDATE workspaces
         SET name = COALESCE(CAST($2 AS TEXT), name), description = COALESCE(CAST($3 AS TEXT), description)
         WHERE id = $1 RETURNING id, slug, name, description, created_by, created_at",
        workspace.as_uuid(),
        name,
        description
    )
    .await?;
    row.map(Workspace::try_from).transpose()
}

/// Deletes the workspace, from which everything that edges know must be gone already.
pub(super) async fn delete(tx: &mut Tx, workspace: WorkspaceId) -> Result<u64, StoreError> {
    execute!(tx, "DELETE FROM workspaces WHERE id = $1", workspace.as_uuid()).await
}
