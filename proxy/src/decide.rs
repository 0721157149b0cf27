//! May this caller pass this route now? Values in, values out: no clock, no waiting, no log line.
//!
//! A [`Permit`] is the only thing that a request is forwarded with. [`decide`] makes it, or [`permit_in_shadow`] for a route
//! that the operator has declared to be on trial; nothing else can.

use std::sync::Arc;

use sentinel_authz::sentinel;
use sentinel_authz::{CheckError, Graph};
use sentinel_config::edge::{
    Access, CredentialTier, IdTemplate, Permission, PermissionTemplate, Requirement,
};
use sentinel_core::clock::is_expired;
use sentinel_core::principal::{Service, User};
use sentinel_core::{Denial, Principal, Timestamp, WorkspaceRole};

use crate::request::Target;
use crate::routes::Route;

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

/// Whether `principal` may pass `route` with a request for `target`, by the relations of `graph`.
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
    if let Access::Protected { credentials, .. } = route.access() {
        check_tier(*credentials, principal)?;
    }
    let role = match principal.user() {
        Some(user) => Some(live_role(user, graph, now)?),
        None => None,
    };
    if let Access::Protected { require, .. } = route.access() {
        let case = Case {
            route,
            target,
            principal,
            role,
            graph,
        };
        case.meets(require)?;
    }
    Ok(Permit {
        route: Arc::clone(route),
        principal: Arc::clone(principal),
        role,
        is_overruled: false,
    })
}

/// The permit for a request that [`decide`] did not permit, or could not be asked about, on a route whose decisions do not
/// count (`mode: shadow`); `None` on every other route. `principal` is the caller as far as he is verified: nobody, if that
/// could not be found out.
pub fn permit_in_shadow(
    route: &Arc<Route>,
    principal: &Arc<Principal>,
    graph: &Graph,
    now: Timestamp,
) -> Option<Permit> {
    let user = principal.user();
    route.traffic().is_shadow.then(|| Permit {
        route: Arc::clone(route),
        principal: Arc::clone(principal),
        role: user.and_then(|user| live_role(user, graph, now).ok()),
        is_overruled: true,
    })
}

/// Whether a part of a route's requirement holds, by the code that [`decide`] runs: for people who ask why it says no.
///
/// # Errors
/// Why it does not hold.
pub fn part_holds(
    part: &Requirement,
    route: &Route,
    target: &Target,
    principal: &Principal,
    graph: &Graph,
    now: Timestamp,
) -> Result<(), Denial> {
    let user = principal.user();
    let case = Case {
        route,
        target,
        principal,
        role: user.and_then(|user| live_role(user, graph, now).ok()),
        graph,
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

/// The user's role in his token's workspace as it is now. Every user has to be a member still.
fn live_role(user: &User, graph: &Graph, now: Timestamp) -> Result<WorkspaceRole, Denial> {
    let expires_at = user.credential.expires_at().ok_or(Denial::TokenInvalid)?;
    if is_expired(expires_at, now) {
        return Err(Denial::TokenExpired);
    }
    sentinel::role_of(graph, user.workspace, user.id)
        .map_err(undecidable)?
        .ok_or(Denial::RoleDenied)
}

/// An error of the engine is neither a yes nor a no.
fn undecidable(_: CheckError) -> Denial {
    Denial::Internal
}

/// What a requirement is judged by.
struct Case<'a> {
    route: &'a Route,
    target: &'a Target,
    principal: &'a Principal,
    role: Option<WorkspaceRole>,
    graph: &'a Graph,
}

impl Case<'_> {
    fn meets(&self, requirement: &Requirement) -> Result<(), Denial> {
        match requirement {
            Requirement::All(all) => all.iter().try_for_each(|one| self.meets(one)),
            Requirement::Any(any) => self.meets_any(any),
            // The tier has been checked.
            Requirement::SignedIn if !self.principal.is_anonymous() => Ok(()),
            Requirement::SignedIn => Err(Denial::CredentialMissing),
            Requirement::Role(least) => {
                let enough = self.role.is_some_and(|role| role >= *least);
                holds(enough, Denial::RoleDenied)
            }
            Requirement::Action(wanted) => {
                let user = self.user(Denial::ActionDenied)?;
                let may = sentinel::may_act(
                    self.graph,
                    user.workspace,
                    user.id,
                    &wanted.service,
                    &wanted.action,
                );
                holds(may.map_err(undecidable)?, Denial::ActionDenied)
            }
            Requirement::Permission(wanted) => self.may(wanted),
            Requirement::Service(name) => {
                let is = self
                    .principal
                    .service()
                    .is_some_and(|service| service.name == *name);
                holds(is, Denial::ServiceDenied)
            }
        }
    }

    /// One alternative is enough. If there is none, the first one's reason is told, but an alternative that could not be
    /// judged is more than a no.
    fn meets_any(&self, alternatives: &[Requirement]) -> Result<(), Denial> {
        let mut reason = None;
        for alternative in alternatives {
            match self.meets(alternative) {
                Ok(()) => return Ok(()),
                Err(denial) if denial.status() >= 500 => reason = Some(denial),
                Err(denial) => reason = reason.or(Some(denial)),
            }
        }
        Err(reason.unwrap_or(Denial::Internal))
    }

    fn may(&self, wanted: &PermissionTemplate) -> Result<(), Denial> {
        let user = self.user(Denial::PermissionDenied)?;
        let id = match &wanted.id {
            IdTemplate::Literal(id) => id.as_str(),
            // A parameter that the path does not have is a defect of the policy, and opens nothing.
            IdTemplate::Param(name) => self.route.param(name, self.target).ok_or(Denial::Internal)?,
        };
        let permission = match wanted.permission {
            Permission::View => sentinel::Permission::View,
            Permission::Edit => sentinel::Permission::Edit,
            Permission::Manage => sentinel::Permission::Manage,
        };
        let may = sentinel::may(
            self.graph,
            user.workspace,
            user.id,
            &wanted.service,
            &wanted.resource_type,
            id,
            permission,
        );
        holds(may.map_err(undecidable)?, Denial::PermissionDenied)
    }

    fn user(&self, otherwise: Denial) -> Result<&User, Denial> {
        self.principal.user().ok_or(otherwise)
    }
}

fn holds(condition: bool, otherwise: Denial) -> Result<(), Denial> {
    if condition { Ok(()) } else { Err(otherwise) }
}

#[cfg(test)]
mod tests;
