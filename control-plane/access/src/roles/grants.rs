//! What a role allows.

use std::collections::BTreeSet;

use sentinel_core::id::{RoleActionId, RoleId, ServiceActionId, WorkspaceId};
use sentinel_core::{Change, WorkspaceRole};
use sentinel_store::{Tx, WriteTx};
use serde_json::json;

use super::repository::actions;
use super::repository::grants::{self, Grant};
use super::{Roles, ServiceAction};
use crate::activity::{Action, Target};
use crate::error::AccessError;
use crate::members::Authority;
use crate::projection;

impl Roles {
    /// The actions that the role allows, by service and name.
    pub async fn actions_of_role(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        role: RoleId,
    ) -> Result<Vec<ServiceAction>, AccessError> {
        let role = self.find(tx, workspace, role).await?;
        Ok(grants::of_role(tx, &role).await?)
    }

    /// Makes the role allow these actions too. One that it allows already stays as it is; one that is not registered
    /// refuses them all.
    pub async fn add_actions(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        role: RoleId,
        actions: &[ServiceActionId],
    ) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let role = self.find(tx, by.workspace(), role).await?;
        let wanted: BTreeSet<ServiceActionId> = actions.iter().copied().collect();
        let found = actions::with_ids(tx, &wanted).await?;
        if found.len() < wanted.len() {
            return Err(AccessError::ServiceActionNotFound);
        }
        let now = self.sources.now();
        let mut added = Vec::new();
        for action in &found {
            let id = RoleActionId::generate(now, self.sources.random());
            if grants::add(tx, id, &role, action.id).await? {
                tx.record(Change::Put(projection::grant(&Grant::new(&role, action))?));
                added.push(action.id);
            }
        }
        if added.is_empty() {
            return Ok(());
        }
        let detail = json!({ "action_ids": added });
        self.activity
            .record_by(
                tx,
                Action::RoleActionAdded,
                by,
                Target::role(role.id),
                Some(detail),
            )
            .await
    }

    /// Makes the role allow an action no more.
    pub async fn remove_action(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        role: RoleId,
        action: ServiceActionId,
    ) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let role = self.find(tx, by.workspace(), role).await?;
        let action = actions::find(tx, action)
            .await?
            .ok_or(AccessError::ServiceActionNotFound)?;
        if !grants::remove(tx, &role, action.id).await? {
            return Err(AccessError::RoleActionNotFound);
        }
        tx.record(Change::Delete(projection::grant(&Grant::new(&role, &action))?));
        let detail = json!({ "service_action_id": action.id });
        self.activity
            .record_by(
                tx,
                Action::RoleActionRemoved,
                by,
                Target::role(role.id),
                Some(detail),
            )
            .await
    }
}
