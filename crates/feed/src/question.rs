//! Questions that an edge cannot answer by what it keeps, and the control plane's answers.
//!
//! An answer is signed like everything that an edge acts on, and bound to the bytes of what was asked, among which are
//! random ones of this one question: no other answer, and none from before, passes for it.

mod wire;

use std::time::Duration;

use sentinel_authz::{CheckError, Query, SubjectForm, sentinel};
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::name::{ActionName, ResourceType, ServiceName};
use sentinel_core::{Revision, Timestamp, WorkspaceRole};

use crate::state::ReplicaState;

/// At most this many questions are asked together.
pub const MAX_QUESTIONS: usize = 16;

/// At most this many calls of one edge are on the way at a time: it sends no more, and no more are answered.
pub(crate) const CALLS_AT_ONCE: usize = 64;

pub(crate) use wire::Asked;

/// A question about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Does he have at least this role in the workspace?
    Role {
        /// The workspace.
        workspace: WorkspaceId,
        /// The user.
        user: UserId,
        /// The lowest role that is enough.
        least: WorkspaceRole,
    },
    /// Does a role of his in the workspace allow the service's action?
    Action {
        /// The workspace.
        workspace: WorkspaceId,
        /// The user.
        user: UserId,
        /// Whose action it is.
        service: ServiceName,
        /// The action.
        action: ActionName,
    },
    /// May he do this with a resource of the service, acting in the workspace?
    Permission {
        /// The workspace.
        workspace: WorkspaceId,
        /// The user.
        user: UserId,
        /// Whose resource it is.
        service: ServiceName,
        /// The resource's type.
        resource_type: ResourceType,
        /// The resource's id.
        id: String,
        /// What he wants to do with it.
        permission: sentinel::Permission,
    },
    /// Does he stand in a relation of the service's own model to an object, which belongs to the workspace if its type
    /// says (by a relation `workspace`, its own or another object's) which it belongs to?
    Relation {
        /// The workspace.
        workspace: WorkspaceId,
        /// The user.
        user: UserId,
        /// Whose model it is.
        service: ServiceName,
        /// The object's type, as the service's own text calls it: `folder`.
        object_type: String,
        /// The object's id.
        object_id: String,
        /// The relation.
        relation: String,
    },
}

/// Whether.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Yes,
    /// No.
    No,
    /// Neither: the model does not know the names, or there is no answer within the engine's bounds.
    Undecidable,
}

/// What the control plane says to a [`Question`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Yes or no.
    pub verdict: Verdict,
    /// The role that the user has in the question's workspace, whatever was asked: `None` if he is no member of it.
    pub role: Option<WorkspaceRole>,
}

/// The answers to the questions that were asked together, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// One for each question.
    pub answers: Vec<Answer>,
    /// What all of them were answered by.
    pub revision: Revision,
    /// As of how long ago that was the newest: the control plane's own age, and the way from the question to here.
    pub age: Duration,
}

impl Question {
    /// The workspace that it is about.
    pub fn workspace(&self) -> WorkspaceId {
        match self {
            Self::Role { workspace, .. }
            | Self::Action { workspace, .. }
            | Self::Permission { workspace, .. }
            | Self::Relation { workspace, .. } => *workspace,
        }
    }

    /// The user that it is about.
    pub fn user(&self) -> UserId {
        match self {
            Self::Role { user, .. }
            | Self::Action { user, .. }
            | Self::Permission { user, .. }
            | Self::Relation { user, .. } => *user,
        }
    }

    /// What a state says to it.
    pub fn answered_by(&self, state: &ReplicaState, now: Timestamp) -> Answer {
        let role = sentinel::role_of(state.graph(), self.workspace(), self.user());
        let verdict = role.clone().and_then(|role| self.is_so(state, role, now));
        Answer {
            verdict: match verdict {
                Ok(true) => Verdict::Yes,
                Ok(false) => Verdict::No,
                Err(_) => Verdict::Undecidable,
            },
            role: role.ok().flatten(),
        }
    }

    fn is_so(
        &self,
        state: &ReplicaState,
        role: Option<WorkspaceRole>,
        now: Timestamp,
    ) -> Result<bool, CheckError> {
        let graph = state.graph();
        Ok(match self {
            Self::Role { least, .. } => role.is_some_and(|role| role >= *least),
            Self::Action {
                workspace,
                user,
                service,
                action,
            } => sentinel::may_act(graph, *workspace, *user, service, action)?,
            Self::Permission {
                workspace,
                user,
                service,
                resource_type,
                id,
                permission,
            } => sentinel::may(graph, *workspace, *user, service, resource_type, id, *permission)?,
            Self::Relation {
                workspace,
                user,
                service,
                object_type,
                object_id,
                relation,
            } => {
                let kind = format!("{service}/{object_type}");
                let user = sentinel::user(*user);
                let query = Query {
                    object_type: &kind,
                    object_id,
                    relation,
                    subject_type: user.kind(),
                    subject_id: user.id(),
                    subject_relation: None,
                };
                belongs(state, &kind, object_id, *workspace, now)? && graph.at(now).check(&query)?
            }
        })
    }
}

/// Whether the object belongs to the workspace, or its type does not say which workspace objects belong to.
fn belongs(
    state: &ReplicaState,
    kind: &str,
    id: &str,
    workspace: WorkspaceId,
    now: Timestamp,
) -> Result<bool, CheckError> {
    let (graph, workspace) = (state.graph(), sentinel::workspace(workspace));
    let model = graph.model();
    // It says so itself, or it comes to it from another object: `define workspace: workspace from parent`. The edge goes by
    // the same.
    let says = model.relation_takes(kind, "workspace", SubjectForm::Object("workspace"))
        || model.can_have(kind, "workspace", "workspace");
    if !says {
        return Ok(true);
    }
    graph.at(now).check(&Query {
        object_type: kind,
        object_id: id,
        relation: "workspace",
        subject_type: workspace.kind(),
        subject_id: workspace.id(),
        subject_relation: None,
    })
}

#[cfg(test)]
mod tests;
