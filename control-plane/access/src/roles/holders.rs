//! Who has a role: members of its workspace, each for himself, and groups, for whoever is in them.

use sentinel_authz::sentinel::Grantee;
use sentinel_core::id::{GroupId, RoleAssignmentId, RoleId, UserId, WorkspaceId};
use sentinel_core::{Change, Timestamp, WorkspaceRole};
use sentinel_store::{Tx, WriteTx};
use serde_json::json;

use super::Roles;
use super::repository::holders::{self, Assigned};
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

    /// Gives the role to a member of its workspace.
    pub async fn add_user(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        role: RoleId,
        user: UserId,
    ) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let role = self.find(tx, by.workspace(), role).await?;
        if memberships::find(tx, role.workspace, user).await?.is_none() {
            return Err(AccessError::RoleHolderNotMember);
        }
        let assigned = self.assigned(by);
        if !holders::add_user(tx, &role, user, &assigned).await? {
            return Err(AccessError::AlreadyHasRole);
        }
        let fact = projection::role_holder(role.id, Grantee::User(user));
        tx.record(Change::Put(fact));
        let detail = json!({ "role_id": role.id });
        self.activity
            .record_by(tx, Action::RoleMemberAdded, by, Target::user(user), Some(detail))
            .await
    }

    /// Takes the role from a user. What he has through a group stays.
    pub async fn remove_user(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        role: RoleId,
        user: UserId,
    ) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let role = self.find(tx, by.workspace(), role).await?;
        if !holders::remove_user(tx, &role, user).await? {
            return Err(AccessError::RoleAssignmentNotFound);
        }
        let fact = projection::role_holder(role.id, Grantee::User(user));
        tx.record(Change::Delete(fact));
        let detail = json!({ "role_id": role.id });
        self.activity
            .record_by(
                tx,
                Action::RoleMemberRemoved,
                by,
                Target::user(user),
                Some(detail),
            )
            .await
    }

    /// Gives the role to the members of a group of its workspace.
    pub async fn add_group(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        role: RoleId,
        group: GroupId,
    ) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let role = self.find(tx, by.workspace(), role).await?;
        if groups::find(tx, role.workspace, group).await?.is_none() {
            return Err(if groups::exists(tx, group).await? {
                AccessError::RoleGroupElsewhere
            } else {
                AccessError::GroupNotFound
            });
        }
        let assigned = self.assigned(by);
        if !holders::add_group(tx, &role, group, &assigned).await? {
            return Err(AccessError::GroupHasRole);
        }
        let fact = projection::role_holder(role.id, Grantee::Group(group));
        tx.record(Change::Put(fact));
        let detail = json!({ "role_id": role.id });
        self.activity
            .record_by(tx, Action::RoleGroupAdded, by, Target::group(group), Some(detail))
            .await
    }

    /// Takes the role from a group.
    pub async fn remove_group(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        role: RoleId,
        group: GroupId,
    ) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let role = self.find(tx, by.workspace(), role).await?;
        if !holders::remove_group(tx, &role, group).await? {
            return Err(AccessError::RoleAssignmentNotFound);
        }
        let fact = projection::role_holder(role.id, Grantee::Group(group));
        tx.record(Change::Delete(fact));
        let detail = json!({ "role_id": role.id });
        self.activity
            .record_by(
                tx,
                Action::RoleGroupRemoved,
                by,
                Target::group(group),
                Some(detail),
            )
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
