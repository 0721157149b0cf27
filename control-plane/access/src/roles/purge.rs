//! What goes from roles when something else goes. The database deletes none of it by itself, so whoever deletes a member,
//! a group, a workspace, an action or a service calls this first, and nothing goes without a recorded change.

use sentinel_authz::sentinel::Grantee;
use sentinel_core::Change;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::name::ServiceName;
use sentinel_store::WriteTx;

use super::repository::grants::{self, Grant};
use super::repository::{actions, holders, roles};
use super::{Role, ServiceAction};
use crate::error::AccessError;
use crate::groups::Group;
use crate::projection;
use crate::relations;

/// The roles that the user has for himself in the workspace; those of groups go with his places in them.
pub(crate) async fn of_member(
    tx: &mut WriteTx,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<(), AccessError> {
    for role in holders::delete_of_user(tx, workspace, user).await? {
        tx.record(Change::Delete(projection::role_holder(role, Grantee::User(user))));
    }
    Ok(())
}

/// The roles that the group has.
pub(crate) async fn of_group(tx: &mut WriteTx, group: &Group) -> Result<(), AccessError> {
    for role in holders::delete_of_group(tx, group).await? {
        let fact = projection::role_holder(role, Grantee::Group(group.id));
        tx.record(Change::Delete(fact));
    }
    Ok(())
}

/// All roles of the workspace, with what they allow and who has them.
pub(crate) async fn of_workspace(tx: &mut WriteTx, workspace: WorkspaceId) -> Result<(), AccessError> {
    let gone = grants::delete_of_workspace(tx, workspace).await?;
    record(tx, &gone)?;
    for (role, grantee) in holders::delete_of_workspace(tx, workspace).await? {
        tx.record(Change::Delete(projection::role_holder(role, grantee)));
    }
    for (role, workspace) in roles::delete_of_workspace(tx, workspace).await? {
        relations::purge::of_role(tx, role).await?;
        tx.record(Change::Delete(projection::role(role, workspace)));
    }
    Ok(())
}

/// All actions of the service, in whatever roles of whatever workspaces.
pub(crate) async fn of_service(tx: &mut WriteTx, service: &ServiceName) -> Result<(), AccessError> {
    let gone = grants::delete_of_service(tx, service).await?;
    record(tx, &gone)?;
    actions::delete_of_service(tx, service).await?;
    Ok(())
}

/// An action, in whatever roles of whatever workspaces.
pub(super) async fn of_action(tx: &mut WriteTx, action: &ServiceAction) -> Result<(), AccessError> {
    let gone = grants::delete_of_action(tx, action.id).await?;
    record(tx, &gone)
}

/// What a role allows, and who has it.
pub(super) async fn of_role(tx: &mut WriteTx, role: &Role) -> Result<(), AccessError> {
    let gone = grants::delete_of_role(tx, role).await?;
    record(tx, &gone)?;
    for grantee in holders::delete_of_role(tx, role).await? {
        tx.record(Change::Delete(projection::role_holder(role.id, grantee)));
    }
    relations::purge::of_role(tx, role.id).await
}

fn record(tx: &mut WriteTx, gone: &[Grant]) -> Result<(), AccessError> {
    for grant in gone {
        tx.record(Change::Delete(projection::grant(grant)?));
    }
    Ok(())
}
