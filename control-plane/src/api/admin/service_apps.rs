//! Service apps: back ends that call with a key. A key is in the answer that made it, and never again.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use sentinel_access::service_apps::{AppServiceName, HashedKey, NewServiceApp, ServiceApp, ServiceAppChange};
use sentinel_access::text::Name;
use sentinel_access::web::Origin;
use sentinel_core::id::{ServiceAppId, UserId};
use sentinel_core::name::ServiceName;
use sentinel_token::PlainServiceKey;
use serde::{Deserialize, Serialize};

use crate::api::wire::Moment;
use crate::api::withdraw;
use crate::app::App;
use crate::commit::commit;
use crate::extract::body::Whole;
use crate::extract::{Admin, Json, Path, json};
use crate::problem::ApiError;

/// How long an app's old key works on when nothing else is asked for: a day.
const USUAL_OVERLAP: u64 = 24 * 60 * 60;

/// The longest overlap: thirty days.
const MAX_OVERLAP: u64 = 30 * USUAL_OVERLAP;

/// `/admin/service-apps`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/service-apps", get(list).post(create))
        .route(
            "/admin/service-apps/{app}",
            get(show).patch(update).delete(delete),
        )
        .route("/admin/service-apps/{app}/rotate-key", post(rotate_key))
}

#[derive(Serialize)]
struct ServiceAppBody {
    id: ServiceAppId,
    name: String,
    service_name: ServiceName,
    realm_id: Option<uuid::Uuid>,
    key_prefix: String,
    is_active: bool,
    allowed_origins: Vec<String>,
    allowed_idp_audiences: Vec<String>,
    last_used_at: Option<Moment>,
    created_by: Option<UserId>,
    created_at: Moment,
    updated_at: Moment,
}

impl From<ServiceApp> for ServiceAppBody {
    fn from(app: ServiceApp) -> Self {
        Self {
            id: app.id,
            name: app.name,
            service_name: app.service_name,
            realm_id: None,
            key_prefix: app.key_prefix,
            is_active: app.is_active,
            allowed_origins: app.allowed_origins,
            allowed_idp_audiences: app.allowed_idp_audiences,
            last_used_at: app.last_used_at.map(Into::into),
            created_by: app.created_by,
            created_at: app.created_at.into(),
            updated_at: app.updated_at.into(),
        }
    }
}

/// An app with the key that was just made for it.
#[derive(Serialize)]
struct WithKey {
    #[serde(flatten)]
    app: ServiceAppBody,
    api_key: String,
}

impl WithKey {
    fn new(app: ServiceApp, key: &PlainServiceKey) -> Self {
        Self {
            app: app.into(),
            api_key: key.expose().to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct CreateBody {
    name: Name,
    service_name: AppServiceName,
    #[serde(default)]
    allowed_origins: Vec<Origin>,
    #[serde(default)]
    allowed_idp_audiences: Vec<Name>,
}

impl From<CreateBody> for NewServiceApp {
    fn from(body: CreateBody) -> Self {
        Self {
            name: body.name,
            service_name: body.service_name,
            allowed_origins: body.allowed_origins,
            allowed_idp_audiences: body.allowed_idp_audiences,
        }
    }
}

#[derive(Deserialize)]
struct UpdateBody {
    name: Option<Name>,
    is_active: Option<bool>,
    allowed_origins: Option<Vec<Origin>>,
    allowed_idp_audiences: Option<Vec<Name>>,
}

impl From<UpdateBody> for ServiceAppChange {
    fn from(body: UpdateBody) -> Self {
        Self {
            name: body.name,
            is_active: body.is_active,
            allowed_origins: body.allowed_origins,
            allowed_idp_audiences: body.allowed_idp_audiences,
        }
    }
}

#[derive(Deserialize)]
struct RotateBody {
    overlap_seconds: Option<u64>,
}

async fn list(State(app): State<App>, _: Admin) -> Result<Json<Vec<ServiceAppBody>>, ApiError> {
    let mut tx = app.database().read().await?;
    let apps = app.access().service_apps.list(&mut tx).await?;
    Ok(Json(apps.into_iter().map(Into::into).collect()))
}

async fn create(
    State(app): State<App>,
    admin: Admin,
    Json(body): Json<CreateBody>,
) -> Result<impl IntoResponse, ApiError> {
    let key = PlainServiceKey::generate(app.random());
    let mut tx = super::write(&app, &admin).await?;
    let service_apps = &app.access().service_apps;
    let made = service_apps
        .create(&mut tx, Some(admin.id), body.into(), hashed(&key))
        .await?;
    let committed = commit(&app, tx).await?;
    app.origins.forget().await;
    Ok((StatusCode::CREATED, committed, Json(WithKey::new(made, &key))))
}

async fn show(
    State(app): State<App>,
    _: Admin,
    Path(id): Path<ServiceAppId>,
) -> Result<Json<ServiceAppBody>, ApiError> {
    let mut tx = app.database().read().await?;
    let found = app.access().service_apps.get(&mut tx, id).await?;
    Ok(Json(found.into()))
}

async fn update(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<ServiceAppId>,
    Json(body): Json<UpdateBody>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    let updated = withdraw::update_service_app(&app, &mut tx, Some(admin.id), id, body.into()).await?;
    let committed = commit(&app, tx).await?;
    app.origins.forget().await;
    Ok((committed, Json(ServiceAppBody::from(updated))))
}

async fn delete(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<ServiceAppId>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    withdraw::delete_service_app(&app, &mut tx, Some(admin.id), id).await?;
    let committed = commit(&app, tx).await?;
    app.origins.forget().await;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}

async fn rotate_key(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<ServiceAppId>,
    Whole(body): Whole,
) -> Result<impl IntoResponse, ApiError> {
    let overlap = overlap(&body)?;
    let key = PlainServiceKey::generate(app.random());
    let mut tx = super::write(&app, &admin).await?;
    let service_apps = &app.access().service_apps;
    let rotated = service_apps
        .rotate_key(&mut tx, Some(admin.id), id, hashed(&key), overlap)
        .await?;
    let committed = commit(&app, tx).await?;
    Ok((committed, Json(WithKey::new(rotated, &key))))
}

fn hashed(key: &PlainServiceKey) -> HashedKey {
    HashedKey {
        digest: *key.digest().as_bytes(),
        prefix: key.display_prefix(),
    }
}

/// How long the old key works on. The replaced service took no body here, so none is as good as an empty object.
fn overlap(body: &[u8]) -> Result<Duration, ApiError> {
    let asked = if body.is_empty() {
        None
    } else {
        json::read::<RotateBody>(body)?.overlap_seconds
    };
    match asked.unwrap_or(USUAL_OVERLAP) {
        seconds @ 0..=MAX_OVERLAP => Ok(Duration::from_secs(seconds)),
        _ => Err(ApiError::invalid(
            ["body", "overlap_seconds"],
            format!("0 to {MAX_OVERLAP} is expected"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlap_is_a_day_unless_another_is_asked_for() {
        for (body, seconds) in [
            ("", USUAL_OVERLAP),
            ("{}", USUAL_OVERLAP),
            (r#"{"overlap_seconds":null}"#, USUAL_OVERLAP),
            (r#"{"overlap_seconds":0}"#, 0),
            (r#"{"overlap_seconds":60}"#, 60),
        ] {
            assert_eq!(overlap(body.as_bytes()).expect(body).as_secs(), seconds, "{body}");
        }
        for bad in [
            "x",
            "[]",
            r#"{"overlap_seconds":-1}"#,
            r#"{"overlap_seconds":2592001}"#,
        ] {
            assert_eq!(
                overlap(bad.as_bytes()).expect_err(bad).status().as_u16(),
                422,
                "{bad}"
            );
        }
    }
}
