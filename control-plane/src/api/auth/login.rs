//! `GET /auth/login/{provider}`: sends a browser to an identity provider, on behalf of an application.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, LOCATION, SET_COOKIE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sentinel_core::id::ClientAppId;
use sentinel_identity::{AppLogin, LoginError, Started};
use serde::Deserialize;

use super::callback::context;
use super::cookie;
use super::errors::begin_page;
use crate::app::App;
use crate::extract::{Client, Path, Query};
use crate::problem::ApiError;

#[derive(Deserialize)]
struct Asked {
    client_id: Option<ClientAppId>,
    redirect_uri: String,
    code_challenge: String,
    #[serde(default = "s256")]
    code_challenge_method: String,
    state: Option<String>,
}

fn s256() -> String {
    "S256".to_owned()
}

/// The routes.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/auth/login/{provider}", get(login))
}

async fn login(
    State(app): State<App>,
    Path(provider): Path<String>,
    client: Client,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    let asked = AppLogin {
        client_id: asked.client_id,
        redirect_uri: asked.redirect_uri,
        code_challenge: asked.code_challenge,
        code_challenge_method: asked.code_challenge_method,
        state: asked.state,
    };
    match app.login.begin(&provider, asked, &context(&client)).await {
        Ok(started) => to_provider(&started, cookie::LOGIN_PATH, app.is_https()),
        Err(error @ LoginError::State) => Err(ApiError::invalid(["query", "state"], error)),
        Err(error) => Ok(begin_page(error).into_response()),
    }
}

/// The redirect to the provider, with the cookie that the browser has to bring back to `path`.
pub(crate) fn to_provider(started: &Started, path: &str, secure: bool) -> Result<Response, ApiError> {
    let location = HeaderValue::try_from(started.url.as_str()).map_err(ApiError::internal)?;
    let headers = [
        (LOCATION, location),
        (SET_COOKIE, cookie::of_login(started, path, secure)?),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}
