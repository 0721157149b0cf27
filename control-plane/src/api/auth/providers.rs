//! `GET /auth/providers`: which identity providers a login page may offer.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Serialize;

use crate::app::App;
use crate::extract::Json;

#[derive(Serialize)]
struct Providers {
    providers: Vec<String>,
}

/// The routes.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/auth/providers", get(providers))
}

async fn providers(State(app): State<App>) -> Json<Providers> {
    Json(Providers {
        providers: app.login.providers().map(str::to_owned).collect(),
    })
}
