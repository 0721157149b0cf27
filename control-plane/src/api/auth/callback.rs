//! `GET /auth/callback/{provider}`: a browser comes back from an identity provider, and is sent on to the application
//! with our code.

use axum::Router;
use axum::extract::State;
use axum::http::header::{HeaderValue, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sentinel_identity::{CallbackQuery, Context, Finished, Login};
use serde::Deserialize;

use super::cookie::{LOGIN_PATH, no_login};
use super::errors::callback_page;
use crate::app::App;
use crate::extract::admin::cookie;
use crate::extract::{Client, Path, Query};
use crate::problem::ApiError;

/// The parameters of a callback (RFC 6749 §4.1.2, RFC 9207).
#[derive(Deserialize)]
pub(crate) struct Returned {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

impl From<Returned> for CallbackQuery {
    fn from(returned: Returned) -> Self {
        Self {
            state: returned.state,
            code: returned.code,
            error: returned.error,
            iss: returned.iss,
        }
    }
}

/// The routes.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/auth/callback/{provider}", get(callback))
}

async fn callback(
    State(app): State<App>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    client: Client,
    Query(returned): Query<Returned>,
) -> Result<Response, ApiError> {
    let query = CallbackQuery::from(returned);
    let used = query.state.as_deref().map(Login::cookie_name);
    let finished = app
        .login
        .callback(&provider, query, |name| cookie(&headers, name), &context(&client))
        .await;
    let mut response = match finished {
        Ok(Finished::App(location)) => {
            let location = HeaderValue::try_from(location).map_err(ApiError::internal)?;
            (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response()
        }
        Ok(Finished::Admin(_)) => {
            return Err(ApiError::internal(anyhow::anyhow!(
                "an admin login ended at an app"
            )));
        }
        Err(refusal) => callback_page(refusal).into_response(),
    };
    forget_login(&mut response, used, LOGIN_PATH, app.is_https())?;
    Ok(response)
}

/// Removes the cookie of the login that came back to `path`.
pub(crate) fn forget_login(
    response: &mut Response,
    name: Option<String>,
    path: &str,
    secure: bool,
) -> Result<(), ApiError> {
    if let Some(name) = name {
        response
            .headers_mut()
            .append(SET_COOKIE, no_login(&name, path, secure)?);
    }
    Ok(())
}

/// From where a session is used.
pub(crate) fn context(client: &Client) -> Context {
    Context {
        ip: client.ip.map(|ip| ip.to_string()),
        user_agent: client.user_agent.clone(),
    }
}
