//! How Sentinel's entities are called in tuples.

use std::fmt;
use std::str::FromStr;

use sentinel_core::Object;
use sentinel_core::id::{GroupId, RoleId, UserId, WorkspaceId};
use sentinel_core::name::{ActionName, ResourceType, ServiceName};
use sentinel_core::tuple::{InvalidTuple, StaticName};

/// What somebody may do with a resource. Ordered: each includes what the lower ones allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// See it.
    View,
    /// Change it.
    Edit,
    /// Share it, change who sees it, give it away.
    Manage,
}

/// A text that names no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a permission: one of `view`, `edit`, `manage` is expected")]
pub struct UnknownPermission(String);

impl Permission {
    /// All permissions, lowest first.
    pub const ALL: [Self; 3] = [Self::View, Self::Edit, Self::Manage];

    /// The permission's name in requests, policies and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
            Self::Manage => "manage",
        }
    }

    /// The relation of `resource` that answers for it.
    pub const fn relation(self) -> &'static str {
        match self {
            Self::View => "can_view",
            Self::Edit => "can_edit",
            Self::Manage => "can_manage",
        }
    }
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        Self::ALL
            .into_iter()
            .find(|permission| permission.as_str() == text)
            .ok_or_else(|| UnknownPermission(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const USER: StaticName = StaticName::new("user");
const WORKSPACE: StaticName = StaticName::new("workspace");
const GROUP: StaticName = StaticName::new("group");
const ROLE: StaticName = StaticName::new("role");

/// Every type of Sentinel's own model.
const TYPES: [&str; 6] = ["user", "workspace", "group", "role", "action", "resource"];

/// Whether a type is one of Sentinel's own, which no service defines.
pub fn is_type(name: &str) -> bool {
    TYPES.contains(&name)
}

/// Whether a type is one of Sentinel's whose objects may be subjects of services' own tuples. Their ids are UUIDs.
pub fn is_subject_type(name: &str) -> bool {
    [USER, WORKSPACE, GROUP, ROLE]
        .iter()
        .any(|kind| kind.as_str() == name)
}

/// A user as object or subject.
pub fn user(id: UserId) -> Object {
    Object::entity(USER, id.as_uuid())
}

/// A workspace as object or subject.
pub fn workspace(id: WorkspaceId) -> Object {
    Object::entity(WORKSPACE, id.as_uuid())
}

/// A group as object or subject.
pub fn group(id: GroupId) -> Object {
    Object::entity(GROUP, id.as_uuid())
}

/// A role as object or subject.
pub fn role(id: RoleId) -> Object {
    Object::entity(ROLE, id.as_uuid())
}

/// A service's resource as object.
pub fn resource(service: &ServiceName, kind: &ResourceType, id: &str) -> Result<Object, InvalidTuple> {
    Object::new("resource", &resource_parts(service, kind, id).concat())
}

/// A service's action in a workspace as object.
pub fn action(
    workspace: WorkspaceId,
    service: &ServiceName,
    action: &ActionName,
) -> Result<Object, InvalidTuple> {
    let mut id = workspace.to_string();
    write_action_suffix(service, action, |part| id.push_str(part));
    Object::new("action", &id)
}

/// What the ids of all resources of one type of a service begin with.
pub(super) fn resource_prefix(service: &ServiceName, kind: &ResourceType) -> String {
    resource_parts(service, kind, "").concat()
}

/// The parts of a resource's id, one behind the other.
pub(super) fn resource_parts<'a>(
    service: &'a ServiceName,
    kind: &'a ResourceType,
    id: &'a str,
) -> [&'a str; 5] {
    [service.as_str(), "/", kind.as_str(), "/", id]
}

/// Writes what follows the workspace in an action's id.
pub(super) fn write_action_suffix(service: &ServiceName, action: &ActionName, mut write: impl FnMut(&str)) {
    write("/");
    write(service.as_str());
    write("/");
    // `:` may stand in an action but not in an object's id, and `|` the other way round, so no two actions meet.
    for (number, part) in action.as_str().split(':').enumerate() {
        if number > 0 {
            write("|");
        }
        write(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_those_of_the_model() {
        let types: Vec<&str> = crate::sentinel::MODEL
            .lines()
            .filter_map(|line| line.strip_prefix("type "))
            .map(str::trim)
            .collect();
        assert_eq!(types, TYPES);
        assert!(types.iter().any(|kind| !is_subject_type(kind)));
    }
}
