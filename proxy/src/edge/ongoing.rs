//! What has been admitted, on its way: the assertion that goes with it, and whether it would be admitted still.

use std::sync::Arc;

use arc_swap::Guard;
use pingora::http::RequestHeader;
use sentinel_core::clock::is_expired;
use sentinel_core::principal::OUTLIVES;
use sentinel_core::{Denial, Timestamp};
use tokio::time::Instant;

use super::judging::{Matter, Moment};
use super::{Admitted, Edge, UNDISPUTED, check_age, credentials_end, must_be_known};
use crate::assertion::About;
use crate::authn::Authenticated;
use crate::decide::Otherwise;
use crate::request_id::RequestId;

impl Edge {
    /// Adds the assertion to a request that goes out, and is complete but for it, if its service wants one.
    ///
    /// # Errors
    /// [`Denial::Internal`] if it cannot be written; the request is not sent then.
    pub fn assert(
        &self,
        admitted: &Admitted,
        id: &RequestId,
        upstream: &mut RequestHeader,
    ) -> Result<(), Denial> {
        // What was not permitted is not signed.
        if admitted.permit.is_overruled() || !admitted.permit.route().upstream().wants_assertion() {
            return Ok(());
        }
        let about = About {
            permit: &admitted.permit,
            id,
            revision: admitted.judged,
            now: self.clock.now(),
        };
        let assertions = self.assertions.as_ref().ok_or(Denial::Internal)?;
        assertions.write(about, upstream)
    }

    /// Whether what was admitted would be admitted still: asked for each piece that passes, and cheap while nothing has
    /// changed. That a token expires in the meantime does not end an exchange, but [`OUTLIVES`] later it does; that the
    /// token, its user's membership or his permission is taken away does at once, and so does not knowing.
    ///
    /// # Errors
    /// Why not.
    pub fn still_admits(self: &Arc<Self>, admitted: &mut Admitted) -> Result<(), Denial> {
        if admitted.permit.route().traffic().is_shadow {
            return Ok(());
        }
        let now = self.clock.now();
        let latest = now - OUTLIVES;
        let ended = |end: Option<Timestamp>| end.is_some_and(|end| is_expired(end, latest));
        if ended(admitted.credentials_end) {
            return Err(Denial::TokenExpired);
        }
        let (age, state) = self.replica.sight();
        if must_be_known(admitted.permit.route(), &admitted.request) {
            check_age(admitted.permit.route(), age)?;
        }
        // Tuples of services may end by themselves.
        let may_have_ended =
            admitted.permit.route().reads_models() && admitted.looked.elapsed() >= UNDISPUTED;
        if state.revision() == admitted.judged && admitted.told.is_none() && !may_have_ended {
            return Ok(());
        }
        admitted.looked = Instant::now();
        let moment = Moment {
            now,
            began: admitted.at,
        };
        let route = Arc::clone(admitted.permit.route());
        let Authenticated { principal, .. } =
            self.authenticate(&admitted.request, &route, &state, admitted.at)?;
        admitted.credentials_end = credentials_end(&principal);
        if ended(admitted.credentials_end) {
            return Err(Denial::TokenExpired);
        }
        let target = &admitted.request.target;
        if admitted.told.is_none() {
            match self.weigh(&route, target, &principal, (&state, moment), None) {
                Ok(permit) => {
                    admitted.permit = permit;
                    admitted.judged = state.revision();
                    return Ok(());
                }
                Err(Otherwise::Denied(denial)) => return Err(denial),
                Err(Otherwise::Open(_)) => {}
            }
        }
        let matter = Matter {
            target: target.clone(),
            at_least: state.revision(),
            state: Guard::into_inner(state),
            moment,
            principal,
            route,
        };
        self.still_told(admitted, matter)
    }
}
