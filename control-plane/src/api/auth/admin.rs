//! `/auth/admin/*`: logging in to the admin panel, who is logged in, and logging out.

use axum::Router;
use axum::extract::State;
use axum::http::header::{HeaderValue, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use secrecy::ExposeSecret;
use sentinel_core::id::UserId;
use sentinel_identity::{CallbackQuery, CallbackRefusal, Finished, Login, LoginError};
use serde::Serialize;
use url::Url;

use super::callback::{Returned, context, forget_login};
use super::cookie;
use super::errors::{begin_page, callback_page};
use super::login::to_provider;
use super::logout::{CLEAR_SITE_DATA, Done};
use crate::app::App;
use crate::extract::{Admin, Client, Json, Path, Query};
use crate::problem::ApiError;

#[derive(Serialize)]
struct Me {
    id: UserId,
    email: String,
    name: String,
}

/// The routes of a login, which are limited for each address.
pub(crate) fn login_routes() -> Router<App> {
    Router::new()
        .route("/auth/admin/login/{provider}", get(login))
        .route("/auth/admin/callback/{provider}", get(callback))
}

/// The routes of somebody who is logged in.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/auth/admin/me", get(me))
        .route("/auth/admin/logout", post(logout))
}

async fn login(State(app): State<App>, Path(provider): Path<String>) -> Result<Response, ApiError> {
    match app.login.begin_admin(&provider).await {
        Ok(started) => to_provider(&started, cookie::LOGIN_PATH, app.is_https()),
        Err(LoginError::UnknownProvider) => Err(ApiError::bad_request(format!(
            "Provider '{provider}' is not configured"
        ))),
        Err(error) => Ok(begin_page(error).into_response()),
    }
}

async fn callback(
    State(app): State<App>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    client: Client,
    Query(returned): Query<Returned>,
) -> Result<Response, ApiError> {
    let query = CallbackQuery::from(returned);
    let used = query.state.as_deref().map(Login::cookie_name);
    let find = |name: &str| crate::extract::admin::cookie(&headers, name);
    let finished = app
        .login
        .admin_callback(&provider, query, find, &context(&client))
        .await;
    let secure = app.is_https();
    let panel = &app.settings.admin_url;
    let mut response = match finished {
        Ok(Finished::Admin(token)) => {
            let cookie = cookie::of_admin(token.token.expose_secret(), token.expires_in, secure)?;
            let location = format!("{}/", panel.as_str().trim_end_matches('/'));
            let location = HeaderValue::try_from(location).map_err(ApiError::internal)?;
            (StatusCode::FOUND, [(LOCATION, location), (SET_COOKIE, cookie)]).into_response()
        }
        Ok(Finished::App(_)) => {
            return Err(ApiError::internal(anyhow::anyhow!(
                "an app's login ended at the panel"
            )));
        }
        Err(refusal) => match panel_error(&refusal) {
            Some(reason) => {
                let location = HeaderValue::try_from(to_panel(panel, reason)).map_err(ApiError::internal)?;
                (StatusCode::FOUND, [(LOCATION, location)]).into_response()
            }
            None => callback_page(refusal).into_response(),
        },
    };
    forget_login(&mut response, used, cookie::LOGIN_PATH, secure)?;
    Ok(response)
}

/// The refusals that the panel shows itself.
fn panel_error(refusal: &CallbackRefusal) -> Option<&'static str> {
    match refusal {
        CallbackRefusal::NotAdmin
        | CallbackRefusal::EmailNotVerified
        | CallbackRefusal::NoEmail
        | CallbackRefusal::EmailUsed
        | CallbackRefusal::Deactivated => refusal.reason(),
        _ => None,
    }
}

fn to_panel(panel: &Url, reason: &str) -> String {
    format!("{}/login?error={reason}", panel.as_str().trim_end_matches('/'))
}

async fn me(admin: Admin) -> Json<Me> {
    Json(Me {
        id: admin.id,
        email: admin.email,
        name: admin.name,
    })
}

async fn logout(admin: Admin, State(app): State<App>) -> Result<impl IntoResponse, ApiError> {
    app.sessions.admin_logout(admin.id, admin.session).await?;
    let cookie = [(SET_COOKIE, cookie::no_admin(app.is_https())?)];
    Ok((cookie, [CLEAR_SITE_DATA], Done::ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_panel_is_told_why() {
        let panel = Url::parse("https://admin.example.com/").expect("url");
        assert_eq!(
            to_panel(&panel, "not_admin"),
            "https://admin.example.com/login?error=not_admin"
        );
        assert_eq!(panel_error(&CallbackRefusal::EmailUsed), Some("email_conflict"));
        assert_eq!(panel_error(&CallbackRefusal::SessionExpired), None);
    }
}
