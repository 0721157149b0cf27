//! The types and relations of Sentinel's own model in numbers, so that no name is compared when they are asked about.

use sentinel_core::WorkspaceRole;

use super::Permission;
use crate::model::{Form, RelationId, Rewrite, TypeId};
use crate::{CheckError, Model};

/// Sentinel's own types and relations in a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(super) user: TypeId,
    pub(super) workspace: TypeId,
    pub(super) resource: TypeId,
    pub(super) action: TypeId,
    /// Lowest first.
    roles: [RelationId; 4],
    pub(super) member: RelationId,
    /// The relation from a resource to its workspace.
    pub(super) belongs: RelationId,
    /// Whether that relation is made of tuples alone, which are followed.
    pub(super) belongs_by_tuples: bool,
    /// Lowest first.
    permissions: [RelationId; 3],
    pub(super) can_perform: RelationId,
}

impl Numbers {
    /// Those of a model.
    ///
    /// # Errors
    ///
    /// One is missing.
    pub(crate) fn of(model: &Model) -> Result<Self, CheckError> {
        let [user, workspace, resource, action] = [
            model.ask_type("user")?,
            model.ask_type("workspace")?,
            model.ask_type("resource")?,
            model.ask_type("action")?,
        ];
        let role = |role: WorkspaceRole| model.ask_relation(workspace, role.as_str());
        let permission = |permission: Permission| model.ask_relation(resource, permission.relation());
        let belongs = model.ask_relation(resource, "workspace")?;
        let belongs_by_tuples = model.relation(belongs).is_some_and(|relation| {
            relation.rewrite == Rewrite::Direct
                && relation.is_tupleset
                && relation.takes(workspace, Form::Object)
        });
        Ok(Self {
            user,
            workspace,
            resource,
            action,
            roles: [
                role(WorkspaceRole::Viewer)?,
                role(WorkspaceRole::Editor)?,
                role(WorkspaceRole::Admin)?,
                role(WorkspaceRole::Owner)?,
            ],
            member: model.ask_relation(workspace, "member")?,
            belongs,
            belongs_by_tuples,
            permissions: [
                permission(Permission::View)?,
                permission(Permission::Edit)?,
                permission(Permission::Manage)?,
            ],
            can_perform: model.ask_relation(action, "can_perform")?,
        })
    }

    /// The relation of a workspace that stands for a role.
    pub(super) fn role(&self, role: WorkspaceRole) -> RelationId {
        let [viewer, editor, admin, owner] = self.roles;
        match role {
            WorkspaceRole::Viewer => viewer,
            WorkspaceRole::Editor => editor,
            WorkspaceRole::Admin => admin,
            WorkspaceRole::Owner => owner,
        }
    }

    /// The relation of a resource that answers for a permission.
    pub(super) fn permission(&self, permission: Permission) -> RelationId {
        let [view, edit, manage] = self.permissions;
        match permission {
            Permission::View => view,
            Permission::Edit => edit,
            Permission::Manage => manage,
        }
    }
}
