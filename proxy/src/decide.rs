//! May this caller pass this route now? Values in, values out: no clock, no waiting, no log line.
//!
//! A [`Permit`] is the only thing that a request is forwarded with. [`weigh`] makes it, or [`permit_in_shadow`] for a route
//! that the operator has declared to be on trial; nothing else can. Where it depends on what the replica does not keep,
//! [`weigh`] says what has to be asked, and is called again with the answer.

mod case;
mod found;
mod knowledge;

use std::sync::Arc;

use sentinel_authz::Graph;
use sentinel_config::edge::{Access, CredentialTier, Requirement};
use sentinel_core::clock::is_expired;
use sentinel_core::principal::{Service, User};
use sentinel_core::{Denial, Principal, Timestamp, WorkspaceRole};
use sentinel_feed::Question;

use crate::request::Target;
use crate::routes::Route;
use case::{Case, Standing, object_id, role_question, undecidable};
use found::{FoundUser, first_permission};

pub use knowledge::{Answered, Knowledge};

/// Proof that a request may be forwarded, and on whose behalf.
#[derive(Debug)]
pub struct Permit {
    route: Arc<Route>,
    principal: Arc<Principal>,
    role: Option<WorkspaceRole>,
    is_overruled: bool,
}

impl Permit {
    /// The route that the caller may pass.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The verified caller.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The user, with the role that he has in his workspace now.
    pub fn member(&self) -> Option<(&User, WorkspaceRole)> {
        self.principal.user().zip(self.role)
    }

    /// Whether it stands against the decision, or without one, because the route's decisions do not count.
    pub fn is_overruled(&self) -> bool {
        self.is_overruled
    }

    /// The service.
    pub fn service(&self) -> Option<&Service> {
        self.principal.service()
    }
}

/// Why there is no permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Otherwise {
    /// The caller may not pass, or it cannot be said whether he may.
    Denied(Denial),
    /// It depends on the answers to these questions, which are not known here. Nothing that is known says no.
    Open(Vec<Question>),
}

impl From<Denial> for Otherwise {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl Otherwise {
    /// The reason that is told if nobody is asked.
    pub fn denial(self) -> Denial {
        match self {
            Self::Denied(denial) => denial,
            Self::Open(_) => Denial::ReplicaIncomplete,
        }
    }
}

/// Whether `principal` may pass `route` with a request for `target`, by what is known.
///
/// # Errors
/// Why not, or what has to be known besides.
pub fn weigh(
    route: &Arc<Route>,
    target: &Target,
    principal: &Arc<Principal>,
    known: Knowledge<'_>,
) -> Result<Permit, Otherwise> {
    if let Access::Protected { credentials, .. } = route.access() {
        check_tier(*credentials, principal)?;
    }
    let (standing, found) = match principal.user() {
        Some(user) => {
            let found = find(route, target, user, known)?;
            (live_role(user, &found, known)?, Some(found))
        }
        None => (Standing::None, None),
    };
    if let Access::Protected { require, .. } = route.access() {
        let case = Case {
            route,
            target,
            principal,
            found,
            standing,
            known,
        };
        case.meets(require)?;
    }
    let role = match (standing, principal.user()) {
        (Standing::Member(role), _) => Some(role),
        // Every answer to a question about him says it as well.
        (Standing::Open, Some(user)) => {
            let question = role_question(user, WorkspaceRole::Viewer);
            return Err(Otherwise::Open(vec![question]));
        }
        _ => None,
    };
    Ok(Permit {
        route: Arc::clone(route),
        principal: Arc::clone(principal),
        role,
        is_overruled: false,
    })
}

/// The same by relations beside which there are no others.
///
/// # Errors
/// Why not.
pub fn decide(
    route: &Arc<Route>,
    target: &Target,
    principal: &Arc<Principal>,
    graph: &Graph,
    now: Timestamp,
) -> Result<Permit, Denial> {
    weigh(route, target, principal, Knowledge::whole(graph, now)).map_err(Otherwise::denial)
}

/// The permit for a request that [`weigh`] did not permit, or could not be asked about, on a route whose decisions do not
/// count (`mode: shadow`); `None` on every other route. `principal` is the caller as far as he is verified: nobody, if that
/// could not be found out.
pub fn permit_in_shadow(
    route: &Arc<Route>,
    principal: &Arc<Principal>,
    known: Knowledge<'_>,
) -> Option<Permit> {
    let role = |user| {
        let found = FoundUser::find(known.graph(), user, None).ok()?;
        match live_role(user, &found, known) {
            Ok(Standing::Member(role)) => Some(role),
            _ => None,
        }
    };
    route.traffic().is_shadow.then(|| Permit {
        route: Arc::clone(route),
        principal: Arc::clone(principal),
        role: principal.user().and_then(role),
        is_overruled: true,
    })
}

/// Whether a part of a route's requirement holds, by the code that [`weigh`] runs: for people who ask why it says no.
///
/// # Errors
/// Why it does not hold, or what has to be known besides.
pub fn part_holds(
    part: &Requirement,
    route: &Route,
    target: &Target,
    principal: &Principal,
    known: Knowledge<'_>,
) -> Result<(), Otherwise> {
    let found = principal.user().map(|user| find(route, target, user, known));
    let found = found.transpose()?;
    let standing = |user, found| live_role(user, found, known).unwrap_or(Standing::None);
    let case = Case {
        route,
        target,
        principal,
        standing: principal
            .user()
            .zip(found.as_ref())
            .map_or(Standing::None, |(user, found)| standing(user, found)),
        found,
        known,
    };
    case.meets(part)
}

/// The credentials are those that the route asks for: none is missing, and none is there that it does not take.
fn check_tier(tier: CredentialTier, principal: &Principal) -> Result<(), Denial> {
    let (user, service) = (principal.has_user(), principal.service().is_some());
    if (user && !tier.takes_user()) || (service && !tier.takes_service()) {
        return Err(Denial::CredentialNotAccepted);
    }
    let enough = match tier {
        CredentialTier::User => user,
        CredentialTier::Service => service,
        CredentialTier::UserAndService => user && service,
        CredentialTier::UserOrService => user || service,
    };
    if enough {
        Ok(())
    } else {
        Err(Denial::CredentialMissing)
    }
}

/// The user in the graph, and in the same look-up the resource that the route asks about in any case.
fn find<'a>(
    route: &'a Route,
    target: &Target,
    user: &User,
    known: Knowledge<'a>,
) -> Result<FoundUser<'a>, Denial> {
    let first = first_permission(route.access()).and_then(|wanted| {
        let id = object_id(route, target, &wanted.id).ok()?;
        Some((wanted, id))
    });
    FoundUser::find(known.graph(), user, first).map_err(|error| undecidable(&error))
}

/// The user's role in his token's workspace as it is now. Every user has to be a member still.
fn live_role(user: &User, found: &FoundUser<'_>, known: Knowledge<'_>) -> Result<Standing, Denial> {
    let expires_at = user.credential.expires_at().ok_or(Denial::TokenInvalid)?;
    if is_expired(expires_at, known.credentials_at()) {
        return Err(Denial::TokenExpired);
    }
    let role = if known.covers_people(user.workspace) {
        found.member().role().map_err(|error| undecidable(&error))?
    } else {
        match known.role_told() {
            Some(told) => told.role,
            None => return Ok(Standing::Open),
        }
    };
    role.map(Standing::Member).ok_or(Denial::RoleDenied)
}

#[cfg(test)]
mod related;
#[cfg(test)]
mod tests;
