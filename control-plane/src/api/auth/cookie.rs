//! The cookies that we set: the one that binds a login to its browser, and the admin panel's.

use axum::http::HeaderValue;
use sentinel_identity::Started;

use crate::extract::ADMIN_COOKIE;
use crate::problem::ApiError;

/// Where the cookie of a login goes.
pub(crate) const LOGIN_PATH: &str = "/auth";
/// Where the cookie of a page's round trip to a provider goes.
pub(crate) const HANDOVER_PATH: &str = "/authz";

/// The cookie of a login that begins. `Lax`, because the browser brings it back from another site.
pub(crate) fn of_login(started: &Started, path: &str, secure: bool) -> Result<HeaderValue, ApiError> {
    let Started {
        cookie_name,
        cookie_value,
        max_age,
        ..
    } = started;
    header(format!(
        "{cookie_name}={cookie_value}; HttpOnly; Max-Age={max_age}; Path={path}; SameSite=Lax{}",
        flag(secure)
    ))
}

/// Removes the cookie of a login that has come back.
pub(crate) fn no_login(name: &str, path: &str, secure: bool) -> Result<HeaderValue, ApiError> {
    header(format!(
        "{name}=; HttpOnly; Max-Age=0; Path={path}; SameSite=Lax{}",
        flag(secure)
    ))
}

/// The admin panel's cookie.
pub(crate) fn of_admin(token: &str, max_age: u64, secure: bool) -> Result<HeaderValue, ApiError> {
    header(format!(
        "{ADMIN_COOKIE}={token}; HttpOnly; Max-Age={max_age}; Path=/; SameSite=Strict{}",
        flag(secure)
    ))
}

/// Removes the admin panel's cookie.
pub(crate) fn no_admin(secure: bool) -> Result<HeaderValue, ApiError> {
    header(format!(
        "{ADMIN_COOKIE}=; HttpOnly; Max-Age=0; Path=/; SameSite=Strict{}",
        flag(secure)
    ))
}

fn flag(secure: bool) -> &'static str {
    if secure { "; Secure" } else { "" }
}

fn header(text: String) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::try_from(text).map_err(ApiError::internal)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_out_of_the_reach_of_scripts_and_of_other_sites() {
        let text = |value: HeaderValue| value.to_str().expect("text").to_owned();
        assert_eq!(
            text(of_admin("t", 3600, true).expect("header")),
            "admin_token=t; HttpOnly; Max-Age=3600; Path=/; SameSite=Strict; Secure"
        );
        let started = Started {
            url: "https://idp.example/authorize".parse().expect("url"),
            cookie_name: "sentinel_login_x".into(),
            cookie_value: "v".into(),
            max_age: 600,
        };
        assert_eq!(
            text(of_login(&started, LOGIN_PATH, false).expect("header")),
            "sentinel_login_x=v; HttpOnly; Max-Age=600; Path=/auth; SameSite=Lax"
        );
        assert!(text(no_admin(false).expect("header")).contains("Max-Age=0"));
    }
}
