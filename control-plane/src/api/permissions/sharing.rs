//! Sharing resources, and taking shares back.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use sentinel_authz::sentinel::ShareLevel;
use sentinel_core::id::PermissionId;

use super::{Level, ShareRequest, grantee};
use crate::api::wire::OK;
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Json, Path, ServiceAndUser, ServiceKey};
use crate::problem::ApiError;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/permissions/{permission}/share", post(share).delete(unshare))
}

impl From<Level> for ShareLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::View => Self::View,
            Level::Edit => Self::Edit,
        }
    }
}

async fn share(
    State(app): State<App>,
    caller: ServiceAndUser,
    Path(permission): Path<PermissionId>,
    Json(body): Json<ShareRequest>,
) -> Result<impl IntoResponse, ApiError> {
    let grantee = grantee(body.grantee_type, body.grantee_id);
    let (service, user) = (caller.service.name(), caller.user.user());
    let mut tx = app.database().write().await?;
    let permissions = &app.access().permissions;
    permissions
        .share(
            &mut tx,
            service,
            user,
            permission,
            grantee,
            body.permission.into(),
        )
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::CREATED, committed, Json(OK)))
}

async fn unshare(
    State(app): State<App>,
    service: ServiceKey,
    Path(permission): Path<PermissionId>,
    Json(body): Json<ShareRequest>,
) -> Result<impl IntoResponse, ApiError> {
    let grantee = grantee(body.grantee_type, body.grantee_id);
    let mut tx = app.database().write().await?;
    app.access()
        .permissions
        .unshare(&mut tx, service.name(), permission, grantee)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((committed, Json(OK)))
}
