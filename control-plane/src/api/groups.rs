//! Groups of a workspace and who is in them.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, patch, post};
use sentinel_access::groups::{Group, GroupMember};
use sentinel_access::text::{Description, Name};
use sentinel_core::WorkspaceRole;
use sentinel_core::id::{GroupId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::wire::{Moment, OK};
use super::withdraw;
use crate::app::App;
use crate::commit::{Committed, commit, unreplicated};
use crate::extract::{FlexibleUser, Json, Path, WritingUser};
use crate::problem::ApiError;

/// `/workspaces/{workspace}/groups`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/workspaces/{workspace}/groups", get(list).post(create))
        .route(
            "/workspaces/{workspace}/groups/{group}",
            patch(update).delete(delete),
        )
        .route("/workspaces/{workspace}/groups/{group}/members", get(members))
        .route(
            "/workspaces/{workspace}/groups/{group}/members/{user}",
            post(add_member).delete(remove_member),
        )
}

/// A group on the wire.
#[derive(Serialize)]
pub(super) struct GroupBody {
    id: GroupId,
    workspace_id: WorkspaceId,
    name: String,
    description: Option<String>,
    created_by: Option<UserId>,
    created_at: Moment,
}

impl From<Group> for GroupBody {
    fn from(group: Group) -> Self {
        Self {
            id: group.id,
            workspace_id: group.workspace,
            name: group.name,
            description: group.description,
            created_by: group.created_by,
            created_at: group.created_at.into(),
        }
    }
}

/// Somebody in a group, on the wire.
#[derive(Serialize)]
pub(super) struct GroupMemberBody {
    user_id: UserId,
    email: String,
    name: String,
    added_at: Moment,
}

impl From<GroupMember> for GroupMemberBody {
    fn from(member: GroupMember) -> Self {
        Self {
            user_id: member.user,
            email: member.email,
            name: member.name,
            added_at: member.added_at.into(),
        }
    }
}

/// A group to be, on the wire.
#[derive(Deserialize)]
pub(super) struct CreateBody {
    pub(super) name: Name,
    pub(super) description: Option<Description>,
}

/// What of a group is to change. What is absent or null stays as it is.
#[derive(Deserialize)]
pub(super) struct UpdateBody {
    pub(super) name: Option<Name>,
    pub(super) description: Option<Description>,
}

async fn list(
    State(app): State<App>,
    caller: FlexibleUser,
    Path(workspace): Path<WorkspaceId>,
) -> Result<Json<Vec<GroupBody>>, ApiError> {
    caller.require(workspace, WorkspaceRole::Viewer)?;
    let mut tx = app.database().read().await?;
    let groups = app.access().groups.list(&mut tx, workspace).await?;
    Ok(Json(groups.into_iter().map(Into::into).collect()))
}

async fn create(
    State(app): State<App>,
    caller: WritingUser,
    Path(workspace): Path<WorkspaceId>,
    Json(body): Json<CreateBody>,
) -> Result<impl IntoResponse, ApiError> {
    let access = app.access();
    let (mut tx, by) = caller.write(&app, workspace, WorkspaceRole::Admin).await?;
    let group = access
        .groups
        .create(&mut tx, &by, body.name, body.description)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::CREATED, committed, Json(GroupBody::from(group))))
}

async fn update(
    State(app): State<App>,
    caller: WritingUser,
    Path((workspace, group)): Path<(WorkspaceId, GroupId)>,
    Json(body): Json<UpdateBody>,
) -> Result<(Committed, Json<GroupBody>), ApiError> {
    let access = app.access();
    let (mut tx, by) = caller.begin(&app, workspace, WorkspaceRole::Admin).await?;
    let group = access
        .groups
        .update(&mut tx, &by, group, body.name, body.description)
        .await?;
    tx.commit().await?;
    Ok((unreplicated(&app), Json(group.into())))
}

async fn delete(
    State(app): State<App>,
    caller: WritingUser,
    Path((workspace, group)): Path<(WorkspaceId, GroupId)>,
) -> Result<impl IntoResponse, ApiError> {
    let (mut tx, by) = caller.write(&app, workspace, WorkspaceRole::Admin).await?;
    withdraw::delete_group(&app, &mut tx, &by, group).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}

async fn members(
    State(app): State<App>,
    caller: FlexibleUser,
    Path((workspace, group)): Path<(WorkspaceId, GroupId)>,
) -> Result<Json<Vec<GroupMemberBody>>, ApiError> {
    caller.require(workspace, WorkspaceRole::Viewer)?;
    let mut tx = app.database().read().await?;
    let members = app.access().groups.members(&mut tx, workspace, group).await?;
    Ok(Json(members.into_iter().map(Into::into).collect()))
}

async fn add_member(
    State(app): State<App>,
    caller: WritingUser,
    Path((workspace, group, user)): Path<(WorkspaceId, GroupId, UserId)>,
) -> Result<impl IntoResponse, ApiError> {
    let access = app.access();
    let (mut tx, by) = caller.write(&app, workspace, WorkspaceRole::Admin).await?;
    access.groups.add_member(&mut tx, &by, group, user).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::CREATED, committed, Json(OK)))
}

async fn remove_member(
    State(app): State<App>,
    caller: WritingUser,
    Path((workspace, group, user)): Path<(WorkspaceId, GroupId, UserId)>,
) -> Result<impl IntoResponse, ApiError> {
    let (mut tx, by) = caller.write(&app, workspace, WorkspaceRole::Admin).await?;
    withdraw::remove_group_member(&app, &mut tx, &by, group, user).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}
