//! `GET /health`: the process answers. Whether it can do its work is readiness, on the admin listener.

use axum::Router;
use axum::routing::get;
use serde::Serialize;

use crate::app::App;
use crate::extract::Json;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// The routes.
pub fn routes() -> Router<App> {
    // axum answers HEAD where it answers GET.
    Router::new().route("/health", get(health))
}

async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}
