//! What the edge asks the control plane on behalf of a browser, from behind: workspaces and tokens for a code, the next pair
//! for a refresh token, the end of a session. Nobody waits longer than a moment, and only so many at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use sentinel_core::id::WorkspaceId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::tokens::Pair;
use crate::names;
use crate::outbound::{Outbound, OutboundError};
use crate::request_id::RequestId;

/// How long an answer may take that somebody waits for who wanted something else.
const MOMENT: Duration = Duration::from_secs(3);
/// How many questions of one kind may be open at once.
const AT_ONCE: usize = 64;
/// The longest answer.
const LONGEST: usize = 256 * 1024;
/// How long the list of identity providers is kept, and how long that there was none to be had.
const KEPT: Duration = Duration::from_mins(1);
const KEPT_FAILURE: Duration = Duration::from_secs(2);

/// The control plane's API, as far as browsers' sessions need it.
pub(super) struct ControlPlane {
    outbound: Outbound,
    url: Box<str>,
    renewals: Arc<Semaphore>,
    pages: Arc<Semaphore>,
    providers: Mutex<Option<(Instant, Listed)>>,
}

type Listed = Result<Arc<[String]>, Failure>;

/// On whose behalf the control plane is asked: it limits how often one client signs in, and keeps from where a session is
/// used.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    address: Option<IpAddr>,
    user_agent: Option<HeaderValue>,
    request: HeaderValue,
}

/// What the control plane is asked for. The edge's own pages are for anybody to load, and must not take the places of those
/// who are signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A session goes on.
    Renewal,
    /// One of the edge's own pages is answered.
    Page,
}

/// A workspace that a person may choose.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Workspace {
    /// Which.
    pub(super) id: WorkspaceId,
    /// Its name for people.
    pub(super) name: String,
    /// Its short name.
    pub(super) slug: String,
    /// The person's role there.
    pub(super) role: String,
}

/// Why the control plane gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It said no, with this status.
    Refused(u16),
    /// It cannot be known now: nobody answered, or not as the control plane does.
    Unavailable,
}

#[derive(Deserialize)]
struct Minted {
    access_token: String,
    refresh_token: String,
}

#[derive(Deserialize)]
struct Providers {
    providers: Vec<String>,
}

impl Caller {
    /// Whoever made a request with these fields from `address`.
    pub(super) fn of(address: Option<IpAddr>, fields: &HeaderMap, request: &RequestId) -> Self {
        Self {
            address,
            user_agent: fields.get(USER_AGENT).cloned(),
            request: request.header_value(),
        }
    }

    fn sign(&self, mut request: RequestBuilder) -> RequestBuilder {
        if let Some(address) = self.address {
            request = request.header(names::FORWARDED_FOR, address.to_string());
        }
        if let Some(program) = &self.user_agent {
            request = request.header(USER_AGENT, program);
        }
        request.header(names::REQUEST_ID, &self.request)
    }
}

impl ControlPlane {
    /// The one at `url`.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub(super) fn at(url: &str) -> Result<Self, OutboundError> {
        Ok(Self {
            outbound: Outbound::new(MOMENT)?,
            url: url.into(),
            renewals: Arc::new(Semaphore::new(AT_ONCE)),
            pages: Arc::new(Semaphore::new(AT_ONCE)),
            providers: Mutex::new(None),
        })
    }

    /// A place among those who may ask for this; `None` if all are taken.
    pub(super) fn place(&self, purpose: Purpose) -> Option<OwnedSemaphorePermit> {
        let places = match purpose {
            Purpose::Renewal => &self.renewals,
            Purpose::Page => &self.pages,
        };
        Arc::clone(places).try_acquire_owned().ok()
    }

    /// The names of the identity providers that people can go to.
    pub(super) async fn providers(&self) -> Listed {
        // Whoever waits here gets what the one before him was told.
        let mut kept = self.providers.lock().await;
        if let Some((until, listed)) = &*kept
            && Instant::now() < *until
        {
            return listed.clone();
        }
        let asked = self.request(Method::GET, "/auth/providers");
        let listed: Listed = self
            .ask::<Providers>(asked)
            .await
            .map(|listed| listed.providers.into());
        let life = if listed.is_ok() { KEPT } else { KEPT_FAILURE };
        *kept = Some((Instant::now() + life, listed.clone()));
        listed
    }

    /// The workspaces that a code may be exchanged for.
    pub(super) async fn workspaces(
        &self,
        code: &str,
        verifier: &str,
        caller: &Caller,
    ) -> Result<Vec<Workspace>, Failure> {
        let body = json!({ "code": code, "code_verifier": verifier });
        self.post("/auth/workspaces", &body, caller).await
    }

    /// The tokens that a code is good for, once.
    pub(super) async fn exchange(
        &self,
        code: &str,
        verifier: &str,
        workspace: WorkspaceId,
        caller: &Caller,
    ) -> Result<Pair, Failure> {
        let body = json!({ "code": code, "code_verifier": verifier, "workspace_id": workspace });
        self.post::<Minted>("/auth/token", &body, caller)
            .await
            .map(Pair::from)
    }

    /// The pair that follows a refresh token. The caller has taken a [place](Self::place).
    pub(super) async fn refresh(&self, token: &SecretString, caller: &Caller) -> Result<Pair, Failure> {
        let body = json!({ "refresh_token": token.expose_secret() });
        let asked = self.request(Method::POST, "/auth/refresh").json(&body);
        self.ask::<Minted>(caller.sign(asked)).await.map(Pair::from)
    }

    /// Ends all sessions of the person who has this access token.
    pub(super) async fn end(&self, access: &SecretString, caller: &Caller) -> Result<(), Failure> {
        let _place = self.place(Purpose::Page).ok_or(Failure::Unavailable)?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", access.expose_secret()))
            .map_err(|_| Failure::Refused(401))?;
        bearer.set_sensitive(true);
        let asked = self
            .request(Method::POST, "/auth/logout")
            .header(AUTHORIZATION, bearer);
        self.ask::<Value>(caller.sign(asked)).await.map(drop)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        caller: &Caller,
    ) -> Result<T, Failure> {
        let _place = self.place(Purpose::Page).ok_or(Failure::Unavailable)?;
        let asked = self.request(Method::POST, path).json(body);
        self.ask(caller.sign(asked)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.outbound
            .request(method, format!("{}{path}", self.url))
            .header(ACCEPT, "application/json")
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let reply = self.outbound.send(request, LONGEST).await.map_err(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the control plane could not be asked about a session"
            );
            Failure::Unavailable
        })?;
        match reply.status {
            // The text may have a token in it, so what is wrong with it is not told.
            200 => serde_json::from_slice(&reply.body).map_err(|_| {
                tracing::warn!(
                    "the control plane answered a question about a session in words that are not known"
                );
                Failure::Unavailable
            }),
            status @ (400 | 401 | 403 | 404 | 422) => Err(Failure::Refused(status)),
            status => {
                tracing::warn!(
                    status,
                    "the control plane did not answer a question about a session"
                );
                Err(Failure::Unavailable)
            }
        }
    }
}

impl From<Minted> for Pair {
    fn from(minted: Minted) -> Self {
        Self {
            access: minted.access_token.into(),
            refresh: minted.refresh_token.into(),
        }
    }
}
