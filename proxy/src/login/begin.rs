//! The way to the login: state, PKCE (RFC 7636) and the way back are sealed into a cookie of this login alone, so that
//! several tabs can sign in at once.

use aws_lc_rs::error::Unspecified;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sentinel_core::{Denial, Timestamp};
use sentinel_token::sha256;
use serde::{Deserialize, Serialize};
use url::Url;
use url::form_urlencoded::Serializer;

use super::jar::{self, SetCookies};
use super::names::number_of;
use super::navigation::is_navigation;
use super::pages::Page;
use super::return_to::ReturnTo;
use super::{Login, Said, Visit};
use crate::answer::Answer;

/// How many logins one browser may have under way.
const MOST: usize = 4;
/// The longest name of a provider.
const LONGEST_PROVIDER: usize = 63;

/// A login that is under way, as its browser keeps it.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) state: String,
    pub(super) verifier: String,
    pub(super) return_to: ReturnTo,
    /// In seconds since 1970.
    pub(super) begun_at: i64,
    /// The control plane's code, while a workspace is being chosen.
    pub(super) code: Option<String>,
}

impl Login {
    /// What a browser without a session is told in place of a 401: to sign in and to come back. `None` if whoever asks is no
    /// person looking at a page.
    pub fn instead_of(&self, visit: Visit<'_>, denial: Denial) -> Option<Answer> {
        let presented = &visit.request.presented;
        // A cookie is not among these.
        let is_program = !presented.is_none();
        if denial.status() != 401 || is_program || !is_navigation(&visit.request.method, visit.fields) {
            return None;
        }
        if !visit.is_safe() {
            return Some(visit.say_unsafe().answer);
        }
        let return_to = ReturnTo::of(&visit.request.target);
        if self.has_just_signed_in(visit) {
            return Some(self.in_vain(visit, &return_to));
        }
        let said = match &self.provider {
            Some(provider) => self.depart(visit, provider, return_to),
            None => visit.send_to(&self.begin_link(&return_to, None), SetCookies::default()),
        };
        Some(said.answer)
    }

    /// `GET <path>/login`: begins a login by link, and lets people choose among providers where none is configured.
    pub(super) async fn begin_page(&self, visit: Visit<'_>) -> Said {
        let Some([return_to, provider]) = visit.parameters(["return_to", "provider"]) else {
            return visit.refuse(Denial::LoginInvalid);
        };
        let return_to = match return_to {
            None => Some(ReturnTo::default()),
            Some(text) => ReturnTo::parse(&text, &self.path),
        };
        let Some(return_to) = return_to else {
            return visit.refuse(Denial::LoginInvalid);
        };
        if let Some(provider) = &self.provider {
            return self.depart(visit, provider, return_to);
        }
        if let Some(provider) = provider {
            return if is_provider(&provider) {
                self.depart(visit, &provider, return_to)
            } else {
                visit.refuse(Denial::LoginInvalid)
            };
        }
        let Ok(providers) = self.control_plane.providers().await else {
            return self.unavailable(visit, &return_to);
        };
        let names: Vec<&String> = providers.iter().filter(|name| is_provider(name)).collect();
        match names.as_slice() {
            [] => self.unavailable(visit, &return_to),
            [only] => self.depart(visit, only, return_to),
            several => {
                let page = Page::new(200, "Sign in", "Choose how to sign in.");
                let page = several.iter().fold(page, |page, name| {
                    page.link(&self.begin_link(&return_to, Some(name)), name)
                });
                visit.say(page, SetCookies::default(), Ok(()))
            }
        }
    }

    /// Sends a browser to the control plane's login.
    fn depart(&self, visit: Visit<'_>, provider: &str, return_to: ReturnTo) -> Said {
        let (state, verifier) = (self.secret(), self.secret());
        let target = Url::parse_with_params(
            &format!("{}/auth/login/{provider}", self.issuer),
            [
                ("client_id", &*self.client_id),
                (
                    "redirect_uri",
                    &format!("{}{}", visit.origin(), self.page("callback")),
                ),
                (
                    "code_challenge",
                    &URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes())),
                ),
                ("code_challenge_method", "S256"),
                ("state", &state),
            ],
        );
        let pending = Pending {
            state,
            verifier,
            return_to,
            begun_at: self.clock.now().timestamp(),
            code: None,
        };
        let mut cookies = self.without_old(visit);
        match (target, self.keep(visit, &pending, &mut cookies)) {
            (Ok(target), Ok(_)) => visit.send_to(target.as_str(), cookies),
            _ => visit.refuse(Denial::Internal),
        }
    }

    /// Leaves a login with its browser. The number under which it is kept.
    pub(super) fn keep(
        &self,
        visit: Visit<'_>,
        pending: &Pending,
        cookies: &mut SetCookies,
    ) -> Result<String, Unspecified> {
        let number = number_of(&pending.state);
        let name = self.names.pending(&number);
        // INVARIANT: texts and a number can always be written.
        let plain = serde_json::to_vec(pending).unwrap_or_default();
        let sealed = self.sealer.seal(&name, visit.request.host.name(), &plain)?;
        cookies
            .set(&name, &sealed, self.patience)
            .map_err(|_| Unspecified)?;
        Ok(number)
    }

    /// The login that a browser keeps under `name`, if it was begun here and not too long ago.
    pub(super) fn pending(&self, visit: Visit<'_>, name: &str) -> Option<Pending> {
        self.opened(visit, name, jar::only(visit.fields, name)?)
    }

    fn opened(&self, visit: Visit<'_>, name: &str, sealed: &str) -> Option<Pending> {
        let plain = self.sealer.open(name, visit.request.host.name(), sealed)?;
        let pending: Pending = serde_json::from_slice(&plain).ok()?;
        let until = Timestamp::from_timestamp(pending.begun_at, 0)? + self.patience;
        (!sentinel_core::clock::is_expired(until, self.clock.now())).then_some(pending)
    }

    /// Removes what is left of logins that came to no end, and the oldest of those that still can if there are many.
    fn without_old(&self, visit: Visit<'_>) -> SetCookies {
        let mut cookies = SetCookies::default();
        let mut alive: Vec<(i64, &str)> = Vec::new();
        for (name, sealed) in jar::all(visit.fields).filter(|(name, _)| self.names.is_pending(name)) {
            match self.opened(visit, name, sealed) {
                Some(pending) => alive.push((pending.begun_at, name)),
                None => cookies.remove(name),
            }
        }
        alive.sort_unstable();
        let excess = (alive.len() + 1).saturating_sub(MOST);
        for (_, name) in alive.iter().take(excess) {
            cookies.remove(name);
        }
        cookies
    }

    /// The link that begins a login.
    pub(super) fn begin_link(&self, return_to: &ReturnTo, provider: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("return_to", return_to.as_str());
        if let Some(provider) = provider {
            query.append_pair("provider", provider);
        }
        format!("{}?{}", self.page("login"), query.finish())
    }

    /// A person who has just signed in and is not let in all the same is not sent round once more.
    fn in_vain(&self, visit: Visit<'_>, return_to: &ReturnTo) -> Answer {
        tracing::warn!(
            request.id = visit.id.as_str(),
            "a token that was made a moment ago is not accepted: are the clocks right, and does the route take a user alone?"
        );
        let page = Page::new(
            401,
            "You are signed in, and not let in",
            "Signing in worked, but this page does not accept it. Try again in a moment; if that does not help, tell an administrator.",
        );
        let page = page
            .link(return_to.as_str(), "Try again")
            .link(&self.begin_link(return_to, None), "Sign in once more");
        page.answer(SetCookies::default(), visit.id)
    }

    /// What is said while the control plane cannot be asked. Whatever the browser keeps stays good.
    pub(super) fn unavailable(&self, visit: Visit<'_>, return_to: &ReturnTo) -> Said {
        let page = Page::new(503, "Sign-in is not available now", "Try again in a moment.");
        let page = page.link(&self.begin_link(return_to, None), "Try again");
        visit.say(page, SetCookies::default(), Err(Denial::LoginUnavailable))
    }
}

/// Whether a text can be the name of a provider, and so one segment of a path.
fn is_provider(text: &str) -> bool {
    (1..=LONGEST_PROVIDER).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}
