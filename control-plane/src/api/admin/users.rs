//! Accounts, as administrators of the installation see them.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use sentinel_access::text::Name;
use sentinel_access::users::User;
use sentinel_access::workspaces::Workspace;
use sentinel_core::WorkspaceRole;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::name::Slug;
use sentinel_identity::EndReason;
use serde::{Deserialize, Serialize};

use crate::api::wire::Moment;
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Admin, Json, Path};
use crate::problem::ApiError;

/// `/admin/users`.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/admin/users/{user}", get(show).patch(update))
}

#[derive(Serialize)]
struct UserDetail {
    id: UserId,
    email: String,
    name: String,
    avatar_url: Option<String>,
    is_active: bool,
    is_admin: bool,
    created_at: Moment,
    updated_at: Moment,
    workspace_count: usize,
    memberships: Vec<MembershipBody>,
}

#[derive(Serialize)]
struct MembershipBody {
    workspace_id: WorkspaceId,
    workspace_name: String,
    workspace_slug: Slug,
    role: WorkspaceRole,
}

impl UserDetail {
    fn new(user: User, memberships: Vec<(Workspace, WorkspaceRole)>) -> Self {
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            avatar_url: user.avatar_url,
            is_active: user.is_active,
            is_admin: user.is_admin,
            created_at: user.created_at.into(),
            updated_at: user.updated_at.into(),
            workspace_count: memberships.len(),
            memberships: memberships.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<(Workspace, WorkspaceRole)> for MembershipBody {
    fn from((workspace, role): (Workspace, WorkspaceRole)) -> Self {
        Self {
            workspace_id: workspace.id,
            workspace_name: workspace.name,
            workspace_slug: workspace.slug,
            role,
        }
    }
}

#[derive(Deserialize)]
struct UpdateBody {
    name: Option<Name>,
    is_active: Option<bool>,
    is_admin: Option<bool>,
}

async fn show(
    State(app): State<App>,
    _: Admin,
    Path(user): Path<UserId>,
) -> Result<Json<UserDetail>, ApiError> {
    let access = app.access();
    let mut tx = app.database().read().await?;
    let user = access.users.get(&mut tx, user).await?;
    let memberships = access.members.workspaces_of(&mut tx, user.id).await?;
    Ok(Json(UserDetail::new(user, memberships)))
}

async fn update(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<UserId>,
    Json(body): Json<UpdateBody>,
) -> Result<impl IntoResponse, ApiError> {
    let (users, actor) = (&app.access().users, Some(admin.id));
    let mut tx = super::write(&app, &admin).await?;
    let mut user = users.get(&mut tx, id).await?;
    if let Some(name) = body.name {
        user = users.rename(&mut tx, actor, id, name).await?;
    }
    if let Some(is_admin) = body.is_admin {
        user = users.set_admin(&mut tx, actor, id, is_admin).await?;
    }
    if let Some(is_active) = body.is_active {
        user = users.set_active(&mut tx, actor, id, is_active).await?;
        if !is_active {
            app.sessions
                .end_all_of(&mut tx, id, EndReason::Deactivated)
                .await?;
        }
    }
    let memberships = app.access().members.workspaces_of(&mut tx, id).await?;
    let committed = commit(&app, tx).await?;
    Ok((committed, Json(UserDetail::new(user, memberships))))
}
