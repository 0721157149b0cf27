//! The questions that both planes ask about Sentinel's own entities.

use std::fmt::{self, Write};

use sentinel_core::WorkspaceRole;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::name::{ActionName, ResourceType, ServiceName};

use super::{Permission, words};
use crate::graph::split_id;
use crate::{CheckError, Graph, ObjectsQuery, Page};

/// Whether the user has at least this role in the workspace now.
pub fn has_role(
    graph: &Graph,
    workspace: WorkspaceId,
    user: UserId,
    role: WorkspaceRole,
) -> Result<bool, CheckError> {
    let [workspace, user] = graph.find_parts([of_workspace(workspace), of_user(user)])?;
    graph.holds(workspace, role.as_str(), user)
}

/// The user's role in the workspace now: the highest one that he has. `None` if he is no member. The names are looked up
/// once for all four.
pub fn role_of(
    graph: &Graph,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<WorkspaceRole>, CheckError> {
    let [workspace, user] = graph.find_parts([of_workspace(workspace), of_user(user)])?;
    for role in WorkspaceRole::ALL.into_iter().rev() {
        if graph.holds(workspace, role.as_str(), user)? {
            return Ok(Some(role));
        }
    }
    Ok(None)
}

/// Whether the user is a member of the workspace now, whatever his role.
pub fn is_member(graph: &Graph, workspace: WorkspaceId, user: UserId) -> Result<bool, CheckError> {
    let [workspace, user] = graph.find_parts([of_workspace(workspace), of_user(user)])?;
    graph.holds(workspace, "member", user)
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
    let (id, uuid) = split_id(id);
    let [resource, workspace, user] = with_text(
        |text| {
            words::write_resource_prefix(text, service, kind)?;
            text.write_str(id)
        },
        |head| graph.find_parts([("resource", head, uuid), of_workspace(workspace), of_user(user)]),
    )?;
    Ok(graph.holds(resource, "workspace", workspace)?
        && graph.holds_near(resource, permission.relation(), user, workspace)?)
}

/// Whether a role that the user holds in the workspace allows the service's action.
pub fn may_act(
    graph: &Graph,
    workspace: WorkspaceId,
    user: UserId,
    service: &ServiceName,
    action: &ActionName,
) -> Result<bool, CheckError> {
    let [action, user] = with_text(
        |text| words::write_action(text, workspace, service, action),
        |id| {
            let (head, uuid) = split_id(id);
            graph.find_parts([("action", head, uuid), of_user(user)])
        },
    )?;
    graph.holds(action, "can_perform", user)
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
    let [workspace, user] = graph.find_parts([of_workspace(workspace), of_user(user)])?;
    let prefix = words::resource_prefix(service, kind);
    let in_workspace = |resource| graph.holds(resource, "workspace", workspace).unwrap_or(false);
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

fn of_workspace(id: WorkspaceId) -> (&'static str, &'static str, Option<u128>) {
    ("workspace", "", Some(id.as_uuid().as_u128()))
}

fn of_user(id: UserId) -> (&'static str, &'static str, Option<u128>) {
    ("user", "", Some(id.as_uuid().as_u128()))
}

/// Makes a text for one use, without allocating if it is of the usual length.
fn with_text<R>(build: impl Fn(&mut dyn Write) -> fmt::Result, then: impl FnOnce(&str) -> R) -> R {
    let mut short = ShortText {
        bytes: [0; 192],
        used: 0,
    };
    if build(&mut short).is_ok()
        && let Some(Ok(text)) = short.bytes.get(..short.used).map(str::from_utf8)
    {
        return then(text);
    }
    let mut long = String::new();
    // Writing to a string does not fail; a text that were cut short would be the id of nothing.
    match build(&mut long) {
        Ok(()) => then(&long),
        Err(fmt::Error) => then(""),
    }
}

struct ShortText {
    bytes: [u8; 192],
    used: usize,
}

impl Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.used.checked_add(text.len()).ok_or(fmt::Error)?;
        let room = self.bytes.get_mut(self.used..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}
