//! The round trip of a browser to GitHub, which ends with GitHub's token in the fragment of an address of the page that
//! began it.
//!
//! A token that ends elsewhere is somebody's account: the address must be of an origin that an active service app has
//! registered, when the browser leaves and when it comes back, and what comes back must have been begun in this very
//! browser. The state of the trip is in the short-lived store, as that of a login is; the prefixes of the two differ, so
//! that neither can be ended as the other.

use secrecy::{ExposeSecret, SecretString};
use sentinel_core::Timestamp;
use sentinel_token::hash::constant_time_eq;
use serde::{Deserialize, Serialize};
use url::Url;

use super::resolve::shown;
use super::{Authz, HandoverError};
use crate::error::IdentityError;
use crate::login::state::{self, Expires, LOGIN, digest, fresh_secret};
use crate::login::{CallbackQuery, Login, Started};
use crate::providers::{GitHub, ProviderError};

/// The longest address to return to, in bytes.
const MAX_REDIRECT_URI: usize = 2048;

/// The longest nonce that a page may have echoed, in characters.
const MAX_NONCE: usize = 512;

/// The provider that this is for.
const GITHUB: &str = "github";

/// A round trip whose browser is at the provider.
#[derive(Serialize, Deserialize)]
struct Trip {
    provider: String,
    pkce_verifier: String,
    /// The digest of the browser's cookie.
    binding: String,
    redirect_uri: String,
    nonce: Option<String>,
    expires_at: Timestamp,
}

impl Expires for Trip {
    const PREFIX: &'static str = "handover";
    fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl Authz {
    /// Sends a browser to the provider, to come back to `redirect_uri` with a token of it; `nonce` comes back too.
    pub async fn send_away(
        &self,
        provider: &str,
        redirect_uri: &str,
        nonce: Option<String>,
    ) -> Result<Started, HandoverError> {
        let github = self.github(provider)?;
        let redirect_uri = address(redirect_uri)?;
        if nonce
            .as_ref()
            .is_some_and(|nonce| nonce.chars().count() > MAX_NONCE)
        {
            return Err(HandoverError::Nonce);
        }
        self.require_registered(&redirect_uri).await?;
        let secret = || fresh_secret(&*self.0.random);
        let (trip, cookie_value, pkce_verifier) = (secret(), secret(), secret());
        let url = github.authorize(&self.callback(provider)?, &trip, &pkce_verifier);
        let kept = Trip {
            provider: provider.to_owned(),
            pkce_verifier,
            binding: digest(&cookie_value),
            redirect_uri: redirect_uri.into(),
            nonce: nonce.filter(|nonce| !nonce.is_empty()),
            expires_at: self.0.clock.now() + LOGIN,
        };
        state::put(&*self.0.short_lived, &trip, &kept, LOGIN).await?;
        Ok(Started {
            url,
            cookie_name: Login::cookie_name(&trip),
            cookie_value,
            max_age: LOGIN.as_secs(),
        })
    }

    /// Ends the round trip: the address of the page, with the token. `cookie` looks up a cookie of the browser by its
    /// name.
    pub async fn hand_over<'c>(
        &self,
        provider: &str,
        query: CallbackQuery,
        cookie: impl FnOnce(&str) -> Option<&'c str> + Send,
    ) -> Result<SecretString, HandoverError> {
        let github = self.github(provider)?;
        let stranger = || HandoverError::State(provider.to_owned());
        let trip = query.state.as_deref().ok_or_else(stranger)?;
        let bound = cookie(&Login::cookie_name(trip)).map(digest);
        let kept: Trip = state::take(&*self.0.short_lived, trip, self.0.clock.now())
            .await?
            .ok_or_else(stranger)?;
        let same_browser =
            bound.is_some_and(|bound| constant_time_eq(bound.as_bytes(), kept.binding.as_bytes()));
        if !same_browser || kept.provider != provider {
            return Err(stranger());
        }
        if let Some(error) = query.error {
            return Err(HandoverError::Declined(shown(&error)));
        }
        let code = query.code.ok_or_else(stranger)?;
        // The app may have been withdrawn while the browser was away.
        let redirect_uri = address(&kept.redirect_uri)?;
        self.require_registered(&redirect_uri).await?;
        let token = github
            .exchange(&self.callback(provider)?, &code, &kept.pkce_verifier)
            .await?;
        Ok(with_token(redirect_uri, &token, kept.nonce.as_deref()))
    }

    /// The provider of that name, if it is one that pages cannot sign people in at by themselves.
    fn github(&self, name: &str) -> Result<&GitHub, HandoverError> {
        match self.0.providers.find(name) {
            Some(provider) => provider
                .as_github()
                .ok_or_else(|| HandoverError::Unsupported(shown(name))),
            None if name == GITHUB => Err(HandoverError::NotConfigured),
            None => Err(HandoverError::Unsupported(shown(name))),
        }
    }

    async fn require_registered(&self, redirect_uri: &Url) -> Result<(), HandoverError> {
        let origin = redirect_uri.origin().ascii_serialization();
        let mut tx = self.0.database.read().await.map_err(IdentityError::from)?;
        self.0
            .access
            .service_apps
            .of_origin(&mut tx, &origin)
            .await
            .map_err(IdentityError::from)?
            .map(drop)
            .ok_or(HandoverError::Origin)
    }

    fn callback(&self, provider: &str) -> Result<Url, ProviderError> {
        let base = self.0.public_url.as_str().trim_end_matches('/');
        format!("{base}/authz/idp/{provider}/callback")
            .parse()
            .map_err(|_| ProviderError::Address(provider.to_owned()))
    }
}

/// Where a token may be sent: http(s) with a host, without a user and without a fragment of its own.
fn address(text: &str) -> Result<Url, HandoverError> {
    if text.len() > MAX_REDIRECT_URI {
        return Err(HandoverError::RedirectUri);
    }
    let url: Url = text.parse().map_err(|_| HandoverError::RedirectUri)?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    if !is_web || !url.username().is_empty() || url.password().is_some() {
        return Err(HandoverError::RedirectUri);
    }
    if url.fragment().is_some() {
        return Err(HandoverError::Fragment);
    }
    Ok(url)
}

/// The page's address with the token in its fragment, which browsers send to nobody.
fn with_token(mut redirect_uri: Url, token: &SecretString, nonce: Option<&str>) -> SecretString {
    let mut fragment = url::form_urlencoded::Serializer::new(String::new());
    fragment.append_pair("id_token", token.expose_secret());
    if let Some(nonce) = nonce {
        fragment.append_pair("nonce", nonce);
    }
    redirect_uri.set_fragment(Some(&fragment.finish()));
    SecretString::from(String::from(redirect_uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_a_web_address_and_nowhere_else() {
        for good in [
            "https://spa.example.com/cb",
            "http://localhost:3000/?x=1",
            "https://spa.example.com",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "javascript:alert(1)",
            "com.example.app:/cb",
            "https://user@spa.example.com/",
            "https://:pw@spa.example.com/",
            "data:text/html,x",
            &format!("https://spa.example.com/{}", "a".repeat(MAX_REDIRECT_URI)),
        ] {
            assert!(matches!(address(bad), Err(HandoverError::RedirectUri)), "{bad}");
        }
        for bad in ["https://spa.example.com/#", "https://spa.example.com/cb#x"] {
            assert!(matches!(address(bad), Err(HandoverError::Fragment)), "{bad}");
        }
    }

    #[test]
    fn token_and_nonce_cannot_be_taken_for_one_another() {
        let to = |token: &str, nonce| {
            let url = "https://spa.example.com/cb?x=1".parse().expect("url");
            with_token(url, &token.to_owned().into(), nonce)
                .expose_secret()
                .to_owned()
        };
        assert_eq!(to("gho_1", None), "https://spa.example.com/cb?x=1#id_token=gho_1");
        assert_eq!(
            to("a&nonce=b", Some("c&id_token=d")),
            "https://spa.example.com/cb?x=1#id_token=a%26nonce%3Db&nonce=c%26id_token%3Dd"
        );
    }
}
