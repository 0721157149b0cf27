//! Inviting people to a workspace, and the invitations that wait for their address to sign in.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use sentinel_access::invitations::{Invitation, Invited};
use sentinel_access::text::Email;
use sentinel_core::WorkspaceRole;
use sentinel_core::id::{InvitationId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::members::MemberBody;
use super::wire::Moment;
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Json, Path, UserToken, WritingUser};
use crate::problem::ApiError;

/// `/workspaces/{workspace}/invitations`, and the invitation itself.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/workspaces/{workspace}/members/invite", post(invite))
        .route("/workspaces/{workspace}/invitations", get(list))
        .route("/workspaces/{workspace}/invitations/{invitation}", delete(revoke))
}

/// Who is invited, on the wire.
#[derive(Deserialize)]
pub(super) struct InviteBody {
    pub(super) email: Email,
    #[serde(default = "viewer")]
    pub(super) role: WorkspaceRole,
}

/// A pending invitation on the wire.
#[derive(Serialize)]
pub(super) struct InvitationBody {
    status: &'static str,
    id: InvitationId,
    email: String,
    role: WorkspaceRole,
    invited_by: Option<UserId>,
    created_at: Moment,
    expires_at: Moment,
}

impl From<Invitation> for InvitationBody {
    fn from(invitation: Invitation) -> Self {
        Self {
            status: "pending",
            id: invitation.id,
            email: invitation.email,
            role: invitation.role,
            invited_by: invitation.invited_by,
            created_at: invitation.created_at.into(),
            expires_at: invitation.expires_at.into(),
        }
    }
}

async fn invite(
    State(app): State<App>,
    caller: WritingUser,
    Path(workspace): Path<WorkspaceId>,
    Json(body): Json<InviteBody>,
) -> Result<Response, ApiError> {
    let access = app.access();
    let (mut tx, by) = caller.write(&app, workspace, WorkspaceRole::Admin).await?;
    let invited = access
        .invitations
        .invite(&mut tx, &by, &body.email, body.role)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok(match invited {
        Invited::Member(member) => {
            (StatusCode::CREATED, committed, Json(MemberBody::from(member))).into_response()
        }
        Invited::Pending(invitation) => (
            StatusCode::ACCEPTED,
            committed,
            Json(InvitationBody::from(invitation)),
        )
            .into_response(),
    })
}

async fn list(
    State(app): State<App>,
    caller: UserToken,
    Path(workspace): Path<WorkspaceId>,
) -> Result<Json<Vec<InvitationBody>>, ApiError> {
    caller.require(workspace, WorkspaceRole::Admin)?;
    let mut tx = app.database().read().await?;
    let invitations = app.access().invitations.list(&mut tx, workspace).await?;
    Ok(Json(invitations.into_iter().map(Into::into).collect()))
}

async fn revoke(
    State(app): State<App>,
    caller: WritingUser,
    Path((workspace, invitation)): Path<(WorkspaceId, InvitationId)>,
) -> Result<impl IntoResponse, ApiError> {
    let access = app.access();
    let (mut tx, by) = caller.write(&app, workspace, WorkspaceRole::Admin).await?;
    access.invitations.revoke(&mut tx, &by, invitation).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}

const fn viewer() -> WorkspaceRole {
    WorkspaceRole::Viewer
}
