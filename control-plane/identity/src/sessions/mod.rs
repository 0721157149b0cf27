//! Sessions: one for each login, in the database. A session is the family of its refresh tokens; ending it ends them, and
//! every access token of it at every edge.
//!
//! A refresh token works once. Rotation is a compare-and-swap in the database, so of any number of callers one wins; to
//! show a spent token again is taken for theft and ends the session, whoever shows it (RFC 9700 §4.14.2). There is no
//! grace period: an application that asks twice at a time loses its session, and asks its user to sign in.

mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use sentinel_access::Access;
use sentinel_access::activity::{Action, Entry, Target, TargetKind};
use sentinel_core::id::{ClientAppId, ServiceAppId, SessionId, TokenId, UserId, WorkspaceId};
use sentinel_core::principal::OUTLIVES;
use sentinel_core::{Change, Clock, Fact, Random, Revision, Timestamp};
use sentinel_store::{Database, StoreError, Tx, WriteTx};

use crate::Lifetimes;
use crate::error::IdentityError;
use crate::keys::Keys;
use crate::tokens::{AdminToken, Subject, TokenPair, Tokens};

/// For how long a revocation is kept after the last access token of a session was minted: the longest life that a token can
/// be configured to have (so that a configuration that was changed in between cannot bring one back), the time that an open
/// exchange may outlive it at an edge, and then some for clocks that differ.
const REVOCATION_LIFE: Duration = Duration::from_mins(60 + 5).saturating_add(OUTLIVES);

/// From where a session is used, as far as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// The address.
    pub ip: Option<String>,
    /// The beginning of the user agent.
    pub user_agent: Option<String>,
}

/// Who may get a session, as a login has found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The user.
    pub user: UserId,
    /// The workspace; `None` for the admin panel.
    pub workspace: Option<WorkspaceId>,
    /// The application that the user signed in to.
    pub client_app: Option<ClientAppId>,
    /// The service app that tokens of AuthZ mode are made for.
    pub service_app: Option<ServiceAppId>,
    /// The identity provider.
    pub provider: String,
    /// When the user signed in there.
    pub auth_time: Timestamp,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// From where.
    pub context: Context,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The user signed out.
    Logout,
    /// A spent refresh token was shown again.
    Reuse,
    /// The user is no member of the workspace any more.
    NotAMember,
    /// The account was deactivated.
    Deactivated,
    /// An administrator ended it.
    Revoked,
}

impl EndReason {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Reuse => "reuse",
            Self::NotAMember => "not_a_member",
            Self::Deactivated => "deactivated",
            Self::Revoked => "revoked",
        }
    }
}

/// Why a session was not begun.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no such active client app.
    #[error("there is no such active client app")]
    AppNotFound,
    /// There is no such active user.
    #[error("there is no such active user")]
    UserNotFound,
    /// There is no such workspace.
    #[error("there is no such workspace")]
    WorkspaceNotFound,
    /// The user is no member of the workspace.
    #[error("the user is no member of the workspace")]
    NotAMember,
    /// A fault.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

/// Why a refresh token was not exchanged. The client is told the same for all of the first three.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It is no refresh token of ours, or has expired.
    #[error("the refresh token is not valid")]
    Invalid,
    /// It was spent before: the session is over now.
    #[error("the refresh token was used before")]
    Reused,
    /// Its session is over, or may not go on: the user was deactivated or is no member any more.
    #[error("the session is over")]
    Over,
    /// A fault. The token is not spent.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

/// A live session of an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSession {
    /// Who.
    pub user: UserId,
    /// His e-mail address, from the token.
    pub email: String,
    /// His name, from the token.
    pub name: String,
    /// The token's id.
    pub token: TokenId,
    /// The session.
    pub session: SessionId,
    /// When the token is over by itself.
    pub expires_at: Timestamp,
}

/// Why an admin token is not accepted, in the order in which it is checked.
#[derive(Debug, thiserror::Error)]
pub enum AdminRefusal {
    /// It is no admin token of ours, or has expired.
    #[error("the admin token is not valid")]
    Token,
    /// It is not for an administrator.
    #[error("the token is not an administrator's")]
    NotAdmin,
    /// Its session is over.
    #[error("the admin session is over")]
    Revoked,
    /// The account was deactivated.
    #[error("the account is deactivated")]
    Deactivated,
    /// The user is no administrator any more.
    #[error("the user is no administrator any more")]
    PrivilegesRevoked,
    /// A fault.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

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

/// The service of sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    database: Database,
    access: Access,
    keys: Keys,
    tokens: Tokens,
    lifetimes: Lifetimes,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Sessions {
    /// The service.
    pub fn new(
        database: Database,
        access: Access,
        keys: Keys,
        tokens: Tokens,
        lifetimes: Lifetimes,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            database,
            access,
            keys,
            tokens,
            lifetimes,
            clock,
            random,
        }
    }

    /// Begins a session in a workspace, for a member of it.
    pub async fn start(&self, grant: &Grant) -> Result<TokenPair, StartError> {
        let workspace = grant.workspace.ok_or(StartError::WorkspaceNotFound)?;
        let now = self.clock.now();
        let (session, refresh) = (SessionId::generate(now, &*self.random), self.tokens.fresh_id());
        let session_until = now + self.lifetimes.session;
        let refresh_until = self.refresh_until(now, session_until);
        let mut tx = self.database.begin().await.map_err(IdentityError::from)?;
        if let Some(app) = grant.client_app {
            self.access
                .client_apps
                .find_locked(&mut tx, app)
                .await
                .map_err(IdentityError::from)?
                .filter(|app| app.is_active)
                .ok_or(StartError::AppNotFound)?;
        }
        let subject = self.subject(&mut tx, grant.user, workspace, Hold::Locked).await?;
        let insert = async {
            rows::insert_session(&mut tx, session, grant, now, session_until).await?;
            rows::insert_refresh(&mut tx, refresh, session, now, refresh_until).await
        };
        insert.await.map_err(IdentityError::from)?;
        let claims = subject.claims(session, grant.auth_time, &grant.amr);
        let pair = self.tokens.pair(&mut tx, claims, refresh, refresh_until).await?;
        tx.commit().await.map_err(IdentityError::from)?;
        Ok(pair)
    }

    /// Begins a session of the admin panel. Whether the user is an administrator is checked at every request.
    pub async fn start_admin(&self, tx: &mut Tx, grant: &Grant) -> Result<AdminToken, StartError> {
        let user = self
            .access
            .users
            .find(tx, grant.user)
            .await
            .map_err(IdentityError::from)?
            .filter(|user| user.is_active)
            .ok_or(StartError::UserNotFound)?;
        let now = self.clock.now();
        let session = SessionId::generate(now, &*self.random);
        rows::insert_session(tx, session, grant, now, now + self.lifetimes.admin)
            .await
            .map_err(IdentityError::from)?;
        let who = (user.id, user.email.as_str(), user.name.as_str());
        Ok(self
            .tokens
            .admin(tx, who, session, grant.auth_time, &grant.amr)
            .await?)
    }

    /// Exchanges a refresh token for the next pair.
    pub async fn refresh(&self, token: &str, context: &Context) -> Result<TokenPair, RefreshError> {
        let now = self.clock.now();
        let mut tx = self.database.begin().await.map_err(IdentityError::from)?;
        let keys = self.keys.published(&mut tx).await.map_err(IdentityError::from)?;
        let verified = self
            .tokens
            .verify_refresh(token, &keys, now)
            .map_err(|_| RefreshError::Invalid)?;
        let (jti, session) = (verified.token(), verified.session());
        let successor = self.tokens.fresh_id();
        let won = rows::spend(&mut tx, jti, session, successor, now)
            .await
            .map_err(IdentityError::from)?;
        if !won {
            drop(tx);
            return Err(self.reused(verified.user_id(), session, context).await?);
        }
        let Some(row) = rows::touch(&mut tx, session, now)
            .await
            .map_err(IdentityError::from)?
        else {
            return Err(RefreshError::Over);
        };
        let (user, workspace) = (UserId::from(row.user_id), row.workspace_id.map(WorkspaceId::from));
        let Some(workspace) = workspace.filter(|_| user == verified.user_id()) else {
            return Err(RefreshError::Invalid);
        };
        let subject = match self.subject(&mut tx, user, workspace, Hold::Free).await {
            Ok(subject) => subject,
            Err(StartError::Failed(error)) => return Err(error.into()),
            Err(refusal) => {
                drop(tx);
                let reason = match refusal {
                    StartError::UserNotFound => EndReason::Deactivated,
                    _ => EndReason::NotAMember,
                };
                return Err(self.over(session, reason).await?);
            }
        };
        let refresh_until = self.refresh_until(now, row.expires_at);
        rows::insert_refresh(&mut tx, successor, session, now, refresh_until)
            .await
            .map_err(IdentityError::from)?;
        let claims = subject.claims(session, row.auth_time, &row.amr);
        let pair = self
            .tokens
            .pair(&mut tx, claims, successor, refresh_until)
            .await?;
        tx.commit().await.map_err(IdentityError::from)?;
        Ok(pair)
    }

    /// Whether an administrator's session goes on and he is one still, by the rows of this very transaction: what he
    /// writes in it is written by an administrator, though he was demoted a moment after the request came in.
    ///
    /// # Errors
    /// As [`Sessions::admin`].
    pub async fn confirm_admin(
        &self,
        tx: &mut WriteTx,
        admin: UserId,
        session: SessionId,
    ) -> Result<(), AdminRefusal> {
        self.live_admin(tx, admin, session, self.clock.now()).await
    }

    async fn live_admin(
        &self,
        tx: &mut Tx,
        admin: UserId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<(), AdminRefusal> {
        let row = rows::live(tx, session, now)
            .await
            .map_err(IdentityError::from)?
            .filter(|row| row.user_id == admin.as_uuid())
            .ok_or(AdminRefusal::Revoked)?;
        if row.workspace_id.is_some() {
            return Err(AdminRefusal::NotAdmin);
        }
        let user = self
            .access
            .users
            .find(tx, admin)
            .await
            .map_err(IdentityError::from)?;
        match user {
            Some(user) if !user.is_active => Err(AdminRefusal::Deactivated),
            Some(user) if user.is_admin => Ok(()),
            _ => Err(AdminRefusal::PrivilegesRevoked),
        }
    }

    /// The administrator's session that a token belongs to, by what the database says now.
    pub async fn admin(&self, token: &str) -> Result<AdminSession, AdminRefusal> {
        let now = self.clock.now();
        let mut tx = self.database.read().await.map_err(IdentityError::from)?;
        let keys = self.keys.published(&mut tx).await.map_err(IdentityError::from)?;
        let verified = self
            .tokens
            .verify_admin(token, &keys, now)
            .map_err(|_| AdminRefusal::Token)?;
        let claims = verified.claims();
        self.live_admin(&mut tx, claims.sub, claims.sid, now).await?;
        Ok(AdminSession {
            user: claims.sub,
            email: claims.email.clone(),
            name: claims.name.clone(),
            token: claims.jti,
            session: claims.sid,
            expires_at: verified.expires_at(),
        })
    }

    /// Ends one session. Answers how many live ones that were.
    pub async fn end(
        &self,
        tx: &mut WriteTx,
        session: SessionId,
        reason: EndReason,
    ) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let ended = rows::end(tx, session, reason, now).await?;
        self.revoke(tx, ended, now).await
    }

    /// Ends all of a user's sessions, everywhere.
    pub async fn end_all_of(
        &self,
        tx: &mut WriteTx,
        user: UserId,
        reason: EndReason,
    ) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let ended = rows::end_of_user(tx, user, reason, now).await?;
        self.revoke(tx, ended, now).await
    }

    /// Ends the sessions of somebody who is no member of a workspace any more, in that workspace: none of them is
    /// refreshed. Their access tokens need no revocation: they are for this workspace only, where membership is live.
    pub async fn end_of_member(
        &self,
        tx: &mut WriteTx,
        workspace: WorkspaceId,
        user: UserId,
    ) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let ended = rows::end_of_member(tx, workspace, user, EndReason::NotAMember, now).await?;
        Ok(u64::try_from(ended.len()).unwrap_or(u64::MAX))
    }

    /// Ends the sessions of a workspace that is about to be deleted, and forgets them: their access tokens and refresh
    /// tokens count nowhere any more. The caller has locked the workspace in this transaction, so that no session is
    /// begun in it after this.
    pub async fn end_of_workspace(
        &self,
        tx: &mut WriteTx,
        workspace: WorkspaceId,
    ) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let gone = rows::delete_of_workspace(tx, workspace).await?;
        self.revoke(tx, gone, now).await
    }

    /// Ends the sessions that were begun through a client app.
    pub async fn end_of_client_app(&self, tx: &mut WriteTx, app: ClientAppId) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let ended = rows::end_of_client_app(tx, app, EndReason::Revoked, now).await?;
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
        self.access.users.lock(&mut tx, user).await?;
        self.end_all_of(&mut tx, user, EndReason::Logout).await?;
        if let Some(session) = presented {
            let now = self.clock.now();
            let until = now + REVOCATION_LIFE;
            Self::revoke_until(&mut tx, session, until, now).await?;
        }
        self.note(&mut tx, Action::UserLogout, user, None).await?;
        Ok(tx.commit().await?)
    }

    /// Signs an administrator out of the panel. Other sessions of his go on.
    pub async fn admin_logout(&self, admin: UserId, session: SessionId) -> Result<(), IdentityError> {
        let mut tx = self.database.write().await?;
        self.end(&mut tx, session, EndReason::Logout).await?;
        self.note(&mut tx, Action::AdminLogout, admin, None).await?;
        tx.commit().await?;
        Ok(())
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

    /// Records the end of sessions for the edges. The rows are locked by then, so no refresh can mint in between.
    async fn revoke(
        &self,
        tx: &mut WriteTx,
        ended: Vec<rows::EndedRow>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let count = u64::try_from(ended.len()).unwrap_or(u64::MAX);
        for row in ended {
            let until = row.last_refreshed_at + REVOCATION_LIFE;
            // Admin tokens are looked up in the database; and what has expired by itself needs no revocation.
            if row.workspace_id.is_none() || until <= now {
                continue;
            }
            Self::revoke_until(tx, row.id.into(), until, now).await?;
        }
        Ok(count)
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

    async fn reused(
        &self,
        user: UserId,
        session: SessionId,
        context: &Context,
    ) -> Result<RefreshError, IdentityError> {
        let mut tx = self.database.write().await?;
        if self.end(&mut tx, session, EndReason::Reuse).await? > 0 {
            let detail =
                serde_json::json!({ "session": session, "ip": context.ip, "user_agent": context.user_agent });
            self.note(&mut tx, Action::RefreshReuseDetected, user, Some(detail))
                .await?;
            tracing::warn!(session.id = %session, user.id = %user, "a spent refresh token was shown again: its session was ended");
        }
        tx.commit().await?;
        Ok(RefreshError::Reused)
    }

    async fn over(&self, session: SessionId, reason: EndReason) -> Result<RefreshError, IdentityError> {
        let mut tx = self.database.write().await?;
        self.end(&mut tx, session, reason).await?;
        tx.commit().await?;
        Ok(RefreshError::Over)
    }

    async fn note(
        &self,
        tx: &mut Tx,
        action: Action,
        user: UserId,
        detail: Option<serde_json::Value>,
    ) -> Result<(), IdentityError> {
        let entry = Entry {
            action,
            actor: Some(user),
            target: Target {
                kind: TargetKind::User,
                id: user.as_uuid(),
            },
            workspace: None,
            detail,
        };
        Ok(self.access.activity.record(tx, entry).await?)
    }

    /// No refresh token outlives its session.
    fn refresh_until(&self, now: Timestamp, session_until: Timestamp) -> Timestamp {
        (now + self.lifetimes.refresh).min(session_until)
    }

    /// What an access token says about a member, as the database has it. The revision is read last, so that the
    /// membership is one that a replica at that revision knows.
    async fn subject(
        &self,
        tx: &mut Tx,
        user: UserId,
        workspace: WorkspaceId,
        hold: Hold,
    ) -> Result<Member, StartError> {
        let fault = |error| StartError::Failed(IdentityError::from(error));
        let Access {
            users,
            workspaces,
            members,
            ..
        } = &self.access;
        let user = match hold {
            Hold::Locked => users.find_locked(tx, user).await,
            Hold::Free => users.find(tx, user).await,
        };
        let user = user
            .map_err(fault)?
            .filter(|user| user.is_active)
            .ok_or(StartError::UserNotFound)?;
        let workspace = match hold {
            Hold::Locked => workspaces.find_locked(tx, workspace).await,
            Hold::Free => workspaces.find(tx, workspace).await,
        };
        let workspace = workspace.map_err(fault)?.ok_or(StartError::WorkspaceNotFound)?;
        let role = match hold {
            Hold::Locked => members.role_locked(tx, workspace.id, user.id).await,
            Hold::Free => members.role(tx, workspace.id, user.id).await,
        };
        let role = role.map_err(fault)?.ok_or(StartError::NotAMember)?;
        let groups = self
            .access
            .groups
            .of_user(tx, workspace.id, user.id)
            .await
            .map_err(fault)?;
        let revision = tx.head().await.map_err(IdentityError::from)?;
        Ok(Member {
            user,
            workspace,
            role,
            groups,
            revision,
        })
    }
}

/// Whether what a session is begun with must stay as it is until the session is there.
///
/// A session that begins has no row yet which an end of it could wait for: it holds its client app, user, workspace and
/// membership, in this order, and whoever signs the user out, deactivates or removes him, deactivates the app, or deletes the workspace, waits and then
/// finds the session. A refresh holds the session itself.
#[derive(Debug, Clone, Copy)]
enum Hold {
    Locked,
    Free,
}

struct Member {
    user: sentinel_access::users::User,
    workspace: sentinel_access::workspaces::Workspace,
    role: sentinel_core::WorkspaceRole,
    groups: Vec<sentinel_core::id::GroupId>,
    revision: Revision,
}

impl Member {
    fn claims<'a>(&'a self, session: SessionId, auth_time: Timestamp, amr: &'a [String]) -> Subject<'a> {
        Subject {
            user: self.user.id,
            email: &self.user.email,
            name: &self.user.name,
            workspace: self.workspace.id,
            slug: &self.workspace.slug,
            role: self.role,
            groups: self.groups.clone(),
            session,
            revision: self.revision,
            auth_time,
            amr,
        }
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
