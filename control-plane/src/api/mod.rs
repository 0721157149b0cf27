//! Every endpoint, one file each about one thing, put together here.
//!
//! A file of endpoints gives `pub fn routes() -> Router<App>`; handlers name their caller by an extractor of
//! [`crate::extract`], ask a service, end a write with [`crate::commit::commit`], and answer.

use axum::Router;
use axum::http::header::LOCATION;
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};

use crate::app::App;
use crate::middleware;
use crate::problem::ApiError;

pub mod admin;
pub mod auth;
pub mod authz;
pub mod edge_keys;
pub mod groups;
pub mod health;
pub mod invitations;
pub mod jwks;
pub mod members;
pub mod operations;
pub mod permissions;
pub mod realm;
pub mod roles;
pub mod users;
pub mod wire;
mod withdraw;
pub mod workspaces;

/// The whole API with its layers. The feed is mounted beside it, without them.
pub fn router(app: &App) -> Router<App> {
    let routes = Router::new()
        .merge(health::routes())
        .merge(jwks::routes())
        .merge(edge_keys::routes())
        .merge(auth::routes(app))
        .merge(authz::routes(app))
        .merge(users::routes())
        .merge(workspaces::routes())
        .merge(members::routes())
        .merge(invitations::routes())
        .merge(groups::routes())
        .merge(permissions::routes())
        .merge(roles::routes())
        .merge(realm::routes())
        .merge(admin::routes());
    routes
        .fallback(nothing_here)
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method Not Allowed",
            )
        })
        .layer(from_fn_with_state(app.clone(), middleware::all))
}

/// What is asked for with a slash at the end is where it is without (contract §1.1); everything else is nowhere.
async fn nothing_here(uri: Uri) -> Response {
    let plain = uri.path().trim_end_matches('/');
    // `//host` would be another host's address.
    let is_path = plain.starts_with('/') && !plain.starts_with("//") && !plain.contains('\\');
    if !is_path || plain.len() == uri.path().len() {
        return ApiError::not_found("Not Found").into_response();
    }
    let location = match uri.query() {
        Some(query) => format!("{plain}?{query}"),
        None => plain.to_owned(),
    };
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response()
}
