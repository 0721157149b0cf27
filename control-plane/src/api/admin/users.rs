//! Accounts, as administrators of the installation see them.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use sentinel_access::AccessError;
use sentinel_access::members::Authority;
use sentinel_access::text::Name;
use sentinel_access::users::{ListedUser, User};
use sentinel_access::workspaces::JoinedWorkspace;
use sentinel_core::WorkspaceRole;
use sentinel_core::id::{SocialAccountId, UserId, WorkspaceId};
use sentinel_core::name::Slug;
use sentinel_identity::{SocialAccount, social_accounts};
use sentinel_store::Tx;
use serde::{Deserialize, Serialize};

use super::{page_of, searched};
use crate::api::wire::{Moment, OK, PageBody, PageQuery};
use crate::api::withdraw;
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Admin, Json, Path, Query};
use crate::problem::ApiError;

/// The most accounts that are activated or deactivated at once.
const MAX_BULK: usize = 500;

/// `/admin/users`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/users", get(list))
        .route("/admin/users/bulk-status", post(set_status))
        .route("/admin/users/{user}", get(show).patch(update))
        .route("/admin/users/{user}/workspaces", post(add_to_workspace))
        .route("/admin/users/{user}/revoke-tokens", post(revoke_tokens))
}

/// An account in a list.
#[derive(Serialize)]
pub(super) struct AdminUserBody {
    id: UserId,
    email: String,
    name: String,
    avatar_url: Option<String>,
    is_active: bool,
    is_admin: bool,
    created_at: Moment,
    workspace_count: i64,
}

impl From<ListedUser> for AdminUserBody {
    fn from(listed: ListedUser) -> Self {
        let ListedUser {
            user,
            workspace_count,
        } = listed;
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            avatar_url: user.avatar_url,
            is_active: user.is_active,
            is_admin: user.is_admin,
            created_at: user.created_at.into(),
            workspace_count,
        }
    }
}

#[derive(Serialize)]
struct UserDetail {
    #[serde(flatten)]
    user: AdminUserBody,
    updated_at: Moment,
    social_accounts: Vec<SocialAccountBody>,
    memberships: Vec<MembershipBody>,
}

#[derive(Serialize)]
struct SocialAccountBody {
    id: SocialAccountId,
    provider: String,
    provider_user_id: String,
}

impl From<SocialAccount> for SocialAccountBody {
    fn from(account: SocialAccount) -> Self {
        Self {
            id: account.id,
            provider: account.provider,
            provider_user_id: account.subject,
        }
    }
}

#[derive(Serialize)]
struct MembershipBody {
    workspace_id: WorkspaceId,
    workspace_name: String,
    workspace_slug: Slug,
    role: WorkspaceRole,
    joined_at: Moment,
}

impl From<JoinedWorkspace> for MembershipBody {
    fn from(joined: JoinedWorkspace) -> Self {
        Self {
            workspace_id: joined.workspace.id,
            workspace_name: joined.workspace.name,
            workspace_slug: joined.workspace.slug,
            role: joined.role,
            joined_at: joined.joined_at.into(),
        }
    }
}

#[derive(Deserialize)]
struct ListQuery {
    search: Option<String>,
}

#[derive(Deserialize)]
struct UpdateBody {
    name: Option<Name>,
    is_active: Option<bool>,
    is_admin: Option<bool>,
}

#[derive(Deserialize)]
struct StatusBody {
    user_ids: Vec<UserId>,
    is_active: bool,
}

#[derive(Serialize)]
struct StatusAnswer {
    status: &'static str,
    /// How many of the ids are somebody's.
    affected: usize,
}

#[derive(Deserialize)]
struct JoinBody {
    workspace_id: WorkspaceId,
    #[serde(default = "viewer")]
    role: WorkspaceRole,
}

#[derive(Serialize)]
struct RevokedAnswer {
    status: &'static str,
    /// How many sessions ended; each was a family of tokens.
    tokens_revoked: u64,
}

async fn list(
    State(app): State<App>,
    _: Admin,
    Query(page): Query<PageQuery>,
    Query(query): Query<ListQuery>,
) -> Result<Json<PageBody<AdminUserBody>>, ApiError> {
    let (page, page_size) = page.parts()?;
    let search = searched("search", query.search)?.unwrap_or_default();
    let mut tx = app.database().read().await?;
    let found = app.access().users.list(&mut tx, &search, page, page_size).await?;
    Ok(page_of(found, page, page_size))
}

async fn show(
    State(app): State<App>,
    _: Admin,
    Path(user): Path<UserId>,
) -> Result<Json<UserDetail>, ApiError> {
    let mut tx = app.database().read().await?;
    let user = app.access().users.get(&mut tx, user).await?;
    Ok(Json(detail(&app, &mut tx, user).await?))
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
        user = withdraw::set_admin(&app, &mut tx, actor, id, is_admin).await?;
    }
    if let Some(is_active) = body.is_active {
        user = withdraw::set_active(&app, &mut tx, actor, id, is_active).await?;
    }
    let detail = detail(&app, &mut tx, user).await?;
    let committed = commit(&app, tx).await?;
    Ok((committed, Json(detail)))
}

/// All or none: what one of them may not have done to it, none has.
async fn set_status(
    State(app): State<App>,
    admin: Admin,
    Json(body): Json<StatusBody>,
) -> Result<impl IntoResponse, ApiError> {
    if body.user_ids.len() > MAX_BULK {
        return Err(ApiError::invalid(
            ["body", "user_ids"],
            format!("at most {MAX_BULK} are expected"),
        ));
    }
    let (users, actor) = (&app.access().users, Some(admin.id));
    let asked: BTreeSet<UserId> = body.user_ids.into_iter().collect();
    let mut tx = super::write(&app, &admin).await?;
    let known = users.known(&mut tx, &asked).await?;
    for user in &known {
        withdraw::set_active(&app, &mut tx, actor, *user, body.is_active).await?;
    }
    users
        .note_bulk(&mut tx, actor, known.len(), body.is_active)
        .await?;
    let committed = commit(&app, tx).await?;
    let answer = StatusAnswer {
        status: "ok",
        affected: known.len(),
    };
    Ok((committed, Json(answer)))
}

async fn add_to_workspace(
    State(app): State<App>,
    admin: Admin,
    Path(user): Path<UserId>,
    Json(body): Json<JoinBody>,
) -> Result<impl IntoResponse, ApiError> {
    let access = app.access();
    let mut tx = super::write(&app, &admin).await?;
    let user = access
        .users
        .find(&mut tx, user)
        .await?
        .ok_or(AccessError::InviteeNotFound)?;
    let workspace = access.workspaces.get(&mut tx, body.workspace_id).await?;
    let by = Authority::of_administrator(workspace.id, Some(admin.id));
    access.members.add(&mut tx, &by, user, body.role).await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::CREATED, committed, Json(OK)))
}

async fn revoke_tokens(
    State(app): State<App>,
    admin: Admin,
    Path(user): Path<UserId>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    let tokens_revoked = withdraw::revoke_tokens(&app, &mut tx, Some(admin.id), user).await?;
    let committed = commit(&app, tx).await?;
    let answer = RevokedAnswer {
        status: "ok",
        tokens_revoked,
    };
    Ok((committed, Json(answer)))
}

async fn detail(app: &App, tx: &mut Tx, user: User) -> Result<UserDetail, ApiError> {
    let updated_at = user.updated_at.into();
    let joined = app.access().workspaces.joined_by(tx, user.id).await?;
    let accounts = social_accounts(tx, user.id).await?;
    let listed = ListedUser {
        user,
        workspace_count: i64::try_from(joined.len()).unwrap_or(i64::MAX),
    };
    Ok(UserDetail {
        user: listed.into(),
        updated_at,
        social_accounts: accounts.into_iter().map(Into::into).collect(),
        memberships: joined.into_iter().map(Into::into).collect(),
    })
}

const fn viewer() -> WorkspaceRole {
    WorkspaceRole::Viewer
}
