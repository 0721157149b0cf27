//! The admin API: what administrators of the installation do, with the admin cookie.

mod activity;
mod client_apps;
mod service_apps;
mod users;
mod workspaces;

use axum::Router;
use sentinel_store::WriteTx;

use crate::app::App;
use crate::extract::{Admin, admin::refused};
use crate::problem::ApiError;

/// `/admin`.
pub fn routes() -> Router<App> {
    Router::new()
        .merge(activity::routes())
        .merge(client_apps::routes())
        .merge(service_apps::routes())
        .merge(users::routes())
        .merge(workspaces::routes())
}

/// The transaction in which an administrator changes something: he is one still, by its own rows. Every write of this API
/// begins here, whether edges know of it or not; one that began before he was demoted and has not committed is refused.
async fn write(app: &App, admin: &Admin) -> Result<WriteTx, ApiError> {
    let mut tx = app.database().write().await?;
    app.sessions
        .confirm_admin(&mut tx, admin.id, admin.session)
        .await
        .map_err(refused)?;
    Ok(tx)
}
