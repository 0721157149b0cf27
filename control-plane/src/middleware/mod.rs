//! The layers around every route.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::{pages, problem};

pub mod body_limit;
pub mod cors;
pub mod host;
pub mod log;
pub mod rate;
pub mod request_id;
pub mod security;

/// All layers, as one: for each request axum copies everything below a layer, twice, so that eight layers above one another
/// would cost more than the work that they are there for.
pub async fn all(State(app): State<App>, request: Request, next: Next) -> Response {
    let app = &app;
    // From the inside out: a request meets the last one first.
    let next = |request| next.run(request);
    let next = |request| body_limit::keep(app, request, next);
    let next = |request| cors::mark_answers(app, request, next);
    let next = |request| pages::render(request, next);
    let next = |request| host::require(request, next);
    let next = |request| problem::render(request, next);
    let next = |request| security::headers(app, request, next);
    let next = |request| log::requests(app, request, next);
    request_id::assign(app, request, next).await
}
