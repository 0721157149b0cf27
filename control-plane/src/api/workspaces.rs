//! Workspaces, as their members see them.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use sentinel_access::text::{Description, Name};
use sentinel_access::workspaces::{NewWorkspace, Workspace};
use sentinel_core::WorkspaceRole;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::name::Slug;
use serde::{Deserialize, Serialize};

use super::wire::Moment;
use super::withdraw;
use crate::app::App;
use crate::commit::{Committed, commit, unreplicated};
use crate::extract::{Json, Path, UserToken, WritingUser};
use crate::problem::ApiError;

/// `/workspaces`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/workspaces", get(list).post(create))
        .route("/workspaces/{workspace}", get(show).patch(update).delete(delete))
}

/// A workspace on the wire.
#[derive(Serialize)]
pub(super) struct WorkspaceBody {
    id: WorkspaceId,
    slug: Slug,
    name: String,
    description: Option<String>,
    created_by: Option<UserId>,
    created_at: Moment,
}

impl From<Workspace> for WorkspaceBody {
    fn from(workspace: Workspace) -> Self {
        Self {
            id: workspace.id,
            slug: workspace.slug,
            name: workspace.name,
            description: workspace.description,
            created_by: workspace.created_by,
            created_at: workspace.created_at.into(),
        }
    }
}

/// A workspace to be, on the wire.
#[derive(Deserialize)]
pub(super) struct CreateBody {
    name: Name,
    slug: Slug,
    description: Option<Description>,
}

impl From<CreateBody> for NewWorkspace {
    fn from(body: CreateBody) -> Self {
        Self {
            name: body.name,
            slug: body.slug,
            description: body.description,
        }
    }
}

/// What of a workspace is to change. What is absent or null stays as it is.
#[derive(Deserialize)]
pub(super) struct UpdateBody {
    pub(super) name: Option<Name>,
    pub(super) description: Option<Description>,
}

async fn list(State(app): State<App>, caller: UserToken) -> Result<Json<Vec<WorkspaceBody>>, ApiError> {
    let mut tx = app.database().read().await?;
    let workspaces = app.access().workspaces.of_user(&mut tx, caller.id()).await?;
    Ok(Json(workspaces.into_iter().map(Into::into).collect()))
}

async fn create(
    State(app): State<App>,
    caller: WritingUser,
    Json(body): Json<CreateBody>,
) -> Result<impl IntoResponse, ApiError> {
    let workspaces = &app.access().workspaces;
    // Not in the turn that all writers share. A name that is taken meanwhile is refused there.
    let mut look = app.database().read().await?;
    workspaces.require_free(&mut look, &body.slug).await?;
    drop(look);
    let mut tx = app.database().write().await?;
    let owner = caller.id();
    let workspace = workspaces
        .create(&mut tx, Some(owner), owner, body.into())
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((
        StatusCode::CREATED,
        committed,
        Json(WorkspaceBody::from(workspace)),
    ))
}

async fn show(
    State(app): State<App>,
    caller: UserToken,
    Path(workspace): Path<WorkspaceId>,
) -> Result<Json<WorkspaceBody>, ApiError> {
    caller.require(workspace, WorkspaceRole::Viewer)?;
    let mut tx = app.database().read().await?;
    let workspace = app.access().workspaces.get(&mut tx, workspace).await?;
    Ok(Json(workspace.into()))
}

async fn update(
    State(app): State<App>,
    caller: WritingUser,
    Path(workspace): Path<WorkspaceId>,
    Json(body): Json<UpdateBody>,
) -> Result<(Committed, Json<WorkspaceBody>), ApiError> {
    let access = app.access();
    let (mut tx, by) = caller.begin(&app, workspace, WorkspaceRole::Admin).await?;
    let workspace = access
        .workspaces
        .update(&mut tx, &by, body.name, body.description)
        .await?;
    tx.commit().await?;
    Ok((unreplicated(&app), Json(workspace.into())))
}

async fn delete(
    State(app): State<App>,
    caller: WritingUser,
    Path(workspace): Path<WorkspaceId>,
) -> Result<impl IntoResponse, ApiError> {
    let (mut tx, by) = caller.write(&app, workspace, WorkspaceRole::Owner).await?;
    withdraw::delete_workspace(&app, &mut tx, &by).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}
