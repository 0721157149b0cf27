//! `/auth/*`: logging in, tokens, logging out.

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::app::App;
use crate::middleware::rate;

mod admin;
pub(super) mod callback;
pub(super) mod cookie;
mod errors;
pub(super) mod login;
mod logout;
mod providers;
mod token;
mod workspaces;

/// The routes. Those that begin or renew a login are limited for each address.
pub fn routes(app: &App) -> Router<App> {
    let limited = Router::new()
        .merge(login::routes())
        .merge(callback::routes())
        .merge(workspaces::routes(app.settings.allow_workspaces_by_get))
        .merge(token::routes())
        .merge(admin::login_routes())
        .route_layer(from_fn_with_state(app.clone(), rate::login));
    Router::new()
        .merge(limited)
        .merge(providers::routes())
        .merge(logout::routes())
        .merge(admin::routes())
}
