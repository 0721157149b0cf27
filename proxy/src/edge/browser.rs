//! Browsers at the edge: its own pages, sessions that are renewed on the way, and a way to sign in where others get 401.

use secrecy::ExposeSecret as _;
use sentinel_config::edge::Access;
use sentinel_core::Denial;

use super::passage::{Arrival, Course};
use super::{Edge, Trace, guarded};
use crate::authn::Accepts;
use crate::decision_log::Passage;
use crate::login::{Renewal, Visit};
use crate::request::{CanonicalRequest, Presented, Shown};
use crate::routes::Route;

impl<'a> Arrival<'a> {
    fn visit(self, request: &'a CanonicalRequest) -> Visit<'a> {
        Visit {
            request,
            fields: self.fields,
            client: self.client,
            id: self.id,
        }
    }
}

impl Edge {
    /// What becomes of a request to one of the edge's own pages; `None` if it is to none.
    pub(super) async fn own_page(
        &self,
        request: &CanonicalRequest,
        arrival: Arrival<'_>,
        trace: &mut Trace,
    ) -> Option<Result<Course, Denial>> {
        let login = self.login.as_ref().filter(|login| login.owns(&request.target))?;
        let counts = |token: &Shown| self.counts(token);
        let said = login.answer(arrival.visit(request), &counts).await;
        Some(match said.outcome {
            Ok(()) => Ok(Course::Answer(said.answer, Passage::Login)),
            Err(denial) => {
                trace.instead = Some(said.answer);
                Err(denial)
            }
        })
    }

    /// Whether an access token counts, by what is known now.
    fn counts(&self, access: &Shown) -> bool {
        let presented = Presented {
            cookie: Some(access.clone()),
            ..Presented::default()
        };
        let accepts = Accepts {
            cookie: true,
            ..Accepts::default()
        };
        let (now, state) = (self.clock.now(), self.replica.sight().1);
        guarded(|| self.authn.authenticate(&presented, &accepts, &state, now)).is_ok()
    }

    /// Renews the browser's session on a route where it can sign in, if that has to be.
    pub(super) async fn renew(
        &self,
        request: &mut CanonicalRequest,
        route: &Route,
        arrival: Arrival<'_>,
        trace: &mut Trace,
    ) -> Result<(), Denial> {
        let Some(login) = self.login.as_ref().filter(|_| route.settings().login) else {
            return Ok(());
        };
        match login.renew(arrival.visit(request)).await {
            Renewal::Unneeded => Ok(()),
            Renewal::Renewed { access, cookies } => {
                request.presented.cookie = Some(access.expose_secret().into());
                trace.cookies = cookies;
                Ok(())
            }
            Renewal::Ended { cookies } => {
                request.presented.cookie = None;
                trace.cookies = cookies;
                Ok(())
            }
            // Who need not be known is not asked to wait.
            Renewal::Unavailable if matches!(route.access(), Access::Public) || route.traffic().is_shadow => {
                Ok(())
            }
            Renewal::Unavailable => Err(Denial::LoginUnavailable),
        }
    }

    /// Remembers to send a person to login in place of the denial, if that is what helps.
    pub(super) fn offer_login(
        &self,
        request: &CanonicalRequest,
        arrival: Arrival<'_>,
        denial: Denial,
        trace: &mut Trace,
    ) {
        let can_sign_in = trace.route.as_ref().is_some_and(|route| route.settings().login);
        if let Some(login) = self
            .login
            .as_ref()
            .filter(|_| can_sign_in && trace.instead.is_none())
        {
            trace.instead = login.instead_of(arrival.visit(request), denial);
        }
    }
}
