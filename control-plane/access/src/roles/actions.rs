//! Actions that services register: the names that roles can allow. An action belongs to its service and to no workspace.

use std::collections::BTreeMap;

use sentinel_core::Timestamp;
use sentinel_core::id::{ServiceActionId, UserId};
use sentinel_core::name::{ActionName, ServiceName};
use sentinel_store::{Tx, WriteTx};
use serde_json::json;

use super::repository::actions as rows;
use super::{Roles, purge};
use crate::activity::{Action, Entry, Target, TargetKind};
use crate::error::AccessError;
use crate::permissions::in_scope;
use crate::text::Description;

/// An action that a service knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAction {
    /// Which.
    pub id: ServiceActionId,
    /// Whose.
    pub service: ServiceName,
    /// Its name, unique in the service.
    pub action: ActionName,
    /// What it is about.
    pub description: Option<String>,
    /// When it was first registered.
    pub created_at: Timestamp,
}

/// An action to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAction {
    /// Its name.
    pub action: ActionName,
    /// What it is about; what was said before stays if nothing is said.
    pub description: Option<Description>,
}

impl Roles {
    /// Registers actions of `asked`, which must be the calling service itself, and returns them by name. One that is
    /// registered already keeps its id; of several descriptions of one action the last counts.
    ///
    /// Edges know of actions only through the roles that allow them, so nothing of this is recorded.
    pub async fn register(
        &self,
        tx: &mut Tx,
        service: &ServiceName,
        asked: &ServiceName,
        actions: Vec<NewAction>,
    ) -> Result<Vec<ServiceAction>, AccessError> {
        in_scope(service, asked)?;
        let mut wanted: BTreeMap<ActionName, Option<Description>> = BTreeMap::new();
        for new in actions {
            let description = wanted.entry(new.action).or_default();
            *description = new.description.or_else(|| description.take());
        }
        let mut known: BTreeMap<ActionName, ServiceAction> = rows::named(tx, service, wanted.keys())
            .await?
            .into_iter()
            .map(|row| (row.action.clone(), row))
            .collect();
        let now = self.sources.now();
        let mut registered = Vec::with_capacity(wanted.len());
        for (action, description) in wanted {
            let description = description.map(|text| text.as_str().to_owned());
            // A service registers the same at each of its starts: that writes nothing.
            let row = match known.remove(&action) {
                Some(row) if description.is_none() || row.description == description => row,
                _ => {
                    let new = ServiceAction {
                        id: ServiceActionId::generate(now, self.sources.random()),
                        service: service.clone(),
                        action,
                        description,
                        created_at: now,
                    };
                    rows::upsert(tx, &new).await?
                }
            };
            registered.push(row);
        }
        Ok(registered)
    }

    /// All registered actions by service and name, or only those of one service.
    pub async fn list_actions(
        &self,
        tx: &mut Tx,
        service: Option<&ServiceName>,
    ) -> Result<Vec<ServiceAction>, AccessError> {
        Ok(rows::list(tx, service).await?)
    }

    /// Forgets an action: no role of any workspace allows it any more. For administrators of the installation.
    pub async fn delete_action(
        &self,
        tx: &mut WriteTx,
        actor: Option<UserId>,
        action: ServiceActionId,
    ) -> Result<(), AccessError> {
        let action = rows::find(tx, action)
            .await?
            .ok_or(AccessError::ServiceActionNotFound)?;
        purge::of_action(tx, &action).await?;
        rows::delete(tx, action.id).await?;
        let entry = Entry {
            action: Action::ServiceActionDeleted,
            actor,
            target: Target {
                kind: TargetKind::ServiceAction,
                id: action.id.as_uuid(),
            },
            workspace: None,
            detail: Some(json!({ "service_name": action.service, "action": action.action })),
        };
        self.activity.record(tx, entry).await
    }
}
