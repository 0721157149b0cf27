//! What a service is told about the realm that it belongs to. A service app of this installation belongs to none: its
//! scope is its own name, and there are no tokens without a user.

use axum::Router;
use axum::routing::{get, post};
use sentinel_core::name::ServiceName;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::extract::{Json, ServiceKey};
use crate::problem::ApiError;

/// `/realm`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/realm/whoami", get(whoami))
        .route("/realm/m2m-token", post(m2m_token))
}

#[derive(Serialize)]
struct WhoamiBody {
    service_name: ServiceName,
    /// The `service_name` that the service's calls must be about.
    effective_scope: ServiceName,
    /// Null.
    realm: (),
}

/// What clients may say about the token, none of which counts.
#[derive(Deserialize)]
struct TokenBody {
    #[serde(rename = "target")]
    _target: Option<String>,
}

async fn whoami(service: ServiceKey) -> Json<WhoamiBody> {
    let name = service.into_service().name;
    Json(WhoamiBody {
        service_name: name.clone(),
        effective_scope: name,
        realm: (),
    })
}

async fn m2m_token(_: ServiceKey, _: Json<TokenBody>) -> ApiError {
    ApiError::forbidden("Service is not a realm member; no-user tokens require a realm")
        .with_code("realm_required")
}
