//! Users' tokens: where a request carries them, and what it takes for one to count.
//!
//! A token that verifies is not enough: its session, the token itself and the user must not have been revoked, by the
//! replicated state at the revision at which the token was minted or later. Access tokens and tokens of AuthZ mode are
//! held to the same.

use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName};
use sentinel_core::name::ServiceName;
use sentinel_core::principal::User;
use sentinel_core::{Credential, Denial, Revision, Timestamp};
use sentinel_feed::ReplicaState;
use sentinel_token::{KeySet, TokenError};

use crate::app::App;
use crate::commit::REVISION_HEADER;
use crate::problem::ApiError;

/// The header that carries a token of AuthZ mode beside the identity provider's own in `Authorization`.
pub const AUTHZ_TOKEN_HEADER: HeaderName = HeaderName::from_static("x-authz-token");

/// The longest token that is looked at.
const MAX_TOKEN: usize = 8192;

/// Which kinds of token are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Accepted<'a> {
    /// Access tokens.
    Access,
    /// Access tokens, and tokens of AuthZ mode that were made for this service.
    AccessOrAuthzFor(&'a ServiceName),
    /// Tokens of AuthZ mode, whichever service they were made for.
    Authz,
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

/// The token in `Authorization` (RFC 6750 §2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
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
    not_too_large(token)
}

/// The token in `X-Authz-Token`; `None` if there is none.
pub(crate) fn authz_token(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = single(headers, &AUTHZ_TOKEN_HEADER)? else {
        return Ok(None);
    };
    let token = value
        .to_str()
        .map_err(|_| invalid_token("Invalid or expired token", "token_invalid"))?
        .trim_matches(' ');
    if token.is_empty() {
        return Ok(None);
    }
    not_too_large(token).map(Some)
}

fn not_too_large(token: &str) -> Result<&str, ApiError> {
    if token.len() > MAX_TOKEN {
        return Err(invalid_token("Token too large", "token_invalid"));
    }
    Ok(token)
}

/// The revision that the request asks for, of a state in which something it knows about has happened.
pub(crate) fn revision_asked(headers: &HeaderMap) -> Result<Option<Revision>, ApiError> {
    let invalid = || ApiError::from(Denial::RevisionInvalid);
    single(headers, &REVISION_HEADER)
        .map_err(|_| invalid())?
        .map(|value| {
            value
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(invalid)
        })
        .transpose()
}

/// The user of a token that counts now, and the state by which it does: not older than the token, nor than `asked`.
pub(crate) async fn verify(
    app: &App,
    token: &str,
    accepted: Accepted<'_>,
    asked: Option<Revision>,
) -> Result<(User, Arc<ReplicaState>), ApiError> {
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
    let user = by_known_keys(app, |keys| read(app, token, accepted, keys, now))
        .await?
        .map_err(invalid)?;
    let state = app.state(user.minted_at.max(asked)).await?;
    let revoked = user
        .credential
        .token()
        .is_none_or(|(session, token)| state.is_session_revoked(session) || state.is_token_revoked(token));
    if revoked {
        let refused = invalid_token("Token has been revoked", "token_revoked");
        return Err(refused.decided_at(state.revision()));
    }
    if state.is_user_disabled(user.id) {
        let refused = invalid_token("User account is deactivated", "token_revoked");
        return Err(refused.decided_at(state.revision()));
    }
    if let (Accepted::AccessOrAuthzFor(expected), Credential::AuthzToken { service, .. }) =
        (accepted, &user.credential)
        && service != expected
    {
        return Err(
            ApiError::forbidden("Authz token was issued for a different service").with_code("service_denied"),
        );
    }
    Ok((user, state))
}

/// What `verify` makes of a token by the keys of the replica. A key that this replica has not heard of yet may have been
/// made a moment ago by another control plane: then it is asked once more, of a replica that knows as much as the database.
/// Strangers come here too, so no connection of the database is taken for it.
///
/// # Errors
/// 503 when the replica does not get there in time.
pub(crate) async fn by_known_keys<T>(
    app: &App,
    verify: impl Fn(&KeySet) -> Result<T, TokenError>,
) -> Result<Result<T, TokenError>, ApiError> {
    let state = app.replica().load_full();
    let verified = verify(state.keys());
    if !matches!(verified, Err(TokenError::UnknownKey)) {
        return Ok(verified);
    }
    let newest = app.database().newest().await?;
    if newest <= state.revision() {
        return Ok(verified);
    }
    Ok(verify(app.state(Some(newest)).await?.keys()))
}

/// Verifies the token as the one kind that it may be.
fn read(
    app: &App,
    token: &str,
    accepted: Accepted<'_>,
    keys: &KeySet,
    now: Timestamp,
) -> Result<User, TokenError> {
    match accepted {
        Accepted::Access => app.tokens.verify_access(token, keys, now),
        Accepted::Authz => app.tokens.verify_authz(token, keys, now),
        Accepted::AccessOrAuthzFor(_) => app.tokens.verify_access_or_authz(token, keys, now),
    }
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
    fn an_authz_token_is_read_once_and_an_empty_one_is_none() {
        let of = |values: &[&'static str]| -> HeaderMap {
            values
                .iter()
                .map(|value| (AUTHZ_TOKEN_HEADER, HeaderValue::from_static(value)))
                .collect()
        };
        assert_eq!(authz_token(&of(&[" abc "])).expect("token"), Some("abc"));
        assert_eq!(authz_token(&of(&[])).expect("none"), None);
        assert_eq!(authz_token(&of(&[""])).expect("none"), None);
        let twice = authz_token(&of(&["a", "a"])).expect_err("two");
        assert_eq!(twice.status().as_u16(), 400);
        let mut long = HeaderMap::new();
        let value = HeaderValue::try_from("a".repeat(MAX_TOKEN + 1)).expect("value");
        long.insert(AUTHZ_TOKEN_HEADER, value);
        assert_eq!(
            authz_token(&long).expect_err("too long").detail(),
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
        headers.append(REVISION_HEADER, HeaderValue::from_static("7.3"));
        let twice = revision_asked(&headers).expect_err("twice");
        assert_eq!(twice.code(), "revision_invalid");
        headers.insert(REVISION_HEADER, HeaderValue::from_static("latest"));
        assert_eq!(
            revision_asked(&headers).expect_err("not one").status().as_u16(),
            400
        );
    }
}
