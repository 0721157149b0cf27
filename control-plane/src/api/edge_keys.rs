//! `GET /.well-known/sentinel-edges/jwks.json`: the public keys that verify edges' assertions (RFC 7517, RFC 8037), of every
//! edge that is enrolled. They verify nothing else: no token of a user is signed with one of them.

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sentinel_token::AssertionKey;
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::ApiError;

/// How long a revoked edge's key is believed by whoever caches this. A service that meets a `kid` it does not know fetches
/// again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// The routes.
pub fn routes() -> Router<App> {
    Router::new().route("/.well-known/sentinel-edges/jwks.json", get(keys))
}

async fn keys(State(app): State<App>) -> Result<Response, ApiError> {
    let mut tx = app.database().read().await?;
    let keys: Vec<Value> = app
        .access()
        .edges
        .assertion_keys(&mut tx)
        .await?
        .into_iter()
        .map(|key| AssertionKey::from_bytes(key.public_key).to_jwk(&key.edge))
        .collect();
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, MAX_AGE),
    ];
    Ok((headers, json!({ "keys": keys }).to_string()).into_response())
}
