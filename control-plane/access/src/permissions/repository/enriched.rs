//! SQL of shares with names.

use sentinel_core::id::{PermissionId, WorkspaceId};
use sentinel_store::{StoreError, Tx, fetch_all};

use super::super::EnrichedShare;
use super::shares::Row as ShareRow;

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    share: ShareRow,
    grantee_name: Option<String>,
    grantee_email: Option<String>,
    granted_by_name: Option<String>,
}

pub(crate) async fn of_resource(
    tx: &mut Tx,
    workspace: WorkspaceId,
    permission: PermissionId,
) -> Result<Vec<EnrichedShare>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT s.id, s.grantee_type, s.grantee_id, s.permission, s.granted_by, s.granted_at,
                COALESCE(u.name, g.name) AS grantee_name, u.email AS grantee_email, granter.name AS granted_by_name
         FROM resource_shares s JOIN resource_permissions p ON p.id = s.permission_id
         LEFT JOIN users u ON s.grantee_type = 'user' AND u.id = s.grantee_id
         LEFT JOIN groups g ON s.grantee_type = 'group' AND g.id = s.grantee_id AND g.workspace_id = p.workspace_id
         LEFT JOIN users granter ON granter.id = s.granted_by
         WHERE p.workspace_id = $1 AND p.id = $2 ORDER BY s.granted_at, s.id",
        workspace.as_uuid(),
        permission.as_uuid()
    )
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(EnrichedShare {
                share: row.share.try_into()?,
                grantee_name: row.grantee_name,
                grantee_email: row.grantee_email,
                granted_by_name: row.granted_by_name,
            })
        })
        .collect()
}
