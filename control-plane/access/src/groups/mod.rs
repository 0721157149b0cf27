//! Groups of members of one workspace. What is shared with a group is shared with whoever is in it now.

pub(crate) mod repository;

use sentinel_authz::sentinel::Grantee;
use sentinel_core::id::{GroupId, GroupMembershipId, UserId, WorkspaceId};
use sentinel_core::{Change, Timestamp, WorkspaceRole};
use sentinel_store::{Tx, WriteTx};
use serde_json::json;

use crate::activity::{Action, Activity, Target};
use crate::error::AccessError;
use crate::members::{Authority, repository as memberships};
use crate::permissions::repository as permissions;
use crate::projection;
use crate::relations;
use crate::roles;
use crate::sources::Sources;
use crate::text::{Description, Name};

/// The constraint on names, as the store names it.
const NAME_UNIQUE: &str = "groups__workspace_id__name";

/// A group of one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which.
    pub id: GroupId,
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: String,
    /// More about it.
    pub description: Option<String>,
    /// Who made it, while that account exists.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Who.
    pub user: UserId,
    /// His address.
    pub email: String,
    /// His name.
    pub name: String,
    /// Since when.
    pub added_at: Timestamp,
}

/// The service of groups.
#[derive(Clone)]
pub struct Groups {
    sources: Sources,
    activity: Activity,
}

impl Groups {
    pub(crate) fn new(sources: Sources, activity: Activity) -> Self {
        Self { sources, activity }
    }

    /// The workspace's groups, oldest first.
    pub async fn list(&self, tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<Group>, AccessError> {
        Ok(repository::list(tx, workspace).await?)
    }

    /// The groups of the workspace that the user is in.
    pub async fn of_user(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        user: UserId,
    ) -> Result<Vec<GroupId>, AccessError> {
        Ok(repository::of_user(tx, workspace, user).await?)
    }

    /// Who is in the group, in the order in which they came.
    pub async fn members(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        group: GroupId,
    ) -> Result<Vec<GroupMember>, AccessError> {
        let group = self.get(tx, workspace, group).await?;
        Ok(repository::members(tx, workspace, group.id).await?)
    }

    /// The group with this id, of whatever workspace; for administrators of the installation.
    pub async fn get_anywhere(&self, tx: &mut Tx, group: GroupId) -> Result<Group, AccessError> {
        repository::find_anywhere(tx, group)
            .await?
            .ok_or(AccessError::GroupNotFound)
    }

    /// Makes an empty group.
    pub async fn create(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        name: Name,
        description: Option<Description>,
    ) -> Result<Group, AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let now = self.sources.now();
        let group = Group {
            id: GroupId::generate(now, self.sources.random()),
            workspace: by.workspace(),
            name: name.as_str().to_owned(),
            description: description.map(|text| text.as_str().to_owned()),
            created_by: by.actor(),
            created_at: now,
        };
        repository::insert(tx, &group).await.map_err(name_taken)?;
        tx.record(Change::Put(projection::group(&group)));
        let detail = json!({ "name": group.name });
        self.activity
            .record_by(
                tx,
                Action::GroupCreated,
                by,
                Target::group(group.id),
                Some(detail),
            )
            .await?;
        Ok(group)
    }

    /// Takes over what is given and leaves the rest as it is.
    pub async fn update(
        &self,
        tx: &mut Tx,
        by: &Authority,
        group: GroupId,
        name: Option<Name>,
        description: Option<Description>,
    ) -> Result<Group, AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let name = name.as_ref().map(Name::as_str);
        let description = description.as_ref().map(Description::as_str);
        let group = repository::update(tx, by.workspace(), group, name, description)
            .await
            .map_err(name_taken)?
            .ok_or(AccessError::GroupNotFound)?;
        self.activity
            .record_by(tx, Action::GroupUpdated, by, Target::group(group.id), None)
            .await?;
        Ok(group)
    }

    /// Deletes the group, with its roles and what was shared with it.
    pub async fn delete(&self, tx: &mut WriteTx, by: &Authority, group: GroupId) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let group = self.get(tx, by.workspace(), group).await?;
        let as_grantee = Grantee::Group(group.id);
        for share in permissions::delete_shares_of_grantee(tx, group.workspace, as_grantee).await? {
            tx.record(Change::Delete(projection::share(
                &share.resource,
                share.grantee,
                share.level,
            )?));
        }
        roles::purge::of_group(tx, &group).await?;
        relations::purge::of_group(tx, group.id).await?;
        for user in repository::delete_members(tx, &group).await? {
            tx.record(Change::Delete(projection::group_membership(group.id, user)));
        }
        repository::delete(tx, group.workspace, group.id).await?;
        tx.record(Change::Delete(projection::group(&group)));
        let detail = json!({ "name": group.name });
        self.activity
            .record_by(
                tx,
                Action::GroupDeleted,
                by,
                Target::group(group.id),
                Some(detail),
            )
            .await
    }

    /// Adds a member of the workspace to the group.
    pub async fn add_member(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        group: GroupId,
        user: UserId,
    ) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let group = self.get(tx, by.workspace(), group).await?;
        if memberships::find(tx, group.workspace, user).await?.is_none() {
            return Err(AccessError::GroupMemberNotInWorkspace);
        }
        let now = self.sources.now();
        let id = GroupMembershipId::generate(now, self.sources.random());
        if !repository::add_member(tx, id, &group, user, now).await? {
            return Err(AccessError::AlreadyInGroup);
        }
        tx.record(Change::Put(projection::group_membership(group.id, user)));
        let detail = json!({ "group_id": group.id });
        self.activity
            .record_by(tx, Action::GroupMemberAdded, by, Target::user(user), Some(detail))
            .await
    }

    /// Takes a user out of the group.
    pub async fn remove_member(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        group: GroupId,
        user: UserId,
    ) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let group = self.get(tx, by.workspace(), group).await?;
        if !repository::remove_member(tx, &group, user).await? {
            return Err(AccessError::GroupMembershipNotFound);
        }
        tx.record(Change::Delete(projection::group_membership(group.id, user)));
        let detail = json!({ "group_id": group.id });
        self.activity
            .record_by(
                tx,
                Action::GroupMemberRemoved,
                by,
                Target::user(user),
                Some(detail),
            )
            .await
    }

    async fn get(&self, tx: &mut Tx, workspace: WorkspaceId, group: GroupId) -> Result<Group, AccessError> {
        repository::find(tx, workspace, group)
            .await?
            .ok_or(AccessError::GroupNotFound)
    }
}

fn name_taken(error: sentinel_store::StoreError) -> AccessError {
    AccessError::in_workspace(error, NAME_UNIQUE, AccessError::GroupNameTaken)
}
