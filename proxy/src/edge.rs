//! One request after the other: canonical form, route, credentials, freshness, decision. What comes out is a permit or a
//! denial, counted and logged.
//!
//! Everything that could panic is caught and is a denial then.

mod browser;
mod judging;
mod ongoing;
mod passage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use sentinel_config::edge::Access;
use sentinel_core::revision::Revision;
use sentinel_core::{Clock, Denial, Principal, Random, Timestamp};
use sentinel_feed::{Replica, ReplicaState};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::asking::Asking;
use crate::assertion::Assertions;
use crate::authn::{Authenticated, Authenticator, Bearer};
use crate::client::Client;
use crate::decide::Permit;
use crate::decision_log::{DecidedBy, Outcome, Passage, Record};
use crate::forwarded::TrustedProxies;
use crate::limits::Buckets;
use crate::login::{Login, SetCookies};
use crate::metrics::Metrics;
use crate::moment;
use crate::relations::Present;
use crate::request::{CanonicalRequest, HeadLimits, Parsed, Reading};
use crate::request_id::RequestId;
use crate::routes::{Route, Table};
use judging::Told;
use passage::{Arrival, Course};

/// How long an exchange is not judged again: most are over by then, and the answer to a request that takes its own
/// caller's access away (a logout) reaches him.
pub const UNDISPUTED: Duration = Duration::from_secs(1);

/// An edge: the policy, and what it is decided by.
pub struct Edge {
    /// The policy.
    pub routes: Table,
    /// Checks credentials.
    pub authn: Authenticator,
    /// What the control plane has said.
    pub replica: Replica,
    /// What the policy's relations are in the models of services.
    pub relations: Present,
    /// Asks the control plane what the replica does not keep; `None` if it is not asked.
    pub asking: Option<Asking>,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
    /// Where request numbers come from.
    pub random: Arc<dyn Random>,
    /// What is counted.
    pub metrics: Metrics,
    /// How long a request waits for a revision that it asks for.
    pub consistency_wait: Duration,
    /// How large a request head may be.
    pub head_limits: HeadLimits,
    /// The proxies in front of the edge that are believed.
    pub trusted_proxies: TrustedProxies,
    /// How much callers have left, on routes with a rate.
    pub buckets: Buckets,
    /// Signs what services are told; `None` if none of them wants it.
    pub assertions: Option<Assertions>,
    /// Signs people in; `None` if nobody can sign in here.
    pub login: Option<Login>,
}

/// A request that is let through, and the permit for it.
#[derive(Debug)]
pub struct Admitted {
    /// Why it may pass.
    pub permit: Permit,
    /// What is remembered of the user, if it is one of the control plane's.
    pub bearer: Option<Arc<Bearer>>,
    /// What is forwarded.
    pub request: CanonicalRequest,
    /// What the answer sets, where the browser's session was renewed on the way.
    pub cookies: SetCookies,
    at: Timestamp,
    since: Instant,
    /// When it was judged again last.
    looked: Instant,
    credentials_end: Option<Timestamp>,
    judged: Revision,
    /// Where it was the control plane that decided.
    told: Option<Told>,
}

impl Admitted {
    /// Whether it was judged a moment ago.
    pub fn is_undisputed(&self) -> bool {
        moment::now().saturating_duration_since(self.since) < UNDISPUTED
    }
}

/// A decision for a request, and what it was made by.
#[derive(Debug)]
struct Judged {
    permit: Permit,
    bearer: Option<Arc<Bearer>>,
    at: Timestamp,
    credentials_end: Option<Timestamp>,
    by: Revision,
    told: Option<Told>,
}

impl Judged {
    fn admit(self, request: CanonicalRequest, cookies: SetCookies, at: Instant) -> Admitted {
        Admitted {
            permit: self.permit,
            bearer: self.bearer,
            request,
            cookies,
            at: self.at,
            since: at,
            looked: at,
            credentials_end: self.credentials_end,
            judged: self.by,
            told: self.told,
        }
    }
}

/// What becomes of a request that is not refused.
#[derive(Debug)]
pub enum Admission {
    /// It is let through to the service.
    Forward(Box<Admitted>),
    /// The edge answers it by itself.
    Answer(Answer),
}

/// A request that is not let through, with what its answer depends on.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub denial: Denial,
    /// The request, if it can be read.
    pub request: Option<CanonicalRequest>,
    /// Its route, if it has one.
    pub route: Option<Arc<Route>>,
    /// In how many seconds the client may come again, if that is known.
    pub retry_after: Option<u64>,
    /// What the answer sets, where the browser's session was renewed or ended on the way.
    pub cookies: SetCookies,
}

/// What was found out about a request on the way to its decision.
#[derive(Debug, Default)]
struct Trace {
    route: Option<Arc<Route>>,
    principal: Option<Arc<Principal>>,
    /// When it was decided, if that is known: nothing was waited for since.
    at: Option<Timestamp>,
    decided_by: Option<DecidedBy>,
    revision: Option<Revision>,
    age: Option<Duration>,
    /// Whether the decision does not count.
    is_shadow: bool,
    /// The decision that did not count.
    overruled: Option<Denial>,
    retry_after: Option<u64>,
    /// Whether it was taken out of its caller's bucket.
    is_counted: bool,
    cookies: SetCookies,
    /// What is answered in place of the denial.
    instead: Option<Answer>,
}

/// By what a request is decided.
#[derive(Debug)]
struct Known {
    principal: Arc<Principal>,
    bearer: Option<Arc<Bearer>>,
    state: Arc<ReplicaState>,
    now: Timestamp,
}

impl Known {
    fn judged(self, permit: Permit) -> Judged {
        Judged {
            permit,
            bearer: self.bearer,
            at: self.now,
            credentials_end: credentials_end(&self.principal),
            by: self.state.revision(),
            told: None,
        }
    }
}

impl Edge {
    /// Decides about a request, counts and logs the decision.
    ///
    /// # Errors
    /// Why the request is not let through.
    pub async fn admit(
        &self,
        parsed: Parsed<'_>,
        client: Client,
        id: &RequestId,
    ) -> Result<Admission, Box<Refused>> {
        let started = moment::now();
        let mut trace = Trace::default();
        let mut request = guarded(|| CanonicalRequest::read(parsed, self.reading(client)));
        let outcome = match &mut request {
            Ok(request) => {
                let fields = parsed.fields;
                let arrival = Arrival { fields, client, id };
                let outcome = self.pass(request, arrival, &mut trace).await;
                outcome.inspect_err(|denial| self.offer_login(request, arrival, *denial, &mut trace))
            }
            Err(denial) => Err(*denial),
        };
        let decided = Instant::now();
        self.account(
            &trace,
            outcome.as_ref().map(Course::passage).map_err(|denial| *denial),
            id,
            decided.saturating_duration_since(started),
        );
        if let Some(mut answer) = trace.instead {
            answer.add(trace.cookies.into_lines());
            return Ok(Admission::Answer(answer));
        }
        let cookies = trace.cookies;
        match (outcome, request) {
            (Ok(Course::Answer(answer, _)), _) => Ok(Admission::Answer(answer)),
            (Ok(Course::Forward(judged)), Ok(request)) => {
                let admitted = judged.admit(request, cookies, decided);
                Ok(Admission::Forward(Box::new(admitted)))
            }
            (outcome, request) => Err(Box::new(Refused {
                denial: outcome.err().unwrap_or(Denial::Internal),
                request: request.ok(),
                route: trace.route,
                retry_after: trace.retry_after,
                cookies,
            })),
        }
    }

    fn reading(&self, client: Client) -> Reading<'_> {
        Reading {
            limits: self.head_limits,
            session_cookie: self.authn.session_cookie(),
            secure: client.secure,
        }
    }

    /// Counts and logs a request that was refused before it could be read.
    pub fn refused(&self, denial: Denial, id: &RequestId) {
        self.account(&Trace::default(), Err(denial), id, Duration::ZERO);
    }

    /// Who is calling, by a state that is new enough.
    async fn know(
        &self,
        request: &CanonicalRequest,
        route: &Route,
        trace: &mut Trace,
    ) -> Result<Known, Denial> {
        let now = self.clock.now();
        trace.at = Some(now);
        let mut state = self.look(trace);
        if must_be_known(route, request) {
            check_age(route, trace.age)?;
        } else {
            trace.age = None;
        }
        let mut caller = self.authenticate(request, route, &state, now)?;
        trace.principal = Some(Arc::clone(&caller.principal));

        if let Some(wanted) =
            wanted_revision(&caller.principal, request).filter(|wanted| *wanted > state.revision())
        {
            // Whatever comes of it: it is decided after that.
            trace.at = None;
            if !self.replica.wait_for(wanted, self.consistency_wait).await {
                return Err(Denial::RevisionNotReached);
            }
            // What was true before does not count any more, neither the credentials' validity nor the age.
            state = self.look(trace);
            check_age(route, trace.age)?;
            caller = self.authenticate(request, route, &state, now)?;
        }
        Ok(Known {
            principal: caller.principal,
            bearer: caller.bearer,
            state,
            now,
        })
    }

    fn authenticate(
        &self,
        request: &CanonicalRequest,
        route: &Route,
        state: &ReplicaState,
        now: Timestamp,
    ) -> Result<Authenticated, Denial> {
        guarded(|| {
            self.authn
                .authenticate(&request.presented, route.accepts(), state, now)
        })
    }

    /// The state to decide by, and its age, which is never that of a newer one.
    fn look(&self, trace: &mut Trace) -> Arc<ReplicaState> {
        let (age, state) = self.replica.sight_at(moment::now());
        trace.age = age;
        trace.revision = Some(state.revision());
        Guard::into_inner(state)
    }

    fn account(&self, trace: &Trace, outcome: Outcome, id: &RequestId, took: Duration) {
        let outcome = trace.overruled.filter(|_| trace.is_shadow).map_or(outcome, Err);
        match &trace.route {
            Some(route) if outcome == Ok(Passage::Permitted) && !trace.is_shadow => {
                let like = |name: &str| self.metrics.decisions_like(Some(name), outcome, false);
                route.permitted(like).inc();
                self.metrics.took(took);
            }
            route => {
                let name = route.as_ref().map(|route| route.name());
                self.metrics.decided(name, outcome, trace.is_shadow, took);
            }
        }
        let route = trace.route.as_ref().map(|route| route.name());
        Record {
            request: id,
            at: trace.at.unwrap_or_else(|| self.clock.now()),
            route,
            outcome,
            is_shadow: trace.is_shadow,
            principal: trace.principal.as_deref(),
            decided_by: trace.decided_by,
            revision: trace.revision,
            replica_age: trace.age,
            duration: took,
        }
        .write();
    }
}

/// When the first of the caller's credentials ends.
fn credentials_end(principal: &Principal) -> Option<Timestamp> {
    let user = principal.user().and_then(|user| user.credential.expires_at());
    let external = principal.external_user().map(|user| user.expires_at);
    let service = principal.service().and_then(|service| service.expires_at);
    [user, external, service].into_iter().flatten().min()
}

/// Whether the replica was known to be true recently enough for the route.
fn check_age(route: &Route, age: Option<Duration>) -> Result<(), Denial> {
    match age {
        None => Err(Denial::ReplicaNotReady),
        Some(age) if age > route.max_staleness() => Err(Denial::ReplicaStale),
        Some(_) => Ok(()),
    }
}

/// Whether anything has to be known to decide: not for a public route without credentials.
fn must_be_known(route: &Route, request: &CanonicalRequest) -> bool {
    !matches!(route.access(), Access::Public) || !request.presented.is_none()
}

/// The newest revision that the caller knows of, if relations are read for him. They are read for every user: whether he
/// is a member still.
fn wanted_revision(principal: &Principal, request: &CanonicalRequest) -> Option<Revision> {
    let user = principal.user()?;
    user.minted_at.max(request.seen)
}

/// Runs `step`; a panic in it is a defect of ours and a no.
fn guarded<T>(step: impl FnOnce() -> Result<T, Denial>) -> Result<T, Denial> {
    // A step leaves nothing half done that another one could see: what is shared is swapped as a whole.
    catch_unwind(AssertUnwindSafe(step)).unwrap_or(Err(Denial::Internal))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use http::{HeaderMap, HeaderValue};
    use sentinel_config::parse_edge;
    use sentinel_core::{ManualClock, SystemRandom};

    use super::*;
    use crate::testing::{NOW, OLGA, at, facts, revision, state, token};

    fn edge() -> Edge {
        let text = "control_plane: { url: http://127.0.0.1:9003, edge_key: some-key }
upstreams: { docs: { url: http://127.0.0.1:9000 } }
routes: [{ match: GET a.example/, to: docs, require: { signed_in: true } }]";
        let config = parse_edge(text, Path::new("edge.yaml"), &BTreeMap::new()).expect("valid");
        let metrics = Metrics::new().expect("metrics");
        let replica = Replica::new();
        replica.install(state(facts()));
        replica.touch();
        Edge {
            routes: Table::compile(&config).expect("no ties"),
            authn: Authenticator::of(&config, Arc::default(), metrics.tokens(), &SystemRandom),
            replica,
            relations: Present::new(Vec::new()),
            asking: None,
            clock: Arc::new(ManualClock::at(at(NOW))),
            random: Arc::new(SystemRandom),
            metrics,
            consistency_wait: Duration::ZERO,
            head_limits: HeadLimits::default(),
            trusted_proxies: TrustedProxies::new(&[]),
            buckets: Buckets::new(false),
            assertions: None,
            login: None,
        }
    }

    /// The line of a decision bears the time of the decision, also where what was waited for did not come.
    #[tokio::test]
    async fn when_it_came_is_not_when_it_was_decided_for_who_had_to_wait() {
        let edge = edge();
        for (newest, waits) in [(10, false), (11, true)] {
            let token = token(OLGA, |claims| {
                claims["rev"] = revision(newest).to_string().into();
            });
            let mut fields = HeaderMap::new();
            fields.insert("host", HeaderValue::from_static("a.example"));
            let bearer = HeaderValue::try_from(format!("Bearer {token}")).expect("a value");
            fields.insert("authorization", bearer);
            let parsed = Parsed {
                version: http::Version::HTTP_11,
                method: "GET",
                target: b"/",
                authority: None,
                fields: &fields,
            };
            let request = CanonicalRequest::read(parsed, edge.reading(Client::default())).expect("canonical");
            let route = Arc::clone(edge.routes.find(&request, &fields).expect("a route"));
            let mut trace = Trace::default();
            let known = edge.know(&request, &route, &mut trace).await;
            let expected = waits.then_some(Denial::RevisionNotReached);
            assert_eq!((known.err(), trace.at.is_none()), (expected, waits));
        }
    }

    #[test]
    fn a_panic_denies() {
        let outcome: Result<(), Denial> = guarded(|| {
            let empty: Vec<u8> = Vec::new();
            assert!(!empty.is_empty(), "a defect");
            Ok(())
        });
        assert_eq!(outcome, Err(Denial::Internal));
        assert_eq!(guarded(|| Ok(1)), Ok(1));
        assert_eq!(guarded(|| Err::<(), _>(Denial::NoRoute)), Err(Denial::NoRoute));
    }
}
