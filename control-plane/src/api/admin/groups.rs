//! Groups of every workspace, for administrators of the installation.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, patch, post};
use sentinel_access::members::Authority;
use sentinel_core::id::{GroupId, UserId, WorkspaceId};
use sentinel_store::Tx;

use crate::api::groups::{CreateBody, GroupBody, GroupMemberBody, UpdateBody};
use crate::api::wire::OK;
use crate::api::withdraw;
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Admin, Json, Path};
use crate::problem::ApiError;

/// `/admin/workspaces/{workspace}/groups` and `/admin/groups`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/workspaces/{workspace}/groups", get(list).post(create))
        .route("/admin/groups/{group}", patch(update).delete(delete))
        .route("/admin/groups/{group}/members", get(members))
        .route(
            "/admin/groups/{group}/members/{user}",
            post(add_member).delete(remove_member),
        )
}

async fn list(
    State(app): State<App>,
    _: Admin,
    Path(workspace): Path<WorkspaceId>,
) -> Result<Json<Vec<GroupBody>>, ApiError> {
    let access = app.access();
    let mut tx = app.database().read().await?;
    let workspace = access.workspaces.get(&mut tx, workspace).await?;
    let groups = access.groups.list(&mut tx, workspace.id).await?;
    Ok(Json(groups.into_iter().map(Into::into).collect()))
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
    let group = access
        .groups
        .create(&mut tx, &by, body.name, body.description)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::CREATED, committed, Json(GroupBody::from(group))))
}

async fn update(
    State(app): State<App>,
    admin: Admin,
    Path(group): Path<GroupId>,
    Json(body): Json<UpdateBody>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    let by = authority(&app, &mut tx, &admin, group).await?;
    let updated = app
        .access()
        .groups
        .update(&mut tx, &by, group, body.name, body.description)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((committed, Json(GroupBody::from(updated))))
}

async fn delete(
    State(app): State<App>,
    admin: Admin,
    Path(group): Path<GroupId>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    let by = authority(&app, &mut tx, &admin, group).await?;
    withdraw::delete_group(&app, &mut tx, &by, group).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}

async fn members(
    State(app): State<App>,
    _: Admin,
    Path(group): Path<GroupId>,
) -> Result<Json<Vec<GroupMemberBody>>, ApiError> {
    let groups = &app.access().groups;
    let mut tx = app.database().read().await?;
    let group = groups.get_anywhere(&mut tx, group).await?;
    let members = groups.members(&mut tx, group.workspace, group.id).await?;
    Ok(Json(members.into_iter().map(Into::into).collect()))
}

async fn add_member(
    State(app): State<App>,
    admin: Admin,
    Path((group, user)): Path<(GroupId, UserId)>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    let by = authority(&app, &mut tx, &admin, group).await?;
    app.access().groups.add_member(&mut tx, &by, group, user).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::CREATED, committed, Json(OK)))
}

async fn remove_member(
    State(app): State<App>,
    admin: Admin,
    Path((group, user)): Path<(GroupId, UserId)>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    let by = authority(&app, &mut tx, &admin, group).await?;
    withdraw::remove_group_member(&app, &mut tx, &by, group, user).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}

/// What the administrator is in the group's workspace: its owner.
async fn authority(app: &App, tx: &mut Tx, admin: &Admin, group: GroupId) -> Result<Authority, ApiError> {
    let group = app.access().groups.get_anywhere(tx, group).await?;
    Ok(Authority::of_administrator(group.workspace, Some(admin.id)))
}
