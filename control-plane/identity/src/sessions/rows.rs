//! SQL of `sessions`, `refresh_tokens` and `revocations`.

use sentinel_core::Timestamp;
use sentinel_core::id::{ClientAppId, SessionId, TokenId, UserId, WorkspaceId};
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_optional};
use sqlx::types::Json;
use uuid::Uuid;

use super::{EndReason, Grant};

/// A session as a refresh or an admin request finds it.
#[derive(sqlx::FromRow)]
pub(super) struct SessionRow {
    pub(super) user_id: Uuid,
    pub(super) workspace_id: Option<Uuid>,
    pub(super) auth_time: Timestamp,
    pub(super) amr: Json<Vec<String>>,
    pub(super) expires_at: Timestamp,
}

/// A session that was just ended.
#[derive(sqlx::FromRow)]
pub(super) struct EndedRow {
    pub(super) id: Uuid,
    pub(super) workspace_id: Option<Uuid>,
    pub(super) last_refreshed_at: Timestamp,
}

#[derive(sqlx::FromRow)]
pub(super) struct RevocationRow {
    pub(super) kind: String,
    pub(super) id: Uuid,
    pub(super) until: Timestamp,
}

pub(super) async fn insert_session(
    tx: &mut Tx,
    id: SessionId,
    grant: &Grant,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO sessions (id, user_id, workspace_id, client_app_id, provider, auth_time, amr, created_at,
                               last_refreshed_at, expires_at, ip, user_agent)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11)",
        id.as_uuid(),
        grant.user.as_uuid(),
        grant.workspace.map(|workspace| workspace.as_uuid()),
        grant.client_app.map(|app| app.as_uuid()),
        grant.provider.as_str(),
        grant.auth_time,
        Json(&grant.amr),
        now,
        expires_at,
        grant.context.ip.as_deref(),
        grant.context.user_agent.as_deref(),
    )
    .await?;
    Ok(())
}

pub(super) async fn insert_refresh(
    tx: &mut Tx,
    jti: TokenId,
    session: SessionId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO refresh_tokens (jti, session_id, issued_at, expires_at) VALUES ($1, $2, $3, $4)",
        jti.as_uuid(),
        session.as_uuid(),
        now,
        expires_at,
    )
    .await?;
    Ok(())
}

/// Exchanges a refresh token for its successor: the compare-and-swap that only one caller wins.
pub(super) async fn spend(
    tx: &mut Tx,
    jti: TokenId,
    session: SessionId,
    successor: TokenId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let spent = execute!(
        tx,
        "UPDATE refresh_tokens SET spent_at = $4, successor = $3
         WHERE jti = $1 AND session_id = $2 AND spent_at IS NULL AND expires_at > $4",
        jti.as_uuid(),
        session.as_uuid(),
        successor.as_uuid(),
        now,
    )
    .await?;
    Ok(spent == 1)
}

/// Marks a live session as refreshed and locks its row, so that an end of it comes before or after, and sees how long its
/// last access token is valid.
pub(super) async fn touch(
    tx: &mut Tx,
    session: SessionId,
    now: Timestamp,
) -> Result<Option<SessionRow>, StoreError> {
    fetch_optional!(
        tx,
        SessionRow,
        "UPDATE sessions SET last_refreshed_at = $2
         WHERE id = $1 AND ended_at IS NULL AND expires_at > $2
         RETURNING user_id, workspace_id, auth_time, amr, expires_at",
        session.as_uuid(),
        now,
    )
    .await
}

pub(super) async fn live(
    tx: &mut Tx,
    session: SessionId,
    now: Timestamp,
) -> Result<Option<SessionRow>, StoreError> {
    fetch_optional!(
        tx,
        SessionRow,
        "SELECT user_id, workspace_id, auth_time, amr, expires_at FROM sessions
         WHERE id = $1 AND ended_at IS NULL AND expires_at > $2",
        session.as_uuid(),
        now,
    )
    .await
}

pub(super) async fn end(
    tx: &mut Tx,
    session: SessionId,
    reason: EndReason,
    now: Timestamp,
) -> Result<Vec<EndedRow>, StoreError> {
    fetch_all!(
        tx,
        EndedRow,
        "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE id = $1 AND ended_at IS NULL
         RETURNING id, workspace_id, last_refreshed_at",
        session.as_uuid(),
        now,
        reason.as_str(),
    )
    .await
}

pub(super) async fn end_of_user(
    tx: &mut Tx,
    user: UserId,
    reason: EndReason,
    now: Timestamp,
) -> Result<Vec<EndedRow>, StoreError> {
    fetch_all!(
        tx,
        EndedRow,
        "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE user_id = $1 AND ended_at IS NULL
         RETURNING id, workspace_id, last_refreshed_at",
        user.as_uuid(),
        now,
        reason.as_str(),
    )
    .await
}

pub(super) async fn end_of_member(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    reason: EndReason,
    now: Timestamp,
) -> Result<Vec<EndedRow>, StoreError> {
    fetch_all!(
        tx,
        EndedRow,
        "UPDATE sessions SET ended_at = $3, end_reason = $4
         WHERE workspace_id = $1 AND user_id = $2 AND ended_at IS NULL
         RETURNING id, workspace_id, last_refreshed_at",
        workspace.as_uuid(),
        user.as_uuid(),
        now,
        reason.as_str(),
    )
    .await
}

/// Forgets the sessions of a workspace, those that were over as well.
pub(super) async fn delete_of_workspace(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<Vec<EndedRow>, StoreError> {
    fetch_all!(
        tx,
        EndedRow,
        "DELETE FROM sessions WHERE workspace_id = $1 RETURNING id, workspace_id, last_refreshed_at",
        workspace.as_uuid(),
    )
    .await
}

pub(super) async fn end_of_client_app(
    tx: &mut Tx,
    app: ClientAppId,
    reason: EndReason,
    now: Timestamp,
) -> Result<Vec<EndedRow>, StoreError> {
    fetch_all!(
        tx,
        EndedRow,
        "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE client_app_id = $1 AND ended_at IS NULL
         RETURNING id, workspace_id, last_refreshed_at",
        app.as_uuid(),
        now,
        reason.as_str(),
    )
    .await
}

/// Notes that no token of the session counts until `until`. Answers whether that is news.
pub(super) async fn revoke(
    tx: &mut Tx,
    session: SessionId,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO revocations (kind, id, until, created_at) VALUES ('session', $1, $2, $3)
         ON CONFLICT (kind, id) DO NOTHING",
        session.as_uuid(),
        until,
        now,
    )
    .await?;
    Ok(inserted == 1)
}

pub(super) async fn revocations(tx: &mut Tx) -> Result<Vec<RevocationRow>, StoreError> {
    fetch_all!(tx, RevocationRow, "SELECT kind, id, until FROM revocations").await
}

/// Forgets revocations that concern no live token any more.
pub(super) async fn delete_revocations(
    tx: &mut Tx,
    now: Timestamp,
) -> Result<Vec<RevocationRow>, StoreError> {
    fetch_all!(
        tx,
        RevocationRow,
        "DELETE FROM revocations WHERE until <= $1 RETURNING kind, id, until",
        now,
    )
    .await
}

/// Forgets sessions that are over, with their refresh tokens, once nothing of them can be shown any more.
pub(super) async fn delete_sessions(tx: &mut Tx, now: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, "DELETE FROM sessions WHERE expires_at <= $1", now).await
}

/// Forgets spent and unspent refresh tokens that have expired: a JWT of theirs does not verify any more.
pub(super) async fn delete_refresh_tokens(tx: &mut Tx, now: Timestamp) -> Result<u64, StoreError> {
    execute!(tx, "DELETE FROM refresh_tokens WHERE expires_at <= $1", now).await
}
