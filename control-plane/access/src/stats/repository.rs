//! SQL of how much there is. About all tenants, for administrators of the installation.

use sentinel_store::{StoreError, Tx, fetch_all, fetch_one};
use uuid::Uuid;

use super::TopWorkspace;
use crate::row::parse;

#[derive(sqlx::FromRow)]
pub(super) struct Counts {
    pub(super) users: i64,
    pub(super) active_users: i64,
    pub(super) workspaces: i64,
    pub(super) groups: i64,
    pub(super) resources: i64,
}

#[derive(sqlx::FromRow)]
struct TopRow {
    id: Uuid,
    name: String,
    slug: String,
    member_count: i64,
}

pub(super) async fn counts(tx: &mut Tx) -> Result<Counts, StoreError> {
    fetch_one!(
        tx,
        Counts,
        "SELECT (SELECT COUNT(*) FROM users) AS users,
                (SELECT COUNT(*) FROM users WHERE is_active) AS active_users,
                (SELECT COUNT(*) FROM workspaces) AS workspaces,
                (SELECT COUNT(*) FROM groups) AS groups,
                (SELECT COUNT(*) FROM resource_permissions) AS resources"
    )
    .await
}

pub(super) async fn top_workspaces(tx: &mut Tx, limit: i64) -> Result<Vec<TopWorkspace>, StoreError> {
    let rows = fetch_all!(
        tx,
        TopRow,
        "SELECT w.id, w.name, w.slug, m.member_count
         FROM workspaces w
         JOIN (SELECT workspace_id, COUNT(*) AS member_count FROM workspace_memberships GROUP BY workspace_id) m
             ON m.workspace_id = w.id
         ORDER BY m.member_count DESC, w.name, w.id LIMIT $1",
        limit
    )
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(TopWorkspace {
                id: row.id.into(),
                slug: parse("workspaces", "slug", row.id, &row.slug)?,
                name: row.name,
                member_count: row.member_count,
            })
        })
        .collect()
}
