//! `POST /auth/logout`: ends all sessions of the user, here and at every edge.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderName;
use axum::response::IntoResponse;
use axum::routing::post;
use serde::Serialize;

use crate::app::App;
use crate::commit::published;
use crate::extract::{Json, UserToken};
use crate::problem::ApiError;

/// Tells browsers to forget what they keep for this site (W3C Clear Site Data).
pub(crate) const CLEAR_SITE_DATA: (HeaderName, &str) = (
    HeaderName::from_static("clear-site-data"),
    "\"cookies\", \"storage\"",
);

/// `{"ok": true}`.
#[derive(Serialize)]
pub(crate) struct Done {
    ok: bool,
}

impl Done {
    /// It is done.
    pub(crate) fn ok() -> Json<Self> {
        Json(Self { ok: true })
    }
}

/// The routes.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/auth/logout", post(logout))
}

async fn logout(user: UserToken, State(app): State<App>) -> Result<impl IntoResponse, ApiError> {
    let session = user.token().map(|(session, ..)| session);
    let revision = app.sessions.logout(user.id(), session).await?;
    let committed = published(&app, revision).await?;
    Ok((committed, [CLEAR_SITE_DATA], Done::ok()))
}
