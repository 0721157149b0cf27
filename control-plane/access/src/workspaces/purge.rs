//! Everything of a workspace, above all what edges know, taken away before the workspace itself is deleted. The database deletes
//! none of it by itself, so nothing can go without a recorded change.

use sentinel_core::Change;
use sentinel_core::id::WorkspaceId;
use sentinel_store::WriteTx;

use crate::error::AccessError;
use crate::groups::repository as groups;
use crate::invitations::repository as invitations;
use crate::members::repository as memberships;
use crate::permissions::repository as permissions;
use crate::projection;
use crate::relations;
use crate::roles;

pub(super) async fn purge(tx: &mut WriteTx, workspace: WorkspaceId) -> Result<(), AccessError> {
    roles::purge::of_workspace(tx, workspace).await?;
    invitations::delete_of_workspace(tx, workspace).await?;
    for share in permissions::delete_shares_of_workspace(tx, workspace).await? {
        tx.record(Change::Delete(projection::share(
            &share.resource,
            share.grantee,
            share.level,
        )?));
    }
    for resource in permissions::delete_of_workspace(tx, workspace).await? {
        tx.record_all(projection::resource(&resource)?.into_iter().map(Change::Delete));
    }
    for (group, user) in groups::delete_members_of_workspace(tx, workspace).await? {
        tx.record(Change::Delete(projection::group_membership(group, user)));
    }
    for group in groups::delete_of_workspace(tx, workspace).await? {
        relations::purge::of_group(tx, group.id).await?;
        tx.record(Change::Delete(projection::group(&group)));
    }
    for membership in memberships::delete_of_workspace(tx, workspace).await? {
        tx.record(Change::Delete(projection::membership(&membership)));
    }
    relations::purge::of_workspace(tx, workspace).await?;
    Ok(())
}
