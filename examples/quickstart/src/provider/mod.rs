//! The demo OpenID provider. DEVELOPMENT ONLY: whoever can reach it is whomever he clicks on.
//!
//! The protocol is the real one, so that the control plane's login is the real one too: discovery, authorization code,
//! PKCE (S256), state, nonce, single-use codes bound to client and redirect URI, RS256 ID tokens, a published key set.
//! Only the authentication of people is missing. It refuses to listen on anything but loopback.

mod authorize;
mod key;
pub mod people;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sentinel_core::clock::{Clock as _, SystemClock, Timestamp, is_expired};
use sentinel_core::random::{SystemRandom, secret_bytes};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use key::SigningKey;
use people::Person;

/// What everybody must know who meets the provider.
pub const WARNING: &str = "DEVELOPMENT ONLY: this OpenID provider asks for no password";

/// How long a code, and a page that was not clicked yet, is good for.
const CODE_TTL: Duration = Duration::from_mins(1);
const PAGE_TTL: Duration = Duration::from_mins(10);

/// The one relying party that the provider serves.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// Where codes may be sent, each compared as a whole.
    pub redirect_uris: Vec<String>,
}

/// A running provider. It ends with this value.
#[derive(Debug)]
pub struct Provider {
    issuer: String,
    task: JoinHandle<()>,
}

impl Provider {
    /// Serves on `listener` for one client.
    ///
    /// # Errors
    /// The listener is reachable from other machines.
    pub fn serve(listener: TcpListener, client: Client) -> Result<Self> {
        let address = listener
            .local_addr()
            .context("the provider's listener has no address")?;
        if !address.ip().is_loopback() {
            bail!("the demo provider asks for no password and listens on loopback only, not on `{address}`");
        }
        let issuer = format!("http://{address}");
        let desk = Arc::new(Desk {
            issuer: issuer.clone(),
            client,
            key: SigningKey::generate()?,
            pages: Drawer::default(),
            codes: Drawer::default(),
            tokens: Drawer::default(),
        });
        let task = tokio::spawn(async move {
            // Ends only when the task is aborted.
            let _ = axum::serve(listener, router(desk)).await;
        });
        Ok(Self { issuer, task })
    }

    /// Its issuer identifier, which is also its address.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Everything that the endpoints share.
#[derive(Debug)]
struct Desk {
    issuer: String,
    client: Client,
    key: SigningKey,
    pages: Drawer<authorize::Request>,
    codes: Drawer<Grant>,
    tokens: Drawer<Person>,
}

/// What a code stands for.
#[derive(Debug, Clone)]
struct Grant {
    request: authorize::Request,
    person: Person,
}

/// Things that are taken out once, by an unguessable ticket, before they expire.
#[derive(Debug)]
struct Drawer<T>(Mutex<HashMap<String, (T, Timestamp)>>);

impl<T> Default for Drawer<T> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<T: Clone> Drawer<T> {
    fn put(&self, thing: T, ttl: Duration) -> String {
        let ticket = URL_SAFE_NO_PAD.encode(secret_bytes(&SystemRandom));
        let now = SystemClock.now();
        let mut things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        things.retain(|_, (_, until)| !is_expired(*until, now));
        things.insert(ticket.clone(), (thing, now + ttl));
        ticket
    }

    fn take(&self, ticket: &str) -> Option<T> {
        let (thing, until) = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(ticket)?;
        (!is_expired(until, SystemClock.now())).then_some(thing)
    }

    fn look(&self, ticket: &str) -> Option<T> {
        let things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (thing, until) = things.get(ticket)?;
        (!is_expired(*until, SystemClock.now())).then(|| thing.clone())
    }
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route(
            "/jwks",
            get(async |State(desk): State<Arc<Desk>>| Json(desk.key.jwks())),
        )
        .route("/authorize", get(authorize::page).post(authorize::choose))
        .route("/token", post(token::exchange))
        .route("/userinfo", get(token::userinfo))
        .with_state(desk)
}

/// OpenID Connect Discovery 1.0, §3.
async fn discovery(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let issuer = &desk.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile"],
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "auth_time", "name", "email", "email_verified"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

#[cfg(test)]
mod tests;
