//! A calling service, from `X-Service-Key`.

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use sentinel_core::clock::is_expired;
use sentinel_core::id::ServiceAppId;
use sentinel_core::name::ServiceName;
use sentinel_core::principal::Service;
use sentinel_token::PlainServiceKey;

use crate::app::App;
use crate::extract::user::{UserToken, revision_asked, single};
use crate::problem::ApiError;

/// The header that carries a service key.
pub const SERVICE_KEY_HEADER: HeaderName = HeaderName::from_static("x-service-key");

/// A service whose key was verified.
#[derive(Debug, Clone)]
pub struct ServiceKey(Service);

impl ServiceKey {
    /// The app that the key belongs to.
    pub fn app(&self) -> ServiceAppId {
        self.0.app
    }

    /// The app's scope.
    pub fn name(&self) -> &ServiceName {
        &self.0.name
    }

    /// The service.
    pub fn service(&self) -> &Service {
        &self.0
    }

    /// The service.
    pub fn into_service(self) -> Service {
        self.0
    }

    /// Whether the key may speak for `service`: the check that every call scoped to a service begins with.
    ///
    /// # Errors
    /// 403 `Service key is not authorized for service '…'`.
    pub fn authorize(&self, service: &ServiceName) -> Result<(), ApiError> {
        if self.0.name == *service {
            return Ok(());
        }
        Err(
            ApiError::forbidden(format!("Service key is not authorized for service '{service}'"))
                .with_code("service_denied"),
        )
    }
}

impl FromRequestParts<App> for ServiceKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Some(value) = single(&parts.headers, &SERVICE_KEY_HEADER)? else {
            return Err(
                ApiError::unauthorized("Missing service API key or unregistered origin")
                    .with_code("credential_missing"),
            );
        };
        let invalid =
            || ApiError::unauthorized("Invalid or missing service API key").with_code("service_key_invalid");
        let key: PlainServiceKey = value
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(invalid)?;
        let digest = *key.digest().as_bytes();
        let state = app.state(revision_asked(&parts.headers)?).await?;
        let now = app.now();
        let fact = state
            .service_key(&digest)
            .filter(|fact| !fact.expires_at.is_some_and(|at| is_expired(at, now)))
            .ok_or_else(invalid)?;
        app.last_used.note(digest, now);
        Ok(Self(Service {
            app: fact.app,
            name: fact.service.clone(),
            expires_at: fact.expires_at,
        }))
    }
}

/// A service that calls on behalf of a user: both credentials, both good.
#[derive(Clone)]
pub struct ServiceAndUser {
    /// The service.
    pub service: ServiceKey,
    /// The user.
    pub user: UserToken,
}

impl FromRequestParts<App> for ServiceAndUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        Ok(Self {
            service: ServiceKey::from_request_parts(parts, app).await?,
            user: UserToken::from_request_parts(parts, app).await?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_speaks_for_its_own_service_only() {
        let key = ServiceKey(Service {
            app: uuid::Uuid::nil().into(),
            name: "docs".parse().expect("name"),
            expires_at: None,
        });
        assert!(key.authorize(&"docs".parse().expect("name")).is_ok());
        let error = key
            .authorize(&"wiki".parse().expect("name"))
            .expect_err("another service");
        assert_eq!(error.status().as_u16(), 403);
        assert_eq!(error.detail(), "Service key is not authorized for service 'wiki'");
    }
}
