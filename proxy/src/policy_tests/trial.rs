//! What becomes of a request, by the code that judges every request; only that nobody has to send it or sign anything.

use std::sync::Arc;

use http::HeaderMap;
use sentinel_config::edge::TestRequest;
use sentinel_core::{Denial, Principal, Status};

use super::caller::Caller;
use super::request::canonical;
use crate::answer::told;
use crate::decide::{Knowledge, Otherwise, weigh};
use crate::request::CanonicalRequest;
use crate::routes::{Route, Table};

/// A request and who makes it.
#[derive(Debug, Clone)]
pub struct Attempt {
    read: Result<(CanonicalRequest, HeaderMap), Denial>,
    caller: Caller,
}

/// The policy, the knowledge and the moment by which requests are judged.
#[derive(Debug, Clone, Copy)]
pub struct Court<'a> {
    /// The policy.
    pub table: &'a Table,
    /// What is known, and the present moment.
    pub known: Knowledge<'a>,
}

/// What becomes of a request.
#[derive(Debug)]
pub struct Verdict {
    /// The request's route, if it has one.
    pub route: Option<Arc<Route>>,
    /// Who makes it, if the route takes his credentials.
    pub principal: Option<Arc<Principal>>,
    /// The decision.
    pub outcome: Result<(), Denial>,
}

impl Attempt {
    /// A request with these header fields besides those that show who the caller is.
    pub fn new(
        line: &TestRequest,
        fields: &[(String, String)],
        caller: Caller,
        session_cookie: &str,
    ) -> Self {
        Self {
            read: canonical(line, fields, &caller, session_cookie),
            caller,
        }
    }

    /// The request as the edge reads it, with its fields.
    ///
    /// # Errors
    /// The reason why the edge does not take it.
    pub fn request(&self) -> Result<(&CanonicalRequest, &HeaderMap), Denial> {
        match &self.read {
            Ok((request, fields)) => Ok((request, fields)),
            Err(denial) => Err(*denial),
        }
    }
}

impl Court<'_> {
    /// What becomes of it.
    pub fn judge(&self, attempt: &Attempt) -> Verdict {
        let mut verdict = Verdict {
            route: None,
            principal: None,
            outcome: Ok(()),
        };
        verdict.outcome = self.steps(attempt, &mut verdict);
        verdict
    }

    fn steps(&self, attempt: &Attempt, verdict: &mut Verdict) -> Result<(), Denial> {
        let (request, fields) = attempt.request()?;
        let route = Arc::clone(self.table.find(request, fields).ok_or(Denial::NoRoute)?);
        let route = verdict.route.insert(route);
        let principal = Arc::new(attempt.caller.on(route.accepts(), &request.presented)?);
        let principal = verdict.principal.insert(principal);
        weigh(route, &request.target, principal, self.known)
            .map(drop)
            .map_err(Otherwise::denial)
    }
}

impl Verdict {
    /// The status that the client is told; `None` if the request is let through.
    pub fn status(&self) -> Option<Status> {
        let denial = self.outcome.err()?;
        Some(told(denial, self.route.as_deref()).status())
    }

    /// Whether the request reaches the service: it is permitted, or its route only watches.
    pub fn is_forwarded(&self) -> bool {
        let watches = |route: &Arc<Route>| route.traffic().is_shadow;
        self.outcome.is_ok() || self.route.as_ref().is_some_and(watches)
    }
}
