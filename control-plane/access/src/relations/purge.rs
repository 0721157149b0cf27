//! What goes from services' tuples when somebody of ours goes: whoever deletes a workspace, a group or a role calls this in
//! the same transaction. Accounts are never deleted.

use sentinel_authz::sentinel;
use sentinel_core::id::{GroupId, RoleId, WorkspaceId};
use sentinel_core::{Change, Object};
use sentinel_store::WriteTx;

use super::repository::tuples as rows;
use crate::error::AccessError;
use crate::projection;

/// The tuples of all services whose subject is the group, or everyone in a relation to it.
pub(crate) async fn of_group(tx: &mut WriteTx, group: GroupId) -> Result<(), AccessError> {
    of_subject(tx, &sentinel::group(group)).await
}

/// The same of a workspace.
pub(crate) async fn of_workspace(tx: &mut WriteTx, workspace: WorkspaceId) -> Result<(), AccessError> {
    of_subject(tx, &sentinel::workspace(workspace)).await
}

/// The same of a role.
pub(crate) async fn of_role(tx: &mut WriteTx, role: RoleId) -> Result<(), AccessError> {
    of_subject(tx, &sentinel::role(role)).await
}

async fn of_subject(tx: &mut WriteTx, subject: &Object) -> Result<(), AccessError> {
    let gone = rows::delete_of_subject(tx, subject).await?;
    tx.record_all(
        gone.iter()
            .map(|row| Change::Delete(projection::relation_tuple(row))),
    );
    Ok(())
}
