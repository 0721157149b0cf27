//! Who is in a workspace, for administrators of the installation.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use sentinel_access::invitations::Invited;
use sentinel_access::members::Authority;
use sentinel_core::id::{UserId, WorkspaceId};

use crate::api::invitations::{InvitationBody, InviteBody};
use crate::api::members::{MemberBody, RoleBody};
use crate::api::wire::OK;
use crate::api::withdraw;
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Admin, Json, Path};
use crate::problem::ApiError;

/// `/admin/workspaces/{workspace}/members`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/workspaces/{workspace}/members", get(list))
        .route("/admin/workspaces/{workspace}/members/invite", post(invite))
        .route(
            "/admin/workspaces/{workspace}/members/{user}",
            patch(change_role).delete(remove),
        )
}

async fn list(
    State(app): State<App>,
    _: Admin,
    Path(workspace): Path<WorkspaceId>,
) -> Result<Json<Vec<MemberBody>>, ApiError> {
    let access = app.access();
    let mut tx = app.database().read().await?;
    let workspace = access.workspaces.get(&mut tx, workspace).await?;
    let members = access.members.list(&mut tx, workspace.id, None, None).await?;
    Ok(Json(members.into_iter().map(Into::into).collect()))
}

async fn invite(
    State(app): State<App>,
    admin: Admin,
    Path(workspace): Path<WorkspaceId>,
    Json(body): Json<InviteBody>,
) -> Result<Response, ApiError> {
    let access = app.access();
    let mut tx = super::write(&app, &admin).await?;
    let workspace = access.workspaces.get(&mut tx, workspace).await?;
    let by = Authority::of_administrator(workspace.id, Some(admin.id));
    let invited = access
        .invitations
        .invite(&mut tx, &by, &body.email, body.role)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok(match invited {
        Invited::Member(_) => (StatusCode::CREATED, committed, Json(OK)).into_response(),
        Invited::Pending(invitation) => (
            StatusCode::ACCEPTED,
            committed,
            Json(InvitationBody::from(invitation)),
        )
            .into_response(),
    })
}

async fn change_role(
    State(app): State<App>,
    admin: Admin,
    Path((workspace, user)): Path<(WorkspaceId, UserId)>,
    Json(body): Json<RoleBody>,
) -> Result<impl IntoResponse, ApiError> {
    let by = Authority::of_administrator(workspace, Some(admin.id));
    let mut tx = super::write(&app, &admin).await?;
    app.access().workspaces.get(&mut tx, workspace).await?;
    withdraw::change_role(&app, &mut tx, &by, user, body.role).await?;
    let committed = commit(&app, tx).await?;
    Ok((committed, Json(OK)))
}

async fn remove(
    State(app): State<App>,
    admin: Admin,
    Path((workspace, user)): Path<(WorkspaceId, UserId)>,
) -> Result<impl IntoResponse, ApiError> {
    let by = Authority::of_administrator(workspace, Some(admin.id));
    let mut tx = super::write(&app, &admin).await?;
    app.access().workspaces.get(&mut tx, workspace).await?;
    withdraw::remove_member(&app, &mut tx, &by, user).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}
