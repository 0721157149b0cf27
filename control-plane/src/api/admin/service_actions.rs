//! The actions that services have registered.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{delete, get};
use sentinel_core::id::ServiceActionId;
use sentinel_core::name::ServiceName;
use serde::Deserialize;

use crate::api::roles::ServiceActionBody;
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Admin, Json, Path, Query};
use crate::problem::ApiError;

/// `/admin/service-actions`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/service-actions", get(list))
        .route("/admin/service-actions/{action}", delete(forget))
}

#[derive(Deserialize)]
struct ListQuery {
    service_name: Option<ServiceName>,
}

async fn list(
    State(app): State<App>,
    _: Admin,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<ServiceActionBody>>, ApiError> {
    let mut tx = app.database().read().await?;
    let actions = app
        .access()
        .roles
        .list_actions(&mut tx, query.service_name.as_ref())
        .await?;
    Ok(Json(actions.into_iter().map(Into::into).collect()))
}

async fn forget(
    State(app): State<App>,
    admin: Admin,
    Path(action): Path<ServiceActionId>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    app.access()
        .roles
        .delete_action(&mut tx, Some(admin.id), action)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}
