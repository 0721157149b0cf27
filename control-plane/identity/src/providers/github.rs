//! GitHub, which speaks OAuth 2 and no OpenID Connect: who somebody is its API says, to whoever has his access token
//! (<https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps>). GitHub Enterprise Server has
//! the same under other addresses.
//!
//! An access token does not say for whom it was made. One that somebody brings is therefore shown to GitHub together with
//! our own credentials first: a token that the person gave to another application must not work here.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openidconnect::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use openidconnect::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use openidconnect::{PkceCodeChallenge, PkceCodeVerifier};
use secrecy::{ExposeSecret, SecretString};
use sentinel_core::{Clock, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{Arrival, Expected, ProviderError, ProviderSettings, VouchError, Voucher};
use crate::accounts::{EmailTrust, Identity};
use crate::outbound::{Outbound, OutboundClient, OutboundError};

/// The version of the API that is spoken.
const API_VERSION: HeaderValue = HeaderValue::from_static("2022-11-28");
const API_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// GitHub, or one GitHub Enterprise Server.
pub(crate) struct GitHub {
    name: String,
    url: Url,
    api: Url,
    client_id: String,
    client_secret: SecretString,
    scope: String,
    client: OutboundClient,
    clock: Arc<dyn Clock>,
}

/// Why GitHub's answer is of no use.
#[derive(Debug, thiserror::Error)]
enum GitHubError {
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error(transparent)]
    Http(#[from] openidconnect::http::Error),
    #[error("GitHub answered with status {0}")]
    Status(StatusCode),
    #[error("GitHub answered with something else than JSON")]
    ContentType,
    #[error("GitHub's answer is not understood")]
    Json(#[from] serde_json::Error),
    #[error("GitHub refused the code: {0}")]
    Refused(String),
    #[error("GitHub gave no access token that can be used")]
    NoToken,
}

/// An answer of the token endpoint. Its errors come with status 200.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<String>,
    token_type: Option<String>,
    error: Option<String>,
}

/// `GET /user`.
#[derive(Deserialize)]
struct Account {
    id: u64,
    login: String,
    name: Option<String>,
    avatar_url: Option<String>,
}

/// One of `GET /user/emails`.
#[derive(Deserialize)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

/// `POST /applications/{client_id}/token`.
#[derive(Deserialize)]
struct Checked {
    app: Application,
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Application {
    client_id: String,
}

impl GitHub {
    pub(super) fn new(
        settings: ProviderSettings,
        url: &str,
        api_url: &str,
        outbound: &Outbound,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ProviderError> {
        let address = |text: &str| {
            text.parse::<Url>()
                .ok()
                .filter(|url| !url.cannot_be_a_base())
                .ok_or_else(|| ProviderError::Address(settings.name.clone()))
        };
        let (url, api) = (address(url)?, address(api_url)?);
        let client = outbound.client(&[&url, &api]).map_err(ProviderError::Client)?;
        let client_secret = settings
            .client_secret
            .ok_or_else(|| ProviderError::NoSecret(settings.name.clone()))?;
        Ok(Self {
            name: settings.name,
            url,
            api,
            client_id: settings.client_id,
            client_secret,
            scope: settings.scopes.join(" "),
            client,
            clock,
        })
    }

    /// The address that begins a login.
    pub(crate) fn authorize(&self, callback: &Url, state: &str, pkce_verifier: &str) -> Url {
        let verifier = PkceCodeVerifier::new(pkce_verifier.to_owned());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        let mut url = below(&self.url, &["login", "oauth", "authorize"]);
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", callback.as_str())
            .append_pair("scope", &self.scope)
            .append_pair("state", state)
            .append_pair("code_challenge", challenge.as_str())
            .append_pair("code_challenge_method", challenge.method().as_str());
        url
    }

    /// The access token that a code stands for.
    pub(crate) async fn exchange(
        &self,
        callback: &Url,
        code: &str,
        pkce_verifier: &str,
    ) -> Result<SecretString, ProviderError> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", self.client_secret.expose_secret())
            .append_pair("code", code)
            .append_pair("redirect_uri", callback.as_str())
            .append_pair("code_verifier", pkce_verifier)
            .finish();
        let request = Request::builder()
            .method(Method::POST)
            .uri(below(&self.url, &["login", "oauth", "access_token"]).as_str())
            .header(ACCEPT, JSON)
            .header(CONTENT_TYPE, FORM)
            .body(form.into_bytes());
        let token = async { token(self.ask(request?).await?) };
        token.await.map_err(|error| ProviderError::Exchange(error.into()))
    }

    /// The identity that a code stands for.
    pub(super) async fn arrive(
        &self,
        callback: &Url,
        code: &str,
        pkce_verifier: &str,
    ) -> Result<Arrival, ProviderError> {
        let token = self.exchange(callback, code, pkce_verifier).await?;
        let failed = |error: GitHubError| ProviderError::UserInfo(error.into());
        let account: Account = self.get(&token, &["user"]).await.map_err(failed)?;
        let addresses = match self.addresses(&token).await {
            // The person did not let us see them.
            Err(error) if error.is_refusal() => Vec::new(),
            result => result.map_err(failed)?,
        };
        Ok(Arrival {
            identity: identity(account, addresses),
            auth_time: self.clock.now(),
            amr: Vec::new(),
        })
    }

    /// Verifies an access token that somebody brings. A nonce says nothing about a token that has none.
    pub(super) async fn vouch(&self, token: &str, expected: &Expected<'_>) -> Result<Voucher, VouchError> {
        if !expected.audiences.is_empty() {
            return Err(VouchError::GitHubAudiences);
        }
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(VouchError::GitHubToken);
        }
        let token = SecretString::from(token);
        let unless = |refusal: VouchError| {
            |error: GitHubError| {
                if error.is_refusal() {
                    refusal
                } else {
                    VouchError::Unreachable(ProviderError::UserInfo(error.into()))
                }
            }
        };
        let checked = self.check(&token).await?;
        let account: Account = self
            .get(&token, &["user"])
            .await
            .map_err(unless(VouchError::GitHubToken))?;
        let addresses = self
            .addresses(&token)
            .await
            .map_err(unless(VouchError::GitHubEmails))?;
        let identity = identity(account, addresses);
        Ok(Voucher {
            subject: format!("github|{}", identity.subject),
            issuer: None,
            identity,
            auth_time: self.clock.now(),
            amr: Vec::new(),
            expires_at: checked.expires_at,
        })
    }

    /// Asks GitHub whether a token was made for us.
    async fn check(&self, token: &SecretString) -> Result<Checked, VouchError> {
        let failed = |error: GitHubError| VouchError::Unreachable(ProviderError::UserInfo(error.into()));
        let credentials = format!("{}:{}", self.client_id, self.client_secret.expose_secret());
        let body = serde_json::json!({ "access_token": token.expose_secret() });
        let request = Request::builder()
            .method(Method::POST)
            .uri(below(&self.api, &["applications", &self.client_id, "token"]).as_str())
            .header(ACCEPT, API_TYPE)
            .header("x-github-api-version", API_VERSION)
            .header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(credentials)))
            .header(CONTENT_TYPE, JSON)
            .body(body.to_string().into_bytes());
        let asked = async { self.ask(request?).await };
        let checked: Checked = asked.await.map_err(|error| match error {
            // Another application's, or nobody's. A 401 would be about our own credentials.
            GitHubError::Status(StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY) => {
                VouchError::GitHubApplication
            }
            error => failed(error),
        })?;
        if checked.app.client_id != self.client_id {
            return Err(VouchError::GitHubApplication);
        }
        Ok(checked)
    }

    async fn addresses(&self, token: &SecretString) -> Result<Vec<Address>, GitHubError> {
        self.get(token, &["user", "emails"]).await
    }

    async fn get<T: DeserializeOwned>(&self, token: &SecretString, path: &[&str]) -> Result<T, GitHubError> {
        let mut url = below(&self.api, path);
        if path.len() > 1 {
            url.query_pairs_mut().append_pair("per_page", "100");
        }
        let request = Request::builder()
            .uri(url.as_str())
            .header(ACCEPT, API_TYPE)
            .header("x-github-api-version", API_VERSION)
            .header(AUTHORIZATION, format!("Bearer {}", token.expose_secret()))
            .body(Vec::new())?;
        self.ask(request).await
    }

    /// The JSON that is answered with status 200.
    async fn ask<T: DeserializeOwned>(&self, request: Request<Vec<u8>>) -> Result<T, GitHubError> {
        let answer = self.client.send(request).await?;
        if answer.status() != StatusCode::OK {
            let (status, headers) = (answer.status(), answer.headers());
            tracing::debug!(provider = self.name, %status, "GitHub refused");
            return Err(GitHubError::Status(if is_throttled(status, headers) {
                StatusCode::TOO_MANY_REQUESTS
            } else {
                status
            }));
        }
        let is_json = answer
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(GitHubError::ContentType);
        }
        Ok(serde_json::from_slice(answer.body())?)
    }
}

impl GitHubError {
    /// Whether GitHub refuses this token, and not everybody at the moment.
    fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
        )
    }
}

/// GitHub says 403 also when it has been asked too often.
fn is_throttled(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_spent = headers
        .get("x-ratelimit-remaining")
        .is_some_and(|left| left == "0");
    status == StatusCode::FORBIDDEN && (is_spent || headers.contains_key(RETRY_AFTER))
}

fn token(answer: TokenAnswer) -> Result<SecretString, GitHubError> {
    if let Some(error) = answer.error {
        return Err(GitHubError::Refused(
            error.chars().filter(|c| !c.is_control()).take(64).collect(),
        ));
    }
    let is_bearer = answer
        .token_type
        .is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    answer
        .access_token
        .map(SecretString::from)
        .filter(|token| is_bearer && token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or(GitHubError::NoToken)
}

/// The person: his address is the primary one, whatever the public profile shows.
fn identity(account: Account, addresses: Vec<Address>) -> Identity {
    let primary = addresses.into_iter().find(|address| address.primary);
    let email_trust = if primary.as_ref().is_some_and(|address| address.verified) {
        EmailTrust::Verified
    } else {
        EmailTrust::Unverified
    };
    Identity {
        subject: account.id.to_string(),
        email: primary.map(|address| address.email),
        email_trust,
        name: account
            .name
            .filter(|name| !name.trim().is_empty())
            .or(Some(account.login)),
        picture: account.avatar_url,
    }
}

/// An address below a configured one.
fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    // An address that cannot have a path is refused when it is configured.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enterprise_servers_have_a_path() {
        let api: Url = "https://ghe.example.com/api/v3/".parse().expect("url");
        assert_eq!(
            below(&api, &["user", "emails"]).as_str(),
            "https://ghe.example.com/api/v3/user/emails"
        );
        let public: Url = "https://api.github.com".parse().expect("url");
        assert_eq!(
            below(&public, &["applications", "a/b", "token"]).as_str(),
            "https://api.github.com/applications/a%2Fb/token"
        );
    }

    #[test]
    fn only_the_primary_address_counts() {
        let account = || Account {
            id: 7,
            login: "ann".into(),
            name: Some(" ".into()),
            avatar_url: None,
        };
        let address = |email: &str, primary, verified| Address {
            email: email.into(),
            primary,
            verified,
        };
        let person = identity(
            account(),
            vec![
                address("a@example.com", false, true),
                address("b@example.com", true, true),
            ],
        );
        assert_eq!(
            (person.email.as_deref(), person.email_trust),
            (Some("b@example.com"), EmailTrust::Verified)
        );
        assert_eq!(
            (person.subject.as_str(), person.name.as_deref()),
            ("7", Some("ann"))
        );
        let person = identity(
            account(),
            vec![
                address("a@example.com", false, true),
                address("b@example.com", true, false),
            ],
        );
        assert_eq!(
            (person.email.as_deref(), person.email_trust),
            (Some("b@example.com"), EmailTrust::Unverified)
        );
        assert_eq!(
            identity(account(), vec![address("a@example.com", false, true)]).email,
            None
        );
    }

    #[test]
    fn a_limit_that_is_reached_is_no_refusal_of_a_token() {
        let spent = HeaderMap::from_iter([(
            "x-ratelimit-remaining".parse().expect("name"),
            HeaderValue::from_static("0"),
        )]);
        assert!(is_throttled(StatusCode::FORBIDDEN, &spent));
        assert!(!is_throttled(StatusCode::FORBIDDEN, &HeaderMap::new()));
        assert!(!is_throttled(StatusCode::NOT_FOUND, &spent));
    }
}
