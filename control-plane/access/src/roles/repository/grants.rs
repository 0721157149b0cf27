//! SQL of what roles allow, and of the questions that follow from it.

use sentinel_core::id::{RoleActionId, RoleId, ServiceActionId, UserId, WorkspaceId};
use sentinel_core::name::{ActionName, ServiceName};
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_scalar_all};
use uuid::Uuid;

use super::super::{Question, Role, ServiceAction};
use super::actions::{self, TABLE};
use crate::row::parse;

/// That a role of a workspace allows an action: all that edges know of it.
#[derive(Debug)]
pub(crate) struct Grant {
    /// Which role.
    pub(crate) role: RoleId,
    /// Of which workspace.
    pub(crate) workspace: WorkspaceId,
    /// Whose action.
    pub(crate) service: ServiceName,
    /// Which.
    pub(crate) action: ActionName,
}

impl Grant {
    /// That this role allows this action.
    pub(crate) fn new(role: &Role, action: &ServiceAction) -> Self {
        Self {
            role: role.id,
            workspace: role.workspace,
            service: action.service.clone(),
            action: action.action.clone(),
        }
    }
}

/// What roles allow, as [`Row`]s of the roles `r` and actions `a`.
macro_rules! grants {
    () => {
        "SELECT r.id AS role_id, r.workspace_id, a.id AS action_id, a.service_name, a.action
         FROM role_actions ra JOIN roles r ON r.id = ra.role_id
                              JOIN service_actions a ON a.id = ra.service_action_id"
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    role_id: Uuid,
    workspace_id: Uuid,
    action_id: Uuid,
    service_name: String,
    action: String,
}

impl TryFrom<Row> for Grant {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            role: row.role_id.into(),
            workspace: row.workspace_id.into(),
            service: parse(TABLE, "service_name", row.action_id, &row.service_name)?,
            action: parse(TABLE, "action", row.action_id, &row.action)?,
        })
    }
}

#[derive(sqlx::FromRow)]
struct NameRow {
    id: Uuid,
    action: String,
}

/// Makes a role that was found in its workspace allow the action; `false` if it does already.
pub(crate) async fn add(
    tx: &mut Tx,
    id: RoleActionId,
    role: &Role,
    action: ServiceActionId,
) -> Result<bool, StoreError> {
    let added = execute!(
        tx,
        "INSERT INTO role_actions (id, role_id, service_action_id) VALUES ($1, $2, $3)
         ON CONFLICT (role_id, service_action_id) DO NOTHING",
        id.as_uuid(),
        role.id.as_uuid(),
        action.as_uuid()
    )
    .await?;
    Ok(added == 1)
}

/// Makes a role that was found in its workspace allow the action no more; `false` if it does not.
pub(crate) async fn remove(tx: &mut Tx, role: &Role, action: ServiceActionId) -> Result<bool, StoreError> {
    let removed = execute!(
        tx,
        "DELETE FROM role_actions WHERE role_id = $1 AND service_action_id = $2",
        role.id.as_uuid(),
        action.as_uuid()
    )
    .await?;
    Ok(removed == 1)
}

/// The actions that a role which was found in its workspace allows.
pub(crate) async fn of_role(tx: &mut Tx, role: &Role) -> Result<Vec<ServiceAction>, StoreError> {
    let rows = fetch_all!(
        tx,
        actions::Row,
        "SELECT a.id, a.service_name, a.action, a.description, a.created_at
         FROM role_actions ra JOIN service_actions a ON a.id = ra.service_action_id
         WHERE ra.role_id = $1 ORDER BY a.service_name, a.action",
        role.id.as_uuid()
    )
    .await?;
    rows.into_iter().map(ServiceAction::try_from).collect()
}

/// Makes a role that was found in its workspace allow nothing, and says what it allowed.
pub(crate) async fn delete_of_role(tx: &mut Tx, role: &Role) -> Result<Vec<Grant>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        concat!(grants!(), " WHERE ra.role_id = $1"),
        role.id.as_uuid()
    )
    .await?;
    execute!(
        tx,
        "DELETE FROM role_actions WHERE role_id = $1",
        role.id.as_uuid()
    )
    .await?;
    rows.into_iter().map(Grant::try_from).collect()
}

/// Makes no role allow the action, and says which did.
pub(crate) async fn delete_of_action(tx: &mut Tx, action: ServiceActionId) -> Result<Vec<Grant>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        concat!(grants!(), " WHERE ra.service_action_id = $1"),
        action.as_uuid()
    )
    .await?;
    execute!(
        tx,
        "DELETE FROM role_actions WHERE service_action_id = $1",
        action.as_uuid()
    )
    .await?;
    rows.into_iter().map(Grant::try_from).collect()
}

/// Makes no role allow any action of the service, and says which did.
pub(crate) async fn delete_of_service(tx: &mut Tx, service: &ServiceName) -> Result<Vec<Grant>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        concat!(grants!(), " WHERE a.service_name = $1"),
        service.as_str()
    )
    .await?;
    execute!(
        tx,
        "DELETE FROM role_actions
         WHERE service_action_id IN (SELECT id FROM service_actions WHERE service_name = $1)",
        service.as_str()
    )
    .await?;
    rows.into_iter().map(Grant::try_from).collect()
}

/// Makes no role of the workspace allow anything, and says what they allowed.
pub(crate) async fn delete_of_workspace(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<Vec<Grant>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        concat!(grants!(), " WHERE r.workspace_id = $1"),
        workspace.as_uuid()
    )
    .await?;
    execute!(
        tx,
        "DELETE FROM role_actions WHERE role_id IN (SELECT id FROM roles WHERE workspace_id = $1)",
        workspace.as_uuid()
    )
    .await?;
    rows.into_iter().map(Grant::try_from).collect()
}

/// What all roles of all workspaces allow: the replicated state is about them all.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Grant>, StoreError> {
    let rows = fetch_all!(tx, Row, grants!()).await?;
    rows.into_iter().map(Grant::try_from).collect()
}

/// The service's actions that roles of the user allow in the workspace, if he is a member of it: each once, in order.
pub(crate) async fn actions_of(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    service: &ServiceName,
) -> Result<Vec<ActionName>, StoreError> {
    let rows = fetch_all!(
        tx,
        NameRow,
        "SELECT DISTINCT a.id, a.action
         FROM roles r JOIN role_actions ra ON ra.role_id = r.id
                      JOIN service_actions a ON a.id = ra.service_action_id
                      JOIN workspace_memberships m ON m.workspace_id = r.workspace_id AND m.user_id = $2
         WHERE r.workspace_id = $1 AND a.service_name = $3
           AND (EXISTS (SELECT 1 FROM user_roles ur WHERE ur.role_id = r.id AND ur.user_id = $2)
                OR EXISTS (SELECT 1 FROM group_roles gr JOIN group_memberships gm ON gm.group_id = gr.group_id
                           WHERE gr.role_id = r.id AND gm.user_id = $2))
         ORDER BY a.action",
        workspace.as_uuid(),
        user.as_uuid(),
        service.as_str()
    )
    .await?;
    rows.into_iter()
        .map(|row| parse(TABLE, "action", row.id, &row.action))
        .collect()
}

/// The names of the user's roles that allow it, if he is a member of the workspace, in order.
pub(crate) async fn roles_allowing(
    tx: &mut Tx,
    user: UserId,
    question: &Question,
) -> Result<Vec<String>, StoreError> {
    fetch_scalar_all!(
        tx,
        String,
        "SELECT r.name
         FROM roles r JOIN role_actions ra ON ra.role_id = r.id
                      JOIN service_actions a ON a.id = ra.service_action_id
                      JOIN workspace_memberships m ON m.workspace_id = r.workspace_id AND m.user_id = $2
         WHERE r.workspace_id = $1 AND a.service_name = $3 AND a.action = $4
           AND (EXISTS (SELECT 1 FROM user_roles ur WHERE ur.role_id = r.id AND ur.user_id = $2)
                OR EXISTS (SELECT 1 FROM group_roles gr JOIN group_memberships gm ON gm.group_id = gr.group_id
                           WHERE gr.role_id = r.id AND gm.user_id = $2))
         ORDER BY r.name",
        question.workspace.as_uuid(),
        user.as_uuid(),
        question.service.as_str(),
        question.action.as_str()
    )
    .await
}
