//! Every endpoint, one file each about one thing, put together here.
//!
//! A file of endpoints gives `pub fn routes() -> Router<App>`; handlers name their caller by an extractor of
//! [`crate::extract`], ask a service, end a write with [`crate::commit::commit`], and answer.

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};

use crate::app::App;
use crate::middleware::{body_limit, cors, log, request_id, security};
use crate::pages;
use crate::problem::{self, ApiError};

pub mod admin;
pub mod auth;
pub mod groups;
pub mod health;
pub mod jwks;
pub mod members;
pub mod operations;
pub mod permissions;
pub mod users;
pub mod wire;
pub mod workspaces;

/// The whole API with its layers. The feed is mounted beside it, without them.
pub fn router(app: &App) -> Router<App> {
    let routes = Router::new()
        .merge(health::routes())
        .merge(jwks::routes())
        .merge(auth::routes(app))
        .merge(users::routes())
        .merge(workspaces::routes())
        .merge(members::routes())
        .merge(groups::routes())
        .merge(permissions::routes())
        .merge(admin::routes());
    routes
        .fallback(|| async { ApiError::not_found("Not Found") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method Not Allowed",
            )
        })
        .layer(body_limit::streamed(app))
        .layer(from_fn_with_state(app.clone(), body_limit::announced))
        .layer(from_fn_with_state(app.clone(), cors::cors))
        .layer(from_fn(pages::render))
        .layer(from_fn(problem::render))
        .layer(from_fn_with_state(app.clone(), security::headers))
        .layer(from_fn_with_state(app.clone(), log::requests))
        .layer(from_fn_with_state(app.clone(), request_id::assign))
}
