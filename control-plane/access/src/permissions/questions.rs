//! Questions about who may do what, answered from one snapshot of the replicated state. Pure: no database, no clock.

use sentinel_authz::sentinel::{self, Permission};
use sentinel_authz::{Graph, Page};
use sentinel_core::id::{ResourceId, WorkspaceId};
use sentinel_core::name::{ResourceType, ServiceName};
use sentinel_core::{WorkspaceRole, principal};

use super::{ResourceName, in_scope};
use crate::error::AccessError;

/// Whether a user may do this with that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// With what.
    pub resource: ResourceName,
    /// What.
    pub permission: Permission,
}

/// Which resources a user may do something with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Resources of this service.
    pub service: ServiceName,
    /// Resources of this type.
    pub kind: ResourceType,
    /// Resources of this workspace.
    pub workspace: WorkspaceId,
    /// What he may do.
    pub permission: Permission,
    /// At most so many; all if not given.
    pub limit: Option<usize>,
    /// Only those after this one.
    pub after: Option<ResourceId>,
}

/// The answer to a [`Listing`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accessible {
    /// The ids, ascending. Left out where the user has full access and no limit was given.
    pub ids: Vec<ResourceId>,
    /// Whether the user may do everything with every resource of the workspace.
    pub has_full_access: bool,
    /// Where to go on, if there are more.
    pub next: Option<ResourceId>,
}

/// Answers each question, in order. A resource that is not registered, or belongs to another workspace than the one
/// that the user's token is limited to, is a no.
///
/// # Errors
/// [`AccessError::ServiceScope`] for all of them when one is about another service's resource.
pub fn check(
    graph: &Graph,
    service: &ServiceName,
    user: &principal::User,
    questions: &[Question],
) -> Result<Vec<bool>, AccessError> {
    for question in questions {
        in_scope(service, question.resource.service())?;
    }
    questions
        .iter()
        .map(|question| {
            let name = &question.resource;
            let id = name.id().to_string();
            let allowed = sentinel::may(
                graph,
                user.workspace,
                user.id,
                name.service(),
                name.kind(),
                &id,
                question.permission,
            );
            Ok(allowed?)
        })
        .collect()
}

/// Lists what the user may do this with: complete, ordered by id, resumable after any id.
///
/// # Errors
/// [`AccessError::ServiceScope`], or [`AccessError::CrossWorkspaceLookup`] when his token is limited to another workspace.
pub fn accessible(
    graph: &Graph,
    service: &ServiceName,
    user: &principal::User,
    listing: &Listing,
) -> Result<Accessible, AccessError> {
    in_scope(service, &listing.service)?;
    if listing.workspace != user.workspace {
        return Err(AccessError::CrossWorkspaceLookup);
    }
    let has_full_access = sentinel::has_role(graph, user.workspace, user.id, WorkspaceRole::Admin)?;
    if has_full_access && listing.limit.is_none() && listing.after.is_none() {
        return Ok(Accessible {
            has_full_access,
            ..Accessible::default()
        });
    }
    let after = listing.after.map(|id| id.to_string());
    // One more than asked for tells whether there are more.
    let limit = listing.limit.unwrap_or(usize::MAX);
    let page = Page {
        after: after.as_deref(),
        limit: limit.saturating_add(1),
    };
    let found = sentinel::accessible(
        graph,
        user.workspace,
        user.id,
        &listing.service,
        &listing.kind,
        listing.permission,
        page,
    )?;
    let more = found.len() > limit;
    let ids: Vec<ResourceId> = found
        .iter()
        .take(limit)
        .map(|id| id.parse())
        .collect::<Result<_, _>>()?;
    let next = ids.last().copied().filter(|_| more);
    Ok(Accessible {
        ids,
        has_full_access,
        next,
    })
}
