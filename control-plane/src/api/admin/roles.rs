//! The roles of every workspace, and the actions that they allow.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{delete, get, patch};
use sentinel_access::members::Authority;
use sentinel_access::roles::{ListedRole, Role};
use sentinel_access::text::{Description, Name};
use sentinel_core::id::{RoleId, ServiceActionId, UserId, WorkspaceId};
use sentinel_store::Tx;
use serde::{Deserialize, Serialize};

use crate::api::roles::ServiceActionBody;
use crate::api::wire::{Moment, OK};
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Admin, Json, Path};
use crate::problem::ApiError;

/// The most actions that one request gives to a role.
const MAX_ACTIONS: usize = 500;

/// `/admin/workspaces/{workspace}/roles`, and `/admin/roles` but for who has them.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/workspaces/{workspace}/roles", get(list).post(create))
        .route("/admin/roles/{role}", patch(update).delete(remove))
        .route("/admin/roles/{role}/actions", get(actions).post(add_actions))
        .route("/admin/roles/{role}/actions/{action}", delete(remove_action))
}

#[derive(Serialize)]
struct RoleBody {
    id: RoleId,
    workspace_id: WorkspaceId,
    name: String,
    description: Option<String>,
    created_by: Option<UserId>,
    created_at: Moment,
    action_count: i64,
    member_count: i64,
    group_count: i64,
}

impl From<ListedRole> for RoleBody {
    fn from(listed: ListedRole) -> Self {
        let role = listed.role;
        Self {
            id: role.id,
            workspace_id: role.workspace,
            name: role.name,
            description: role.description,
            created_by: role.created_by,
            created_at: role.created_at.into(),
            action_count: listed.action_count,
            member_count: listed.member_count,
            group_count: listed.group_count,
        }
    }
}

#[derive(Deserialize)]
struct CreateBody {
    name: Name,
    description: Option<Description>,
}

#[derive(Deserialize)]
struct UpdateBody {
    name: Option<Name>,
    description: Option<Description>,
}

#[derive(Deserialize)]
struct ActionsBody {
    service_action_ids: Vec<ServiceActionId>,
}

/// The role, and the administrator's authority in its workspace.
pub(super) async fn role_and_authority(
    app: &App,
    tx: &mut Tx,
    admin: &Admin,
    role: RoleId,
) -> Result<(Role, Authority), ApiError> {
    let role = app.access().roles.get(tx, role).await?.role;
    let by = Authority::of_administrator(role.workspace, Some(admin.id));
    Ok((role, by))
}

async fn list(
    State(app): State<App>,
    _: Admin,
    Path(workspace): Path<WorkspaceId>,
) -> Result<Json<Vec<RoleBody>>, ApiError> {
    let access = app.access();
    let mut tx = app.database().read().await?;
    let workspace = access.workspaces.get(&mut tx, workspace).await?;
    let roles = access.roles.list(&mut tx, workspace.id).await?;
    Ok(Json(roles.into_iter().map(Into::into).collect()))
}

async fn create(
    State(app): State<App>,
    admin: Admin,
    Path(workspace): Path<WorkspaceId>,
    Json(body): Json<CreateBody>,
) -> Result<impl IntoResponse, ApiError> {
    let access = app.access();
    let mut tx = super::write(&app, &admin).await?;
    let workspace = access.workspaces.get(&mut tx, workspace).await?;
    let by = Authority::of_administrator(workspace.id, Some(admin.id));
    let role = access
        .roles
        .create(&mut tx, &by, body.name, body.description)
        .await?;
    let listed = access.roles.get(&mut tx, role.id).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::CREATED, committed, Json(RoleBody::from(listed))))
}

async fn update(
    State(app): State<App>,
    admin: Admin,
    Path(role): Path<RoleId>,
    Json(body): Json<UpdateBody>,
) -> Result<impl IntoResponse, ApiError> {
    let roles = &app.access().roles;
    let mut tx = super::write(&app, &admin).await?;
    let (role, by) = role_and_authority(&app, &mut tx, &admin, role).await?;
    let role = roles
        .update(&mut tx, &by, role.id, body.name, body.description)
        .await?;
    let listed = roles.get(&mut tx, role.id).await?;
    let committed = commit(&app, tx).await?;
    Ok((committed, Json(RoleBody::from(listed))))
}

async fn remove(
    State(app): State<App>,
    admin: Admin,
    Path(role): Path<RoleId>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    let (role, by) = role_and_authority(&app, &mut tx, &admin, role).await?;
    app.access().roles.delete(&mut tx, &by, role.id).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}

async fn actions(
    State(app): State<App>,
    admin: Admin,
    Path(role): Path<RoleId>,
) -> Result<Json<Vec<ServiceActionBody>>, ApiError> {
    let mut tx = app.database().read().await?;
    let (role, _) = role_and_authority(&app, &mut tx, &admin, role).await?;
    let actions = app
        .access()
        .roles
        .actions_of_role(&mut tx, role.workspace, role.id)
        .await?;
    Ok(Json(actions.into_iter().map(Into::into).collect()))
}

async fn add_actions(
    State(app): State<App>,
    admin: Admin,
    Path(role): Path<RoleId>,
    Json(body): Json<ActionsBody>,
) -> Result<impl IntoResponse, ApiError> {
    if body.service_action_ids.len() > MAX_ACTIONS {
        return Err(ApiError::invalid(
            ["body", "service_action_ids"],
            format!("at most {MAX_ACTIONS} are expected"),
        ));
    }
    let mut tx = super::write(&app, &admin).await?;
    let (role, by) = role_and_authority(&app, &mut tx, &admin, role).await?;
    app.access()
        .roles
        .add_actions(&mut tx, &by, role.id, &body.service_action_ids)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::CREATED, committed, Json(OK)))
}

async fn remove_action(
    State(app): State<App>,
    admin: Admin,
    Path((role, action)): Path<(RoleId, ServiceActionId)>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    let (role, by) = role_and_authority(&app, &mut tx, &admin, role).await?;
    app.access()
        .roles
        .remove_action(&mut tx, &by, role.id, action)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}
