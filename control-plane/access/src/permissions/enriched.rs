//! A permission record with the names of everybody in it, for pages that show who may see what.

use sentinel_core::name::ServiceName;
use sentinel_store::Tx;

use super::repository::enriched;
use super::{Permissions, Resource, ResourceName, Share, find_by_name};
use crate::error::AccessError;

/// A permission record with names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enriched {
    /// The resource.
    pub resource: Resource,
    /// The owner's name.
    pub owner_name: Option<String>,
    /// The owner's address.
    pub owner_email: Option<String>,
    /// Its shares with names, oldest first.
    pub shares: Vec<EnrichedShare>,
}

/// A share with names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrichedShare {
    /// The share.
    pub share: Share,
    /// The user's or the group's name.
    pub grantee_name: Option<String>,
    /// The user's address; a group has none.
    pub grantee_email: Option<String>,
    /// The name of who shared it.
    pub granted_by_name: Option<String>,
}

impl Permissions {
    /// The service's resource of this name, with names.
    pub async fn get_enriched(
        &self,
        tx: &mut Tx,
        service: &ServiceName,
        name: &ResourceName,
    ) -> Result<Enriched, AccessError> {
        let resource = find_by_name(tx, service, name).await?;
        let owner = match resource.owner {
            Some(owner) => crate::users::repository::find(tx, owner).await?,
            None => None,
        };
        let shares = enriched::of_resource(tx, resource.workspace, resource.id).await?;
        let (owner_name, owner_email) = owner.map(|owner| (owner.name, owner.email)).unzip();
        Ok(Enriched {
            resource,
            owner_name,
            owner_email,
            shares,
        })
    }
}
