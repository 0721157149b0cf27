//! Pages of service apps, from `Origin` (RFC 6454 §7): a browser writes it, and no page can change it.

use axum::http::HeaderMap;
use axum::http::header::ORIGIN;
use sentinel_access::service_apps::ServiceApp;

use crate::app::App;
use crate::extract::bearer::single;
use crate::problem::ApiError;

/// The active service app that the request's origin is registered for; `None` if there is none.
pub(crate) async fn app_of_origin(headers: &HeaderMap, app: &App) -> Result<Option<ServiceApp>, ApiError> {
    let Some(origin) = single(headers, &ORIGIN)?.and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let mut tx = app.database().read().await?;
    Ok(app.access().service_apps.of_origin(&mut tx, origin).await?)
}
