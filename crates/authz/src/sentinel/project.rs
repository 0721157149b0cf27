//! From what the API stores to tuples. One function per kind of row, so that there is one truth: whoever writes a row
//! writes the tuples of the row before and of the row after.

use sentinel_core::id::{GroupId, RoleId, UserId, WorkspaceId};
use sentinel_core::name::{ActionName, ResourceType, ServiceName};
use sentinel_core::tuple::{InvalidTuple, StaticName};
use sentinel_core::{Object, Tuple, WorkspaceRole};

use super::words;

const WORKSPACE: StaticName = StaticName::new("workspace");
const MEMBER: StaticName = StaticName::new("member");
const ASSIGNEE: StaticName = StaticName::new("assignee");
const HOLDER: StaticName = StaticName::new("holder");
const GRANTED: StaticName = StaticName::new("granted");
const SHARED_IN: StaticName = StaticName::new("shared_in");
const OWNER: StaticName = StaticName::new("owner");
const ADMIN: StaticName = StaticName::new("admin");
const EDITOR: StaticName = StaticName::new("editor");
const VIEWER: StaticName = StaticName::new("viewer");
const SHARE_VIEW: StaticName = StaticName::new("share_view");
const SHARE_EDIT: StaticName = StaticName::new("share_edit");

/// Whom a share or a role is given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// One user.
    User(UserId),
    /// The members of a group.
    Group(GroupId),
}

/// What a share gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShareLevel {
    /// Seeing the resource.
    View,
    /// Changing it too.
    Edit,
}

/// A user's membership in a workspace, with the one role he has there.
pub fn membership(workspace: WorkspaceId, user: UserId, role: WorkspaceRole) -> Tuple {
    let relation = match role {
        WorkspaceRole::Owner => OWNER,
        WorkspaceRole::Admin => ADMIN,
        WorkspaceRole::Editor => EDITOR,
        WorkspaceRole::Viewer => VIEWER,
    };
    Tuple::between(words::workspace(workspace), relation, words::user(user))
}

/// That a group belongs to a workspace.
pub fn group_in_workspace(group: GroupId, workspace: WorkspaceId) -> Tuple {
    Tuple::between(words::group(group), WORKSPACE, words::workspace(workspace))
}

/// That a user belongs to a group.
pub fn group_member(group: GroupId, user: UserId) -> Tuple {
    Tuple::between(words::group(group), MEMBER, words::user(user))
}

/// That a role belongs to a workspace.
pub fn role_in_workspace(role: RoleId, workspace: WorkspaceId) -> Tuple {
    Tuple::between(words::role(role), WORKSPACE, words::workspace(workspace))
}

/// That somebody was given a role.
pub fn role_assignee(role: RoleId, to: Grantee) -> Tuple {
    granted_to(words::role(role), ASSIGNEE, to)
}

/// That a role of a workspace allows an action of a service there.
pub fn grant(
    workspace: WorkspaceId,
    service: &ServiceName,
    action: &ActionName,
    role: RoleId,
) -> Result<Tuple, InvalidTuple> {
    let action = words::action(workspace, service, action)?;
    Ok(Tuple::with_userset(action, GRANTED, words::role(role), HOLDER))
}

/// A registered resource: the workspace it belongs to, whether all of that workspace may see it, and its owner.
pub fn resource(
    service: &ServiceName,
    kind: &ResourceType,
    id: &str,
    workspace: WorkspaceId,
    shared_in_workspace: bool,
    owner: Option<UserId>,
) -> Result<Vec<Tuple>, InvalidTuple> {
    let resource = words::resource(service, kind, id)?;
    let workspace = words::workspace(workspace);
    let mut tuples = vec![Tuple::between(resource.clone(), WORKSPACE, workspace.clone())];
    if shared_in_workspace {
        tuples.push(Tuple::between(resource.clone(), SHARED_IN, workspace));
    }
    if let Some(owner) = owner {
        tuples.push(Tuple::between(resource, OWNER, words::user(owner)));
    }
    Ok(tuples)
}

/// A share of a resource.
pub fn share(
    service: &ServiceName,
    kind: &ResourceType,
    id: &str,
    to: Grantee,
    level: ShareLevel,
) -> Result<Tuple, InvalidTuple> {
    let relation = match level {
        ShareLevel::View => SHARE_VIEW,
        ShareLevel::Edit => SHARE_EDIT,
    };
    Ok(granted_to(words::resource(service, kind, id)?, relation, to))
}

fn granted_to(object: Object, relation: StaticName, to: Grantee) -> Tuple {
    match to {
        Grantee::User(user) => Tuple::between(object, relation, words::user(user)),
        Grantee::Group(group) => Tuple::with_userset(object, relation, words::group(group), MEMBER),
    }
}
