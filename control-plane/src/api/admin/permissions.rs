//! Registered resources of all services and workspaces, for administrators of the installation.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{delete, get, patch, post};
use sentinel_access::permissions::{Filter, IdRange, Listed, Order, Resource, Sort, Visibility};
use sentinel_core::id::{PermissionId, ResourceId, UserId, WorkspaceId};
use sentinel_core::name::{ResourceType, ServiceName};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{page_of, searched};
use crate::api::permissions::{GranteeType, ShareBody, ShareRequest, VisibilityBody, grantee};
use crate::api::wire::{Moment, OK, PageBody, PageQuery};
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Admin, Json, Path, Query};
use crate::problem::ApiError;

/// `/admin/permissions`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/permissions", get(list))
        .route("/admin/permissions/service/{service}", delete(purge))
        .route("/admin/permissions/{permission}", get(show))
        .route(
            "/admin/permissions/{permission}/visibility",
            patch(set_visibility),
        )
        .route(
            "/admin/permissions/{permission}/share",
            post(share).delete(unshare),
        )
}

#[derive(Serialize)]
struct ListedBody {
    id: PermissionId,
    service_name: ServiceName,
    resource_type: ResourceType,
    resource_id: ResourceId,
    workspace_id: WorkspaceId,
    owner_id: Option<UserId>,
    owner_email: Option<String>,
    visibility: Visibility,
    created_at: Moment,
    share_count: i64,
}

impl From<Listed> for ListedBody {
    fn from(listed: Listed) -> Self {
        let Resource {
            id,
            name,
            workspace,
            owner,
            visibility,
            created_at,
        } = listed.resource;
        Self {
            id,
            service_name: name.service().clone(),
            resource_type: name.kind().clone(),
            resource_id: name.id(),
            workspace_id: workspace,
            owner_id: owner,
            owner_email: listed.owner_email,
            visibility,
            created_at: created_at.into(),
            share_count: listed.share_count,
        }
    }
}

#[derive(Serialize)]
struct DetailBody {
    #[serde(flatten)]
    listed: ListedBody,
    shares: Vec<ShareBody>,
}

#[derive(Deserialize)]
struct FilterQuery {
    workspace_id: Option<WorkspaceId>,
    service_name: Option<String>,
    resource_id: Option<String>,
    owner: Option<String>,
}

impl TryFrom<FilterQuery> for Filter {
    type Error = ApiError;

    fn try_from(query: FilterQuery) -> Result<Self, ApiError> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self {
            workspace: query.workspace_id,
            service: given(query.service_name)
                .map(|name| name.parse())
                .transpose()
                .map_err(|error| ApiError::invalid(["query", "service_name"], error))?,
            resource: given(query.resource_id).map(|text| IdRange::beginning_with(&text)),
            owner: searched("owner", given(query.owner))?,
        })
    }
}

#[derive(Deserialize)]
struct OrderQuery {
    #[serde(default)]
    sort_by: SortBy,
    #[serde(default)]
    sort_order: SortOrder,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SortBy {
    #[default]
    CreatedAt,
    Shares,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SortOrder {
    Asc,
    #[default]
    Desc,
}

impl From<OrderQuery> for (Sort, Order) {
    fn from(query: OrderQuery) -> Self {
        let sort = match query.sort_by {
            SortBy::CreatedAt => Sort::CreatedAt,
            SortBy::Shares => Sort::Shares,
        };
        let order = match query.sort_order {
            SortOrder::Asc => Order::Ascending,
            SortOrder::Desc => Order::Descending,
        };
        (sort, order)
    }
}

#[derive(Serialize)]
struct VisibilityAnswer {
    status: &'static str,
    visibility: Visibility,
}

#[derive(Deserialize)]
struct GranteeQuery {
    grantee_type: GranteeType,
    grantee_id: Uuid,
}

#[derive(Serialize)]
struct PurgedAnswer {
    status: &'static str,
    deleted_count: usize,
}

async fn list(
    State(app): State<App>,
    _: Admin,
    Query(page): Query<PageQuery>,
    Query(filter): Query<FilterQuery>,
    Query(order): Query<OrderQuery>,
) -> Result<Json<PageBody<ListedBody>>, ApiError> {
    let (page, page_size) = page.parts()?;
    let filter = filter.try_into()?;
    let mut tx = app.database().read().await?;
    let found = app
        .access()
        .permissions
        .list_all(&mut tx, &filter, order.into(), page, page_size)
        .await?;
    Ok(page_of(found, page, page_size))
}

async fn show(
    State(app): State<App>,
    _: Admin,
    Path(permission): Path<PermissionId>,
) -> Result<Json<DetailBody>, ApiError> {
    let mut tx = app.database().read().await?;
    let (record, owner_email) = app.access().permissions.get_anywhere(&mut tx, permission).await?;
    let listed = Listed {
        resource: record.resource,
        owner_email,
        share_count: i64::try_from(record.shares.len()).unwrap_or(i64::MAX),
    };
    Ok(Json(DetailBody {
        listed: listed.into(),
        shares: record.shares.into_iter().map(Into::into).collect(),
    }))
}

async fn set_visibility(
    State(app): State<App>,
    admin: Admin,
    Path(permission): Path<PermissionId>,
    Json(body): Json<VisibilityBody>,
) -> Result<impl IntoResponse, ApiError> {
    let permissions = &app.access().permissions;
    let mut tx = super::write(&app, &admin).await?;
    let resource = permissions
        .set_visibility_anywhere(&mut tx, admin.id, permission, body.visibility)
        .await?;
    let committed = commit(&app, tx).await?;
    let answer = VisibilityAnswer {
        status: "ok",
        visibility: resource.visibility,
    };
    Ok((committed, Json(answer)))
}

async fn share(
    State(app): State<App>,
    admin: Admin,
    Path(permission): Path<PermissionId>,
    Json(body): Json<ShareRequest>,
) -> Result<impl IntoResponse, ApiError> {
    let grantee = grantee(body.grantee_type, body.grantee_id);
    let permissions = &app.access().permissions;
    let mut tx = super::write(&app, &admin).await?;
    permissions
        .share_anywhere(&mut tx, admin.id, permission, grantee, body.permission.into())
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((StatusCode::CREATED, committed, Json(OK)))
}

async fn unshare(
    State(app): State<App>,
    admin: Admin,
    Path(permission): Path<PermissionId>,
    Query(query): Query<GranteeQuery>,
) -> Result<impl IntoResponse, ApiError> {
    let grantee = grantee(query.grantee_type, query.grantee_id);
    let mut tx = super::write(&app, &admin).await?;
    app.access()
        .permissions
        .unshare_anywhere(&mut tx, admin.id, permission, grantee)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((committed, Json(OK)))
}

async fn purge(
    State(app): State<App>,
    admin: Admin,
    Path(service): Path<ServiceName>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    let deleted_count = app
        .access()
        .permissions
        .purge(&mut tx, admin.id, &service)
        .await?;
    let committed = commit(&app, tx).await?;
    let answer = PurgedAnswer {
        status: "ok",
        deleted_count,
    };
    Ok((committed, Json(answer)))
}
