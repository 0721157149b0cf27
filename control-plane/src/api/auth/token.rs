//! `POST /auth/token` and `POST /auth/refresh`: tokens for a code, and for a refresh token.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use secrecy::ExposeSecret;
use sentinel_core::id::WorkspaceId;
use sentinel_identity::{RefreshError, TokenPair};
use serde::{Deserialize, Serialize};

use super::callback::context;
use super::workspaces::check_verifier;
use crate::app::App;
use crate::extract::bearer::by_known_keys;
use crate::extract::{Client, Json};
use crate::problem::ApiError;

const MAX_REFRESH_TOKEN: usize = 4096;

#[derive(Deserialize)]
struct Exchange {
    code: String,
    workspace_id: WorkspaceId,
    code_verifier: String,
}

#[derive(Deserialize)]
struct Refresh {
    refresh_token: String,
}

#[derive(Serialize)]
struct Pair {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: u64,
}

impl From<TokenPair> for Pair {
    fn from(pair: TokenPair) -> Self {
        Self {
            access_token: pair.access_token.expose_secret().to_owned(),
            refresh_token: pair.refresh_token.expose_secret().to_owned(),
            token_type: "bearer",
            expires_in: pair.expires_in,
        }
    }
}

/// The routes.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/auth/token", post(token))
        .route("/auth/refresh", post(refresh))
}

async fn token(
    State(app): State<App>,
    client: Client,
    Json(asked): Json<Exchange>,
) -> Result<Json<Pair>, ApiError> {
    check_verifier(&asked.code_verifier)?;
    let pair = app
        .login
        .exchange(
            &asked.code,
            &asked.code_verifier,
            asked.workspace_id,
            context(&client),
        )
        .await?;
    Ok(Json(pair.into()))
}

async fn refresh(
    State(app): State<App>,
    client: Client,
    Json(asked): Json<Refresh>,
) -> Result<Json<Pair>, ApiError> {
    if asked.refresh_token.len() > MAX_REFRESH_TOKEN {
        return Err(ApiError::invalid(
            ["body", "refresh_token"],
            "at most 4096 characters are expected",
        ));
    }
    // Before a transaction begins, of which there may be one at a time: anybody can send something that is no token.
    let now = app.now();
    by_known_keys(&app, |keys| {
        app.tokens.verify_refresh(&asked.refresh_token, keys, now)
    })
    .await?
    .map_err(|_| RefreshError::Invalid)?;
    let pair = app
        .sessions
        .refresh(&asked.refresh_token, &context(&client))
        .await?;
    Ok(Json(pair.into()))
}
