//! Who has a role: users and groups of its workspace.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use sentinel_access::roles::{GroupHolder, UserHolder};
use sentinel_authz::sentinel::Grantee;
use sentinel_core::id::{GroupId, RoleId, UserId};
use serde::Serialize;

use super::roles::role_and_authority;
use crate::api::wire::{Moment, OK};
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Admin, Json, Path};
use crate::problem::ApiError;

/// `/admin/roles/{role}/members` and `/admin/roles/{role}/groups`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/roles/{role}/members", get(users))
        .route(
            "/admin/roles/{role}/members/{user}",
            post(add_user).delete(remove_user),
        )
        .route("/admin/roles/{role}/groups", get(groups))
        .route(
            "/admin/roles/{role}/groups/{group}",
            post(add_group).delete(remove_group),
        )
}

#[derive(Serialize)]
struct UserBody {
    user_id: UserId,
    email: String,
    name: String,
    assigned_at: Moment,
    assigned_by: Option<UserId>,
}

impl From<UserHolder> for UserBody {
    fn from(holder: UserHolder) -> Self {
        Self {
            user_id: holder.user,
            email: holder.email,
            name: holder.name,
            assigned_at: holder.assigned_at.into(),
            assigned_by: holder.assigned_by,
        }
    }
}

#[derive(Serialize)]
struct GroupBody {
    group_id: GroupId,
    name: String,
    description: Option<String>,
    member_count: i64,
    assigned_at: Moment,
    assigned_by: Option<UserId>,
}

impl From<GroupHolder> for GroupBody {
    fn from(holder: GroupHolder) -> Self {
        Self {
            group_id: holder.group,
            name: holder.name,
            description: holder.description,
            member_count: holder.member_count,
            assigned_at: holder.assigned_at.into(),
            assigned_by: holder.assigned_by,
        }
    }
}

async fn users(
    State(app): State<App>,
    admin: Admin,
    Path(role): Path<RoleId>,
) -> Result<Json<Vec<UserBody>>, ApiError> {
    let mut tx = app.database().read().await?;
    let (role, _) = role_and_authority(&app, &mut tx, &admin, role).await?;
    let users = app.access().roles.users(&mut tx, role.workspace, role.id).await?;
    Ok(Json(users.into_iter().map(Into::into).collect()))
}

async fn add_user(
    State(app): State<App>,
    admin: Admin,
    Path((role, user)): Path<(RoleId, UserId)>,
) -> Result<impl IntoResponse, ApiError> {
    give(&app, &admin, role, Grantee::User(user)).await
}

async fn remove_user(
    State(app): State<App>,
    admin: Admin,
    Path((role, user)): Path<(RoleId, UserId)>,
) -> Result<impl IntoResponse, ApiError> {
    take(&app, &admin, role, Grantee::User(user)).await
}

async fn groups(
    State(app): State<App>,
    admin: Admin,
    Path(role): Path<RoleId>,
) -> Result<Json<Vec<GroupBody>>, ApiError> {
    let mut tx = app.database().read().await?;
    let (role, _) = role_and_authority(&app, &mut tx, &admin, role).await?;
    let groups = app
        .access()
        .roles
        .groups(&mut tx, role.workspace, role.id)
        .await?;
    Ok(Json(groups.into_iter().map(Into::into).collect()))
}

async fn add_group(
    State(app): State<App>,
    admin: Admin,
    Path((role, group)): Path<(RoleId, GroupId)>,
) -> Result<impl IntoResponse, ApiError> {
    give(&app, &admin, role, Grantee::Group(group)).await
}

async fn remove_group(
    State(app): State<App>,
    admin: Admin,
    Path((role, group)): Path<(RoleId, GroupId)>,
) -> Result<impl IntoResponse, ApiError> {
    take(&app, &admin, role, Grantee::Group(group)).await
}

async fn give(
    app: &App,
    admin: &Admin,
    role: RoleId,
    to: Grantee,
) -> Result<impl IntoResponse + use<>, ApiError> {
    let mut tx = super::write(app, admin).await?;
    let (role, by) = role_and_authority(app, &mut tx, admin, role).await?;
    app.access().roles.give(&mut tx, &by, role.id, to).await?;
    let committed = commit(app, tx).await?;
    Ok((StatusCode::CREATED, committed, Json(OK)))
}

async fn take(
    app: &App,
    admin: &Admin,
    role: RoleId,
    from: Grantee,
) -> Result<impl IntoResponse + use<>, ApiError> {
    let mut tx = super::write(app, admin).await?;
    let (role, by) = role_and_authority(app, &mut tx, admin, role).await?;
    app.access().roles.take(&mut tx, &by, role.id, from).await?;
    let committed = commit(app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}
