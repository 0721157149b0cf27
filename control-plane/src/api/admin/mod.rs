//! The admin API: what administrators of the installation do, with the admin cookie.

mod activity;
mod client_apps;
mod service_apps;
mod users;
mod workspaces;

use axum::Router;

use crate::app::App;

/// `/admin`.
pub fn routes() -> Router<App> {
    Router::new()
        .merge(activity::routes())
        .merge(client_apps::routes())
        .merge(service_apps::routes())
        .merge(users::routes())
        .merge(workspaces::routes())
}
