//! An administrator, from the admin cookie.
//!
//! The cookie alone is not believed: at every request with a token of ours the database is asked whether this is still an
//! active administrator, and whether the token was withdrawn. Requests that change something must show that a script of our own
//! origin made them (`X-Requested-With`); that check comes last.

use axum::extract::FromRequestParts;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use sentinel_core::Timestamp;
use sentinel_core::id::{SessionId, UserId};
use sentinel_identity::AdminRefusal;

use crate::app::App;
use crate::extract::bearer::by_known_keys;
use crate::problem::ApiError;

/// The name of the admin cookie.
pub const ADMIN_COOKIE: &str = "admin_token";

/// A verified administrator.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Who.
    pub id: UserId,
    /// His e-mail address.
    pub email: String,
    /// His name.
    pub name: String,
    /// The session of the panel.
    pub session: SessionId,
    /// When the admin token is over by itself.
    pub expires_at: Timestamp,
}

impl FromRequestParts<App> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let token = cookie(&parts.headers, ADMIN_COOKIE)
            .ok_or_else(|| ApiError::unauthorized("Not authenticated").with_code("credential_missing"))?;
        let now = app.now();
        let verified = by_known_keys(app, |keys| app.tokens.verify_admin(token, keys, now))
            .await?
            .map_err(|_| ApiError::unauthorized("Invalid or expired token").with_code("token_invalid"))?;
        let admin = app.sessions.admin(&verified).await.map_err(refused)?;
        let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if !safe
            && parts
                .headers
                .get("x-requested-with")
                .is_none_or(HeaderValue::is_empty)
        {
            return Err(ApiError::forbidden("Missing X-Requested-With header").with_code("csrf"));
        }
        Ok(Self {
            id: admin.user,
            email: admin.email,
            name: admin.name,
            session: admin.session,
            expires_at: admin.expires_at,
        })
    }
}

/// What an administrator is told who is none any more.
pub(crate) fn refused(refusal: AdminRefusal) -> ApiError {
    match refusal {
        AdminRefusal::NotAdmin => ApiError::forbidden("Not an admin"),
        AdminRefusal::Revoked => ApiError::unauthorized("Token has been revoked").with_code("token_revoked"),
        AdminRefusal::Deactivated => {
            ApiError::unauthorized("User account is deactivated").with_code("token_revoked")
        }
        AdminRefusal::PrivilegesRevoked => {
            ApiError::unauthorized("Admin privileges revoked").with_code("token_revoked")
        }
        AdminRefusal::Failed(error) => error.into(),
    }
}

/// The value of the cookie `name`; `None` if it is absent or there are two, which no browser sends for a host-only cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name_and_never_twice() {
        let of = |text: &'static str| HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(text))]);
        assert_eq!(
            cookie(&of("a=1; admin_token=xyz; b=2"), ADMIN_COOKIE),
            Some("xyz")
        );
        assert_eq!(cookie(&of("my_admin_token=xyz"), ADMIN_COOKIE), None);
        assert_eq!(cookie(&of("admin_token=a; admin_token=b"), ADMIN_COOKIE), None);
        assert_eq!(cookie(&HeaderMap::new(), ADMIN_COOKIE), None);
    }
}
