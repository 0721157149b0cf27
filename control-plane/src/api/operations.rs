//! The admin listener: metrics, liveness and readiness. Not for the public.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use crate::app::App;

/// What this control plane needs in order to work.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    database: Check,
    replica: Check,
    short_lived: Check,
}

/// One thing that is needed.
#[derive(Debug, Serialize)]
struct Check {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The router of the admin listener.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(app)
}

/// 200 while this control plane can answer. The short-lived store is told but does not count: without it nobody can log in,
/// and taking every control plane out of the balancer for that would stop all the rest as well.
async fn ready(State(app): State<App>) -> Response {
    let database = Check::of(app.database().ping().await);
    let short_lived = Check::of(app.short_lived.ping().await);
    let age = app.replica().age();
    let replica = Check {
        ok: app.require_fresh().is_ok(),
        detail: Some(format!(
            "revision {}, {}",
            app.replica().load().revision(),
            age.map_or_else(
                || "never in touch".to_owned(),
                |age| format!("in touch {} ms ago", age.as_millis())
            )
        )),
    };
    let ready = database.ok && replica.ok;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = Readiness {
        ready,
        database,
        replica,
        short_lived,
    };
    (status, axum::Json(body)).into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    match app.metrics.text(app.replica()) {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Check {
    fn of<E: std::fmt::Display>(result: Result<(), E>) -> Self {
        Self {
            ok: result.is_ok(),
            detail: result.err().map(|error| error.to_string()),
        }
    }
}
