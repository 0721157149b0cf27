//! A calling service, from `X-Service-Key`.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use sentinel_core::clock::is_expired;
use sentinel_core::id::ServiceAppId;
use sentinel_core::name::ServiceName;
use sentinel_core::principal::Service;
use sentinel_feed::ReplicaState;
use sentinel_token::PlainServiceKey;

use crate::app::App;
use crate::extract::bearer::{Accepted, revision_asked, single};
use crate::extract::origin::{PageOrigin, unregistered};
use crate::extract::user::UserToken;
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

impl ServiceKey {
    /// The service whose key the request shows; `None` if it shows none.
    ///
    /// # Errors
    /// 401 for a key that is not good, 400 for two.
    pub(crate) async fn shown(headers: &HeaderMap, app: &App) -> Result<Option<Self>, ApiError> {
        let Some(digest) = digest_shown(headers)? else {
            return Ok(None);
        };
        let state = app.state(revision_asked(headers)?).await?;
        Self::by_digest(app, &state, digest).map(Some)
    }

    /// The service whose key has this digest.
    ///
    /// # Errors
    /// 401 for a key that is not good.
    pub(crate) fn by_digest(app: &App, state: &ReplicaState, digest: [u8; 32]) -> Result<Self, ApiError> {
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

/// The digest of the service key that the request shows; `None` if it shows none.
///
/// # Errors
/// 401 for what is no key, 400 for two.
pub(crate) fn digest_shown(headers: &HeaderMap) -> Result<Option<[u8; 32]>, ApiError> {
    let Some(value) = single(headers, &SERVICE_KEY_HEADER)? else {
        return Ok(None);
    };
    let key: PlainServiceKey = value
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(invalid)?;
    Ok(Some(*key.digest().as_bytes()))
}

fn invalid() -> ApiError {
    ApiError::unauthorized("Invalid or missing service API key").with_code("service_key_invalid")
}

impl FromRequestParts<App> for ServiceKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match ServiceCaller::from_request_parts(parts, app).await? {
            ServiceCaller::Key(key) => Ok(key),
            ServiceCaller::Page(_) => {
                Err(ApiError::unauthorized("Service key required").with_code("credential_missing"))
            }
        }
    }
}

/// A service, by its key; or else a page of one, by the `Origin` that its browser says it is of (contract: K/O). Whatever
/// is no browser can say so too: a page may only learn what somebody's token of an identity provider tells it.
#[derive(Debug, Clone)]
pub enum ServiceCaller {
    /// The service itself.
    Key(ServiceKey),
    /// A page of this origin, which was registered a moment ago.
    Page(PageOrigin),
}

impl FromRequestParts<App> for ServiceCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        if let Some(key) = ServiceKey::shown(&parts.headers, app).await? {
            return Ok(Self::Key(key));
        }
        let page = PageOrigin::shown(&parts.headers, app).await?;
        page.map(Self::Page).ok_or_else(unregistered)
    }
}

/// A service that calls on behalf of a user: both credentials, both good. The user's is an access token, or an AuthZ
/// token that was made for this very service (contract: K+U).
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
        // What a service asks for its users is answered soon or not at all.
        app.state_for_question(revision_asked(&parts.headers)?).await?;
        let service = ServiceKey::from_request_parts(parts, app).await?;
        let user = UserToken::of_bearer(parts, app, Accepted::AccessOrAuthzFor(service.name())).await?;
        Ok(Self { service, user })
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
