//! The service surface of roles: what actions a service has, and who may do them.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use sentinel_access::roles::{self, NewAction, Question, ServiceAction};
use sentinel_access::text::Description;
use sentinel_core::id::{ServiceActionId, WorkspaceId};
use sentinel_core::name::{ActionName, ServiceName};
use serde::{Deserialize, Serialize};

use super::wire::Moment;
use crate::app::App;
use crate::commit::{AnsweredAt, unreplicated};
use crate::extract::{Json, Query, ServiceAndUser, ServiceKey};
use crate::problem::ApiError;

/// The most actions in one request.
const MAX_ACTIONS: usize = 1000;

/// `/roles`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/roles/actions/register", post(register))
        .route("/roles/check-action", post(check_action))
        .route("/roles/user-actions", get(user_actions))
}

/// A registered action, as services and the admin panel see it.
#[derive(Serialize)]
pub(super) struct ServiceActionBody {
    id: ServiceActionId,
    service_name: ServiceName,
    action: ActionName,
    description: Option<String>,
    created_at: Moment,
}

impl From<ServiceAction> for ServiceActionBody {
    fn from(action: ServiceAction) -> Self {
        Self {
            id: action.id,
            service_name: action.service,
            action: action.action,
            description: action.description,
            created_at: action.created_at.into(),
        }
    }
}

#[derive(Deserialize)]
struct RegisterBody {
    service_name: ServiceName,
    actions: Vec<ActionBody>,
}

#[derive(Deserialize)]
struct ActionBody {
    action: ActionName,
    description: Option<Description>,
}

impl From<ActionBody> for NewAction {
    fn from(body: ActionBody) -> Self {
        Self {
            action: body.action,
            description: body.description,
        }
    }
}

#[derive(Deserialize)]
struct CheckBody {
    service_name: ServiceName,
    action: ActionName,
    workspace_id: WorkspaceId,
}

impl From<CheckBody> for Question {
    fn from(body: CheckBody) -> Self {
        Self {
            service: body.service_name,
            action: body.action,
            workspace: body.workspace_id,
        }
    }
}

#[derive(Serialize)]
struct CheckAnswer {
    allowed: bool,
    /// The roles that allow it.
    roles: Vec<String>,
}

#[derive(Deserialize)]
struct LookupQuery {
    workspace_id: WorkspaceId,
    service_name: ServiceName,
}

#[derive(Serialize)]
struct LookupAnswer {
    actions: Vec<ActionName>,
}

async fn register(
    State(app): State<App>,
    service: ServiceKey,
    Json(body): Json<RegisterBody>,
) -> Result<impl IntoResponse, ApiError> {
    if body.actions.len() > MAX_ACTIONS {
        return Err(ApiError::invalid(
            ["body", "actions"],
            format!("at most {MAX_ACTIONS} are expected"),
        ));
    }
    let actions = body.actions.into_iter().map(Into::into).collect();
    let mut tx = app.database().begin().await?;
    let registered = app
        .access()
        .roles
        .register(&mut tx, service.name(), &body.service_name, actions)
        .await?;
    tx.commit().await?;
    let body: Vec<ServiceActionBody> = registered.into_iter().map(Into::into).collect();
    Ok((StatusCode::CREATED, unreplicated(&app), Json(body)))
}

async fn check_action(
    State(app): State<App>,
    caller: ServiceAndUser,
    Json(body): Json<CheckBody>,
) -> Result<(AnsweredAt, Json<CheckAnswer>), ApiError> {
    let question = body.into();
    let user = caller.user.user();
    let graph = caller.user.state().graph();
    let mut roles = Vec::new();
    let revision = caller.user.state().revision();
    let may_act = roles::check(graph, caller.service.name(), user, &question)
        .map_err(|error| ApiError::from(error).decided_at(revision))?;
    if may_act {
        let mut tx = app.database().read().await?;
        roles = app
            .access()
            .roles
            .roles_allowing(&mut tx, user.id, &question)
            .await?;
    }
    // The rows are never older than the graph: where they name no role, the last one has just been taken away.
    let allowed = !roles.is_empty();
    if !allowed {
        tracing::debug!(
            user.id = %user.id, workspace.id = %user.workspace, service = %question.service,
            action = %question.action, "an action was denied"
        );
    }
    let answer = CheckAnswer { allowed, roles };
    Ok((AnsweredAt(revision), Json(answer)))
}

async fn user_actions(
    State(app): State<App>,
    caller: ServiceAndUser,
    Query(query): Query<LookupQuery>,
) -> Result<(AnsweredAt, Json<LookupAnswer>), ApiError> {
    let (service, user) = (caller.service.name(), caller.user.user());
    let mut tx = app.database().read().await?;
    let actions = app
        .access()
        .roles
        .lookup(&mut tx, service, user, query.workspace_id, &query.service_name)
        .await?;
    Ok((
        AnsweredAt(caller.user.state().revision()),
        Json(LookupAnswer { actions }),
    ))
}
