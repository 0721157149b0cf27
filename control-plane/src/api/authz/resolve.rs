//! `POST /authz/resolve`: whose a token of an identity provider is, and a token of ours for it.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::post;
use secrecy::ExposeSecret;
use sentinel_access::users::User;
use sentinel_core::WorkspaceRole;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::name::Slug;
use sentinel_identity::{Caller, Outcome, ResolveError, ResolveRequest, VouchError, WorkspaceChoice};
use serde::{Deserialize, Serialize};

use crate::api::auth::callback::context;
use crate::app::App;
use crate::commit::published;
use crate::extract::{Client, Json, ServiceCaller};
use crate::middleware::rate;
use crate::problem::ApiError;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/authz/resolve", post(resolve))
}

#[derive(Deserialize)]
struct Asked {
    idp_token: String,
    provider: String,
    workspace_id: Option<WorkspaceId>,
    nonce: Option<String>,
}

/// What is absent is null: clients read all five.
#[derive(Serialize)]
struct Answer {
    user: Person,
    workspace: Option<MintedFor>,
    authz_token: Option<String>,
    expires_in: Option<u64>,
    workspaces: Option<Vec<Choice>>,
}

#[derive(Serialize)]
struct Person {
    id: UserId,
    email: String,
    name: String,
}

#[derive(Serialize)]
struct MintedFor {
    id: WorkspaceId,
    slug: Slug,
    role: WorkspaceRole,
}

#[derive(Serialize)]
struct Choice {
    id: WorkspaceId,
    name: String,
    slug: Slug,
    role: WorkspaceRole,
}

impl From<User> for Person {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
        }
    }
}

impl From<WorkspaceChoice> for Choice {
    fn from(choice: WorkspaceChoice) -> Self {
        Self {
            id: choice.id,
            name: choice.name,
            slug: choice.slug,
            role: choice.role,
        }
    }
}

impl Answer {
    fn new(user: User, outcome: Outcome) -> Self {
        let mut answer = Self {
            user: user.into(),
            workspace: None,
            authz_token: None,
            expires_in: None,
            workspaces: None,
        };
        match outcome {
            Outcome::Choice(workspaces) => {
                answer.workspaces = Some(workspaces.into_iter().map(Choice::from).collect());
            }
            Outcome::Minted(minted) => {
                answer.workspace = Some(MintedFor {
                    id: minted.workspace.id,
                    slug: minted.workspace.slug,
                    role: minted.role,
                });
                answer.authz_token = Some(minted.token.expose_secret().to_owned());
                answer.expires_in = Some(minted.expires_in);
            }
        }
        answer
    }
}

async fn resolve(
    State(app): State<App>,
    caller: ServiceCaller,
    client: Client,
    Json(body): Json<Asked>,
) -> Result<impl IntoResponse, ApiError> {
    rate::resolve(&app, &caller, &client).await?;
    let asked = ResolveRequest {
        provider: &body.provider,
        token: &body.idp_token,
        nonce: body.nonce.as_deref().filter(|nonce| !nonce.is_empty()),
        workspace: body.workspace_id,
    };
    let caller = match caller {
        ServiceCaller::Key(key) => Caller::Service(key.into_service()),
        ServiceCaller::Page(origin) => Caller::Page(origin.app(&app).await?.id),
    };
    let resolution = app.authz.resolve(asked, &caller, &context(&client)).await?;
    let committed = published(&app, resolution.revision).await?;
    Ok((committed, Json(Answer::new(resolution.user, resolution.outcome))))
}

impl From<ResolveError> for ApiError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::KeyRequired => Self::forbidden(error.to_string()).with_code("service_key_required"),
            ResolveError::AppNotFound => {
                Self::unauthorized("Invalid or missing service API key").with_code("service_key_invalid")
            }
            ResolveError::UnsupportedProvider(_) => {
                Self::bad_request(error.to_string()).with_code("provider_not_configured")
            }
            ResolveError::Token(error) => error.into(),
            ResolveError::EmailUsed(_) => Self::conflict(error.to_string()).with_code("email_conflict"),
            ResolveError::Inactive => Self::forbidden(error.to_string()).with_code("account_deactivated"),
            ResolveError::NotAMember => Self::forbidden(error.to_string()).with_code("not_a_member"),
            ResolveError::Failed(error) => error.into(),
        }
    }
}

impl From<VouchError> for ApiError {
    fn from(error: VouchError) -> Self {
        match error {
            VouchError::Unreachable(cause) => {
                Self::unavailable("The identity provider cannot be reached now")
                    .with_code("provider_unavailable")
                    .caused_by(cause)
            }
            refusal => Self::bad_request(refusal.to_string()).with_code("idp_token_invalid"),
        }
    }
}
