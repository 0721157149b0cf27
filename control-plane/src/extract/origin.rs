//! Pages of service apps, from `Origin` (RFC 6454 §7): a browser writes it, and no page can change it.

use axum::http::HeaderMap;
use axum::http::header::ORIGIN;
use sentinel_access::service_apps::ServiceApp;

use crate::app::App;
use crate::extract::bearer::single;
use crate::problem::ApiError;

/// An origin that was registered for pages of a service app a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageOrigin(String);

impl PageOrigin {
    /// The request's origin, if pages of a service app are registered there; `None` if not. By the list that is kept for
    /// a moment: of what strangers make up the database hears nothing.
    pub(crate) async fn shown(headers: &HeaderMap, app: &App) -> Result<Option<Self>, ApiError> {
        let Some(origin) = single(headers, &ORIGIN)?.and_then(|value| value.to_str().ok()) else {
            return Ok(None);
        };
        let is_registered = app.origins.is_of_service(app, origin).await?;
        Ok(is_registered.then(|| Self(origin.to_owned())))
    }

    /// The active service app that the origin is registered for, by what the database says now. Callers are counted
    /// before they may ask.
    ///
    /// # Errors
    /// 401 when there is none any more.
    pub(crate) async fn app(&self, app: &App) -> Result<ServiceApp, ApiError> {
        let mut tx = app.database().read().await?;
        let found = app.access().service_apps.of_origin(&mut tx, &self.0).await?;
        found.ok_or_else(unregistered)
    }
}

/// What a caller is told who shows neither a key nor a registered origin.
pub(crate) fn unregistered() -> ApiError {
    ApiError::unauthorized("Missing service API key or unregistered origin").with_code("credential_missing")
}
