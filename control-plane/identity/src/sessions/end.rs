//! The end of sessions, for every reason there is, and how the edges hear of it.
//!
//! Whatever ends sessions waits first for those that are being begun: each of these functions locks what [`Hold`] has
//! locked by then, unless its caller changed or deleted that row before, which locks it as well. So a session that is
//! missed here was begun after, by what is true then.
//!
//! [`Hold`]: super::member::Hold

use sentinel_access::activity::Action;
use sentinel_core::id::{ClientAppId, ServiceAppId, SessionId, UserId, WorkspaceId};
use sentinel_core::{Change, Fact, Revision, Timestamp};
use sentinel_store::{StoreError, Tx, WriteTx};

use super::{EndReason, REVOCATION_LIFE, Sessions, rows};
use crate::error::IdentityError;

/// What the janitor removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Revocations whose last token has expired.
    pub revocations: usize,
    /// Signing keys whose last token has expired.
    pub signing_keys: usize,
    /// Sessions that are over.
    pub sessions: u64,
    /// Refresh tokens that have expired.
    pub refresh_tokens: u64,
}

impl Sessions {
    /// Ends one session. Answers how many live ones that were, as all of these do.
    pub async fn end(
        &self,
        tx: &mut WriteTx,
        session: SessionId,
        reason: EndReason,
    ) -> Result<u64, IdentityError> {
        let now = self.clock.now();
        let ended = rows::end(tx, session, reason, now).await?;
        self.revoke(tx, ended, now).await
    }

    /// Ends all of a user's sessions, everywhere, and those that a sign-in of before now would begin.
    pub async fn end_all_of(
        &self,
        tx: &mut WriteTx,
        user: UserId,
        reason: EndReason,
    ) -> Result<u64, IdentityError> {
        let now = self.clock.now();
        self.access.users.lock(tx, user).await?;
        self.access.users.note_signed_out(tx, user).await?;
        let ended = rows::end_of_user(tx, user, reason, now).await?;
        self.revoke(tx, ended, now).await
    }

    /// Ends the sessions of somebody who is no member of a workspace any more, in that workspace: nothing of them is
    /// refreshed, and nothing of them counts again should he come back.
    pub async fn end_of_member(
        &self,
        tx: &mut WriteTx,
        workspace: WorkspaceId,
        user: UserId,
    ) -> Result<u64, IdentityError> {
        self.end_of_members(tx, workspace, &[user], EndReason::NotAMember)
            .await
    }

    /// Ends the sessions of members whose role or groups in a workspace have changed, in that workspace: services that
    /// read the role or the groups out of a token see none that is out of date.
    pub async fn end_of_changed(
        &self,
        tx: &mut WriteTx,
        workspace: WorkspaceId,
        users: &[UserId],
    ) -> Result<u64, IdentityError> {
        self.end_of_members(tx, workspace, users, EndReason::RightsChanged)
            .await
    }

    async fn end_of_members(
        &self,
        tx: &mut WriteTx,
        workspace: WorkspaceId,
        users: &[UserId],
        reason: EndReason,
    ) -> Result<u64, IdentityError> {
        let now = self.clock.now();
        self.access.members.lock(tx, workspace, users).await?;
        let ended = rows::end_of_members(tx, workspace, users, reason, now).await?;
        self.revoke(tx, ended, now).await
    }

    /// Ends the sessions of a workspace that is about to be deleted, and forgets them: their tokens count nowhere any
    /// more.
    pub async fn end_of_workspace(
        &self,
        tx: &mut WriteTx,
        workspace: WorkspaceId,
    ) -> Result<u64, IdentityError> {
        let now = self.clock.now();
        self.access.workspaces.lock(tx, workspace).await?;
        let gone = rows::delete_of_workspace(tx, workspace).await?;
        self.revoke(tx, gone, now).await
    }

    /// Ends the sessions that were begun through a client app, before it is deleted, if it is.
    pub async fn end_of_client_app(&self, tx: &mut WriteTx, app: ClientAppId) -> Result<u64, IdentityError> {
        let now = self.clock.now();
        self.access.client_apps.lock(tx, app).await?;
        let ended = rows::end_of_client_app(tx, app, EndReason::AppWithdrawn, now).await?;
        self.revoke(tx, ended, now).await
    }

    /// Ends the sessions of AuthZ mode that were begun through a service app, before it is deleted, if it is.
    pub async fn end_of_service_app(
        &self,
        tx: &mut WriteTx,
        app: ServiceAppId,
    ) -> Result<u64, IdentityError> {
        let now = self.clock.now();
        self.access.service_apps.lock(tx, app).await?;
        let ended = rows::end_of_service_app(tx, app, EndReason::AppWithdrawn, now).await?;
        self.revoke(tx, ended, now).await
    }

    /// Signs a user out: ends all of his sessions and writes it down. Answers the revision at which every edge knows.
    ///
    /// `presented` is the session of the token that he shows. It is revoked even if it has no row any more: a token must
    /// not outlive the sign-out that it was shown for.
    pub async fn logout(
        &self,
        user: UserId,
        presented: Option<SessionId>,
    ) -> Result<Option<Revision>, IdentityError> {
        let mut tx = self.database.write().await?;
        self.end_all_of(&mut tx, user, EndReason::Logout).await?;
        if let Some(session) = presented {
            let now = self.clock.now();
            let until = now + REVOCATION_LIFE;
            Self::revoke_until(&mut tx, session, until, now).await?;
        }
        self.note(&mut tx, Action::UserLogout, user, None).await?;
        Ok(tx.commit().await?)
    }

    /// Removes what can matter to nobody any more: sessions, refresh tokens, revocations and signing keys whose last
    /// token has expired. Edges are told which facts are gone.
    pub async fn sweep(&self) -> Result<Swept, IdentityError> {
        let now = self.clock.now();
        let mut tx = self.database.write().await?;
        let gone = rows::delete_revocations(&mut tx, now).await?;
        for row in &gone {
            let fact = fact(row)?;
            tx.record(Change::Delete(fact));
        }
        let swept = Swept {
            revocations: gone.len(),
            signing_keys: self.keys.sweep(&mut tx, now).await?,
            refresh_tokens: rows::delete_refresh_tokens(&mut tx, now).await?,
            // A little later than the session ends, so that its last access token can still be revoked until then.
            sessions: rows::delete_sessions(&mut tx, now - REVOCATION_LIFE).await?,
        };
        tx.commit().await?;
        Ok(swept)
    }

    /// Records the end of sessions for the edges. The rows are locked by then, so nobody mints a token of theirs in between.
    async fn revoke(
        &self,
        tx: &mut WriteTx,
        ended: Vec<rows::EndedRow>,
        now: Timestamp,
    ) -> Result<u64, IdentityError> {
        let live = ended.iter().filter(|row| row.expires_at > now).count();
        for row in ended {
            let until = row.last_refreshed_at + REVOCATION_LIFE;
            // Admin tokens are looked up in the database; and what has expired by itself needs no revocation.
            if row.workspace_id.is_none() || until <= now {
                continue;
            }
            Self::revoke_until(tx, row.id.into(), until, now).await?;
        }
        Ok(u64::try_from(live).unwrap_or(u64::MAX))
    }

    async fn revoke_until(
        tx: &mut WriteTx,
        session: SessionId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if rows::revoke(tx, session, until, now).await? {
            tx.record(Change::Put(Fact::RevokedSession { session, until }));
        }
        Ok(())
    }
}

fn fact(row: &rows::RevocationRow) -> Result<Fact, StoreError> {
    match row.kind.as_str() {
        "session" => Ok(Fact::RevokedSession {
            session: row.id.into(),
            until: row.until,
        }),
        "token" => Ok(Fact::RevokedToken {
            token: row.id.into(),
            until: row.until,
        }),
        _ => Err(StoreError::corrupt("revocations", "kind", row.id)),
    }
}

/// The revocations as facts.
pub(crate) async fn facts(tx: &mut Tx) -> Result<Vec<Fact>, IdentityError> {
    let rows = rows::revocations(tx).await?;
    Ok(rows.iter().map(fact).collect::<Result<_, _>>()?)
}
