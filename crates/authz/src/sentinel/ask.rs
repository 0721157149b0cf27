//! The questions that both planes ask about Sentinel's own entities.

use sentinel_core::WorkspaceRole;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::name::{ActionName, ResourceType, ServiceName};

use super::member::{Member, of_user, of_workspace};
use super::named::{ActionWords, ResourceWords};
use super::{Permission, words};
use crate::{CheckError, Graph, ObjectsQuery, Page};

/// Whether the user has at least this role in the workspace now.
pub fn has_role(
    graph: &Graph,
    workspace: WorkspaceId,
    user: UserId,
    role: WorkspaceRole,
) -> Result<bool, CheckError> {
    Member::find(graph, workspace, user)?.has_role(role)
}

/// The user's role in the workspace now: the highest one that he has. `None` if he is no member.
pub fn role_of(
    graph: &Graph,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<WorkspaceRole>, CheckError> {
    Member::find(graph, workspace, user)?.role()
}

/// Whether the user is a member of the workspace now, whatever his role.
pub fn is_member(graph: &Graph, workspace: WorkspaceId, user: UserId) -> Result<bool, CheckError> {
    Member::find(graph, workspace, user)?.is_member()
}

/// Whether the user may do this with a service's resource, acting in `workspace`: a resource of another workspace is
/// a no, whoever asks. An unknown resource is a no.
pub fn may(
    graph: &Graph,
    workspace: WorkspaceId,
    user: UserId,
    service: &ServiceName,
    kind: &ResourceType,
    id: &str,
    permission: Permission,
) -> Result<bool, CheckError> {
    let resource = ResourceWords::new(service, kind, id);
    Member::find_with_resource(graph, workspace, user, &resource)?.may(permission)
}

/// Whether a role that the user holds in the workspace allows the service's action.
pub fn may_act(
    graph: &Graph,
    workspace: WorkspaceId,
    user: UserId,
    service: &ServiceName,
    action: &ActionName,
) -> Result<bool, CheckError> {
    Member::find_with_action(graph, workspace, user, &ActionWords::new(service, action))?.may()
}

/// The ids of the service's resources of one type in the workspace with which the user may do this, in byte order.
pub fn accessible(
    graph: &Graph,
    workspace: WorkspaceId,
    user: UserId,
    service: &ServiceName,
    kind: &ResourceType,
    permission: Permission,
    page: Page<'_>,
) -> Result<Vec<String>, CheckError> {
    let own = graph.model().own()?;
    let wanted = [of_workspace(own, workspace), of_user(own, user)];
    let ([workspace], user) = graph.find_beside(wanted);
    let prefix = words::resource_prefix(service, kind);
    let in_workspace = |resource| {
        let is = graph.stands(resource, own.belongs, workspace.object());
        is.unwrap_or(false)
    };
    let relation = permission.relation();
    let after = page.after.map(|after| format!("{prefix}{after}"));
    let page = Page {
        after: after.as_deref(),
        ..page
    };
    let query = ObjectsQuery {
        object_type: "resource",
        id_prefix: &prefix,
        relation,
        ..ObjectsQuery::default()
    };
    let found = graph
        .timeless()
        .list_objects_where(&query, user, page, in_workspace)?;
    let without_prefix = |id: String| id.strip_prefix(&prefix).map(str::to_owned);
    Ok(found.ids.into_iter().filter_map(without_prefix).collect())
}
