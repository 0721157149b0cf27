//! Who is in a workspace, and as what. Roles are read from the rows at every operation; a token only says which
//! workspace it is limited to.

mod authority;
pub(crate) mod repository;

use sentinel_authz::sentinel::Grantee;
use sentinel_core::id::{MembershipId, UserId, WorkspaceId};
use sentinel_core::{Change, EmailKey, Timestamp, WorkspaceRole, principal};
use sentinel_store::{Tx, WriteTx};
use serde_json::json;

pub use authority::Authority;

use crate::activity::{Action, Activity, Target};
use crate::error::AccessError;
use crate::groups::repository as groups;
use crate::invitations::repository as invitations;
use crate::permissions::repository as permissions;
use crate::projection;
use crate::roles;
use crate::sources::Sources;
use crate::users::User;
use crate::workspaces::{Workspace, repository as workspaces};

/// The constraint on memberships, as the store names it.
const MEMBERSHIP_UNIQUE: &str = "workspace_memberships__workspace_id__user_id";

/// A user's membership of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Which.
    pub id: MembershipId,
    /// Of what.
    pub workspace: WorkspaceId,
    /// Whose.
    pub user: UserId,
    /// As what.
    pub role: WorkspaceRole,
    /// Since when.
    pub joined_at: Timestamp,
}

/// A member as lists show him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// His address.
    pub email: String,
    /// His name.
    pub name: String,
    /// Where his picture is.
    pub avatar_url: Option<String>,
    /// As what.
    pub role: WorkspaceRole,
    /// Since when.
    pub joined_at: Timestamp,
}

/// The service of memberships.
#[derive(Clone)]
pub struct Members {
    sources: Sources,
    activity: Activity,
}

impl Members {
    pub(crate) fn new(sources: Sources, activity: Activity) -> Self {
        Self { sources, activity }
    }

    /// The user's authority in the workspace, if his token is for it, he is a member now, and his role is enough.
    ///
    /// # Errors
    /// [`AccessError::NotAMember`] or [`AccessError::InsufficientRole`].
    pub async fn authorize(
        &self,
        tx: &mut Tx,
        user: &principal::User,
        workspace: WorkspaceId,
        at_least: WorkspaceRole,
    ) -> Result<Authority, AccessError> {
        if user.workspace != workspace {
            return Err(AccessError::NotAMember);
        }
        let role = self
            .role(tx, workspace, user.id)
            .await?
            .ok_or(AccessError::NotAMember)?;
        let authority = Authority::of_member(workspace, user.id, role);
        authority.require(at_least)?;
        Ok(authority)
    }

    /// The user's role in the workspace; `None` if he is no member.
    pub async fn role(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        user: UserId,
    ) -> Result<Option<WorkspaceRole>, AccessError> {
        Ok(repository::find(tx, workspace, user)
            .await?
            .map(|membership| membership.role))
    }

    /// The user's role in the workspace, which he keeps until the transaction ends: whoever removes him waits for that.
    pub async fn role_locked(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        user: UserId,
    ) -> Result<Option<WorkspaceRole>, AccessError> {
        Ok(repository::find_locked(tx, workspace, user)
            .await?
            .map(|membership| membership.role))
    }

    /// Waits for every transaction that has a role of these members locked, so that what they began is seen by the next
    /// statement, and those that come later wait for this one. Done before their sessions in the workspace are ended.
    pub async fn lock(
        &self,
        tx: &mut WriteTx,
        workspace: WorkspaceId,
        users: &[UserId],
    ) -> Result<(), AccessError> {
        Ok(repository::lock(tx, workspace, users).await?)
    }

    /// The workspaces that the user is a member of, with his role in each, oldest first.
    pub async fn workspaces_of(
        &self,
        tx: &mut Tx,
        user: UserId,
    ) -> Result<Vec<(Workspace, WorkspaceRole)>, AccessError> {
        let joined = workspaces::of_user(tx, user).await?;
        Ok(joined.into_iter().map(|one| (one.workspace, one.role)).collect())
    }

    /// The members in the order in which they joined. `search` keeps those whose name or address contains it, in
    /// whatever case; `limit` keeps the first so many.
    pub async fn list(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        search: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<Member>, AccessError> {
        let mut members = repository::list(tx, workspace).await?;
        // Here and not in SQL: SQLite folds the case of ASCII only, PostgreSQL by its locale.
        if let Some(search) = search {
            let search = search.to_lowercase();
            members.retain(|member| {
                member.name.to_lowercase().contains(&search) || member.email.to_lowercase().contains(&search)
            });
        }
        members.truncate(limit.unwrap_or(usize::MAX));
        Ok(members)
    }

    /// Makes a user a member, on behalf of somebody who may. A pending invitation of his address to the workspace is
    /// gone then: it must not bring him back after he was removed.
    ///
    /// # Errors
    /// [`AccessError::InviteAsOwner`], [`AccessError::AlreadyMember`], [`AccessError::WorkspaceNotFound`].
    pub async fn add(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        user: User,
        role: WorkspaceRole,
    ) -> Result<Member, AccessError> {
        by.require_to_invite(role)?;
        if repository::find(tx, by.workspace(), user.id).await?.is_some() {
            return Err(AccessError::AlreadyMember);
        }
        let membership = self.enter(tx, by.workspace(), user.id, role).await?;
        if let Ok(address) = EmailKey::of(&user.email) {
            invitations::delete_of_member(tx, by.workspace(), &address).await?;
        }
        let detail = json!({ "email": user.email, "role": role });
        self.activity
            .record_by(tx, Action::MemberInvited, by, Target::user(user.id), Some(detail))
            .await?;
        Ok(member(user, &membership))
    }

    /// Writes a membership down, and that edges must know it. Whether it may be is the caller's decision, and what the
    /// activity log says of it.
    pub(crate) async fn enter(
        &self,
        tx: &mut WriteTx,
        workspace: WorkspaceId,
        user: UserId,
        role: WorkspaceRole,
    ) -> Result<Membership, AccessError> {
        let now = self.sources.now();
        let membership = Membership {
            id: MembershipId::generate(now, self.sources.random()),
            workspace,
            user,
            role,
            joined_at: now,
        };
        repository::insert(tx, &membership).await.map_err(|error| {
            AccessError::in_workspace(error, MEMBERSHIP_UNIQUE, AccessError::AlreadyMember)
        })?;
        tx.record(Change::Put(projection::membership(&membership)));
        Ok(membership)
    }

    /// Gives a member another role.
    pub async fn change_role(
        &self,
        tx: &mut WriteTx,
        by: &Authority,
        user: UserId,
        role: WorkspaceRole,
    ) -> Result<Membership, AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let before = self.membership(tx, by.workspace(), user).await?;
        if role == WorkspaceRole::Owner && by.role() != WorkspaceRole::Owner {
            return Err(AccessError::GrantOwner);
        }
        if before.role == WorkspaceRole::Owner && by.role() != WorkspaceRole::Owner {
            return Err(AccessError::ChangeOwner);
        }
        if role == before.role {
            return Ok(before);
        }
        if before.role == WorkspaceRole::Owner && repository::owners(tx, by.workspace()).await? <= 1 {
            return Err(AccessError::DemoteLastOwner);
        }
        let after = Membership {
            role,
            ..before.clone()
        };
        repository::update_role(tx, &after).await?;
        let (was, is) = (projection::membership(&before), projection::membership(&after));
        tx.record_all(projection::difference(&[was], vec![is]));
        self.activity
            .record_by(
                tx,
                Action::MemberRoleChanged,
                by,
                Target::user(user),
                Some(json!({ "role": role })),
            )
            .await?;
        Ok(after)
    }

    /// Removes a member, and with him his places in the workspace's groups, his roles and what was shared with him there,
    /// so that none of it comes back with him. The caller ends his sessions in the same transaction.
    pub async fn remove(&self, tx: &mut WriteTx, by: &Authority, user: UserId) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let workspace = by.workspace();
        let membership = self.membership(tx, workspace, user).await?;
        if membership.role == WorkspaceRole::Owner {
            if by.role() != WorkspaceRole::Owner {
                return Err(AccessError::RemoveOwner);
            }
            if repository::owners(tx, workspace).await? <= 1 {
                return Err(AccessError::RemoveLastOwner);
            }
        }
        let as_grantee = Grantee::User(user);
        for share in permissions::delete_shares_of_grantee(tx, workspace, as_grantee).await? {
            tx.record(Change::Delete(projection::share(
                &share.resource,
                share.grantee,
                share.level,
            )?));
        }
        roles::purge::of_member(tx, workspace, user).await?;
        for group in groups::delete_memberships_of_user(tx, workspace, user).await? {
            tx.record(Change::Delete(projection::group_membership(group, user)));
        }
        repository::delete(tx, workspace, user).await?;
        tx.record(Change::Delete(projection::membership(&membership)));
        self.activity
            .record_by(tx, Action::MemberRemoved, by, Target::user(user), None)
            .await
    }

    async fn membership(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        user: UserId,
    ) -> Result<Membership, AccessError> {
        repository::find(tx, workspace, user)
            .await?
            .ok_or(AccessError::MembershipNotFound)
    }
}

fn member(user: User, membership: &Membership) -> Member {
    Member {
        user: user.id,
        email: user.email,
        name: user.name,
        avatar_url: user.avatar_url,
        role: membership.role,
        joined_at: membership.joined_at,
    }
}
