//! All workspaces of the installation, and who is in them. An administrator acts in each as its owner.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use sentinel_access::members::Authority;
use sentinel_access::workspaces::ListedWorkspace;
use sentinel_core::id::WorkspaceId;
use serde::Serialize;

use crate::api::members::{InviteBody, MemberBody};
use crate::api::wire::{OK, PageBody, PageQuery};
use crate::api::workspaces::{CreateBody, WorkspaceBody};
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Admin, Json, Path, Query};
use crate::problem::ApiError;

/// `/admin/workspaces`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/workspaces", get(list).post(create))
        .route("/admin/workspaces/{workspace}/members", get(members))
        .route("/admin/workspaces/{workspace}/members/invite", post(invite))
}

#[derive(Serialize)]
struct ListedBody {
    #[serde(flatten)]
    workspace: WorkspaceBody,
    member_count: i64,
}

impl From<ListedWorkspace> for ListedBody {
    fn from(listed: ListedWorkspace) -> Self {
        Self {
            workspace: listed.workspace.into(),
            member_count: listed.member_count,
        }
    }
}

async fn list(
    State(app): State<App>,
    _: Admin,
    Query(page): Query<PageQuery>,
) -> Result<Json<PageBody<ListedBody>>, ApiError> {
    let (page, page_size) = page.parts()?;
    let mut tx = app.database().read().await?;
    let found = app.access().workspaces.list_all(&mut tx, page, page_size).await?;
    let items = found.items.into_iter().map(Into::into).collect();
    Ok(Json(PageBody {
        items,
        total: found.total,
        page,
        page_size,
    }))
}

async fn create(
    State(app): State<App>,
    admin: Admin,
    Json(body): Json<CreateBody>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    let made = app
        .access()
        .workspaces
        .create(&mut tx, Some(admin.id), admin.id, body.into())
        .await?;
    let committed = commit(&app, tx).await?;
    let body = ListedBody {
        workspace: made.into(),
        member_count: 1,
    };
    Ok((StatusCode::CREATED, committed, Json(body)))
}

async fn members(
    State(app): State<App>,
    _: Admin,
    Path(workspace): Path<WorkspaceId>,
) -> Result<Json<Vec<MemberBody>>, ApiError> {
    let mut tx = app.database().read().await?;
    let members = app.access().members.list(&mut tx, workspace, None, None).await?;
    Ok(Json(members.into_iter().map(Into::into).collect()))
}

async fn invite(
    State(app): State<App>,
    admin: Admin,
    Path(workspace): Path<WorkspaceId>,
    Json(body): Json<InviteBody>,
) -> Result<impl IntoResponse, ApiError> {
    let access = app.access();
    let mut tx = super::write(&app, &admin).await?;
    let workspace = access.workspaces.get(&mut tx, workspace).await?;
    let by = Authority::of_administrator(workspace.id, Some(admin.id));
    access
        .members
        .invite(&mut tx, &by, &body.email, body.role)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::CREATED, committed, Json(OK)))
}
