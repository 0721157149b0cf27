//! How often one client may use each of the endpoints that begin or renew a login, and one user those that change
//! something: a fixed window of a minute, counted in the short-lived store so that all control planes count together. When
//! that store is away nobody is turned away here.
//!
//! A client is an address ([`Client`]), for IPv6 its /64.

use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sentinel_core::id::{ServiceAppId, UserId};
use sentinel_core::network;

use crate::app::App;
use crate::extract::{Client, ServiceCaller};
use crate::problem::ApiError;

const WINDOW: Duration = Duration::from_mins(1);

/// How often a minute a service may send a permission model.
const MODELS_PER_MINUTE: u64 = 60;

/// How often a minute one of them may become a new version.
const NEW_MODELS_PER_MINUTE: u64 = 6;

/// Counts a request to a login endpoint, and turns it away when there were too many.
pub async fn login(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let client = match Client::from_request_parts(&mut parts, &app).await {
        Ok(client) => client,
        Err(never) => match never {},
    };
    // The template: one provider's login is the same endpoint as another's.
    let endpoint = parts
        .extensions
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let request = Request::from_parts(parts, body);
    let Some(ip) = client.ip else {
        return next.run(request).await;
    };
    let limit = app.settings.logins_per_minute;
    match count(&app, limit, &endpoint, &network::of_client(ip).to_string()).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Counts a request to resolve a token of an identity provider: by the service that asks, or, when a page does, by its
/// address. Anybody can say that he is a page, and make us ask the provider about whatever he calls a token.
///
/// # Errors
/// 429 when there were too many.
pub async fn resolve(app: &App, caller: &ServiceCaller, client: &Client) -> Result<(), ApiError> {
    match caller {
        ServiceCaller::Key(key) => {
            let limit = app.settings.resolves_per_minute;
            count(app, limit, "resolve", &key.app().to_string()).await
        }
        ServiceCaller::Page(_) => match client.ip {
            Some(ip) => {
                let limit = app.settings.page_resolves_per_minute;
                count(app, limit, "resolve", &network::of_client(ip).to_string()).await
            }
            None => Ok(()),
        },
    }
}

/// Counts a request of a user to change something. Those that edges learn of take turns, all users together, and nobody
/// may keep the turn to himself.
///
/// # Errors
/// 429 when there were too many.
pub(crate) async fn write(app: &App, user: UserId) -> Result<(), ApiError> {
    count(app, app.settings.writes_per_minute, "write", &user.to_string()).await
}

/// Counts a permission model that a service sends, which is compiled here.
///
/// # Errors
/// 429 when there were too many.
pub(crate) async fn model(app: &App, service: ServiceAppId) -> Result<(), ApiError> {
    count(app, MODELS_PER_MINUTE, "model", &service.to_string()).await
}

/// Counts a new version of a service's permission model, which every replica compiles.
///
/// # Errors
/// 429 when there were too many.
pub(crate) async fn new_model(app: &App, service: ServiceAppId) -> Result<(), ApiError> {
    count(app, NEW_MODELS_PER_MINUTE, "new-model", &service.to_string()).await
}

/// Counts one request of `client` to `endpoint`.
async fn count(app: &App, limit: u64, endpoint: &str, client: &str) -> Result<(), ApiError> {
    let minute = app.now().timestamp().div_euclid(60);
    match app
        .short_lived
        .increment(&format!("rate:{endpoint}:{client}:{minute}"), WINDOW)
        .await
    {
        Ok(count) if count > limit => {
            app.metrics.rate_limited();
            Err(ApiError::too_many_requests(WINDOW.as_secs()))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::warn!(error = %error, "rate limits cannot be counted");
            Ok(())
        }
    }
}
