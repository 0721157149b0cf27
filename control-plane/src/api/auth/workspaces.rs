//! `POST /auth/workspaces`: which workspaces the user of a code may choose from. The code stays good. Older clients ask
//! by GET with the code alone; the configuration says whether they are answered.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use sentinel_core::WorkspaceRole;
use sentinel_core::id::WorkspaceId;
use sentinel_core::name::Slug;
use sentinel_identity::WorkspaceChoice;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::extract::{Json, Query};
use crate::problem::ApiError;

#[derive(Deserialize)]
struct ByCode {
    code: String,
}

#[derive(Deserialize)]
struct Proved {
    code: String,
    code_verifier: String,
}

#[derive(Serialize)]
struct Choice {
    id: WorkspaceId,
    name: String,
    slug: Slug,
    role: WorkspaceRole,
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

/// The routes.
pub(crate) fn routes(by_get: bool) -> Router<App> {
    let routes = Router::new().route("/auth/workspaces", post(proved));
    if by_get {
        routes.route("/auth/workspaces", get(by_code))
    } else {
        routes
    }
}

async fn proved(State(app): State<App>, Json(asked): Json<Proved>) -> Result<Json<Vec<Choice>>, ApiError> {
    check_verifier(&asked.code_verifier)?;
    choices(&app, &asked.code, Some(&asked.code_verifier)).await
}

async fn by_code(State(app): State<App>, Query(asked): Query<ByCode>) -> Result<Json<Vec<Choice>>, ApiError> {
    choices(&app, &asked.code, None).await
}

async fn choices(app: &App, code: &str, verifier: Option<&str>) -> Result<Json<Vec<Choice>>, ApiError> {
    let workspaces = app.login.workspaces(code, verifier).await?;
    Ok(Json(workspaces.into_iter().map(Choice::from).collect()))
}

/// 422 for what cannot be a PKCE verifier (RFC 7636 §4.1).
pub(crate) fn check_verifier(verifier: &str) -> Result<(), ApiError> {
    if (43..=128).contains(&verifier.len()) {
        Ok(())
    } else {
        Err(ApiError::invalid(
            ["body", "code_verifier"],
            "43 to 128 characters are expected",
        ))
    }
}
