//! SQL of the activity log.

use sentinel_core::Timestamp;
use sentinel_core::id::ActivityId;
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_scalar};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Entry, Filter, Record};

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    action: String,
    actor_id: Option<Uuid>,
    actor_name: Option<String>,
    actor_email: Option<String>,
    target_type: String,
    target_id: Uuid,
    workspace_id: Option<Uuid>,
    detail: Option<Json<Value>>,
    created_at: Timestamp,
    target_label: Option<String>,
}

impl From<Row> for Record {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            action: row.action,
            actor: row.actor_id.map(Into::into),
            actor_name: row.actor_name,
            actor_email: row.actor_email,
            target_type: row.target_type,
            target_id: row.target_id,
            workspace: row.workspace_id.map(Into::into),
            detail: row.detail.map(|Json(detail)| detail),
            created_at: row.created_at,
            target_label: row.target_label,
        }
    }
}

pub(super) async fn insert(
    tx: &mut Tx,
    id: ActivityId,
    entry: &Entry,
    now: Timestamp,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO activity_logs (id, action, actor_id, target_type, target_id, workspace_id, detail, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        id.as_uuid(),
        entry.action.as_str(),
        entry.actor.map(|actor| actor.as_uuid()),
        entry.target.kind.as_str(),
        entry.target.id,
        entry.workspace.map(|workspace| workspace.as_uuid()),
        entry.detail.clone().map(Json),
        now
    ).await?;
    Ok(())
}

// Casts give PostgreSQL the type of a parameter that is only asked whether it is null; SQLite keeps null as null.
pub(super) async fn page(
    tx: &mut Tx,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> Result<Vec<Record>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT a.id, a.action, a.actor_id, actor.name AS actor_name, actor.email AS actor_email,
                a.target_type, a.target_id, a.workspace_id, a.detail, a.created_at,
                CASE a.target_type
                    WHEN 'user' THEN (SELECT u.email FROM users u WHERE u.id = a.target_id)
                    WHEN 'workspace' THEN (SELECT w.name FROM workspaces w WHERE w.id = a.target_id)
                    WHEN 'group' THEN (SELECT g.name FROM groups g WHERE g.id = a.target_id)
                    WHEN 'role' THEN (SELECT r.name FROM roles r WHERE r.id = a.target_id)
                    WHEN 'service_action' THEN (SELECT sa.action FROM service_actions sa WHERE sa.id = a.target_id)
                    WHEN 'client_app' THEN (SELECT c.name FROM client_apps c WHERE c.id = a.target_id)
                    WHEN 'service_app' THEN (SELECT s.name FROM service_apps s WHERE s.id = a.target_id)
                    WHEN 'edge' THEN (SELECT e.name FROM edges e WHERE e.id = a.target_id)
                END AS target_label
         FROM activity_logs a LEFT JOIN users actor ON actor.id = a.actor_id
         WHERE (CAST($1 AS TEXT) IS NULL OR a.action = $1)
           AND (CAST($2 AS TEXT) IS NULL OR a.target_type = $2)
           AND (CAST($3 AS UUID) IS NULL OR a.workspace_id = $3)
           AND (CAST($4 AS UUID) IS NULL OR a.actor_id = $4)
           AND (CAST($5 AS TIMESTAMPTZ) IS NULL OR a.created_at >= $5)
           AND (CAST($6 AS TIMESTAMPTZ) IS NULL OR a.created_at <= $6)
         ORDER BY a.created_at DESC, a.id DESC LIMIT $7 OFFSET $8",
        filter.action.map(super::Action::as_str),
        filter.target_type.map(super::TargetKind::as_str),
        filter.workspace.map(|workspace| workspace.as_uuid()),
        filter.actor.map(|actor| actor.as_uuid()),
        filter.from,
        filter.to,
        limit,
        offset
    )
    .await?;
    Ok(rows.into_iter().map(Record::from).collect())
}

pub(super) async fn count(tx: &mut Tx, filter: &Filter) -> Result<i64, StoreError> {
    let count = fetch_scalar!(
        tx,
        i64,
        "SELECT COUNT(*) FROM activity_logs a
         WHERE (CAST($1 AS TEXT) IS NULL OR a.action = $1)
           AND (CAST($2 AS TEXT) IS NULL OR a.target_type = $2)
           AND (CAST($3 AS UUID) IS NULL OR a.workspace_id = $3)
           AND (CAST($4 AS UUID) IS NULL OR a.actor_id = $4)
           AND (CAST($5 AS TIMESTAMPTZ) IS NULL OR a.created_at >= $5)
           AND (CAST($6 AS TIMESTAMPTZ) IS NULL OR a.created_at <= $6)",
        filter.action.map(super::Action::as_str),
        filter.target_type.map(super::TargetKind::as_str),
        filter.workspace.map(|workspace| workspace.as_uuid()),
        filter.actor.map(|actor| actor.as_uuid()),
        filter.from,
        filter.to
    )
    .await?;
    Ok(count)
}
