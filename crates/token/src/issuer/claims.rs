//! The claims of other issuers' tokens, as far as they are looked at. Each has one type; what else a token says is not read.

use serde::Deserialize;

use crate::claims::{Audience, optional_seconds, optional_text, seconds};
use crate::compact::payload_of;

/// The claims of an access token (RFC 9068 §2.2) or ID token (OpenID Connect Core §2, §5.1).
#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: Audience,
    pub(super) sub: String,
    #[serde(deserialize_with = "seconds")]
    pub(super) exp: i64,
    #[serde(deserialize_with = "seconds")]
    pub(super) iat: i64,
    #[serde(default, deserialize_with = "optional_seconds")]
    pub(super) nbf: Option<i64>,
    #[serde(default, deserialize_with = "optional_text")]
    pub(super) azp: Option<String>,
    /// What Keycloak says that its token is for.
    #[serde(default, deserialize_with = "optional_text")]
    pub(super) typ: Option<String>,
    /// What Amazon Cognito says that its token is for.
    #[serde(default, deserialize_with = "optional_text")]
    pub(super) token_use: Option<String>,
    pub(super) email: Option<String>,
    pub(super) email_verified: Option<serde_json::Value>,
    pub(super) name: Option<String>,
}

/// The claims without which no token is taken.
pub(super) const REQUIRED: [&str; 5] = ["iss", "aud", "sub", "exp", "iat"];

/// The issuer that `token` claims to be of: it chooses which verification is run, and that verification alone decides.
/// `None` for a text that no verification would accept.
pub fn claimed_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claimed {
        iss: String,
    }
    let claimed: Claimed = serde_json::from_slice(&payload_of(token)?).ok()?;
    Some(claimed.iss)
}
