//! A browser's session: the access token in one cookie, the refresh token sealed in another, renewed before it ends, and
//! given up at the end.

use secrecy::{ExposeSecret as _, SecretString};
use sentinel_core::Denial;
use serde::{Deserialize, Serialize};
use url::Url;

use super::control_plane::Purpose;
use super::jar::{self, SetCookies};
use super::pages::Page;
use super::refresher::Outcome;
use super::tokens::{Pair, Times};
use super::{Counts, Login, Said, Visit};

/// Within how many seconds after signing in a refusal is taken for one that signing in does not help against.
const JUST: i64 = 20;

/// What is sealed in the refresh cookie.
#[derive(Serialize, Deserialize)]
struct Kept {
    token: String,
    /// In seconds since 1970.
    signed_in_at: i64,
}

/// By what a session is ended.
enum Proof {
    /// An access token that counts.
    Access(SecretString),
    /// A refresh token that was sealed here.
    Refresh(SecretString),
}

/// What becomes of the session of a request.
#[derive(Debug)]
pub enum Renewal {
    /// It stays as it is, or there is none.
    Unneeded,
    /// It goes on with a new access token, and the browser is told.
    Renewed {
        /// The access token that counts for this request.
        access: SecretString,
        /// What the answer sets.
        cookies: SetCookies,
    },
    /// It is over, and the browser is told.
    Ended {
        /// What the answer removes.
        cookies: SetCookies,
    },
    /// It is over unless it can be renewed, which cannot be known now.
    Unavailable,
}

impl Login {
    /// Renews the session of a request if its access token is over, or will be in a moment, and there is a refresh token.
    /// Waits for the control plane only then. What a program sends in `Authorization` is none of a browser's session.
    pub async fn renew(&self, visit: Visit<'_>) -> Renewal {
        if visit.request.presented.bearer.is_some() || !visit.is_safe() {
            return Renewal::Unneeded;
        }
        let now = self.clock.now();
        let access = visit.request.presented.cookie.as_ref();
        let access = access.and_then(|token| Times::of(token.as_str()));
        if access.is_some_and(|times| !times.is_due(now)) {
            return Renewal::Unneeded;
        }
        let Some(kept) = self.kept(visit) else {
            return Renewal::Unneeded;
        };
        let token = kept.token.into();
        let outcome = self
            .refresher
            .refresh(&token, &visit.caller(), Purpose::Renewal)
            .await;
        match outcome {
            Outcome::Renewed(pair) => match self.session_cookies(visit, &pair, kept.signed_in_at) {
                Ok(cookies) => Renewal::Renewed {
                    access: pair.access.clone(),
                    cookies,
                },
                Err(_) => Renewal::Ended {
                    cookies: self.no_session(),
                },
            },
            Outcome::Ended => Renewal::Ended {
                cookies: self.no_session(),
            },
            Outcome::Unavailable if access.is_some_and(|times| !times.is_over(now)) => Renewal::Unneeded,
            Outcome::Unavailable => Renewal::Unavailable,
        }
    }

    /// `GET <path>/logout`: the page with the button, since a link alone must not sign anybody out.
    pub(super) fn logout_page(&self, visit: Visit<'_>) -> Said {
        let leads_to = Url::parse(&self.after_logout).map(|url| url.origin().ascii_serialization());
        let page = Page::new(
            200,
            "Sign out",
            "You will be signed out here and in every other application.",
        );
        let page = page.button(&self.page("logout"), "Sign out", "", leads_to.ok().as_deref());
        visit.say(page, SetCookies::default(), Ok(()))
    }

    /// `POST <path>/logout`: ends the sessions at the control plane, as far as it can be reached, and forgets them here.
    pub(super) async fn logout(&self, visit: Visit<'_>, counts: Counts<'_>) -> Said {
        if visit.request.presented.may_be_forged {
            return visit.refuse(Denial::CrossSite);
        }
        if let Some(proof) = self.proof(visit, counts) {
            if let Err(said) = self.may_ask(visit) {
                return said;
            }
            self.end(visit, proof).await;
        }
        let mut cookies = self.no_session();
        for (name, _) in jar::all(visit.fields).filter(|(name, _)| self.names.is_pending(name)) {
            cookies.remove(name);
        }
        visit.send_to(&self.after_logout, cookies)
    }

    /// What shows that there is a session to be ended. The control plane is not asked about what anybody can write.
    fn proof(&self, visit: Visit<'_>, counts: Counts<'_>) -> Option<Proof> {
        let access = visit.request.presented.cookie.as_ref();
        let access = access.filter(|token| counts(token));
        access
            .map(|token| Proof::Access(token.as_str().into()))
            .or_else(|| Some(Proof::Refresh(self.kept(visit)?.token.into())))
    }

    async fn end(&self, visit: Visit<'_>, proof: Proof) {
        let caller = visit.caller();
        let access = match proof {
            Proof::Access(token) => token,
            Proof::Refresh(token) => match self.refresher.refresh(&token, &caller, Purpose::Page).await {
                Outcome::Renewed(pair) => pair.access.clone(),
                Outcome::Ended => return,
                Outcome::Unavailable => {
                    tracing::warn!(
                        request.id = visit.id.as_str(),
                        "a session was forgotten, but could not be ended at the control plane"
                    );
                    return;
                }
            },
        };
        if self.control_plane.end(&access, &caller).await.is_err() {
            tracing::warn!(
                request.id = visit.id.as_str(),
                "a session was forgotten, but could not be ended at the control plane"
            );
        }
    }

    /// The cookies of a session that began at `signed_in_at`.
    ///
    /// # Errors
    /// [`Denial::LoginUnavailable`] if a token is too large for a cookie.
    pub(super) fn session_cookies(
        &self,
        visit: Visit<'_>,
        pair: &Pair,
        signed_in_at: i64,
    ) -> Result<SetCookies, Denial> {
        let now = self.clock.now();
        let kept = Kept {
            token: pair.refresh.expose_secret().to_owned(),
            signed_in_at,
        };
        // INVARIANT: a text and a number can always be written.
        let plain = serde_json::to_vec(&kept).unwrap_or_default();
        let sealed = self
            .sealer
            .seal(&self.names.refresh, visit.request.host.name(), &plain)
            .map_err(|_| Denial::Internal)?;
        let mut cookies = SetCookies::default();
        let set = cookies
            .set(
                &self.names.session,
                pair.access.expose_secret(),
                pair.access_left(now),
            )
            .and_then(|()| cookies.set(&self.names.refresh, &sealed, pair.refresh_left(now)));
        if let Err(unfit) = set {
            tracing::warn!(request.id = visit.id.as_str(), error = %unfit, "a token is too large for a browser: its user is in too many groups");
            return Err(Denial::LoginUnavailable);
        }
        Ok(cookies)
    }

    /// Whether this browser signed in so recently that a refusal can only be about something else.
    pub(super) fn has_just_signed_in(&self, visit: Visit<'_>) -> bool {
        let now = self.clock.now().timestamp();
        self.kept(visit)
            .is_some_and(|kept| (kept.signed_in_at..kept.signed_in_at.saturating_add(JUST)).contains(&now))
    }

    fn kept(&self, visit: Visit<'_>) -> Option<Kept> {
        let name = &*self.names.refresh;
        let sealed = jar::only(visit.fields, name)?;
        let plain = self.sealer.open(name, visit.request.host.name(), sealed)?;
        serde_json::from_slice(&plain).ok()
    }

    fn no_session(&self) -> SetCookies {
        let mut cookies = SetCookies::default();
        cookies.remove(&self.names.session);
        cookies.remove(&self.names.refresh);
        cookies
    }
}
