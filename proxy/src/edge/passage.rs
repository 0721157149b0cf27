//! What a route asks for besides the decision, around it: preflight requests, rates, sizes, and decisions that do not
//! count.

use std::sync::Arc;

use arc_swap::Guard;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use sentinel_config::edge::RatePer;
use sentinel_core::{Denial, Principal};

use super::judging::{Matter, Moment, Told};
use super::{Edge, Judged, Known, Trace, guarded, wanted_revision};
use crate::answer::Answer;
use crate::client::Client;
use crate::cors::Preflight;
use crate::decide::{Knowledge, Otherwise, permit_in_shadow};
use crate::decision_log::{DecidedBy, Passage};
use crate::limits::Caller;
use crate::request::CanonicalRequest;
use crate::request_id::RequestId;
use crate::routes::Route;

/// What is known about a request besides its canonical form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    /// Its header fields, as they came.
    pub(super) fields: &'a HeaderMap,
    /// Who sent it.
    pub(super) client: Client,
    /// Its number.
    pub(super) id: &'a RequestId,
}

/// What becomes of a request that is not denied.
#[derive(Debug)]
pub(super) enum Course {
    /// It is forwarded.
    Forward(Judged),
    /// It is answered here.
    Answer(Answer, Passage),
}

impl Course {
    /// The word for it in logs.
    pub(super) fn passage(&self) -> Passage {
        match self {
            Self::Forward(_) => Passage::Permitted,
            Self::Answer(_, passage) => *passage,
        }
    }
}

impl Edge {
    /// Takes a request all the way to its decision.
    ///
    /// A rate per address is asked before anything is verified, so that guessing credentials is bounded by it. A rate per
    /// caller and the size of the body are asked last: who may not pass learns nothing of them. Where the control plane has
    /// to be asked, the rate comes before that: no caller makes the edge ask more often than he may pass.
    pub(super) async fn pass(
        &self,
        request: &mut CanonicalRequest,
        arrival: Arrival<'_>,
        trace: &mut Trace,
    ) -> Result<Course, Denial> {
        if let Some(course) = self.own_page(request, arrival, trace).await {
            return course;
        }
        if let Some(answer) = self.answer_preflight(request, arrival, trace)? {
            return Ok(Course::Answer(answer, Passage::Preflight));
        }
        let route = guarded(|| {
            let route = self.routes.find(request, arrival.fields);
            route.cloned().ok_or(Denial::NoRoute)
        })?;
        trace.route = Some(Arc::clone(&route));
        let client = Caller::at(arrival.client.address);
        self.spend(&route, RatePer::Address, client, trace)?;
        self.renew(request, &route, arrival, trace).await?;

        let known = self.know(request, &route, trace).await;
        trace.is_shadow = route.traffic().is_shadow;
        let judged = self.judge(request, &route, known, client, trace).await;
        let judged = judged.inspect_err(|_| trace.is_shadow = false)?;

        self.spend_of(&route, judged.permit.principal(), client, trace)
            .and_then(|()| check_length(&route, arrival.fields))
            .inspect_err(|_| trace.is_shadow = false)?;
        Ok(Course::Forward(judged))
    }

    /// The answer to a preflight request, if this is one for a route with CORS.
    fn answer_preflight(
        &self,
        request: &CanonicalRequest,
        arrival: Arrival<'_>,
        trace: &mut Trace,
    ) -> Result<Option<Answer>, Denial> {
        let Some(preflight) = Preflight::of(&request.method, arrival.fields)? else {
            return Ok(None);
        };
        let announced = CanonicalRequest {
            method: preflight.method.clone(),
            ..request.clone()
        };
        let route = guarded(|| Ok(self.routes.find(&announced, arrival.fields).cloned()))?;
        let Some(route) = route else {
            return Ok(None);
        };
        let Some(cors) = &route.traffic().cors else {
            return Ok(None);
        };
        trace.route = Some(Arc::clone(&route));
        cors.answer(&preflight, arrival.id).map(Some)
    }

    /// The decision; on a route whose decisions do not count, a permit whatever it is.
    async fn judge(
        &self,
        request: &CanonicalRequest,
        route: &Arc<Route>,
        known: Result<Known, Denial>,
        client: Caller<'_>,
        trace: &mut Trace,
    ) -> Result<Judged, Denial> {
        let (denial, known) = match known {
            Ok(known) => {
                let Known {
                    principal,
                    state,
                    now,
                    ..
                } = &known;
                trace.decided_by = Some(DecidedBy::Replica);
                let moment = Moment {
                    now: *now,
                    began: *now,
                };
                match self.weigh(route, &request.target, principal, (state, moment), None) {
                    Ok(permit) => return Ok(known.judged(permit)),
                    Err(Otherwise::Denied(denial)) => (denial, known),
                    Err(Otherwise::Open(questions)) => {
                        if self.asking.is_some() {
                            // On trial or not: too many is too many.
                            self.spend_of(route, principal, client, trace)?;
                            trace.decided_by = Some(DecidedBy::ControlPlane);
                        } else {
                            trace.decided_by = None;
                        }
                        trace.at = None;
                        let wanted = wanted_revision(principal, request);
                        let matter = Matter {
                            route: Arc::clone(route),
                            target: request.target.clone(),
                            principal: Arc::clone(principal),
                            state: Arc::clone(state),
                            moment,
                            at_least: wanted.map_or(state.revision(), |wanted| wanted.max(state.revision())),
                        };
                        match self.ask(&matter, questions).await {
                            Ok(word) => {
                                let judged = known.judged(word.permit);
                                return Ok(Judged {
                                    told: Some(Told::at(word.as_of)),
                                    ..judged
                                });
                            }
                            Err(denial) => (denial, known),
                        }
                    }
                }
            }
            // Nobody is verified.
            Err(denial) => {
                let nobody = Known {
                    principal: Arc::default(),
                    bearer: None,
                    state: Guard::into_inner(self.replica.sight().1),
                    now: self.clock.now(),
                };
                (denial, nobody)
            }
        };
        let Known {
            principal,
            state,
            now,
            ..
        } = &known;
        let permit = guarded(|| {
            Ok(permit_in_shadow(
                route,
                principal,
                Knowledge::replica(state, *now),
            ))
        })?;
        let permit = permit.ok_or(denial)?;
        trace.overruled = Some(denial);
        Ok(known.judged(permit))
    }

    /// Takes one request out of the bucket of whoever is verified, or else of the client, once in a request.
    fn spend_of(
        &self,
        route: &Route,
        principal: &Principal,
        client: Caller<'_>,
        trace: &mut Trace,
    ) -> Result<(), Denial> {
        if trace.is_counted {
            return Ok(());
        }
        trace.is_counted = true;
        let caller = Caller::verified(principal).unwrap_or(client);
        self.spend(route, RatePer::Principal, caller, trace)
    }

    /// Takes one request out of the caller's bucket, if the route has buckets of this kind.
    fn spend(
        &self,
        route: &Route,
        per: RatePer,
        caller: Caller<'_>,
        trace: &mut Trace,
    ) -> Result<(), Denial> {
        let rate = route.traffic().rate.as_ref();
        let Some(rate) = rate.filter(|rate| rate.per == per) else {
            return Ok(());
        };
        self.buckets.take(caller, rate).map_err(|seconds| {
            trace.retry_after = Some(seconds);
            Denial::RateLimited
        })
    }
}

/// Whether the announced length of the body is one that the route takes. Bodies without one are counted as they come.
fn check_length(route: &Route, fields: &HeaderMap) -> Result<(), Denial> {
    let announced = fields.get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > route.traffic().max_body) {
        return Err(Denial::BodyTooLarge);
    }
    Ok(())
}
