//! Client apps: front ends that sign users in.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use sentinel_access::client_apps::{ClientApp, ClientAppChange};
use sentinel_access::text::Name;
use sentinel_access::web::RedirectUri;
use sentinel_core::id::{ClientAppId, UserId};
use serde::{Deserialize, Serialize};

use crate::api::wire::Moment;
use crate::api::withdraw;
use crate::app::App;
use crate::commit::commit;
use crate::extract::{Admin, Json, Path};
use crate::problem::ApiError;

/// The most addresses that one app may have.
const MAX_URIS: usize = 100;

/// `/admin/client-apps`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/client-apps", get(list).post(create))
        .route("/admin/client-apps/{app}", get(show).patch(update).delete(delete))
}

#[derive(Serialize)]
struct ClientAppBody {
    id: ClientAppId,
    name: String,
    redirect_uris: Vec<String>,
    is_active: bool,
    created_by: Option<UserId>,
    created_at: Moment,
    updated_at: Moment,
}

impl From<ClientApp> for ClientAppBody {
    fn from(app: ClientApp) -> Self {
        Self {
            id: app.id,
            name: app.name,
            redirect_uris: app.redirect_uris,
            is_active: app.is_active,
            created_by: app.created_by,
            created_at: app.created_at.into(),
            updated_at: app.updated_at.into(),
        }
    }
}

#[derive(Deserialize)]
struct CreateBody {
    name: Name,
    redirect_uris: Vec<RedirectUri>,
}

#[derive(Deserialize)]
struct UpdateBody {
    name: Option<Name>,
    redirect_uris: Option<Vec<RedirectUri>>,
    is_active: Option<bool>,
    #[serde(default)]
    revoke_sessions: bool,
}

async fn list(State(app): State<App>, _: Admin) -> Result<Json<Vec<ClientAppBody>>, ApiError> {
    let mut tx = app.database().read().await?;
    let apps = app.access().client_apps.list(&mut tx).await?;
    Ok(Json(apps.into_iter().map(Into::into).collect()))
}

async fn create(
    State(app): State<App>,
    admin: Admin,
    Json(body): Json<CreateBody>,
) -> Result<impl IntoResponse, ApiError> {
    bounded(&body.redirect_uris)?;
    let mut tx = super::write(&app, &admin).await?;
    let made = app
        .access()
        .client_apps
        .create(&mut tx, Some(admin.id), body.name, body.redirect_uris)
        .await?;
    let committed = commit(&app, tx).await?;
    app.origins.forget().await;
    Ok((StatusCode::CREATED, committed, Json(ClientAppBody::from(made))))
}

async fn show(
    State(app): State<App>,
    _: Admin,
    Path(id): Path<ClientAppId>,
) -> Result<Json<ClientAppBody>, ApiError> {
    let mut tx = app.database().read().await?;
    let found = app.access().client_apps.get(&mut tx, id).await?;
    Ok(Json(found.into()))
}

async fn update(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<ClientAppId>,
    Json(body): Json<UpdateBody>,
) -> Result<impl IntoResponse, ApiError> {
    bounded(body.redirect_uris.as_deref().unwrap_or_default())?;
    let change = ClientAppChange {
        name: body.name,
        redirect_uris: body.redirect_uris,
        is_active: body.is_active,
    };
    let mut tx = super::write(&app, &admin).await?;
    let updated =
        withdraw::update_client_app(&app, &mut tx, Some(admin.id), id, change, body.revoke_sessions).await?;
    let committed = commit(&app, tx).await?;
    app.origins.forget().await;
    Ok((committed, Json(ClientAppBody::from(updated))))
}

async fn delete(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<ClientAppId>,
) -> Result<impl IntoResponse, ApiError> {
    let mut tx = super::write(&app, &admin).await?;
    withdraw::delete_client_app(&app, &mut tx, Some(admin.id), id).await?;
    let committed = commit(&app, tx).await?;
    app.origins.forget().await;
    Ok((StatusCode::NO_CONTENT, committed, ()))
}

fn bounded(redirect_uris: &[RedirectUri]) -> Result<(), ApiError> {
    if redirect_uris.len() > MAX_URIS {
        return Err(ApiError::invalid(
            ["body", "redirect_uris"],
            format!("at most {MAX_URIS} are expected"),
        ));
    }
    Ok(())
}
