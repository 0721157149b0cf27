//! The user of a request in the graph, found once for everything that his route asks about him.

use sentinel_authz::sentinel::{self, Member, MemberAndResource, ResourceWords};
use sentinel_authz::{CheckError, Graph};
use sentinel_config::edge::{Access, Permission, PermissionTemplate, Requirement};
use sentinel_core::principal::User;

/// The user in the workspace of his token, and the first resource that the route asks about.
#[derive(Clone, Copy)]
pub(super) struct FoundUser<'a> {
    member: Member<'a>,
    resource: Option<(&'a PermissionTemplate, MemberAndResource<'a>)>,
}

impl<'a> FoundUser<'a> {
    /// Finds the user, and in the same look-up the resource that `first` names, if it is given with its id.
    pub(super) fn find(
        graph: &'a Graph,
        user: &User,
        first: Option<(&'a PermissionTemplate, &str)>,
    ) -> Result<Self, CheckError> {
        let Some((wanted, id)) = first else {
            let member = Member::find(graph, user.workspace, user.id)?;
            return Ok(Self {
                member,
                resource: None,
            });
        };
        let words = words(wanted, id);
        let found = Member::find_with_resource(graph, user.workspace, user.id, &words)?;
        Ok(Self {
            member: *found.member(),
            resource: Some((wanted, found)),
        })
    }

    pub(super) fn member(&self) -> &Member<'a> {
        &self.member
    }

    /// Whether the user has the permission on the resource with this id.
    pub(super) fn may(&self, wanted: &PermissionTemplate, id: &str) -> Result<bool, CheckError> {
        let permission = permission(wanted.permission);
        match self.resource {
            Some((first, found)) if std::ptr::eq(first, wanted) => found.may(permission),
            _ => self.member.may(&words(wanted, id), permission),
        }
    }
}

/// What the engine calls a permission.
pub(super) fn permission(wanted: Permission) -> sentinel::Permission {
    match wanted {
        Permission::View => sentinel::Permission::View,
        Permission::Edit => sentinel::Permission::Edit,
        Permission::Manage => sentinel::Permission::Manage,
    }
}

fn words<'w>(wanted: &'w PermissionTemplate, id: &'w str) -> ResourceWords<'w> {
    ResourceWords::new(&wanted.service, &wanted.resource_type, id)
}

/// The permission that is asked for first, if it is asked for in any case.
pub(super) fn first_permission(access: &Access) -> Option<&PermissionTemplate> {
    let Access::Protected { require, .. } = access else {
        return None;
    };
    in_requirement(require)
}

fn in_requirement(requirement: &Requirement) -> Option<&PermissionTemplate> {
    match requirement {
        Requirement::All(parts) => parts.iter().find_map(in_requirement),
        Requirement::Permission(wanted) => Some(wanted),
        _ => None,
    }
}
