//! Services' own permission models and relation tuples, for administrators of the installation.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sentinel_core::name::ServiceName;

use crate::api::authz::matching::{self, DeleteQuery, ReadQuery};
use crate::api::authz::models::{self, Version, WriteQuery};
use crate::api::authz::names::Names;
use crate::api::authz::scope::Scope;
use crate::api::authz::writer::Writer;
use crate::app::App;
use crate::extract::body::Whole;
use crate::extract::{Admin, Json, Path, Query};
use crate::problem::ApiError;

/// `/admin/service-models` and `/admin/service-tuples`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/service-models/{service}", get(list).post(write))
        .route("/admin/service-models/{service}/{version}", get(show))
        .route("/admin/service-tuples/{service}", get(read))
        .route("/admin/service-tuples/{service}/delete", post(delete))
}

async fn list(
    State(app): State<App>,
    _: Admin,
    Path(service): Path<ServiceName>,
) -> Result<impl IntoResponse, ApiError> {
    models::listed(&app, &Scope::of_service(service)).await
}

async fn show(
    State(app): State<App>,
    _: Admin,
    Path((service, version)): Path<(ServiceName, Version)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    models::shown(&app, &Scope::of_service(service), version, &headers).await
}

async fn write(
    State(app): State<App>,
    admin: Admin,
    Path(service): Path<ServiceName>,
    Query(query): Query<WriteQuery>,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    let names = Names::of_administrator(service);
    models::written(&app, &names, &Writer::Admin(&admin), (&headers, &body), &query).await
}

async fn read(
    State(app): State<App>,
    _: Admin,
    Path(service): Path<ServiceName>,
    Query(query): Query<ReadQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    matching::page(&app, &Names::of_administrator(service), query, &headers).await
}

async fn delete(
    State(app): State<App>,
    admin: Admin,
    Path(service): Path<ServiceName>,
    Json(body): Json<DeleteQuery>,
) -> Result<impl IntoResponse, ApiError> {
    let names = Names::of_administrator(service);
    let filter = matching::delete_filter(&names, &body)?;
    matching::deleted(&app, &names, &Writer::Admin(&admin), &filter).await
}
