//! SQL of invitations. Every query names the workspace or the address that it is about, but for the removal of what is
//! over.

use sentinel_core::id::{InvitationId, WorkspaceId};
use sentinel_core::{EmailKey, Timestamp};
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_optional, fetch_scalar};
use uuid::Uuid;

use super::Invitation;
use crate::row::parse;

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    workspace_id: Uuid,
    email: String,
    role: String,
    invited_by: Option<Uuid>,
    by_administrator: bool,
    created_at: Timestamp,
    expires_at: Timestamp,
}

impl TryFrom<Row> for Invitation {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            workspace: row.workspace_id.into(),
            email: row.email,
            role: parse("invitations", "role", row.id, &row.role)?,
            invited_by: row.invited_by.map(Into::into),
            by_administrator: row.by_administrator,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

/// Whether there was none of the address in the workspace.
pub(super) async fn insert(
    tx: &mut Tx,
    invitation: &Invitation,
    address: &EmailKey,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO invitations (id, workspace_id, email, email_key, role, invited_by, by_administrator, created_at,
                                  expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (workspace_id, email_key) DO NOTHING",
        invitation.id.as_uuid(),
        invitation.workspace.as_uuid(),
        invitation.email.as_str(),
        address.as_str(),
        invitation.role.as_str(),
        invitation.invited_by.map(|user| user.as_uuid()),
        invitation.by_administrator,
        invitation.created_at,
        invitation.expires_at
    )
    .await?;
    Ok(inserted > 0)
}

pub(super) async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    now: Timestamp,
) -> Result<Vec<Invitation>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT id, workspace_id, email, role, invited_by, by_administrator, created_at, expires_at FROM invitations
         WHERE workspace_id = $1 AND expires_at > $2 ORDER BY created_at, id",
        workspace.as_uuid(),
        now
    )
    .await?;
    rows.into_iter().map(Invitation::try_from).collect()
}

/// How many are pending by members of the workspace.
pub(super) async fn count(tx: &mut Tx, workspace: WorkspaceId, now: Timestamp) -> Result<i64, StoreError> {
    fetch_scalar!(
        tx,
        i64,
        "SELECT COUNT(*) FROM invitations WHERE workspace_id = $1 AND expires_at > $2 AND NOT by_administrator",
        workspace.as_uuid(),
        now
    )
    .await
}

pub(super) async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    invitation: InvitationId,
    now: Timestamp,
) -> Result<Option<Invitation>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "DELETE FROM invitations WHERE workspace_id = $1 AND id = $2 AND expires_at > $3
         RETURNING id, workspace_id, email, role, invited_by, by_administrator, created_at, expires_at",
        workspace.as_uuid(),
        invitation.as_uuid(),
        now
    )
    .await?;
    row.map(Invitation::try_from).transpose()
}

/// Deletes what is over of the address in the workspace.
pub(super) async fn delete_expired_of(
    tx: &mut Tx,
    workspace: WorkspaceId,
    address: &EmailKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM invitations WHERE workspace_id = $1 AND email_key = $2 AND expires_at <= $3",
        workspace.as_uuid(),
        address.as_str(),
        now
    )
    .await?;
    Ok(())
}

/// Deletes the invitation of an address whose user is a member now.
pub(crate) async fn delete_of_member(
    tx: &mut Tx,
    workspace: WorkspaceId,
    address: &EmailKey,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM invitations WHERE workspace_id = $1 AND email_key = $2",
        workspace.as_uuid(),
        address.as_str()
    )
    .await?;
    Ok(())
}

/// Deletes all invitations of the workspace. Edges know none of them.
pub(crate) async fn delete_of_workspace(tx: &mut Tx, workspace: WorkspaceId) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM invitations WHERE workspace_id = $1",
        workspace.as_uuid()
    )
    .await?;
    Ok(())
}

/// Whether the address is invited anywhere.
pub(super) async fn is_invited(tx: &mut Tx, address: &EmailKey, now: Timestamp) -> Result<bool, StoreError> {
    let count = fetch_scalar!(
        tx,
        i64,
        "SELECT COUNT(*) FROM invitations WHERE email_key = $1 AND expires_at > $2",
        address.as_str(),
        now
    )
    .await?;
    Ok(count > 0)
}

/// Deletes every invitation of the address, in whatever workspace, and says which they were, oldest first.
pub(super) async fn take_of_address(tx: &mut Tx, address: &EmailKey) -> Result<Vec<Invitation>, StoreError> {
    let rows = fetch_all!(
        tx,
        Row,
        "DELETE FROM invitations WHERE email_key = $1
         RETURNING id, workspace_id, email, role, invited_by, by_administrator, created_at, expires_at",
        address.as_str()
    )
    .await?;
    let mut invitations: Vec<Invitation> = rows
        .into_iter()
        .map(Invitation::try_from)
        .collect::<Result<_, _>>()?;
    invitations.sort_by_key(|invitation| (invitation.created_at, invitation.id));
    Ok(invitations)
}

/// Deletes what is over, of all workspaces; says how many.
pub(super) async fn delete_expired(tx: &mut Tx, now: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, "DELETE FROM invitations WHERE expires_at <= $1", now).await
}
