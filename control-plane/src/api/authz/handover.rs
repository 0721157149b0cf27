//! `GET /authz/idp/{provider}/login` and `…/callback`: a browser's round trip to GitHub, which a page cannot make by
//! itself, and which ends with GitHub's token in the fragment of the page's address.

use axum::Router;
use axum::extract::State;
use axum::http::header::{HeaderValue, LOCATION, REFERRER_POLICY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use secrecy::ExposeSecret;
use sentinel_identity::{CallbackQuery, HandoverError, Login};
use serde::Deserialize;

use crate::api::auth::callback::{Returned, forget_login};
use crate::api::auth::cookie::HANDOVER_PATH;
use crate::api::auth::login::to_provider;
use crate::app::App;
use crate::extract::admin::cookie;
use crate::extract::{Path, Query};
use crate::problem::ApiError;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/authz/idp/{provider}/login", get(login))
        .route("/authz/idp/{provider}/callback", get(callback))
}

#[derive(Deserialize)]
struct Asked {
    redirect_uri: String,
    nonce: Option<String>,
}

async fn login(
    State(app): State<App>,
    Path(provider): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    let started = app
        .authz
        .send_away(&provider, &asked.redirect_uri, asked.nonce)
        .await?;
    to_provider(&started, HANDOVER_PATH, app.is_https())
}

async fn callback(
    State(app): State<App>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    Query(returned): Query<Returned>,
) -> Result<Response, ApiError> {
    let query = CallbackQuery::from(returned);
    let used = query.state.as_deref().map(Login::cookie_name);
    let find = |name: &str| cookie(&headers, name);
    let mut response = match app.authz.hand_over(&provider, query, find).await {
        Ok(page) => {
            let mut page = HeaderValue::try_from(page.expose_secret()).map_err(ApiError::internal)?;
            page.set_sensitive(true);
            // The address of this very request has GitHub's code in it.
            let policy = HeaderValue::from_static("no-referrer");
            (StatusCode::FOUND, [(LOCATION, page), (REFERRER_POLICY, policy)]).into_response()
        }
        Err(refusal) => ApiError::from(refusal).into_response(),
    };
    forget_login(&mut response, used, HANDOVER_PATH, app.is_https())?;
    Ok(response)
}

impl From<HandoverError> for ApiError {
    fn from(error: HandoverError) -> Self {
        let detail = error.to_string();
        match error {
            HandoverError::Unsupported(_) | HandoverError::NotConfigured => {
                Self::bad_request(detail).with_code("provider_not_configured")
            }
            HandoverError::RedirectUri | HandoverError::Fragment | HandoverError::Origin => {
                Self::bad_request(detail).with_code("redirect_uri_not_allowed")
            }
            HandoverError::Nonce => Self::invalid(["query", "nonce"], detail),
            HandoverError::State(_) => Self::bad_request(detail).with_code("invalid_session"),
            HandoverError::Declined(_) => Self::bad_request(detail).with_code("declined"),
            HandoverError::Provider(cause) => {
                Self::new(StatusCode::BAD_GATEWAY, "provider_answer", detail).caused_by(cause)
            }
            HandoverError::Failed(error) => error.into(),
        }
    }
}
