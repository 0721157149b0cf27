//! The proof that somebody may act in a workspace: a value that only a live lookup makes.

use sentinel_core::WorkspaceRole;
use sentinel_core::id::{UserId, WorkspaceId};

use crate::error::AccessError;

/// Somebody who may act in one workspace, with the role that he has there in this very transaction.
///
/// Made by [`crate::members::Members::authorize`] from the database, never from what a token says; and for
/// administrators of the installation, who act in every workspace as its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority {
    workspace: WorkspaceId,
    actor: Option<UserId>,
    role: WorkspaceRole,
    is_administrator: bool,
}

impl Authority {
    pub(super) fn of_member(workspace: WorkspaceId, user: UserId, role: WorkspaceRole) -> Self {
        Self {
            workspace,
            actor: Some(user),
            role,
            is_administrator: false,
        }
    }

    /// An administrator of the installation, or the command line (`None`), who acts as an owner of any workspace.
    pub fn of_administrator(workspace: WorkspaceId, administrator: Option<UserId>) -> Self {
        Self {
            workspace,
            actor: administrator,
            role: WorkspaceRole::Owner,
            is_administrator: true,
        }
    }

    /// The workspace that it is about.
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// Who acts.
    pub fn actor(&self) -> Option<UserId> {
        self.actor
    }

    /// As what.
    pub fn role(&self) -> WorkspaceRole {
        self.role
    }

    /// Whether the role is not the actor's own, but comes with the administration of the installation.
    pub fn is_administrator(&self) -> bool {
        self.is_administrator
    }

    /// Refuses whoever may not bring somebody in with this role.
    ///
    /// # Errors
    /// [`AccessError::InsufficientRole`] below admin, [`AccessError::InviteAsOwner`] for an owner by anybody but one.
    pub fn require_to_invite(&self, role: WorkspaceRole) -> Result<(), AccessError> {
        self.require(WorkspaceRole::Admin)?;
        if role == WorkspaceRole::Owner && self.role != WorkspaceRole::Owner {
            return Err(AccessError::InviteAsOwner);
        }
        Ok(())
    }

    /// Refuses a lower role.
    pub fn require(&self, at_least: WorkspaceRole) -> Result<(), AccessError> {
        if self.role >= at_least {
            Ok(())
        } else {
            Err(AccessError::InsufficientRole)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_role_may_what_a_lower_one_may() {
        let nil = uuid::Uuid::nil();
        let editor = Authority::of_member(nil.into(), nil.into(), WorkspaceRole::Editor);
        assert!(editor.require(WorkspaceRole::Viewer).is_ok());
        assert!(editor.require(WorkspaceRole::Editor).is_ok());
        assert!(matches!(
            editor.require(WorkspaceRole::Admin),
            Err(AccessError::InsufficientRole)
        ));
        let administrator = Authority::of_administrator(nil.into(), None);
        assert!(administrator.require(WorkspaceRole::Owner).is_ok());
    }
}
