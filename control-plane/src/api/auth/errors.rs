//! What clients and people are told when a login step is refused: one table for each of the identity services' enums.

use axum::http::StatusCode;
use sentinel_identity::{
    CallbackRefusal, ExchangeError, IdentityError, LoginError, ProviderError, RefreshError,
};

use crate::pages::Page;
use crate::problem::ApiError;

impl From<ExchangeError> for ApiError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::InvalidCode => {
                Self::bad_request("Invalid or expired authorization code").with_code("invalid_grant")
            }
            ExchangeError::WithdrawnCode => {
                Self::bad_request("Invalid authorization code").with_code("invalid_grant")
            }
            ExchangeError::Pkce => Self::bad_request("PKCE verification failed").with_code("invalid_grant"),
            ExchangeError::UserNotFound => Self::not_found("User not found"),
            ExchangeError::WorkspaceNotFound => Self::not_found("Workspace not found"),
            ExchangeError::NotAMember => {
                Self::forbidden("Cannot issue tokens for this workspace").with_code("not_a_member")
            }
            ExchangeError::Failed(error) => error.into(),
        }
    }
}

impl From<RefreshError> for ApiError {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Invalid | RefreshError::Reused | RefreshError::Over => {
                Self::unauthorized("Invalid refresh token").with_code("invalid_grant")
            }
            RefreshError::Failed(error) => error.into(),
        }
    }
}

/// The page for a login that does not begin.
pub(crate) fn begin_page(error: LoginError) -> Page {
    match error {
        LoginError::UnknownProvider => unknown_provider(),
        LoginError::ChallengeMethod => Page::new(
            StatusCode::BAD_REQUEST,
            "Unsupported Challenge Method",
            "The application asked for a way of signing in that is not supported. Only the PKCE method S256 is.",
        ),
        LoginError::Challenge => Page::new(
            StatusCode::BAD_REQUEST,
            "Invalid Challenge",
            "The application sent a PKCE challenge that is not 43 characters of base64url.",
        ),
        LoginError::State => Page::new(
            StatusCode::BAD_REQUEST,
            "Invalid State",
            "The application sent a state that is longer than 512 characters.",
        ),
        LoginError::AppNotAllowed => app_not_allowed(),
        LoginError::Provider(error) => provider_failed(error),
        LoginError::Failed(error) => failed(error),
    }
}

/// The page for a login that came back and is refused.
pub(crate) fn callback_page(refusal: CallbackRefusal) -> Page {
    match refusal {
        CallbackRefusal::UnknownProvider => unknown_provider(),
        CallbackRefusal::SessionExpired => Page::new(
            StatusCode::BAD_REQUEST,
            "Session Expired",
            "Signing in took too long, or this page was opened twice. Go back to the application and try again.",
        ),
        CallbackRefusal::InvalidSession => Page::new(
            StatusCode::BAD_REQUEST,
            "Invalid Session",
            "This sign-in was not begun in this browser. Go back to the application and try again.",
        ),
        CallbackRefusal::Declined => Page::new(
            StatusCode::BAD_REQUEST,
            "Sign-In Declined",
            "The identity provider did not let the sign-in go on. Go back to the application to try again.",
        ),
        CallbackRefusal::AppNotAllowed => app_not_allowed(),
        CallbackRefusal::InvalidSubject => Page::new(
            StatusCode::BAD_GATEWAY,
            "Authentication Failed",
            "The identity provider did not say who you are in a way that can be kept. Ask an administrator.",
        ),
        CallbackRefusal::NoEmail => Page::new(
            StatusCode::FORBIDDEN,
            "No Email Address",
            "The identity provider did not share an e-mail address, without which nobody can sign in.",
        ),
        CallbackRefusal::EmailNotVerified => Page::new(
            StatusCode::FORBIDDEN,
            "Email Not Verified",
            "The identity provider does not confirm that the e-mail address is yours. Verify it there and try again.",
        ),
        CallbackRefusal::EmailUsed => Page::new(
            StatusCode::CONFLICT,
            "Email Already Used",
            "There is an account with this e-mail address already. Sign in the way you did before.",
        ),
        CallbackRefusal::Deactivated => Page::new(
            StatusCode::FORBIDDEN,
            "Account Deactivated",
            "This account is deactivated. Ask an administrator.",
        ),
        CallbackRefusal::NotAdmin => Page::new(
            StatusCode::FORBIDDEN,
            "Not An Administrator",
            "This account does not administer this installation.",
        ),
        CallbackRefusal::Provider(error) => provider_failed(error),
        CallbackRefusal::Failed(error) => failed(error),
    }
}

fn unknown_provider() -> Page {
    Page::new(
        StatusCode::BAD_REQUEST,
        "Provider Not Available",
        "This identity provider is not configured here.",
    )
}

fn app_not_allowed() -> Page {
    Page::new(
        StatusCode::BAD_REQUEST,
        "App Not Allowed",
        "The application or the address that it wants to return to is not registered here.",
    )
}

fn provider_failed(error: ProviderError) -> Page {
    Page::new(
        StatusCode::BAD_GATEWAY,
        "Authentication Failed",
        "The identity provider did not answer as it should. Try again, or ask an administrator.",
    )
    .caused_by(error)
}

fn failed(error: IdentityError) -> Page {
    let error = ApiError::from(error);
    let (title, text) = if error.status() == StatusCode::SERVICE_UNAVAILABLE {
        (
            "Sign-In Not Possible Now",
            "Signing in is not possible at the moment. Try again soon.",
        )
    } else {
        (
            "Something Went Wrong",
            "The sign-in could not be handled. Ask an administrator.",
        )
    };
    Page::of(error, title, text)
}
