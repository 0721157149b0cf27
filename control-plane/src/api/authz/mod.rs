//! `/authz/*`: AuthZ mode, for applications that sign people in at an identity provider by themselves; and services' own
//! permission models, relation tuples, and questions about them.

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::app::App;
use crate::middleware::rate;

mod check;
mod cursor;
mod expand;
mod handover;
mod lines;
mod lists;
pub(in crate::api) mod matching;
pub(in crate::api) mod models;
pub(in crate::api) mod names;
mod questions;
mod resolve;
pub(crate) mod scope;
mod shares;
pub(crate) mod transfer;
pub(in crate::api) mod tuples;
mod watch;
pub(in crate::api) mod writer;

pub use questions::Questions;

/// The routes. Those that send a browser to a provider and take it back are limited for each address, as logins are.
pub fn routes(app: &App) -> Router<App> {
    handover::routes()
        .route_layer(from_fn_with_state(app.clone(), rate::login))
        .merge(resolve::routes())
        .merge(check::routes())
        .merge(expand::routes())
        .merge(lists::routes())
        .merge(matching::routes())
        .merge(models::routes())
        .merge(transfer::routes())
        .merge(tuples::routes())
        .merge(watch::routes())
}
