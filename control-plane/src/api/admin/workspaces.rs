//! All workspaces of the installation. An administrator acts in each as its owner.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use sentinel_access::members::Authority;
use sentinel_access::workspaces::{DetailedWorkspace, ListedWorkspace, NamedWorkspace};
use sentinel_core::id::WorkspaceId;
use sentinel_core::name::Slug;
use serde::Serialize;

use super::page_of;
use crate::api::wire::{PageBody, PageQuery};
use crate::api::withdraw;
use crate::api::workspaces::{CreateBody, UpdateBody, WorkspaceBody};
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Admin, Json, Path, Query};
use crate::problem::ApiError;

/// `/admin/workspaces`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/workspaces", get(list).post(create))
        .route("/admin/workspaces/all", get(names))
        .route(
            "/admin/workspaces/{workspace}",
            get(show).patch(update).delete(delete),
        )
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

#[derive(Serialize)]
struct DetailBody {
    #[serde(flatten)]
    workspace: WorkspaceBody,
    member_count: i64,
    group_count: i64,
}

impl From<DetailedWorkspace> for DetailBody {
    fn from(detailed: DetailedWorkspace) -> Self {
        Self {
            workspace: detailed.workspace.into(),
            member_count: detailed.member_count,
            group_count: detailed.group_count,
        }
    }
}

#[derive(Serialize)]
struct NamedBody {
    id: WorkspaceId,
    name: String,
    slug: Slug,
}

impl From<NamedWorkspace> for NamedBody {
    fn from(named: NamedWorkspace) -> Self {
        Self {
            id: named.id,
            name: named.name,
            slug: named.slug,
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
    Ok(page_of(found, page, page_size))
}

async fn names(State(app): State<App>, _: Admin) -> Result<Json<Vec<NamedBody>>, ApiError> {
    let mut tx = app.database().read().await?;
    let found = app.access().workspaces.names(&mut tx).await?;
    Ok(Json(found.into_iter().map(Into::into).collect()))
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

async fn show(
    State(app): State<App>,
    _: Admin,
    Path(workspace): Path<WorkspaceId>,
) -> Result<Json<DetailBody>, ApiError> {
    let mut tx = app.database().read().await?;
    let found = app.access().workspaces.detail(&mut tx, workspace).await?;
    Ok(Json(found.into()))
}

async fn update(
    State(app): State<App>,
    admin: Admin,
    Path(workspace): Path<WorkspaceId>,
    Json(body): Json<UpdateBody>,
) -> Result<impl IntoResponse, ApiError> {
    let workspaces = &app.access().workspaces;
    let by = Authority::of_administrator(workspace, Some(admin.id));
    let mut tx = super::write(&app, &admin).await?;
    workspaces
        .update(&mut tx, &by, body.name, body.description)
        .await?;
    let updated = workspaces.detail(&mut tx, workspace).await?;
    let committed = commit(&app, tx).await?;
    Ok((committed, Json(DetailBody::from(updated))))
}

async fn delete(
    State(app): State<App>,
    admin: Admin,
    Path(workspace): Path<WorkspaceId>,
) -> Result<impl IntoResponse, ApiError> {
    let by = Authority::of_administrator(workspace, Some(admin.id));
    let mut tx = super::write(&app, &admin).await?;
    withdraw::delete_workspace(&app, &mut tx, &by).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}
