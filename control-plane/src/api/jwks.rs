//! `GET /.well-known/jwks.json`: the public keys that verify our tokens (RFC 7517), the one that signs now first.

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::App;
use crate::problem::ApiError;

/// A verifier that meets a `kid` it does not know fetches again, so this only bounds how long it holds on to old keys.
const MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The routes.
pub fn routes() -> Router<App> {
    Router::new().route("/.well-known/jwks.json", get(jwks))
}

async fn jwks(State(app): State<App>) -> Result<Response, ApiError> {
    let state = app.state(None).await?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, MAX_AGE),
    ];
    Ok((headers, state.keys().to_jwks_json()).into_response())
}
