//! Giving others a share of a resource, and taking it back.

use sentinel_authz::sentinel::{Grantee, ShareLevel};
use sentinel_core::id::{PermissionId, ShareId, UserId};
use sentinel_core::name::ServiceName;
use sentinel_core::{Change, WorkspaceRole, principal};
use sentinel_store::{Tx, WriteTx};
use serde_json::{Value, json};

use super::repository::shares;
use super::{Permissions, Resource, Share, find_by_id};
use crate::activity::Action;
use crate::error::AccessError;
use crate::groups::repository as groups;
use crate::members::repository as memberships;
use crate::projection;

impl Permissions {
    /// Shares a resource on behalf of `user`, who must own it or be an admin of its workspace now. Sharing again with
    /// the same grantee changes the level.
    pub async fn share(
        &self,
        tx: &mut WriteTx,
        service: &ServiceName,
        user: &principal::User,
        permission: PermissionId,
        grantee: Grantee,
        level: ShareLevel,
    ) -> Result<(), AccessError> {
        let resource = find_by_id(tx, service, permission).await?;
        may_share(tx, user, &resource).await?;
        is_of_workspace(tx, &resource, grantee).await?;
        self.grant(tx, user.id, &resource, grantee, level).await
    }

    pub(super) async fn grant(
        &self,
        tx: &mut WriteTx,
        by: UserId,
        resource: &Resource,
        grantee: Grantee,
        level: ShareLevel,
    ) -> Result<(), AccessError> {
        let before = shares::find(tx, resource.id, grantee).await?;
        if before.as_ref().is_some_and(|share| share.level == level) {
            return Ok(());
        }
        let now = self.sources.now();
        let after = Share {
            id: before
                .as_ref()
                .map_or_else(|| ShareId::generate(now, self.sources.random()), |share| share.id),
            grantee,
            level,
            granted_by: Some(by),
            granted_at: now,
        };
        shares::upsert(tx, resource.id, &after).await?;
        let mut was = Vec::new();
        if let Some(before) = &before {
            was.push(projection::share(&resource.name, grantee, before.level)?);
        }
        let is = projection::share(&resource.name, grantee, level)?;
        tx.record_all(projection::difference(&was, vec![is]));
        let mut detail = detail(resource, grantee);
        detail["permission"] = json!(level_word(level));
        self.log(tx, Action::PermissionShared, Some(by), resource, detail)
            .await
    }

    /// Takes a share back. Authorized by the service alone, which has asked its user.
    pub async fn unshare(
        &self,
        tx: &mut WriteTx,
        service: &ServiceName,
        permission: PermissionId,
        grantee: Grantee,
    ) -> Result<(), AccessError> {
        let resource = find_by_id(tx, service, permission).await?;
        self.take_back(tx, None, &resource, grantee).await
    }

    pub(super) async fn take_back(
        &self,
        tx: &mut WriteTx,
        by: Option<UserId>,
        resource: &Resource,
        grantee: Grantee,
    ) -> Result<(), AccessError> {
        let share = shares::find(tx, resource.id, grantee)
            .await?
            .ok_or(AccessError::ShareNotFound)?;
        shares::delete(tx, resource.id, share.id).await?;
        tx.record(Change::Delete(projection::share(
            &resource.name,
            share.grantee,
            share.level,
        )?));
        let detail = detail(resource, grantee);
        self.log(tx, Action::PermissionRevoked, by, resource, detail)
            .await
    }
}

async fn may_share(tx: &mut Tx, user: &principal::User, resource: &Resource) -> Result<(), AccessError> {
    if user.workspace != resource.workspace {
        return Err(AccessError::CrossWorkspaceSharing);
    }
    let membership = memberships::find(tx, resource.workspace, user.id)
        .await?
        .ok_or(AccessError::NotAMember)?;
    if resource.owner == Some(user.id) || membership.role >= WorkspaceRole::Admin {
        Ok(())
    } else {
        Err(AccessError::ShareDenied)
    }
}

pub(super) async fn is_of_workspace(
    tx: &mut Tx,
    resource: &Resource,
    grantee: Grantee,
) -> Result<(), AccessError> {
    match grantee {
        Grantee::User(user) => match memberships::find(tx, resource.workspace, user).await? {
            Some(_) => Ok(()),
            None => Err(AccessError::GranteeNotMember),
        },
        Grantee::Group(group) => match groups::find(tx, resource.workspace, group).await? {
            Some(_) => Ok(()),
            None => Err(AccessError::GranteeGroupElsewhere),
        },
    }
}

fn detail(resource: &Resource, grantee: Grantee) -> Value {
    let (grantee_type, grantee_id) = grantee_words(grantee);
    let service = resource.name.service();
    json!({ "grantee_type": grantee_type, "grantee_id": grantee_id, "service_name": service })
}

/// A grantee as the database and the wire have it.
pub(super) fn grantee_words(grantee: Grantee) -> (&'static str, uuid::Uuid) {
    match grantee {
        Grantee::User(user) => ("user", user.as_uuid()),
        Grantee::Group(group) => ("group", group.as_uuid()),
    }
}

/// A level as the database and the wire have it.
pub(super) const fn level_word(level: ShareLevel) -> &'static str {
    match level {
        ShareLevel::View => "view",
        ShareLevel::Edit => "edit",
    }
}
