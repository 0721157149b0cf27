//! `/authz/*`: AuthZ mode, for applications that sign people in at an identity provider by themselves; and services' own
//! permission models, relation tuples, and questions about them.

use axum::Router;
use axum::middleware::from_fn_with_state;
use sentinel_access::relations::MAX_CHANGES;

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

/// The longest tuple in JSON with everything that may stand beside it, in bytes: ids of 512 bytes, names of 64, an end; letters
/// of other alphabets in three times their room, as many programs write them (`\u00e9`).
const TUPLE: usize = 4 * 1024;

/// The longest body of a request for a path of these, in bytes: what its own limits leave room for, so that what is refused
/// anyway is not read first. `None` where the limit is that of all.
pub(crate) fn max_body(path: &str) -> Option<usize> {
    match path {
        "/authz/check" | "/authz/expand" | "/authz/list-objects" | "/authz/list-subjects" => {
            Some((1 + questions::MAX_CONTEXTUAL) * TUPLE)
        }
        "/authz/batch-check" => Some((check::MAX_CHECKS + check::MAX_CONTEXTUAL_IN_ALL) * TUPLE),
        // As many preconditions as changes.
        "/authz/tuples" => Some(2 * MAX_CHANGES * TUPLE),
        "/authz/tuples/delete" => Some(2 * TUPLE),
        "/authz/models" => Some(models::MAX_JSON),
        _ => None,
    }
}

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
