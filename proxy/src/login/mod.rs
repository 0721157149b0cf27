//! People behind browsers: the edge sends them to the control plane's login, keeps their tokens in cookies that no script can
//! read, renews them before they end, and signs them out.
//!
//! All that is known about a login or a session is with the browser, sealed (`seal`): any edge with the same secret goes on
//! where another one began. A browser is only ever brought back to a path of the host that it came from. This is the one part
//! of the edge where a request waits for the control plane: on the edge's own pages, and where a session has to be renewed.
//!
//! Nothing here is written to a log that could be used by whoever reads it: no code, token, cookie or state.

mod asking;
mod begin;
mod callback;
mod control_plane;
mod jar;
mod names;
mod navigation;
mod pages;
mod refresher;
mod return_to;
mod seal;
mod session;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method};
use sentinel_config::edge::{Config, HostPattern};
use sentinel_core::random::secret_bytes;
use sentinel_core::{Clock, Denial, Random};

use crate::answer::Answer;
use crate::client::Client;
use crate::request::{CanonicalRequest, Host, Shown, Target};
use crate::request_id::RequestId;
use asking::Allowance;
use control_plane::{Caller, ControlPlane};
use names::Names;
use pages::Page;
use refresher::Refresher;
use return_to::is_under;
use seal::Sealer;

pub use jar::SetCookies;
pub use session::Renewal;

/// Signs people in and out.
pub struct Login {
    client_id: Box<str>,
    provider: Option<Box<str>>,
    workspace: Option<Box<str>>,
    path: Box<str>,
    after_logout: Box<str>,
    patience: Duration,
    /// Where browsers reach the control plane.
    issuer: Box<str>,
    hosts: Vec<HostPattern>,
    names: Names,
    sealer: Sealer,
    control_plane: Arc<ControlPlane>,
    refresher: Arc<Refresher>,
    allowance: Allowance,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// A request, as far as signing in looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// The request.
    pub request: &'a CanonicalRequest,
    /// Its header.
    pub fields: &'a HeaderMap,
    /// Where it came from.
    pub client: Client,
    /// Its number.
    pub id: &'a RequestId,
}

/// Whether an access token counts at this moment: its signature, its times, and that nobody has revoked it.
pub type Counts<'a> = &'a (dyn Fn(&Shown) -> bool + Sync);

/// What one of the edge's own pages says, and what is written down about it.
#[derive(Debug)]
pub struct Said {
    /// The answer.
    pub answer: Answer,
    /// Why it is not what was asked for, if it is not.
    pub outcome: Result<(), Denial>,
}

impl Login {
    /// What the configuration says about login; `None` if nothing.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub fn from_config(
        config: &Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Option<Self>> {
        let Some(login) = &config.login else {
            return Ok(None);
        };
        let mut hosts: Vec<HostPattern> = Vec::new();
        for route in config.routes.iter().filter(|route| route.settings.login) {
            if !hosts.contains(&route.pattern.host) {
                hosts.push(route.pattern.host.clone());
            }
        }
        let control_plane = Arc::new(
            ControlPlane::at(config.control_plane.url.as_str())
                .context("the control plane cannot be asked about logins")?,
        );
        let sealer = Sealer::new(&login.cookie_key, Arc::clone(&random));
        let text = |text: &Option<String>| text.as_deref().map(Box::from);
        Ok(Some(Self {
            client_id: login.client_id.as_str().into(),
            provider: text(&login.provider),
            workspace: text(&login.workspace),
            path: login.path.as_str().into(),
            after_logout: login.after_logout.as_str().into(),
            patience: login.patience,
            issuer: config.control_plane.issuer().into(),
            hosts,
            names: Names::of(&config.session_cookie),
            sealer: sealer
                .ok()
                .context("no key can be made from `login.cookie_key`")?,
            refresher: Refresher::new(Arc::clone(&control_plane)),
            allowance: Allowance::new(),
            control_plane,
            clock,
            random,
        }))
    }

    /// Whether a target is one of the edge's own pages, or lies beside them.
    pub fn owns(&self, target: &Target) -> bool {
        is_under(target.path(), &self.path)
    }

    /// Answers a request to one of the edge's own pages.
    pub async fn answer(&self, visit: Visit<'_>, counts: Counts<'_>) -> Said {
        if !self.is_for(&visit.request.host) {
            return nothing(visit);
        }
        let page = visit.request.target.path().strip_prefix(&*self.path);
        match (page, &visit.request.method) {
            (Some("/login" | "/callback" | "/workspace" | "/logout"), _) if !visit.is_safe() => {
                visit.say_unsafe()
            }
            (Some("/login"), &Method::GET | &Method::HEAD) => self.begin_page(visit).await,
            (Some("/callback"), &Method::GET) => self.callback(visit).await,
            (Some("/workspace"), &Method::GET | &Method::HEAD) => self.choices(visit).await,
            (Some("/workspace"), &Method::POST) => self.chosen(visit).await,
            (Some("/logout"), &Method::GET | &Method::HEAD) => self.logout_page(visit),
            (Some("/logout"), &Method::POST) => self.logout(visit, counts).await,
            _ => nothing(visit),
        }
    }

    /// Whether people sign in to this host at all.
    fn is_for(&self, host: &Host) -> bool {
        let name = host.name();
        self.hosts.iter().any(|pattern| match pattern {
            HostPattern::Exact(exact) => exact == name,
            HostPattern::Wildcard(parent) => name
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
            HostPattern::Any => true,
        })
    }

    /// The path of one of the edge's own pages.
    fn page(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// A fresh secret of 256 bits, as 43 characters.
    fn secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(secret_bytes(&*self.random))
    }
}

impl Visit<'_> {
    /// Whether browsers keep what is set here: over an encrypted connection, or on this machine, which they trust without one
    /// (W3C Secure Contexts §3.1).
    fn is_safe(&self) -> bool {
        let host = self.request.host.name();
        let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost");
        self.client.secure || local
    }

    /// The origin that the request was sent to.
    fn origin(&self) -> String {
        let default_port = if self.client.secure { ":443" } else { ":80" };
        let authority = self.request.host.authority();
        let authority = authority.strip_suffix(default_port).unwrap_or(authority);
        format!("{}://{authority}", self.client.scheme())
    }

    fn caller(&self) -> Caller {
        Caller::of(self.client.address, self.fields, self.id)
    }

    /// The query's parameters of these names, decoded; `None` if one is there twice.
    fn parameters<const N: usize>(&self, names: [&str; N]) -> Option<[Option<String>; N]> {
        let raw = self.request.target.raw();
        let query = raw.split_once('?').map_or("", |(_, query)| query);
        let mut found: [Option<String>; N] = std::array::from_fn(|_| None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = names.iter().zip(&mut found).find(|(known, _)| **known == name);
            if let Some((_, slot)) = slot
                && slot.replace(value.into_owned()).is_some()
            {
                return None;
            }
        }
        Some(found)
    }

    fn say(&self, page: Page, cookies: SetCookies, outcome: Result<(), Denial>) -> Said {
        Said {
            answer: page.answer(cookies, self.id),
            outcome,
        }
    }

    fn send_to(&self, place: &str, cookies: SetCookies) -> Said {
        match pages::redirect(place, cookies, self.id) {
            Some(answer) => Said {
                answer,
                outcome: Ok(()),
            },
            None => self.refuse(Denial::Internal),
        }
    }

    /// A denial without a page of its own.
    fn refuse(&self, denial: Denial) -> Said {
        Said {
            answer: Answer::to(denial, self.id),
            outcome: Err(denial),
        }
    }

    fn say_unsafe(&self) -> Said {
        let page = Page::new(
            400,
            "Sign-in needs an encrypted connection",
            "This page was reached by http, over which nobody can be kept signed in. Use its https address.",
        );
        self.say(page, SetCookies::default(), Err(Denial::LoginInvalid))
    }
}

fn nothing(visit: Visit<'_>) -> Said {
    visit.refuse(Denial::NoRoute)
}
