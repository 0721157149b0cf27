//! Which part of all facts a fact belongs to: a service, a workspace, both or neither. Edges keep whole parts.
//!
//! Where a tuple does not name its workspace (a share, an owner, a group's member, a role's holder) it belongs to that of
//! its object, which another tuple tells. In our product that never changes while the object has tuples. Where it should
//! change all the same, the books are made anew and edges that keep only a part fetch everything again.

mod books;
mod effects;
mod homes;
mod ledger;

use sentinel_core::id::WorkspaceId;
use sentinel_core::name::ServiceName;
use sentinel_core::tuple::{Object, Subject};
use sentinel_core::{Fact, Tuple};

use crate::digest::Digest;
use crate::interest::Interest;
use crate::state::{ApplyError, ReplicaState};

pub(crate) use books::{Books, Turn};
pub(crate) use effects::key_of;
pub(crate) use homes::Homes;

/// A part of all facts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Partition {
    /// `None`: no service's.
    service: Option<ServiceName>,
    /// `None`: no workspace's.
    workspace: Option<WorkspaceId>,
}

/// What a fact says itself about where it belongs.
enum Place<'f> {
    /// All there is to say.
    In(Partition),
    /// Its workspace is that of the object.
    With(&'f Object, Option<ServiceName>),
}

impl Partition {
    /// Whether an edge of this interest keeps it.
    pub(crate) fn is_in(&self, interest: &Interest) -> bool {
        self.service
            .as_ref()
            .is_none_or(|service| interest.services().has(service))
            && self
                .workspace
                .as_ref()
                .is_none_or(|workspace| interest.workspaces().has(workspace))
    }
}

/// Where a fact belongs, by what is known of its object.
pub(crate) fn partition_of(fact: &Fact, homes: &Homes) -> Partition {
    match place(fact) {
        Place::In(partition) => partition,
        Place::With(object, service) => Partition {
            service,
            workspace: homes.of(object),
        },
    }
}

fn place(fact: &Fact) -> Place<'_> {
    let of_service = |service: &ServiceName| {
        Place::In(Partition {
            service: Some(service.clone()),
            workspace: None,
        })
    };
    match fact {
        Fact::Tuple(tuple) | Fact::ExpiringTuple { tuple, .. } => place_of_tuple(tuple),
        Fact::Model(model) => of_service(&model.service),
        // Who calls is found out before what he may do: everybody needs these.
        Fact::ServiceKey(_)
        | Fact::SigningKey(_)
        | Fact::RevokedSession { .. }
        | Fact::RevokedToken { .. }
        | Fact::DisabledUser(_) => Place::In(Partition {
            service: None,
            workspace: None,
        }),
    }
}

fn place_of_tuple(tuple: &Tuple) -> Place<'_> {
    let object = tuple.object();
    let (service, workspace) = match object.kind().split_once('/') {
        Some((service, _)) => (service.parse().ok(), None),
        None => match object.kind() {
            "workspace" => (None, object.id().parse().ok()),
            "action" => {
                let mut parts = object.id().split('/');
                let workspace = parts.next().and_then(|id| id.parse().ok());
                (parts.next().and_then(|name| name.parse().ok()), workspace)
            }
            "resource" | "group" | "role" => {
                let service = match object.kind() {
                    "resource" => object.id().split('/').next().and_then(|name| name.parse().ok()),
                    _ => None,
                };
                match workspace_said_by(tuple) {
                    Some(workspace) => (service, Some(workspace)),
                    None => return Place::With(object, service),
                }
            }
            _ => (None, None),
        },
    };
    Place::In(Partition { service, workspace })
}

/// The workspace that a tuple says its object belongs to, where it is of that kind.
fn workspace_said_by(tuple: &Tuple) -> Option<WorkspaceId> {
    match tuple.subject() {
        Subject::Object(subject) if tuple.relation() == "workspace" && subject.kind() == "workspace" => {
            subject.id().parse().ok()
        }
        _ => None,
    }
}

/// The object whose workspace decides where the tuple belongs, if there is one: a resource, a group or a role.
fn homed(fact: &Fact) -> Option<&Tuple> {
    match fact {
        Fact::Tuple(tuple) | Fact::ExpiringTuple { tuple, .. } => {
            matches!(tuple.object().kind(), "resource" | "group" | "role").then_some(tuple)
        }
        _ => None,
    }
}

impl ReplicaState {
    /// The part of the state that an edge of this interest keeps.
    ///
    /// # Errors
    /// The part is no state by itself: a defect.
    pub(crate) fn narrowed(&self, interest: &Interest) -> Result<Self, ApplyError> {
        let homes = if interest.workspaces().is_all() {
            Homes::default()
        } else {
            Homes::of_state(self)
        };
        let facts: Vec<Fact> = self
            .facts()
            .filter(|fact| partition_of(fact, &homes).is_in(interest))
            .collect();
        let digest = facts
            .iter()
            .fold(Digest::EMPTY, |sum, fact| sum.plus(Digest::of(fact)));
        Ok(Self::build(self.revision(), facts, digest)?.of_interest(interest.clone()))
    }
}

#[cfg(test)]
mod tests;
