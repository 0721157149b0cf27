//! Members of a workspace.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, patch};
use sentinel_access::members::{Member, Membership};
use sentinel_core::WorkspaceRole;
use sentinel_core::id::{MembershipId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::wire::Moment;
use super::withdraw;
use crate::app::App;
use crate::commit::commit;
use crate::extract::{FlexibleUser, Json, Path, Query, WritingUser};
use crate::problem::ApiError;

/// The most characters that are searched for.
const MAX_SEARCH: usize = 100;

/// The most members that a limited list has.
const MAX_LIMIT: i64 = 50;

/// `/workspaces/{workspace}/members`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/workspaces/{workspace}/members", get(list))
        .route(
            "/workspaces/{workspace}/members/{user}",
            patch(change_role).delete(remove),
        )
}

/// A member on the wire.
#[derive(Serialize)]
pub(super) struct MemberBody {
    user_id: UserId,
    email: String,
    name: String,
    avatar_url: Option<String>,
    role: WorkspaceRole,
    joined_at: Moment,
}

impl From<Member> for MemberBody {
    fn from(member: Member) -> Self {
        Self {
            user_id: member.user,
            email: member.email,
            name: member.name,
            avatar_url: member.avatar_url,
            role: member.role,
            joined_at: member.joined_at.into(),
        }
    }
}

#[derive(Serialize)]
struct MembershipBody {
    id: MembershipId,
    workspace_id: WorkspaceId,
    user_id: UserId,
    role: WorkspaceRole,
    joined_at: Moment,
}

impl From<Membership> for MembershipBody {
    fn from(membership: Membership) -> Self {
        Self {
            id: membership.id,
            workspace_id: membership.workspace,
            user_id: membership.user,
            role: membership.role,
            joined_at: membership.joined_at.into(),
        }
    }
}

#[derive(Deserialize)]
struct ListQuery {
    q: Option<String>,
    limit: Option<i64>,
}

/// A member's role to be, on the wire.
#[derive(Deserialize)]
pub(super) struct RoleBody {
    pub(super) role: WorkspaceRole,
}

async fn list(
    State(app): State<App>,
    caller: FlexibleUser,
    Path(workspace): Path<WorkspaceId>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<MemberBody>>, ApiError> {
    caller.require(workspace, WorkspaceRole::Viewer)?;
    if query.q.as_deref().is_some_and(|q| q.chars().count() > MAX_SEARCH) {
        return Err(ApiError::invalid(
            ["query", "q"],
            format!("at most {MAX_SEARCH} characters are expected"),
        ));
    }
    let limit = query
        .limit
        .and_then(|limit| usize::try_from(limit.clamp(1, MAX_LIMIT)).ok());
    let mut tx = app.database().read().await?;
    let members = app
        .access()
        .members
        .list(&mut tx, workspace, query.q.as_deref(), limit)
        .await?;
    Ok(Json(members.into_iter().map(Into::into).collect()))
}

async fn change_role(
    State(app): State<App>,
    caller: WritingUser,
    Path((workspace, user)): Path<(WorkspaceId, UserId)>,
    Json(body): Json<RoleBody>,
) -> Result<impl IntoResponse, ApiError> {
    let (mut tx, by) = caller.write(&app, workspace, WorkspaceRole::Admin).await?;
    let membership = withdraw::change_role(&app, &mut tx, &by, user, body.role).await?;
    let committed = commit(&app, tx).await?;
    Ok((committed, Json(MembershipBody::from(membership))))
}

async fn remove(
    State(app): State<App>,
    caller: WritingUser,
    Path((workspace, user)): Path<(WorkspaceId, UserId)>,
) -> Result<impl IntoResponse, ApiError> {
    let (mut tx, by) = caller.write(&app, workspace, WorkspaceRole::Admin).await?;
    withdraw::remove_member(&app, &mut tx, &by, user).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}
