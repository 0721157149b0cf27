//! The admin API: what administrators of the installation do, with the admin cookie.

mod activity;
mod client_apps;
mod groups;
mod members;
mod permissions;
mod role_holders;
mod roles;
mod service_actions;
mod service_apps;
mod service_models;
pub mod stats;
mod users;
mod workspaces;

use axum::Router;
use sentinel_access::activity::Page;
use sentinel_access::search::Search;
use sentinel_store::WriteTx;

use crate::api::wire::PageBody;
use crate::app::App;
use crate::extract::{Admin, Json, admin::refused};
use crate::problem::ApiError;

/// `/admin`.
pub fn routes() -> Router<App> {
    Router::new()
        .merge(activity::routes())
        .merge(client_apps::routes())
        .merge(groups::routes())
        .merge(members::routes())
        .merge(permissions::routes())
        .merge(role_holders::routes())
        .merge(roles::routes())
        .merge(service_actions::routes())
        .merge(service_apps::routes())
        .merge(service_models::routes())
        .merge(stats::routes())
        .merge(users::routes())
        .merge(workspaces::routes())
}

/// The transaction in which an administrator changes something: he is one still, by its own rows. Every write of this API
/// begins here, whether edges know of it or not; one that began before he was demoted and has not committed is refused.
pub(in crate::api) async fn write(app: &App, admin: &Admin) -> Result<WriteTx, ApiError> {
    let mut tx = app.database().write().await?;
    app.sessions
        .confirm_admin(&mut tx, admin.id, admin.session)
        .await
        .map_err(refused)?;
    Ok(tx)
}

/// One page of what was found, on the wire.
fn page_of<T, B: From<T>>(found: Page<T>, page: u32, page_size: u32) -> Json<PageBody<B>> {
    Json(PageBody {
        items: found.items.into_iter().map(Into::into).collect(),
        total: found.total,
        page,
        page_size,
    })
}

/// A text of the query that is looked for, if one is given.
fn searched(field: &str, text: Option<String>) -> Result<Option<Search>, ApiError> {
    text.map(|text| {
        text.parse()
            .map_err(|error| ApiError::invalid(["query", field], error))
    })
    .transpose()
}
