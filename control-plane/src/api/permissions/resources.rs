//! Registering resources, looking at them, and forgetting them.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, patch, post};
use sentinel_access::permissions::{Enriched, EnrichedShare, NewResource, ResourceName, Visibility};
use sentinel_core::id::{PermissionId, ResourceId, UserId, WorkspaceId};
use sentinel_core::name::{ResourceType, ServiceName};
use serde::{Deserialize, Serialize};

use super::{PermissionBody, ShareBody, VisibilityBody};
use crate::api::wire::Moment;
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Json, Path, ServiceKey};
use crate::problem::ApiError;

type ResourcePath = Path<(ServiceName, ResourceType, ResourceId)>;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/permissions/register", post(register))
        .route("/permissions/{permission}/visibility", patch(set_visibility))
        .route(
            "/permissions/resource/{service}/{kind}/{id}",
            get(show).delete(deregister),
        )
        .route(
            "/permissions/resource/{service}/{kind}/{id}/enriched",
            get(show_enriched),
        )
}

#[derive(Deserialize)]
struct RegisterBody {
    service_name: ServiceName,
    resource_type: ResourceType,
    resource_id: ResourceId,
    workspace_id: WorkspaceId,
    owner_id: UserId,
    #[serde(default)]
    visibility: Visibility,
}

impl TryFrom<RegisterBody> for NewResource {
    type Error = ApiError;

    fn try_from(body: RegisterBody) -> Result<Self, ApiError> {
        Ok(Self {
            name: ResourceName::new(body.service_name, body.resource_type, body.resource_id)?,
            workspace: body.workspace_id,
            owner: body.owner_id,
            visibility: body.visibility,
        })
    }
}

#[derive(Serialize)]
struct EnrichedBody {
    id: PermissionId,
    service_name: ServiceName,
    resource_type: ResourceType,
    resource_id: ResourceId,
    workspace_id: WorkspaceId,
    owner_id: Option<UserId>,
    owner_name: Option<String>,
    owner_email: Option<String>,
    visibility: Visibility,
    created_at: Moment,
    shares: Vec<EnrichedShareBody>,
}

#[derive(Serialize)]
struct EnrichedShareBody {
    #[serde(flatten)]
    share: ShareBody,
    grantee_name: Option<String>,
    grantee_email: Option<String>,
    granted_by_name: Option<String>,
}

impl From<EnrichedShare> for EnrichedShareBody {
    fn from(enriched: EnrichedShare) -> Self {
        Self {
            share: enriched.share.into(),
            grantee_name: enriched.grantee_name,
            grantee_email: enriched.grantee_email,
            granted_by_name: enriched.granted_by_name,
        }
    }
}

impl From<Enriched> for EnrichedBody {
    fn from(enriched: Enriched) -> Self {
        let resource = enriched.resource;
        Self {
            id: resource.id,
            service_name: resource.name.service().clone(),
            resource_type: resource.name.kind().clone(),
            resource_id: resource.name.id(),
            workspace_id: resource.workspace,
            owner_id: resource.owner,
            owner_name: enriched.owner_name,
            owner_email: enriched.owner_email,
            visibility: resource.visibility,
            created_at: resource.created_at.into(),
            shares: enriched.shares.into_iter().map(Into::into).collect(),
        }
    }
}

async fn register(
    State(app): State<App>,
    service: ServiceKey,
    Json(body): Json<RegisterBody>,
) -> Result<impl IntoResponse, ApiError> {
    let new = body.try_into()?;
    let mut tx = app.database().write().await?;
    let record = app
        .access()
        .permissions
        .register(&mut tx, service.name(), new)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::CREATED, committed, Json(PermissionBody::from(record))))
}

async fn set_visibility(
    State(app): State<App>,
    service: ServiceKey,
    Path(permission): Path<PermissionId>,
    Json(body): Json<VisibilityBody>,
) -> Result<impl IntoResponse, ApiError> {
    let permissions = &app.access().permissions;
    let mut tx = app.database().write().await?;
    let record = permissions
        .set_visibility(&mut tx, service.name(), permission, body.visibility)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((committed, Json(PermissionBody::from(record))))
}

async fn show(
    State(app): State<App>,
    service: ServiceKey,
    Path((name, kind, id)): ResourcePath,
) -> Result<Json<PermissionBody>, ApiError> {
    let resource = ResourceName::new(name, kind, id)?;
    let mut tx = app.database().read().await?;
    let record = app
        .access()
        .permissions
        .get(&mut tx, service.name(), &resource)
        .await?;
    Ok(Json(record.into()))
}

async fn show_enriched(
    State(app): State<App>,
    service: ServiceKey,
    Path((name, kind, id)): ResourcePath,
) -> Result<Json<EnrichedBody>, ApiError> {
    let resource = ResourceName::new(name, kind, id)?;
    let mut tx = app.database().read().await?;
    let enriched = app
        .access()
        .permissions
        .get_enriched(&mut tx, service.name(), &resource)
        .await?;
    Ok(Json(enriched.into()))
}

async fn deregister(
    State(app): State<App>,
    service: ServiceKey,
    Path((name, kind, id)): ResourcePath,
) -> Result<impl IntoResponse, ApiError> {
    let resource = ResourceName::new(name, kind, id)?;
    let mut tx = app.database().write().await?;
    app.access()
        .permissions
        .deregister(&mut tx, service.name(), &resource)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}
