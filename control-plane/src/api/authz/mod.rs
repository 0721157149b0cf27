//! `/authz/*`: AuthZ mode, for applications that sign people in at an identity provider by themselves.

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::app::App;
use crate::middleware::rate;

mod handover;
mod resolve;

/// The routes. Those that send a browser to a provider and take it back are limited for each address, as logins are.
pub fn routes(app: &App) -> Router<App> {
    handover::routes()
        .route_layer(from_fn_with_state(app.clone(), rate::login))
        .merge(resolve::routes())
}
