//! A signed-in user, from `Authorization: Bearer` with an access token.
//!
//! A token that verifies is not enough: its session, the token itself and the user must not have been revoked, by the
//! replicated state at the revision at which the token was minted or later. The role in the token decides nothing; ask
//! [`UserToken::require`], which reads the live one.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use sentinel_authz::sentinel::role_of;
use sentinel_core::id::{SessionId, TokenId, UserId, WorkspaceId};
use sentinel_core::principal::{Service, User};
use sentinel_core::{Denial, Revision, Timestamp, WorkspaceRole};
use sentinel_feed::ReplicaState;
use sentinel_token::TokenError;

use crate::app::App;
use crate::commit::REVISION_HEADER;
use crate::extract::service::{SERVICE_KEY_HEADER, ServiceKey};
use crate::problem::ApiError;

/// The longest token that is looked at.
const MAX_TOKEN: usize = 8192;

/// A user whose access token was verified and is not revoked.
#[derive(Clone)]
pub struct UserToken {
    user: User,
    state: Arc<ReplicaState>,
}

impl UserToken {
    /// Who, with the claims of the token.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The user's id.
    pub fn id(&self) -> UserId {
        self.user.id
    }

    /// The workspace that the token is limited to.
    pub fn workspace(&self) -> WorkspaceId {
        self.user.workspace
    }

    /// The replicated state that the request is answered from: not older than the token, nor than the request's
    /// `X-Sentinel-Revision`.
    pub fn state(&self) -> &Arc<ReplicaState> {
        &self.state
    }

    /// The token's session, id and expiry.
    pub fn token(&self) -> Option<(SessionId, TokenId, Timestamp)> {
        let (session, token) = self.user.credential.token()?;
        Some((session, token, self.user.credential.expires_at()?))
    }

    /// The user's live role in the token's workspace; `None` if he is no member any more.
    pub fn live_role(&self) -> Result<Option<WorkspaceRole>, ApiError> {
        role_of(self.state.graph(), self.user.workspace, self.user.id).map_err(ApiError::internal)
    }

    /// The user's live role, if the token is for `workspace` and the role is at least `minimum`.
    ///
    /// # Errors
    /// 403 `Not a member of this workspace` or 403 `Insufficient role`.
    pub fn require(&self, workspace: WorkspaceId, minimum: WorkspaceRole) -> Result<WorkspaceRole, ApiError> {
        let not_a_member = || ApiError::forbidden("Not a member of this workspace").with_code("not_a_member");
        if workspace != self.user.workspace {
            return Err(not_a_member());
        }
        let role = self.live_role()?.ok_or_else(not_a_member)?;
        if role < minimum {
            return Err(ApiError::forbidden("Insufficient role").with_code("role_denied"));
        }
        Ok(role)
    }
}

impl FromRequestParts<App> for UserToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers)?;
        let asked = revision_asked(&parts.headers)?;
        verify(app, token, asked).await
    }
}

/// A signed-in user; when the request also shows a good service key, the service that calls for him. A bad service key
/// is treated as none (contract: U*).
#[derive(Clone)]
pub struct FlexibleUser {
    user: UserToken,
    service: Option<Service>,
}

impl FlexibleUser {
    /// The user.
    pub fn user(&self) -> &UserToken {
        &self.user
    }

    /// The service that calls for him, if one does.
    pub fn service(&self) -> Option<&Service> {
        self.service.as_ref()
    }
}

impl std::ops::Deref for FlexibleUser {
    type Target = UserToken;

    fn deref(&self) -> &UserToken {
        &self.user
    }
}

impl FromRequestParts<App> for FlexibleUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let user = UserToken::from_request_parts(parts, app).await?;
        let service = match ServiceKey::from_request_parts(parts, app).await {
            Ok(key) => Some(key.into_service()),
            Err(error)
                if error.status().is_server_error() && parts.headers.contains_key(SERVICE_KEY_HEADER) =>
            {
                return Err(error);
            }
            Err(_) => None,
        };
        Ok(Self { user, service })
    }
}

/// The one value of a header that may be given once.
///
/// # Errors
/// 400 when there are several: which of them would count must never be a matter of taste.
pub(crate) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Denial::CredentialDuplicated.into()),
        (value, None) => Ok(value),
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let missing = || {
        challenge(
            ApiError::unauthorized("Missing Bearer token").with_code("credential_missing"),
            "",
        )
    };
    let value = single(headers, &AUTHORIZATION)?
        .and_then(|value| value.to_str().ok())
        .ok_or_else(missing)?;
    let token = value
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim_matches(' '))
        .filter(|token| !token.is_empty())
        .ok_or_else(missing)?;
    if token.len() > MAX_TOKEN {
        return Err(invalid_token("Token too large", "token_invalid"));
    }
    Ok(token)
}

/// The revision that the request asks for, of a state in which something it knows about has happened.
pub(crate) fn revision_asked(headers: &HeaderMap) -> Result<Option<Revision>, ApiError> {
    single(headers, &REVISION_HEADER)?
        .map(|value| {
            value
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| Denial::RevisionInvalid.into())
        })
        .transpose()
}

async fn verify(app: &App, token: &str, asked: Option<Revision>) -> Result<UserToken, ApiError> {
    let now = app.now();
    app.require_fresh()?;
    let invalid = |error: TokenError| {
        let detail = match error {
            TokenError::WrongKind => "Invalid token type",
            TokenError::MissingClaim("sub" | "wid" | "wrole") => "Token missing required claims",
            _ => "Invalid or expired token",
        };
        invalid_token(detail, error.denial().code())
    };
    let state = app.replica().load_full();
    let user = match app.tokens.verify_access(token, state.keys(), now) {
        Ok(user) => user,
        // A key that this replica has not heard of yet may have been made a moment ago by another control plane.
        Err(TokenError::UnknownKey) => {
            let head = app.database().head().await?;
            if head <= state.revision() {
                return Err(invalid(TokenError::UnknownKey));
            }
            let state = app.state(Some(head)).await?;
            app.tokens
                .verify_access(token, state.keys(), now)
                .map_err(invalid)?
        }
        Err(error) => return Err(invalid(error)),
    };
    let state = app.state(user.minted_at.max(asked)).await?;
    let revoked = user
        .credential
        .token()
        .is_none_or(|(session, token)| state.is_session_revoked(session) || state.is_token_revoked(token));
    if revoked {
        return Err(invalid_token("Token has been revoked", "token_revoked"));
    }
    if state.is_user_disabled(user.id) {
        return Err(invalid_token("User account is deactivated", "token_revoked"));
    }
    Ok(UserToken { user, state })
}

fn invalid_token(detail: &'static str, code: &'static str) -> ApiError {
    challenge(
        ApiError::unauthorized(detail).with_code(code),
        r#", error="invalid_token""#,
    )
}

/// RFC 6750 §3.
fn challenge(error: ApiError, parameters: &str) -> ApiError {
    match HeaderValue::try_from(format!(r#"Bearer realm="sentinel"{parameters}"#)) {
        Ok(value) => error.with_header(WWW_AUTHENTICATE, value),
        Err(_) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (AUTHORIZATION, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_only_once() {
        assert_eq!(bearer(&headers(&["Bearer abc"])).expect("token"), "abc");
        assert_eq!(bearer(&headers(&["bearer  abc"])).expect("token"), "abc");
        for (values, status) in [
            (&[][..], 401),
            (&["Basic abc"], 401),
            (&["Bearer"], 401),
            (&["Bearer "], 401),
            (&["Bearer a", "Bearer b"], 400),
        ] {
            let error = bearer(&headers(values)).expect_err("refused");
            assert_eq!(error.status().as_u16(), status, "{values:?}");
        }
    }

    #[test]
    fn a_token_that_is_too_long_is_not_looked_at() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::try_from(format!("Bearer {}", "a".repeat(MAX_TOKEN + 1))).expect("value");
        headers.insert(AUTHORIZATION, value);
        assert_eq!(
            bearer(&headers).expect_err("too long").detail(),
            "Token too large"
        );
    }

    #[test]
    fn a_revision_that_is_none_is_refused() {
        let mut headers = HeaderMap::new();
        assert_eq!(revision_asked(&headers).expect("none"), None);
        headers.insert(REVISION_HEADER, HeaderValue::from_static("7.3"));
        assert_eq!(
            revision_asked(&headers).expect("revision"),
            Some(Revision { epoch: 7, number: 3 })
        );
        headers.insert(REVISION_HEADER, HeaderValue::from_static("latest"));
        assert_eq!(
            revision_asked(&headers).expect_err("not one").status().as_u16(),
            400
        );
    }
}
