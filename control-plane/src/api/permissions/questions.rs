//! Who may do what: answered from one snapshot of the replicated state, without the database.

use axum::Router;
use axum::routing::post;
use sentinel_access::permissions::{self, Listing, Question, ResourceName};
use sentinel_authz::sentinel::Permission;
use sentinel_core::id::{ResourceId, WorkspaceId};
use sentinel_core::name::{ResourceType, ServiceName};
use serde::{Deserialize, Serialize};

use super::Level;
use crate::app::App;
use crate::commit::AnsweredAt;
use crate::extract::{Json, ServiceAndUser};
use crate::problem::ApiError;

/// The most questions in one request.
const MAX_CHECKS: usize = 100;

/// The most resources on one page.
const MAX_LIMIT: usize = 10_000;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/permissions/check", post(check))
        .route("/permissions/accessible", post(accessible))
}

impl From<Level> for Permission {
    fn from(level: Level) -> Self {
        match level {
            Level::View => Self::View,
            Level::Edit => Self::Edit,
        }
    }
}

#[derive(Deserialize)]
struct CheckBody {
    checks: Vec<CheckItem>,
}

#[derive(Deserialize)]
struct CheckItem {
    service_name: ServiceName,
    resource_type: ResourceType,
    resource_id: ResourceId,
    action: Level,
}

#[derive(Serialize)]
struct CheckAnswer {
    results: Vec<CheckResult>,
}

#[derive(Serialize)]
struct CheckResult {
    service_name: ServiceName,
    resource_type: ResourceType,
    resource_id: ResourceId,
    action: Level,
    allowed: bool,
}

impl CheckItem {
    fn question(&self) -> Result<Question, ApiError> {
        Ok(Question {
            resource: ResourceName::new(
                self.service_name.clone(),
                self.resource_type.clone(),
                self.resource_id,
            )?,
            permission: self.action.into(),
        })
    }

    fn answered(self, allowed: bool) -> CheckResult {
        CheckResult {
            service_name: self.service_name,
            resource_type: self.resource_type,
            resource_id: self.resource_id,
            action: self.action,
            allowed,
        }
    }
}

#[derive(Deserialize)]
struct AccessibleBody {
    service_name: ServiceName,
    resource_type: ResourceType,
    action: Level,
    workspace_id: WorkspaceId,
    limit: Option<usize>,
    /// Where an earlier answer left off.
    cursor: Option<ResourceId>,
}

#[derive(Serialize)]
struct AccessibleAnswer {
    resource_ids: Vec<ResourceId>,
    has_full_access: bool,
    cursor: Option<ResourceId>,
}

async fn check(
    caller: ServiceAndUser,
    Json(body): Json<CheckBody>,
) -> Result<(AnsweredAt, Json<CheckAnswer>), ApiError> {
    if body.checks.len() > MAX_CHECKS {
        return Err(ApiError::invalid(
            ["body", "checks"],
            format!("at most {MAX_CHECKS} are expected"),
        ));
    }
    let questions: Vec<Question> = body
        .checks
        .iter()
        .map(CheckItem::question)
        .collect::<Result<_, _>>()?;
    let graph = caller.user.state().graph();
    let user = caller.user.user();
    let revision = caller.user.state().revision();
    let answers = permissions::check(graph, caller.service.name(), user, &questions)
        .map_err(|error| ApiError::from(error).decided_at(revision))?;
    for (question, _) in questions.iter().zip(&answers).filter(|(_, allowed)| !**allowed) {
        tracing::debug!(
            user.id = %user.id, workspace.id = %user.workspace, resource = %question.resource,
            permission = %question.permission, "a permission was denied"
        );
    }
    let results = body
        .checks
        .into_iter()
        .zip(answers)
        .map(|(item, allowed)| item.answered(allowed))
        .collect();
    Ok((AnsweredAt(revision), Json(CheckAnswer { results })))
}

async fn accessible(
    caller: ServiceAndUser,
    Json(body): Json<AccessibleBody>,
) -> Result<(AnsweredAt, Json<AccessibleAnswer>), ApiError> {
    if body.limit.is_some_and(|limit| !(1..=MAX_LIMIT).contains(&limit)) {
        return Err(ApiError::invalid(
            ["body", "limit"],
            format!("1 to {MAX_LIMIT} is expected"),
        ));
    }
    let listing = Listing {
        service: body.service_name,
        kind: body.resource_type,
        workspace: body.workspace_id,
        permission: body.action.into(),
        limit: body.limit,
        after: body.cursor,
    };
    let graph = caller.user.state().graph();
    let revision = caller.user.state().revision();
    let found = permissions::accessible(graph, caller.service.name(), caller.user.user(), &listing)
        .map_err(|error| ApiError::from(error).decided_at(revision))?;
    let answer = AccessibleAnswer {
        resource_ids: found.ids,
        has_full_access: found.has_full_access,
        cursor: found.next,
    };
    Ok((AnsweredAt(revision), Json(answer)))
}
