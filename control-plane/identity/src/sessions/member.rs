//! What a token says about a member, and what must not change while one begins a session.

use sentinel_access::Access;
use sentinel_core::id::{GroupId, SessionId, UserId, WorkspaceId};
use sentinel_core::{Revision, Timestamp, WorkspaceRole};
use sentinel_store::Tx;

use super::{Sessions, StartError};
use crate::error::IdentityError;
use crate::tokens::Subject;

/// Whether what a session is begun with must stay as it is until the session is there.
///
/// A session that begins has no row yet which an end of it could wait for: it holds its client app or service app, user,
/// workspace and membership, in this order, and whoever signs the user out, deactivates or removes him, changes his role or
/// groups, withdraws the app, or deletes the workspace, waits and then finds the session. A refresh holds the session
/// itself.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hold {
    Locked,
    Free,
}

pub(super) struct Member {
    pub(super) user: sentinel_access::users::User,
    pub(super) workspace: sentinel_access::workspaces::Workspace,
    pub(super) role: WorkspaceRole,
    groups: Vec<GroupId>,
    revision: Revision,
}

impl Member {
    /// Whether all of his sessions were ended after that moment.
    pub(super) fn signed_out_since(&self, moment: Timestamp) -> bool {
        self.user.signed_out_at.is_some_and(|at| at > moment)
    }

    pub(super) fn claims<'a>(
        &'a self,
        session: SessionId,
        auth_time: Timestamp,
        amr: &'a [String],
    ) -> Subject<'a> {
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

impl Sessions {
    /// What an access token says about a member, as the database has it. The revision is read last, so that the
    /// membership is one that a replica at that revision knows.
    pub(super) async fn subject(
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
