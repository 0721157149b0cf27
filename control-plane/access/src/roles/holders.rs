//! Who has a role: members of its workspace, each for himself, and groups, for whoever is in them.

use sentinel_authz::sentinel::Grantee;
use sentinel_core::id::{GroupId, RoleAssignmentId, RoleId, UserId, WorkspaceId};
use sentinel_core::{Change, Timestamp, WorkspaceRole};
use sentinel_store::{Tx, WriteTx};
use serde_json::json;

use super::repository::holders::{self, Assigned};
use super::{Role, Roles};
use crate::activity::{Action, Target};
use crate::error::AccessError;
use crate::groups::repository as groups;
use crate::members::{Authority, repository as memberships};
use crate::projection;

/// A user who has a role for himself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserHolder {
    /// Who.
    pub user: UserId,
    /// His address.
    pub email: String,
    /// His name.
    pub name: String,
    /// Since when.
    pub assigned_at: Timestamp,
    /// Who gave it to him, while that account exists.
    pub assigned_by: Option<UserId>,
}

/// A group whose members have a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupHolder {
    /// Which.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// More about it.
    pub description: Option<String>,
    /// How many are in it.
    pub member_count: i64,
    /// Since when.
    pub assigned_at: Timestamp,
    /// Who gave it to the group, while that account exists.
    pub assigned_by: Option<UserId>,
}

impl Roles {
    /// The users who have the role for themselves, in the order in which they got it.
    pub async fn users(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        role: RoleId,
    ) -> Result<Vec<UserHolder>, AccessError> {
        let role = self.find(tx, workspace, role).await?;
        Ok(holders::users(tx, &role).await?)
    }

    /// The groups that have the role, in the order in which they got it.
    pub async fn groups(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        role: RoleId,
    ) -> Result<Vec<GroupHolder>, AccessError> {
        let role = self.find(tx, workspace, role).await?;
        Ok(holders::groups(tx, &role).await?)
    }

    /// Gives the role to a member, or to the members of a group, of its workspace.
    pub async fn give(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        role: RoleId,
        to: Grantee,
    ) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let role = self.find(tx, by.workspace(), role).await?;
        may_hold(tx, &role, to).await?;
        let assigned = self.assigned(by);
        let (is_new, had_it, action) = match to {
            Grantee::User(user) => (
                holders::add_user(tx, &role, user, &assigned).await?,
                AccessError::AlreadyHasRole,
                Action::RoleMemberAdded,
            ),
            Grantee::Group(group) => (
                holders::add_group(tx, &role, group, &assigned).await?,
                AccessError::GroupHasRole,
                Action::RoleGroupAdded,
            ),
        };
        if !is_new {
            return Err(had_it);
        }
        tx.record(Change::Put(projection::role_holder(role.id, to)));
        self.note(tx, action, by, &role, to).await
    }

    /// Takes the role back. What a user has through a group stays.
    pub async fn take(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        role: RoleId,
        from: Grantee,
    ) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let role = self.find(tx, by.workspace(), role).await?;
        let (had_it, action) = match from {
            Grantee::User(user) => (
                holders::remove_user(tx, &role, user).await?,
                Action::RoleMemberRemoved,
            ),
            Grantee::Group(group) => (
                holders::remove_group(tx, &role, group).await?,
                Action::RoleGroupRemoved,
            ),
        };
        if !had_it {
            return Err(AccessError::RoleAssignmentNotFound);
        }
        tx.record(Change::Delete(projection::role_holder(role.id, from)));
        self.note(tx, action, by, &role, from).await
    }

    async fn note(
        &self,
        tx: &mut WriteTx,
        action: Action,
        by: &Authority,
        role: &Role,
        holder: Grantee,
    ) -> Result<(), AccessError> {
        let target = match holder {
            Grantee::User(user) => Target::user(user),
            Grantee::Group(group) => Target::group(group),
        };
        let detail = json!({ "role_id": role.id });
        self.activity
            .record_by(tx, action, by, target, Some(detail))
            .await
    }

    fn assigned(&self, by: &Authority) -> Assigned {
        let at = self.sources.now();
        Assigned {
            id: RoleAssignmentId::generate(at, self.sources.random()),
            by: by.actor(),
            at,
        }
    }
}

/// Only who is of the role's workspace may have it.
async fn may_hold(tx: &mut Tx, role: &Role, to: Grantee) -> Result<(), AccessError> {
    match to {
        Grantee::User(user) => match memberships::find(tx, role.workspace, user).await? {
            Some(_) => Ok(()),
            None => Err(AccessError::RoleHolderNotMember),
        },
        Grantee::Group(group) if groups::find(tx, role.workspace, group).await?.is_some() => Ok(()),
        Grantee::Group(group) if groups::exists(tx, group).await? => Err(AccessError::RoleGroupElsewhere),
        Grantee::Group(_) => Err(AccessError::GroupNotFound),
    }
}
