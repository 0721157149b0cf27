//! Invitations. Who has an account with an address that somebody vouched for becomes a member at once; every other address
//! gets a pending invitation, and so does one whose account is deactivated, for that is nobody's business. It is accepted
//! by the first sign-in whose provider vouches for that very address, then and there: what a provider said about it once
//! may be true no more.
//!
//! An invitation is worth what its inviter may do when it is accepted, not when it was written: one by somebody who was
//! removed, demoted or deactivated since gives nothing, be it in the workspace or in the installation.

pub(crate) mod repository;

use std::time::Duration;

use sentinel_core::id::{InvitationId, UserId, WorkspaceId};
use sentinel_core::{EmailKey, Timestamp, WorkspaceRole};
use sentinel_store::{Tx, WriteTx};
use serde_json::{Value, json};

use crate::activity::{Action, Activity, Entry, Target, TargetKind};
use crate::error::AccessError;
use crate::members::{Authority, Member, Members, Membership, repository as memberships};
use crate::sources::Sources;
use crate::text::Email;
use crate::users::{User, repository as users};

/// How long an invitation waits for its address to sign in.
const LIFE: Duration = Duration::from_hours(7 * 24);

/// How many invitations of one workspace may be pending by its own members; whoever administers the installation is not
/// bound by it.
const MAX_PENDING: i64 = 50;

/// A pending invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Which.
    pub id: InvitationId,
    /// To what.
    pub workspace: WorkspaceId,
    /// The address, as the inviter wrote it.
    pub email: String,
    /// As what.
    pub role: WorkspaceRole,
    /// Who invites, while that account exists; `None` for the command line.
    pub invited_by: Option<UserId>,
    /// Whether the inviter acted as an administrator of the installation, who needs no role in the workspace but must be
    /// one still when it is accepted.
    pub by_administrator: bool,
    /// When.
    pub created_at: Timestamp,
    /// The first moment at which it is not accepted any more.
    pub expires_at: Timestamp,
}

/// What inviting an address has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invited {
    /// Its user is a member now.
    Member(Member),
    /// It waits for the first sign-in of its user.
    Pending(Invitation),
}

/// Why an invitation is dropped when its address signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Void {
    Expired,
    AlreadyMember,
    /// Who invited could not invite so any more.
    Inviter,
}

impl Void {
    /// The word in the activity log.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::AlreadyMember => "already_member",
            Self::Inviter => "inviter_without_right",
        }
    }
}

/// The service of invitations.
#[derive(Clone)]
pub struct Invitations {
    sources: Sources,
    activity: Activity,
    members: Members,
}

impl Invitations {
    pub(crate) fn new(sources: Sources, activity: Activity, members: Members) -> Self {
        Self {
            sources,
            activity,
            members,
        }
    }

    /// Makes the user with this address a member, or, when there is no active one whose address was vouched for, keeps an
    /// invitation for him for seven days. One that is over is replaced.
    ///
    /// # Errors
    /// [`AccessError::InviteAsOwner`], [`AccessError::AlreadyMember`], [`AccessError::AlreadyInvited`],
    /// [`AccessError::TooManyInvitations`].
    pub async fn invite(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        email: &Email,
        role: WorkspaceRole,
    ) -> Result<Invited, AccessError> {
        by.require_to_invite(role)?;
        if let Some(user) = users::find_by_email(tx, email.as_str()).await? {
            if memberships::find(tx, by.workspace(), user.id).await?.is_some() {
                return Err(AccessError::AlreadyMember);
            }
            if user.is_active && user.email_verified_at.is_some() {
                return Ok(Invited::Member(self.members.add(tx, by, user, role).await?));
            }
        }
        let invitation = self.keep(tx, by, email, role).await?;
        let detail = json!({ "email": invitation.email, "role": role, "pending": true });
        let target = of_workspace(invitation.workspace);
        self.record(
            tx,
            Action::MemberInvited,
            (by.actor(), target),
            &invitation,
            detail,
        )
        .await?;
        Ok(Invited::Pending(invitation))
    }

    /// The invitations to the workspace that are pending, oldest first.
    pub async fn list(&self, tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<Invitation>, AccessError> {
        Ok(repository::list(tx, workspace, self.sources.now()).await?)
    }

    /// Takes a pending invitation back.
    ///
    /// # Errors
    /// [`AccessError::InvitationNotFound`] when there is no such pending one in the workspace.
    pub async fn revoke(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        invitation: InvitationId,
    ) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let invitation = repository::delete(tx, by.workspace(), invitation, self.sources.now())
            .await?
            .ok_or(AccessError::InvitationNotFound)?;
        let detail = json!({ "email": invitation.email, "role": invitation.role });
        let target = of_workspace(invitation.workspace);
        self.record(
            tx,
            Action::InvitationRevoked,
            (by.actor(), target),
            &invitation,
            detail,
        )
        .await
    }

    /// Whether [`Invitations::accept_all`] would find an invitation for the user: a cheap question for those who do not
    /// write otherwise.
    pub async fn pending_for(
        &self,
        tx: &mut Tx,
        user: &User,
        vouched: &EmailKey,
    ) -> Result<bool, AccessError> {
        Ok(may_accept(user, vouched) && repository::is_invited(tx, vouched, self.sources.now()).await?)
    }

    /// Makes the user a member wherever his address is invited, if it is the one that a provider vouches for just now,
    /// `vouched`, and his account is active. What cannot be accepted is dropped, and the activity log says why.
    pub async fn accept_all(
        &self,
        tx: &mut WriteTx,
        user: &User,
        vouched: &EmailKey,
    ) -> Result<Vec<Membership>, AccessError> {
        let mut accepted = Vec::new();
        if !may_accept(user, vouched) {
            return Ok(accepted);
        }
        for invitation in repository::take_of_address(tx, vouched).await? {
            let (actor, target) = (Some(user.id), Target::user(user.id));
            let mut detail = json!({
                "email": invitation.email, "role": invitation.role, "invited_by": invitation.invited_by,
            });
            let action = if let Some(void) = self.obstacle(tx, &invitation, user.id).await? {
                detail["reason"] = void.as_str().into();
                Action::InvitationVoid
            } else {
                let (workspace, role) = (invitation.workspace, invitation.role);
                accepted.push(self.members.enter(tx, workspace, user.id, role).await?);
                Action::InvitationAccepted
            };
            self.record(tx, action, (actor, target), &invitation, detail)
                .await?;
        }
        Ok(accepted)
    }

    /// Deletes the invitations of all workspaces that are over; says how many there were.
    pub async fn purge_expired(&self, tx: &mut WriteTx) -> Result<u64, AccessError> {
        Ok(repository::delete_expired(tx, self.sources.now()).await?)
    }

    /// Writes the invitation down, in place of one that is over.
    async fn keep(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        email: &Email,
        role: WorkspaceRole,
    ) -> Result<Invitation, AccessError> {
        let now = self.sources.now();
        let workspace = by.workspace();
        repository::delete_expired_of(tx, workspace, email.key(), now).await?;
        let pending = repository::count(tx, workspace, now).await?;
        let invitation = Invitation {
            id: InvitationId::generate(now, self.sources.random()),
            workspace,
            email: email.as_str().to_owned(),
            role,
            invited_by: by.actor(),
            by_administrator: by.is_administrator(),
            created_at: now,
            expires_at: now + LIFE,
        };
        let is_new = repository::insert(tx, &invitation, email.key())
            .await
            .map_err(AccessError::of_workspace)?;
        if !is_new {
            return Err(AccessError::AlreadyInvited);
        }
        if pending >= MAX_PENDING && !by.is_administrator() {
            return Err(AccessError::TooManyInvitations(MAX_PENDING));
        }
        Ok(invitation)
    }

    /// What keeps the user from accepting the invitation now.
    async fn obstacle(
        &self,
        tx: &mut WriteTx,
        invitation: &Invitation,
        user: UserId,
    ) -> Result<Option<Void>, AccessError> {
        if invitation.expires_at <= self.sources.now() {
            return Ok(Some(Void::Expired));
        }
        if memberships::find(tx, invitation.workspace, user).await?.is_some() {
            return Ok(Some(Void::AlreadyMember));
        }
        let may_invite = still_may_invite(tx, invitation).await?;
        Ok((!may_invite).then_some(Void::Inviter))
    }

    async fn record(
        &self,
        tx: &mut Tx,
        action: Action,
        (actor, target): (Option<UserId>, Target),
        invitation: &Invitation,
        detail: Value,
    ) -> Result<(), AccessError> {
        let entry = Entry {
            action,
            actor,
            target,
            workspace: Some(invitation.workspace),
            detail: Some(detail),
        };
        self.activity.record(tx, entry).await
    }
}

/// Whether who invited may use his account, and is what he invited as: an administrator of the installation, or a member
/// with a role that can give this one. Nobody takes anything from the command line.
async fn still_may_invite(tx: &mut Tx, invitation: &Invitation) -> Result<bool, AccessError> {
    let Some(inviter) = invitation.invited_by else {
        return Ok(invitation.by_administrator);
    };
    let Some(user) = users::find(tx, inviter).await?.filter(|user| user.is_active) else {
        return Ok(false);
    };
    if invitation.by_administrator {
        return Ok(user.is_admin);
    }
    let needed = invitation.role.max(WorkspaceRole::Admin);
    Ok(memberships::find(tx, invitation.workspace, inviter)
        .await?
        .is_some_and(|membership| membership.role >= needed))
}

/// Whether the address that a provider vouches for is the one of the user's account, which may be used.
fn may_accept(user: &User, vouched: &EmailKey) -> bool {
    let is_own = EmailKey::of(&user.email).is_ok_and(|own| own == *vouched);
    is_own && user.email_verified_at.is_some() && user.is_active
}

/// An address without an account has no id: what was done was done to the workspace.
fn of_workspace(workspace: WorkspaceId) -> Target {
    Target {
        kind: TargetKind::Workspace,
        id: workspace.as_uuid(),
    }
}
