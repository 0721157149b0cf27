//! SQL of `sessions`, `refresh_tokens` and `revocations`.

use sentinel_core::Timestamp;
use sentinel_core::id::{ClientAppId, ServiceAppId, SessionId, TokenId, UserId, WorkspaceId};
use sentinel_store::{
    Sql, StoreError, Tx, Uuids, execute, fetch_all, fetch_optional, fetch_scalar, sql_any_uuid,
};
use sqlx::types::Json;
use uuid::Uuid;

use super::{EndReason, Grant};
use crate::tokens::Successor;

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
    pub(super) expires_at: Timestamp,
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

/// The session of AuthZ mode of the user, workspace and service app of `grant`: the live one, which goes on until
/// `expires_at`, or else a new one by the id `fresh`. One statement, so that any number of callers get the same.
pub(super) async fn continue_authz(
    tx: &mut Tx,
    fresh: SessionId,
    grant: &Grant,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<SessionId, StoreError> {
    let id = fetch_scalar!(
        tx,
        Uuid,
        "INSERT INTO sessions (id, user_id, workspace_id, service_app_id, provider, auth_time, amr, created_at,
                               last_refreshed_at, expires_at, ip, user_agent)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11)
         ON CONFLICT (user_id, workspace_id, service_app_id) WHERE service_app_id IS NOT NULL AND ended_at IS NULL
         DO UPDATE SET provider = excluded.provider, auth_time = excluded.auth_time, amr = excluded.amr,
                       last_refreshed_at = excluded.last_refreshed_at, expires_at = excluded.expires_at,
                       ip = excluded.ip, user_agent = excluded.user_agent
         RETURNING id",
        fresh.as_uuid(),
        grant.user.as_uuid(),
        grant.workspace.map(|workspace| workspace.as_uuid()),
        grant.service_app.map(|app| app.as_uuid()),
        grant.provider.as_str(),
        grant.auth_time,
        Json(&grant.amr),
        now,
        expires_at,
        grant.context.ip.as_deref(),
        grant.context.user_agent.as_deref(),
    )
    .await?;
    Ok(id.into())
}

pub(super) async fn insert_refresh(
    tx: &mut Tx,
    session: SessionId,
    token: Successor,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO refresh_tokens (jti, session_id, issued_at, expires_at) VALUES ($1, $2, $3, $4)",
        token.id.as_uuid(),
        session.as_uuid(),
        token.issued_at,
        token.expires_at,
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

/// Notes that the answer to a token that was spent after `spent_after` is sent again: the compare-and-swap that only one
/// caller wins, once. For a token that was itself sent twice nobody wins it.
pub(super) async fn replay(
    tx: &mut Tx,
    jti: TokenId,
    session: SessionId,
    spent_after: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let replayed = execute!(
        tx,
        "UPDATE refresh_tokens SET replayed_at = $4
         WHERE jti = $1 AND session_id = $2 AND replayed_at IS NULL AND spent_at > $3
           AND NOT EXISTS (SELECT 1 FROM refresh_tokens p
                           WHERE p.session_id = $2 AND p.successor = $1 AND p.replayed_at IS NOT NULL)",
        jti.as_uuid(),
        session.as_uuid(),
        spent_after,
        now,
    )
    .await?;
    Ok(replayed == 1)
}

/// What a spent token was exchanged for, unless that was spent in turn.
pub(super) async fn unspent_successor(
    tx: &mut Tx,
    jti: TokenId,
    session: SessionId,
    now: Timestamp,
) -> Result<Option<Successor>, StoreError> {
    let row = fetch_optional!(
        tx,
        (Uuid, Timestamp, Timestamp),
        "SELECT s.jti, s.issued_at, s.expires_at
         FROM refresh_tokens r JOIN refresh_tokens s ON s.jti = r.successor AND s.session_id = r.session_id
         WHERE r.jti = $1 AND r.session_id = $2 AND s.spent_at IS NULL AND s.expires_at > $3",
        jti.as_uuid(),
        session.as_uuid(),
        now,
    )
    .await?;
    Ok(row.map(|(id, issued_at, expires_at)| Successor {
        id: id.into(),
        issued_at,
        expires_at,
    }))
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

/// Ends the live sessions that meet a condition, whose values are `$3` and on.
macro_rules! end {
    ($tx:expr, $reason:expr, $now:expr, $condition:literal, $value:expr) => {
        fetch_all!(
            $tx,
            EndedRow,
            concat!(
                "UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE ended_at IS NULL AND ",
                $condition,
                " RETURNING id, workspace_id, last_refreshed_at, expires_at"
            ),
            $now,
            $reason.as_str(),
            $value,
        )
        .await
    };
}

pub(super) async fn end(
    tx: &mut Tx,
    session: SessionId,
    reason: EndReason,
    now: Timestamp,
) -> Result<Vec<EndedRow>, StoreError> {
    end!(tx, reason, now, "id = $3", session.as_uuid())
}

pub(super) async fn end_of_user(
    tx: &mut Tx,
    user: UserId,
    reason: EndReason,
    now: Timestamp,
) -> Result<Vec<EndedRow>, StoreError> {
    end!(tx, reason, now, "user_id = $3", user.as_uuid())
}

pub(super) async fn end_of_client_app(
    tx: &mut Tx,
    app: ClientAppId,
    reason: EndReason,
    now: Timestamp,
) -> Result<Vec<EndedRow>, StoreError> {
    end!(tx, reason, now, "client_app_id = $3", app.as_uuid())
}

pub(super) async fn end_of_service_app(
    tx: &mut Tx,
    app: ServiceAppId,
    reason: EndReason,
    now: Timestamp,
) -> Result<Vec<EndedRow>, StoreError> {
    end!(tx, reason, now, "service_app_id = $3", app.as_uuid())
}

const END_OF_MEMBERS: Sql = sql_any_uuid!(
    "UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE ended_at IS NULL AND workspace_id = $3 AND user_id",
    4,
    "RETURNING id, workspace_id, last_refreshed_at, expires_at"
);

pub(super) async fn end_of_members(
    tx: &mut Tx,
    workspace: WorkspaceId,
    users: &[UserId],
    reason: EndReason,
    now: Timestamp,
) -> Result<Vec<EndedRow>, StoreError> {
    let users: Uuids = users.iter().map(UserId::as_uuid).collect();
    fetch_all!(
        tx,
        EndedRow,
        END_OF_MEMBERS,
        now,
        reason.as_str(),
        workspace.as_uuid(),
        &users,
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
        "DELETE FROM sessions WHERE workspace_id = $1 RETURNING id, workspace_id, last_refreshed_at, expires_at",
        workspace.as_uuid(),
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
