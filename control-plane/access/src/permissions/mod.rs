//! Resources that services register, who may see and change them, and the questions about that.
//!
//! Everything here is asked by a service, with its key: a service only ever reaches records of its own scope. What the
//! service's users may do is decided by the permission engine, from the same rows.

mod administration;
mod enriched;
mod name;
mod questions;
pub(crate) mod repository;
mod sharing;
mod visibility;

use sentinel_authz::sentinel::{Grantee, ShareLevel};
use sentinel_core::id::{PermissionId, ShareId, UserId, WorkspaceId};
use sentinel_core::name::ServiceName;
use sentinel_core::{Change, Timestamp};
use sentinel_store::{Tx, WriteTx};
use serde_json::{Value, json};

pub use administration::{Filter, IdRange, Listed, Order, Sort};
pub use enriched::{Enriched, EnrichedShare};
pub use name::ResourceName;
pub use questions::{Accessible, Listing, Question, accessible, check};
pub use visibility::{UnknownVisibility, Visibility};

use self::repository::{resources, shares};
use crate::activity::{Action, Activity, Entry, Target, TargetKind};
use crate::error::AccessError;
use crate::members::repository as memberships;
use crate::projection;
use crate::sources::Sources;

/// A registered resource, without its shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The permission record's own id.
    pub id: PermissionId,
    /// How the resource is called.
    pub name: ResourceName,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// Whose it is, if anybody's.
    pub owner: Option<UserId>,
    /// Who sees it without a share.
    pub visibility: Visibility,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// One share of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Which.
    pub id: ShareId,
    /// To whom.
    pub grantee: Grantee,
    /// How much.
    pub level: ShareLevel,
    /// By whom, while that account exists.
    pub granted_by: Option<UserId>,
    /// When.
    pub granted_at: Timestamp,
}

/// A registered resource with its shares, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The resource.
    pub resource: Resource,
    /// Its shares.
    pub shares: Vec<Share>,
}

/// A resource to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResource {
    /// How it is called.
    pub name: ResourceName,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// Whose it is.
    pub owner: UserId,
    /// Who sees it without a share.
    pub visibility: Visibility,
}

/// The service of permission records.
#[derive(Clone)]
pub struct Permissions {
    sources: Sources,
    activity: Activity,
}

impl Permissions {
    pub(crate) fn new(sources: Sources, activity: Activity) -> Self {
        Self { sources, activity }
    }

    /// Registers a resource. One that the workspace has already is returned as it is, so a service may register again
    /// whenever it is not sure.
    ///
    /// # Errors
    /// [`AccessError::ResourceElsewhere`] when another workspace has it, whose record is not shown.
    pub async fn register(
        &self,
        tx: &mut WriteTx,
        service: &ServiceName,
        new: NewResource,
    ) -> Result<Record, AccessError> {
        in_scope(service, new.name.service())?;
        if let Some(resource) = resources::find_in_workspace(tx, new.workspace, &new.name).await? {
            return record_of(tx, resource).await;
        }
        if memberships::find(tx, new.workspace, new.owner).await?.is_none() {
            return Err(AccessError::OwnerNotMember);
        }
        let now = self.sources.now();
        let resource = Resource {
            id: PermissionId::generate(now, self.sources.random()),
            name: new.name,
            workspace: new.workspace,
            owner: Some(new.owner),
            visibility: new.visibility,
            created_at: now,
        };
        if !resources::insert(tx, &resource).await? {
            return Err(AccessError::ResourceElsewhere);
        }
        tx.record_all(projection::resource(&resource)?.into_iter().map(Change::Put));
        Ok(Record {
            resource,
            shares: Vec::new(),
        })
    }

    /// The service's resource of this name.
    pub async fn get(
        &self,
        tx: &mut Tx,
        service: &ServiceName,
        name: &ResourceName,
    ) -> Result<Record, AccessError> {
        let resource = find_by_name(tx, service, name).await?;
        record_of(tx, resource).await
    }

    /// Opens a resource to its workspace, or closes it.
    pub async fn set_visibility(
        &self,
        tx: &mut WriteTx,
        service: &ServiceName,
        permission: PermissionId,
        visibility: Visibility,
    ) -> Result<Record, AccessError> {
        let resource = find_by_id(tx, service, permission).await?;
        let after = self.show_to(tx, None, resource, visibility).await?;
        record_of(tx, after).await
    }

    async fn show_to(
        &self,
        tx: &mut WriteTx,
        actor: Option<UserId>,
        before: Resource,
        visibility: Visibility,
    ) -> Result<Resource, AccessError> {
        if before.visibility == visibility {
            return Ok(before);
        }
        let after = Resource {
            visibility,
            ..before.clone()
        };
        resources::update_visibility(tx, &after).await?;
        let (was, is) = (projection::resource(&before)?, projection::resource(&after)?);
        tx.record_all(projection::difference(&was, is));
        let detail = json!({ "visibility": visibility, "service_name": after.name.service() });
        self.log(tx, Action::PermissionVisibilityChanged, actor, &after, detail)
            .await?;
        Ok(after)
    }

    /// Forgets a resource, with its shares.
    pub async fn deregister(
        &self,
        tx: &mut WriteTx,
        service: &ServiceName,
        name: &ResourceName,
    ) -> Result<(), AccessError> {
        let record = self.get(tx, service, name).await?;
        for share in &record.shares {
            tx.record(Change::Delete(projection::share(
                &record.resource.name,
                share.grantee,
                share.level,
            )?));
        }
        shares::delete_of_resource(tx, record.resource.id).await?;
        resources::delete(tx, record.resource.workspace, record.resource.id).await?;
        tx.record_all(
            projection::resource(&record.resource)?
                .into_iter()
                .map(Change::Delete),
        );
        Ok(())
    }

    /// Forgets every resource of the service, in all workspaces, and says how many there were.
    pub(crate) async fn purge_service(
        &self,
        tx: &mut WriteTx,
        service: &ServiceName,
    ) -> Result<usize, AccessError> {
        for share in shares::delete_of_service(tx, service).await? {
            tx.record(Change::Delete(projection::share(
                &share.resource,
                share.grantee,
                share.level,
            )?));
        }
        let purged = resources::delete_of_service(tx, service).await?;
        for resource in &purged {
            tx.record_all(projection::resource(resource)?.into_iter().map(Change::Delete));
        }
        Ok(purged.len())
    }

    async fn log(
        &self,
        tx: &mut Tx,
        action: Action,
        actor: Option<UserId>,
        resource: &Resource,
        detail: Value,
    ) -> Result<(), AccessError> {
        let target = Target {
            kind: TargetKind::ResourcePermission,
            id: resource.id.as_uuid(),
        };
        let workspace = Some(resource.workspace);
        self.activity
            .record(
                tx,
                Entry {
                    action,
                    actor,
                    target,
                    workspace,
                    detail: Some(detail),
                },
            )
            .await
    }
}

/// Refuses a service that asks about what is another one's.
pub(crate) fn in_scope(service: &ServiceName, asked: &ServiceName) -> Result<(), AccessError> {
    if service == asked {
        Ok(())
    } else {
        Err(AccessError::ServiceScope(asked.clone()))
    }
}

async fn find_by_name(
    tx: &mut Tx,
    service: &ServiceName,
    name: &ResourceName,
) -> Result<Resource, AccessError> {
    in_scope(service, name.service())?;
    resources::find(tx, name)
        .await?
        .ok_or(AccessError::ResourceNotFound)
}

/// The service's record with this id. Of another service's record only that service's name is said, as the contract
/// has it.
async fn find_by_id(
    tx: &mut Tx,
    service: &ServiceName,
    permission: PermissionId,
) -> Result<Resource, AccessError> {
    if let Some(resource) = resources::find_by_id(tx, service, permission).await? {
        return Ok(resource);
    }
    match resources::service_of(tx, permission).await? {
        Some(other) => Err(AccessError::ServiceScope(other)),
        None => Err(AccessError::PermissionNotFound),
    }
}

async fn record_of(tx: &mut Tx, resource: Resource) -> Result<Record, AccessError> {
    let shares = shares::of_resource(tx, resource.id).await?;
    Ok(Record { resource, shares })
}
