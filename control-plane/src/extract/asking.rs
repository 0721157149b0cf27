//! A service that asks about objects of its own, and the state that it is answered from.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use sentinel_core::clock::is_expired;
use sentinel_core::{Revision, Timestamp};
use sentinel_feed::ReplicaState;

use crate::app::App;
use crate::extract::bearer::revision_asked;
use crate::extract::service::{ServiceKey, digest_shown};
use crate::problem::ApiError;

/// A service whose key counts in the state that its question is answered from: not older than the request's
/// `X-Sentinel-Revision`. As an argument of a handler it takes a key only (contract: K).
#[derive(Clone)]
pub struct Asking {
    key: ServiceKey,
    digest: [u8; 32],
    state: Arc<ReplicaState>,
    at_least: Option<Revision>,
}

impl Asking {
    /// The service's key.
    pub fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// The state to answer from.
    pub fn state(&self) -> &Arc<ReplicaState> {
        &self.state
    }

    /// The revision that the request brought with it.
    pub fn at_least(&self) -> Option<Revision> {
        self.at_least
    }

    /// A refusal of what is asked, with the revision that it was decided at.
    pub fn refused(&self, error: ApiError) -> ApiError {
        error.decided_at(self.state.revision())
    }

    /// The key alone, to be looked at again later.
    pub fn pass(&self) -> Pass {
        Pass(self.digest)
    }
}

/// A key that was good, for answers that take long.
#[derive(Debug, Clone, Copy)]
pub struct Pass([u8; 32]);

impl Pass {
    /// Whether the key still counts.
    pub fn is_good(self, state: &ReplicaState, now: Timestamp) -> bool {
        state
            .service_key(&self.0)
            .is_some_and(|fact| !fact.expires_at.is_some_and(|at| is_expired(at, now)))
    }
}

impl FromRequestParts<App> for Asking {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Some(digest) = digest_shown(&parts.headers)? else {
            let key = ServiceKey::from_request_parts(parts, app).await;
            return Err(key.map_or_else(|error| error, |_| ApiError::unauthorized("Service key required")));
        };
        let at_least = revision_asked(&parts.headers)?;
        let state = app.state_for_question(at_least).await?;
        let key = ServiceKey::by_digest(app, &state, digest)?;
        Ok(Self {
            key,
            digest,
            state,
            at_least,
        })
    }
}
