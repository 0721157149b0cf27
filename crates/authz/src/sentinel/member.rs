//! A user in a workspace, looked up once for everything that is asked about him there.
//!
//! Who decides about a request asks several things about the same few objects: the user's role, and then whether he may do
//! something with a resource, perform an action, or stands in a relation of a service's own model. Nearly all of the time
//! goes into waiting for memory while the objects are found. So they are found together, once, and the waits overlap.

use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::{Timestamp, WorkspaceRole};

use super::Permission;
use super::named::{ActionWords, ResourceWords};
use super::numbers::Numbers;
use super::related::ServiceRelation;
use crate::graph::{Found, Known, Wanted, split_id};
use crate::model::RelationId;
use crate::{CheckError, Graph};

/// A user in a workspace, as a graph knows them: whether or not he is a member.
///
/// ```
/// use sentinel_authz::sentinel::{self, Member, Permission, ResourceWords};
/// use sentinel_authz::{CheckError, Graph, TupleChange};
/// use sentinel_core::WorkspaceRole;
/// use sentinel_core::id::{UserId, WorkspaceId};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let workspace: WorkspaceId = "018f4e7a-0000-7000-8000-000000000001".parse()?;
/// let user: UserId = "018f4e7a-0000-7000-8000-000000000002".parse()?;
/// let (service, kind) = ("docs".parse()?, "document".parse()?);
/// let mut tuples = sentinel::resource_tuples(&service, &kind, "readme", workspace, true, None)?;
/// tuples.push(sentinel::membership(workspace, user, WorkspaceRole::Viewer));
/// let graph = Graph::new(sentinel::model()).apply(tuples.iter().map(TupleChange::Put))?;
///
/// let readme = ResourceWords::new(&service, &kind, "readme");
/// let readme = Member::find_with_resource(&graph, workspace, user, &readme)?;
/// assert_eq!(readme.member().role()?, Some(WorkspaceRole::Viewer));
/// assert!(readme.may(Permission::View)? && !readme.may(Permission::Edit)?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Member<'g> {
    graph: &'g Graph,
    own: &'g Numbers,
    id: WorkspaceId,
    workspace: Known<'g>,
    user: Found,
}

/// A resource that a [`Member`] may have to do with.
#[derive(Debug, Clone, Copy)]
pub struct MemberAndResource<'g> {
    member: Member<'g>,
    resource: Known<'g>,
}

/// An action of his workspace that a [`Member`] may have to do with.
#[derive(Debug, Clone, Copy)]
pub struct MemberAndAction<'g> {
    member: Member<'g>,
    action: Known<'g>,
}

impl<'g> Member<'g> {
    /// Looks the user and the workspace up.
    ///
    /// # Errors
    ///
    /// The graph's model lacks something of Sentinel's own.
    pub fn find(graph: &'g Graph, workspace: WorkspaceId, user: UserId) -> Result<Self, CheckError> {
        let own = graph.model().own()?;
        let wanted = [of_workspace(own, workspace), of_user(own, user)];
        let ([at], user) = graph.find_beside(wanted);
        Ok(Self {
            graph,
            own,
            id: workspace,
            workspace: at,
            user,
        })
    }

    /// The same, and a resource in the same look-up.
    ///
    /// # Errors
    ///
    /// As [`Member::find`].
    pub fn find_with_resource(
        graph: &'g Graph,
        workspace: WorkspaceId,
        user: UserId,
        resource: &ResourceWords<'_>,
    ) -> Result<MemberAndResource<'g>, CheckError> {
        let own = graph.model().own()?;
        let find = |head: &str, tail| {
            let wanted = (own.resource, head, tail);
            Self::find_with(graph, own, workspace, user, wanted)
        };
        let (member, resource) = resource.with_parts(find);
        Ok(MemberAndResource { member, resource })
    }

    /// The same, and an action of the workspace in the same look-up.
    ///
    /// # Errors
    ///
    /// As [`Member::find`].
    pub fn find_with_action(
        graph: &'g Graph,
        workspace: WorkspaceId,
        user: UserId,
        action: &ActionWords<'_>,
    ) -> Result<MemberAndAction<'g>, CheckError> {
        let own = graph.model().own()?;
        let find = |id: &str| {
            let (head, tail) = split_id(id);
            Self::find_with(graph, own, workspace, user, (own.action, head, tail))
        };
        let (member, action) = action.with_id(workspace, find);
        Ok(MemberAndAction { member, action })
    }

    fn find_with(
        graph: &'g Graph,
        own: &'g Numbers,
        workspace: WorkspaceId,
        user: UserId,
        wanted: Wanted<'_>,
    ) -> (Self, Known<'g>) {
        let wanted = [wanted, of_workspace(own, workspace), of_user(own, user)];
        let ([object, at], user) = graph.find_beside(wanted);
        let member = Self {
            graph,
            own,
            id: workspace,
            workspace: at,
            user,
        };
        (member, object)
    }

    /// The user's role in the workspace now: the highest one that he has. `None` if he is no member.
    ///
    /// # Errors
    ///
    /// The question has no answer within the engine's bounds.
    pub fn role(&self) -> Result<Option<WorkspaceRole>, CheckError> {
        for role in WorkspaceRole::ALL.into_iter().rev() {
            if self.has_role(role)? {
                return Ok(Some(role));
            }
        }
        Ok(None)
    }

    /// Whether the user has at least this role in the workspace now.
    ///
    /// # Errors
    ///
    /// As [`Member::role`].
    pub fn has_role(&self, role: WorkspaceRole) -> Result<bool, CheckError> {
        self.stands(self.own.role(role))
    }

    /// Whether the user is a member of the workspace now, whatever his role.
    ///
    /// # Errors
    ///
    /// As [`Member::role`].
    pub fn is_member(&self) -> Result<bool, CheckError> {
        self.stands(self.own.member)
    }

    /// Looks a resource up for questions about it.
    pub fn resource(&self, resource: &ResourceWords<'_>) -> MemberAndResource<'g> {
        let find = |head: &str, tail| self.graph.find_near((self.own.resource, head, tail), self.user);
        MemberAndResource {
            member: *self,
            resource: resource.with_parts(find),
        }
    }

    /// Whether the user may do this with a service's resource, acting in the workspace: a resource of another workspace is
    /// a no, whoever asks. An unknown resource is a no.
    ///
    /// # Errors
    ///
    /// As [`Member::role`].
    pub fn may(&self, resource: &ResourceWords<'_>, permission: Permission) -> Result<bool, CheckError> {
        self.resource(resource).may(permission)
    }

    /// Whether a role that the user holds in the workspace allows the service's action.
    ///
    /// # Errors
    ///
    /// As [`Member::role`].
    pub fn may_act(&self, action: &ActionWords<'_>) -> Result<bool, CheckError> {
        let find = |id: &str| {
            let (head, tail) = split_id(id);
            self.graph.find_near((self.own.action, head, tail), self.user)
        };
        let action = action.with_id(self.id, find);
        let member = *self;
        MemberAndAction { member, action }.may()
    }

    /// Whether the user stands in a relation of a service's own model to an object of the service at this moment; and, if
    /// objects of the type belong to workspaces, whether this one belongs to the member's.
    ///
    /// # Errors
    ///
    /// As [`Member::role`]; or the graph's model lacks the relation, where it is not the one that it was found in.
    pub fn is_related(
        &self,
        now: Timestamp,
        relation: &ServiceRelation,
        object_id: &str,
    ) -> Result<bool, CheckError> {
        let numbers = relation.numbers_in(self.graph.model())?;
        let (head, tail) = split_id(object_id);
        let object = self.graph.find_near((numbers.kind, head, tail), self.user);
        let is_here = match numbers.workspace {
            Some(belongs) => {
                let workspace = self.workspace.object();
                self.graph.holds_at(now, &object, belongs, workspace, &[])?
            }
            None => true,
        };
        if !is_here {
            return Ok(false);
        }
        let known = [object, self.workspace];
        self.graph
            .holds_at(now, &object, numbers.relation, self.user, &known)
    }

    fn stands(&self, relation: RelationId) -> Result<bool, CheckError> {
        if let Some(holds) = self.workspace.decide(self.graph.model(), relation) {
            return Ok(holds);
        }
        self.graph
            .holds(&self.workspace, relation, self.user, &[self.workspace])
    }
}

impl<'g> MemberAndResource<'g> {
    /// The member.
    pub fn member(&self) -> &Member<'g> {
        &self.member
    }

    /// Whether the user may do this with the resource, as [`Member::may`].
    ///
    /// # Errors
    ///
    /// As [`Member::role`].
    pub fn may(&self, permission: Permission) -> Result<bool, CheckError> {
        let Self { member, resource } = self;
        if !self.belongs()? {
            return Ok(false);
        }
        let relation = member.own.permission(permission);
        let known = [*resource, member.workspace];
        member.graph.holds(resource, relation, member.user, &known)
    }

    /// Whether the resource is one of the workspace's.
    fn belongs(&self) -> Result<bool, CheckError> {
        let Self { member, resource } = self;
        let (belongs, workspace) = (member.own.belongs, member.workspace.object());
        if member.own.belongs_by_tuples {
            return Ok(resource.leads_to(belongs, workspace));
        }
        member.graph.holds(resource, belongs, workspace, &[])
    }
}

impl<'g> MemberAndAction<'g> {
    /// The member.
    pub fn member(&self) -> &Member<'g> {
        &self.member
    }

    /// Whether a role that the user holds in the workspace allows the action.
    ///
    /// # Errors
    ///
    /// As [`Member::role`].
    pub fn may(&self) -> Result<bool, CheckError> {
        let Self { member, action } = self;
        let relation = member.own.can_perform;
        member
            .graph
            .holds(action, relation, member.user, &[member.workspace])
    }
}

/// A workspace to look up.
pub(super) fn of_workspace(own: &Numbers, id: WorkspaceId) -> Wanted<'static> {
    (own.workspace, "", Some(id.as_uuid().as_u128()))
}

/// A user to look up.
pub(super) fn of_user(own: &Numbers, id: UserId) -> Wanted<'static> {
    (own.user, "", Some(id.as_uuid().as_u128()))
}
