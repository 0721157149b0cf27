//! What a login leaves in the short-lived store: its state while the browser is at the provider, and the code that the
//! application exchanges. Keys are digests, so whoever reads the store cannot use what it finds.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sentinel_core::clock::is_expired;
use sentinel_core::id::{ClientAppId, UserId};
use sentinel_core::random::secret_bytes;
use sentinel_core::{Random, Timestamp};
use sentinel_store::ShortLived;
use sentinel_token::hash::constant_time_eq;
use sentinel_token::sha256;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::IdentityError;

/// How long a login may stay at the provider.
pub(crate) const LOGIN: Duration = Duration::from_mins(10);
/// How long an authorization code is good.
pub(super) const CODE: Duration = Duration::from_mins(5);

/// A login whose browser is at the provider.
#[derive(Serialize, Deserialize)]
pub(super) struct LoginState {
    pub(super) provider: String,
    pub(super) nonce: String,
    pub(super) pkce_verifier: String,
    /// The digest of the browser's cookie.
    pub(super) binding: String,
    pub(super) purpose: Purpose,
    pub(super) expires_at: Timestamp,
}

/// What the login is for.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Purpose {
    /// An application, which gets a code.
    App {
        client_app: ClientAppId,
        redirect_uri: String,
        code_challenge: String,
        state: Option<String>,
    },
    /// The admin panel.
    Admin,
}

/// What an authorization code stands for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct CodeGrant {
    pub(super) user: UserId,
    pub(super) provider: String,
    pub(super) client_app: ClientAppId,
    pub(super) code_challenge: String,
    pub(super) auth_time: Timestamp,
    pub(super) amr: Vec<String>,
    pub(super) arrived_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl CodeGrant {
    /// Whether `verifier` is the one that the code was asked for with (RFC 7636 §4.6, S256).
    pub(super) fn is_proved_by(&self, verifier: &str) -> bool {
        let length = (43..=128).contains(&verifier.len());
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
        length && constant_time_eq(challenge.as_bytes(), self.code_challenge.as_bytes())
    }
}

/// A value that is good until a moment.
pub(crate) trait Expires {
    const PREFIX: &'static str;
    fn expires_at(&self) -> Timestamp;
}

impl Expires for LoginState {
    const PREFIX: &'static str = "login";
    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl Expires for CodeGrant {
    const PREFIX: &'static str = "code";
    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// Keeps a value under a secret.
pub(crate) async fn put<T: Serialize + Expires>(
    store: &dyn ShortLived,
    secret: &str,
    value: &T,
    ttl: Duration,
) -> Result<(), IdentityError> {
    let text = serde_json::to_string(value)?;
    Ok(store.put(&key::<T>(secret), &text, ttl).await?)
}

/// The value under a secret, which is gone then: of many callers one gets it.
pub(crate) async fn take<T: DeserializeOwned + Expires>(
    store: &dyn ShortLived,
    secret: &str,
    now: Timestamp,
) -> Result<Option<T>, IdentityError> {
    read(store.take(&key::<T>(secret)).await?, now)
}

/// The value under a secret, which stays.
pub(super) async fn peek<T: DeserializeOwned + Expires>(
    store: &dyn ShortLived,
    secret: &str,
    now: Timestamp,
) -> Result<Option<T>, IdentityError> {
    read(store.get(&key::<T>(secret)).await?, now)
}

fn read<T: DeserializeOwned + Expires>(
    text: Option<String>,
    now: Timestamp,
) -> Result<Option<T>, IdentityError> {
    let Some(text) = text else { return Ok(None) };
    let value: T = serde_json::from_str(&text)?;
    Ok(Some(value).filter(|value| !is_expired(value.expires_at(), now)))
}

fn key<T: Expires>(secret: &str) -> String {
    format!("{}:{}", T::PREFIX, digest(secret))
}

/// A fresh secret of 256 bits as 43 characters.
pub(crate) fn fresh_secret(random: &dyn Random) -> String {
    URL_SAFE_NO_PAD.encode(secret_bytes(random))
}

/// The digest under which a secret is known here.
pub(crate) fn digest(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_verifier_proves_a_code() {
        // The example of RFC 7636, appendix B.
        let grant = CodeGrant {
            user: uuid::Uuid::nil().into(),
            provider: "demo".into(),
            client_app: uuid::Uuid::nil().into(),
            code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into(),
            auth_time: Timestamp::UNIX_EPOCH,
            amr: Vec::new(),
            arrived_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH,
        };
        assert!(grant.is_proved_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!grant.is_proved_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"));
        assert!(!grant.is_proved_by(""));
    }
}
