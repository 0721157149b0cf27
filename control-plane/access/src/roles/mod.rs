//! Roles: named sets of the actions that services register, given to members and groups of one workspace.
//!
//! Somebody may do an action when a role that he holds allows it, and for no other reason: his role in the workspace
//! (owner, admin, …) gives no actions. A role counts only while its holder is a member of the role's workspace.

mod actions;
mod grants;
mod holders;
pub(crate) mod purge;
mod questions;
pub(crate) mod repository;

use sentinel_core::id::{RoleId, UserId, WorkspaceId};
use sentinel_core::{Change, Timestamp, WorkspaceRole};
use sentinel_store::{StoreError, Tx, WriteTx};
use serde_json::json;

pub use actions::{NewAction, ServiceAction};
pub use holders::{GroupHolder, UserHolder};
pub use questions::{Question, check};

use self::repository::roles as rows;
use crate::activity::{Action, Activity, Target};
use crate::error::AccessError;
use crate::members::Authority;
use crate::projection;
use crate::sources::Sources;
use crate::text::{Description, Name};

/// The constraint on names, as the store names it.
const NAME_UNIQUE: &str = "roles__workspace_id__name";

/// A role of one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Which.
    pub id: RoleId,
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

/// A role as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRole {
    /// The role.
    pub role: Role,
    /// How many actions it allows.
    pub action_count: i64,
    /// How many users it was given to, each for himself.
    pub member_count: i64,
    /// How many groups it was given to.
    pub group_count: i64,
}

/// The service of actions and roles.
#[derive(Clone)]
pub struct Roles {
    sources: Sources,
    activity: Activity,
}

impl Roles {
    pub(crate) fn new(sources: Sources, activity: Activity) -> Self {
        Self { sources, activity }
    }

    /// The workspace's roles, oldest first.
    pub async fn list(&self, tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<ListedRole>, AccessError> {
        Ok(rows::list(tx, workspace).await?)
    }

    /// The role with this id, of whatever workspace: for administrators of the installation, who act in all of them.
    pub async fn get(&self, tx: &mut Tx, role: RoleId) -> Result<ListedRole, AccessError> {
        rows::find_anywhere(tx, role)
            .await?
            .ok_or(AccessError::RoleNotFound)
    }

    /// Makes a role that allows nothing yet and that nobody has.
    pub async fn create(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        name: Name,
        description: Option<Description>,
    ) -> Result<Role, AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let now = self.sources.now();
        let role = Role {
            id: RoleId::generate(now, self.sources.random()),
            workspace: by.workspace(),
            name: name.as_str().to_owned(),
            description: description.map(|text| text.as_str().to_owned()),
            created_by: by.actor(),
            created_at: now,
        };
        rows::insert(tx, &role).await.map_err(name_taken)?;
        tx.record(Change::Put(projection::role(role.id, role.workspace)));
        let detail = json!({ "name": role.name });
        self.activity
            .record_by(tx, Action::RoleCreated, by, Target::role(role.id), Some(detail))
            .await?;
        Ok(role)
    }

    /// Takes over what is given and leaves the rest as it is.
    pub async fn update(
        &self,
        tx: &mut Tx,
        by: &Authority,
        role: RoleId,
        name: Option<Name>,
        description: Option<Description>,
    ) -> Result<Role, AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let name = name.as_ref().map(Name::as_str);
        let description = description.as_ref().map(Description::as_str);
        let role = rows::update(tx, by.workspace(), role, name, description)
            .await
            .map_err(name_taken)?
            .ok_or(AccessError::RoleNotFound)?;
        self.activity
            .record_by(tx, Action::RoleUpdated, by, Target::role(role.id), None)
            .await?;
        Ok(role)
    }

    /// Deletes the role: whoever had it has what it allowed no more.
    pub async fn delete(&self, tx: &mut WriteTx, by: &Authority, role: RoleId) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let role = self.find(tx, by.workspace(), role).await?;
        purge::of_role(tx, &role).await?;
        rows::delete(tx, role.workspace, role.id).await?;
        tx.record(Change::Delete(projection::role(role.id, role.workspace)));
        let detail = json!({ "name": role.name });
        self.activity
            .record_by(tx, Action::RoleDeleted, by, Target::role(role.id), Some(detail))
            .await
    }

    async fn find(&self, tx: &mut Tx, workspace: WorkspaceId, role: RoleId) -> Result<Role, AccessError> {
        rows::find(tx, workspace, role)
            .await?
            .ok_or(AccessError::RoleNotFound)
    }
}

fn name_taken(error: StoreError) -> AccessError {
    AccessError::in_workspace(error, NAME_UNIQUE, AccessError::RoleNameTaken)
}
