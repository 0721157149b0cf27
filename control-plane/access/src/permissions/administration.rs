//! Permission records of all services and workspaces, for administrators of the installation.

use sentinel_authz::sentinel::{Grantee, ShareLevel};
use sentinel_core::id::{PermissionId, UserId, WorkspaceId};
use sentinel_core::name::ServiceName;
use sentinel_store::{Tx, WriteTx};
use serde_json::json;
use uuid::Uuid;

use super::repository::{listing, resources};
use super::sharing::is_of_workspace;
use super::{Permissions, Record, Resource, Visibility, record_of};
use crate::activity::{Action, Entry, Page, Target, TargetKind};
use crate::error::AccessError;
use crate::search::Search;

/// Which records to list. Every condition that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only of this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Only of this service.
    pub service: Option<ServiceName>,
    /// Only of resources with such an id.
    pub resource: Option<IdRange>,
    /// Only of owners whose address contains this.
    pub owner: Option<Search>,
}

/// All ids that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    pub(super) first: Uuid,
    pub(super) last: Uuid,
}

impl IdRange {
    /// The ids that begin with this text, which may be cut off anywhere. No id begins with what is no part of one.
    pub fn beginning_with(text: &str) -> Self {
        const FORM: &str = "00000000-0000-0000-0000-000000000000";
        let fits = text.len() <= FORM.len()
            && text.bytes().zip(FORM.bytes()).all(|(c, form)| match form {
                b'-' => c == b'-',
                _ => c.is_ascii_hexdigit(),
            });
        let filled = |digit: &str| {
            let rest = FORM.get(text.len()..).unwrap_or_default().replace('0', digit);
            Uuid::try_parse(&format!("{text}{rest}"))
        };
        match (filled("0"), filled("f")) {
            (Ok(first), Ok(last)) if fits => Self { first, last },
            _ => Self {
                first: Uuid::max(),
                last: Uuid::nil(),
            },
        }
    }
}

/// What a list of records is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// When the resource was registered.
    #[default]
    CreatedAt,
    /// How often it is shared.
    Shares,
}

/// Which end of a list comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The least, or the oldest.
    Ascending,
    /// The most, or the newest.
    #[default]
    Descending,
}

/// A record in the list of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The resource.
    pub resource: Resource,
    /// The owner's address.
    pub owner_email: Option<String>,
    /// How many shares it has.
    pub share_count: i64,
}

impl Permissions {
    /// A page of all records. `page` counts from 1.
    pub async fn list_all(
        &self,
        tx: &mut Tx,
        filter: &Filter,
        order: (Sort, Order),
        page: u32,
        page_size: u32,
    ) -> Result<Page<Listed>, AccessError> {
        let offset = i64::from(page.saturating_sub(1)) * i64::from(page_size);
        Ok(Page {
            items: listing::page(tx, filter, order, i64::from(page_size), offset).await?,
            total: listing::count(tx, filter).await?,
        })
    }

    /// The record with this id, of whatever service and workspace, and its owner's address.
    pub async fn get_anywhere(
        &self,
        tx: &mut Tx,
        permission: PermissionId,
    ) -> Result<(Record, Option<String>), AccessError> {
        let resource = anywhere(tx, permission).await?;
        let owner = match resource.owner {
            Some(owner) => crate::users::repository::find(tx, owner).await?,
            None => None,
        };
        Ok((record_of(tx, resource).await?, owner.map(|owner| owner.email)))
    }

    /// Opens a resource to its workspace, or closes it, on behalf of an administrator.
    pub async fn set_visibility_anywhere(
        &self,
        tx: &mut WriteTx,
        administrator: UserId,
        permission: PermissionId,
        visibility: Visibility,
    ) -> Result<Resource, AccessError> {
        let resource = anywhere(tx, permission).await?;
        self.show_to(tx, Some(administrator), resource, visibility).await
    }

    /// Shares a resource within its workspace on behalf of an administrator. Sharing again with the same grantee changes
    /// the level.
    pub async fn share_anywhere(
        &self,
        tx: &mut WriteTx,
        administrator: UserId,
        permission: PermissionId,
        grantee: Grantee,
        level: ShareLevel,
    ) -> Result<(), AccessError> {
        let resource = anywhere(tx, permission).await?;
        is_of_workspace(tx, &resource, grantee)
            .await
            .map_err(|error| match error {
                AccessError::GranteeNotMember => AccessError::GranteeUserElsewhere,
                AccessError::GranteeGroupElsewhere => AccessError::GranteeGroupNotThere,
                other => other,
            })?;
        self.grant(tx, administrator, &resource, grantee, level).await
    }

    /// Takes a share back on behalf of an administrator.
    pub async fn unshare_anywhere(
        &self,
        tx: &mut WriteTx,
        administrator: UserId,
        permission: PermissionId,
        grantee: Grantee,
    ) -> Result<(), AccessError> {
        let resource = anywhere(tx, permission).await?;
        self.take_back(tx, Some(administrator), &resource, grantee).await
    }

    /// Forgets every resource of the service, in all workspaces, on behalf of an administrator. Answers how many there
    /// were.
    pub async fn purge(
        &self,
        tx: &mut WriteTx,
        administrator: UserId,
        service: &ServiceName,
    ) -> Result<usize, AccessError> {
        let purged = self.purge_service(tx, service).await?;
        let entry = Entry {
            action: Action::PermissionsPurged,
            actor: Some(administrator),
            // A service has a name only, and no app need be there that has it.
            target: Target {
                kind: TargetKind::Service,
                id: Uuid::nil(),
            },
            workspace: None,
            detail: Some(json!({ "service_name": service, "deleted_count": purged })),
        };
        self.activity.record(tx, entry).await?;
        Ok(purged)
    }
}

async fn anywhere(tx: &mut Tx, permission: PermissionId) -> Result<Resource, AccessError> {
    resources::find_anywhere(tx, permission)
        .await?
        .ok_or(AccessError::PermissionNotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_begin_alike_are_a_range() {
        let id: Uuid = "018f4e7a-1111-7000-8000-00000000abcd".parse().expect("id");
        let whole = id.to_string();
        for end in 0..=whole.len() {
            let range = IdRange::beginning_with(&whole[..end]);
            assert!(range.first <= id && id <= range.last, "{}", &whole[..end]);
        }
        let exact = IdRange::beginning_with(&whole.to_uppercase());
        assert_eq!((exact.first, exact.last), (id, id));
        let other = IdRange::beginning_with("018f4e7b");
        assert!(id < other.first);
        for none in [
            "x",
            "018f4e7a1",
            "-",
            "\u{e9}",
            "018f4e7a-1111-7000-8000-00000000abcd0",
        ] {
            let range = IdRange::beginning_with(none);
            assert!(range.first > range.last, "{none}");
        }
    }
}
