//! How often one client may use each of the endpoints that begin or renew a login: a fixed window of a minute, counted in
//! the short-lived store so that all control planes count together. When that store is away nobody is turned away here.
//!
//! A client is the address at the other end of the connection, for IPv6 its /64. There are no trusted proxies yet: behind
//! a reverse proxy all clients count as one, and the limit belongs there.

use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::extract::Client;
use crate::extract::client::network;
use crate::problem::ApiError;

const WINDOW: Duration = Duration::from_mins(1);

/// Counts a request to a login endpoint, and turns it away when there were too many.
pub async fn login(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.settings.logins_per_minute;
    limited(&app, limit, request, next).await
}

async fn limited(app: &App, limit: u64, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let client = match Client::from_request_parts(&mut parts, &()).await {
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
    let minute = app.now().timestamp().div_euclid(60);
    match app
        .short_lived
        .increment(&format!("rate:{endpoint}:{}:{minute}", network(ip)), WINDOW)
        .await
    {
        Ok(count) if count > limit => {
            app.metrics.rate_limited();
            ApiError::too_many_requests(WINDOW.as_secs()).into_response()
        }
        Ok(_) => next.run(request).await,
        Err(error) => {
            tracing::warn!(error = %error, "rate limits cannot be counted");
            next.run(request).await
        }
    }
}
