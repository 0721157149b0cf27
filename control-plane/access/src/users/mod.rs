//! Profiles of people, as sign-ins and they themselves fill them. How somebody signs in is `sentinel-identity`'s.

pub(crate) mod repository;

use std::collections::BTreeSet;

use sentinel_core::id::UserId;
use sentinel_core::{Change, Timestamp};
use sentinel_store::{Tx, WriteTx};
use serde_json::json;

use crate::activity::{Action, Activity, Entry, Page, Target};
use crate::error::AccessError;
use crate::projection;
use crate::search::Search;
use crate::sources::Sources;
use crate::text::{Email, Name};

/// The constraint on addresses, as the store names it.
const EMAIL_UNIQUE: &str = "users__email_key";

/// A person known to the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// The address that the identity provider gave at the first sign-in.
    pub email: String,
    /// When a provider vouched that the address is the user's; `None` while none has. Only such an address decides
    /// anything: who is invited, who is an administrator by configuration, which account a sign-in is linked to.
    pub email_verified_at: Option<Timestamp>,
    /// When all of his sessions were last ended at once: a sign-in that came back before gives him none.
    pub signed_out_at: Option<Timestamp>,
    /// The name that pages show.
    pub name: String,
    /// Where a picture of the user is.
    pub avatar_url: Option<String>,
    /// Whether the account may be used.
    pub is_active: bool,
    /// Whether the user administers this installation.
    pub is_admin: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the profile was last changed.
    pub updated_at: Timestamp,
}

/// Somebody who signs in for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The address.
    pub email: Email,
    /// Whether the provider vouches that it is the user's.
    pub email_verified: bool,
    /// The name that the provider gives.
    pub name: Name,
    /// Where a picture is; see [`crate::text::avatar_url`].
    pub avatar_url: Option<String>,
    /// Whether the user administers this installation.
    pub is_admin: bool,
}

/// A user in the list of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUser {
    /// The user.
    pub user: User,
    /// Of how many workspaces he is a member.
    pub workspace_count: i64,
}

/// The service of profiles.
#[derive(Clone)]
pub struct Users {
    sources: Sources,
    activity: Activity,
}

impl Users {
    pub(crate) fn new(sources: Sources, activity: Activity) -> Self {
        Self { sources, activity }
    }

    /// The user with this id.
    pub async fn find(&self, tx: &mut Tx, user: UserId) -> Result<Option<User>, AccessError> {
        Ok(repository::find(tx, user).await?)
    }

    /// The user with this id, who must exist.
    pub async fn get(&self, tx: &mut Tx, user: UserId) -> Result<User, AccessError> {
        self.find(tx, user).await?.ok_or(AccessError::UserNotFound)
    }

    /// The user with this address, in whatever case it is written ([`sentinel_core::EmailKey`]).
    pub async fn find_by_email(&self, tx: &mut Tx, email: &str) -> Result<Option<User>, AccessError> {
        Ok(repository::find_by_email(tx, email).await?)
    }

    /// A page of all users, newest first; for administrators of the installation. `search` keeps those whose address or
    /// name contains it. `page` counts from 1.
    pub async fn list(
        &self,
        tx: &mut Tx,
        search: &Search,
        page: u32,
        page_size: u32,
    ) -> Result<Page<ListedUser>, AccessError> {
        let offset = i64::from(page.saturating_sub(1)) * i64::from(page_size);
        Ok(Page {
            items: repository::page(tx, search, i64::from(page_size), offset).await?,
            total: repository::count(tx, search).await?,
        })
    }

    /// The user with this id, who stays as he is until the transaction ends: whoever deactivates him, or ends his
    /// sessions, waits for it or is waited for.
    pub async fn find_locked(&self, tx: &mut Tx, user: UserId) -> Result<Option<User>, AccessError> {
        Ok(repository::find_locked(tx, user).await?)
    }

    /// Waits for every transaction that has the user locked, so that what they began is seen by the next statement, and
    /// those that come later wait for this one.
    pub async fn lock(&self, tx: &mut WriteTx, user: UserId) -> Result<(), AccessError> {
        Ok(repository::lock(tx, user).await?)
    }

    /// Notes that all of the user's sessions end now, for the sign-ins that have not become one yet. The caller has him
    /// locked, and ends the sessions.
    pub async fn note_signed_out(&self, tx: &mut WriteTx, user: UserId) -> Result<(), AccessError> {
        Ok(repository::note_signed_out(tx, user, self.sources.now()).await?)
    }

    /// Makes an active account.
    ///
    /// # Errors
    /// [`AccessError::EmailTaken`] when there is one with this address; the transaction is over then.
    pub async fn create(&self, tx: &mut Tx, new: NewUser) -> Result<User, AccessError> {
        let now = self.sources.now();
        let user = User {
            id: UserId::generate(now, self.sources.random()),
            email: new.email.as_str().to_owned(),
            email_verified_at: new.email_verified.then_some(now),
            signed_out_at: None,
            name: new.name.as_str().to_owned(),
            avatar_url: new.avatar_url,
            is_active: true,
            is_admin: new.is_admin,
            created_at: now,
            updated_at: now,
        };
        repository::insert(tx, &user, new.email.key())
            .await
            .map_err(|error| AccessError::on_conflict(error, EMAIL_UNIQUE, AccessError::EmailTaken))?;
        Ok(user)
    }

    /// Takes over what is given and leaves the rest as it is. Used by the user himself and by each sign-in.
    pub async fn update_profile(
        &self,
        tx: &mut Tx,
        user: UserId,
        name: Option<Name>,
        avatar_url: Option<String>,
    ) -> Result<User, AccessError> {
        let name = name.as_ref().map(Name::as_str);
        repository::update_profile(tx, user, name, avatar_url.as_deref(), self.sources.now())
            .await?
            .ok_or(AccessError::UserNotFound)
    }

    /// Gives the user another name, on behalf of an administrator.
    pub async fn rename(
        &self,
        tx: &mut Tx,
        actor: Option<UserId>,
        user: UserId,
        name: Name,
    ) -> Result<User, AccessError> {
        let before = self.get(tx, user).await?;
        if before.name == name.as_str() {
            return Ok(before);
        }
        let user = self.update_profile(tx, user, Some(name), None).await?;
        let mut entry = entry(Action::UserUpdated, actor, user.id);
        entry.detail = Some(json!({ "name": user.name }));
        self.activity.record(tx, entry).await?;
        Ok(user)
    }

    /// Notes that a provider vouched for the address of the account, if none has before.
    pub async fn confirm_email(&self, tx: &mut Tx, user: User) -> Result<User, AccessError> {
        if user.email_verified_at.is_some() {
            return Ok(user);
        }
        repository::confirm_email(tx, user.id, self.sources.now())
            .await?
            .ok_or(AccessError::UserNotFound)
    }

    /// Makes the user an administrator because his address is listed as one's, unless somebody took that from him: a
    /// demotion is not undone by the next sign-in.
    pub async fn promote_listed(&self, tx: &mut Tx, user: User) -> Result<User, AccessError> {
        if user.is_admin {
            return Ok(user);
        }
        match repository::promote_listed(tx, user.id, self.sources.now()).await? {
            Some(promoted) => {
                let entry = entry(Action::UserPromotedAdmin, None, user.id);
                self.activity.record(tx, entry).await?;
                Ok(promoted)
            }
            None => Ok(user),
        }
    }

    /// Whether somebody took the administration of this installation from the user, and nobody gave it back.
    pub async fn was_demoted(&self, tx: &mut Tx, user: UserId) -> Result<bool, AccessError> {
        Ok(repository::was_demoted(tx, user).await?)
    }

    /// Makes the user an administrator of this installation, or takes that away; from himself nobody can take it, nor
    /// from the last active one.
    pub async fn set_admin(
        &self,
        tx: &mut WriteTx,
        actor: Option<UserId>,
        user: UserId,
        is_admin: bool,
    ) -> Result<User, AccessError> {
        if !is_admin && actor == Some(user) {
            return Err(AccessError::OwnAccount);
        }
        let mut row = self.get(tx, user).await?;
        if row.is_admin != is_admin {
            if !is_admin {
                Self::require_another_administrator(tx, &row).await?;
            }
            row = repository::set_admin(tx, user, is_admin, self.sources.now())
                .await?
                .ok_or(AccessError::UserNotFound)?;
            let action = if is_admin {
                Action::UserPromotedAdmin
            } else {
                Action::UserDemotedAdmin
            };
            self.activity.record(tx, entry(action, actor, user)).await?;
        }
        Ok(row)
    }

    /// Activates or deactivates the account; nobody deactivates his own, or that of the last active administrator. Once
    /// it is deactivated no token of it counts, at every edge. The caller ends its sessions in the same transaction.
    ///
    /// The fact is recorded even if the row says so already: what an edge may have missed is mended by saying it again.
    pub async fn set_active(
        &self,
        tx: &mut WriteTx,
        actor: Option<UserId>,
        user: UserId,
        is_active: bool,
    ) -> Result<User, AccessError> {
        if !is_active && actor == Some(user) {
            return Err(AccessError::OwnAccount);
        }
        let before = self.get(tx, user).await?;
        let fact = projection::disabled(user);
        tx.record(if is_active {
            Change::Delete(fact)
        } else {
            Change::Put(fact)
        });
        if before.is_active == is_active {
            return Ok(before);
        }
        if !is_active {
            Self::require_another_administrator(tx, &before).await?;
        }
        let after = repository::set_active(tx, user, is_active, self.sources.now())
            .await?
            .ok_or(AccessError::UserNotFound)?;
        let action = if is_active {
            Action::UserActivated
        } else {
            Action::UserDeactivated
        };
        self.activity.record(tx, entry(action, actor, user)).await?;
        Ok(after)
    }

    /// Those of the ids that are somebody's, in order.
    pub async fn known(&self, tx: &mut Tx, users: &BTreeSet<UserId>) -> Result<Vec<UserId>, AccessError> {
        Ok(repository::known(tx, users).await?)
    }

    /// Notes that an administrator activated or deactivated so many accounts at once. What happened to each is noted by
    /// [`Users::set_active`].
    pub async fn note_bulk(
        &self,
        tx: &mut WriteTx,
        actor: Option<UserId>,
        count: usize,
        is_active: bool,
    ) -> Result<(), AccessError> {
        // It is about no one account.
        let mut entry = entry(Action::BulkStatusChange, actor, uuid::Uuid::nil().into());
        entry.detail = Some(json!({ "user_count": count, "is_active": is_active }));
        self.activity.record(tx, entry).await
    }

    /// Notes that an administrator ended all of the user's sessions, which the caller does in the same transaction.
    pub async fn note_revocation(
        &self,
        tx: &mut WriteTx,
        actor: Option<UserId>,
        user: UserId,
        sessions: u64,
    ) -> Result<(), AccessError> {
        let mut entry = entry(Action::TokensRevoked, actor, user);
        entry.detail = Some(json!({ "tokens_revoked": sessions }));
        self.activity.record(tx, entry).await
    }

    /// Refuses if nobody else could administer the installation. The transaction is a [`WriteTx`], as is that of
    /// everybody who demotes or deactivates, so that of two who take each other's place away one is refused.
    async fn require_another_administrator(tx: &mut WriteTx, but: &User) -> Result<(), AccessError> {
        let matters = but.is_admin && but.is_active;
        if matters && repository::active_administrators_but(tx, but.id).await? == 0 {
            return Err(AccessError::LastAdministrator);
        }
        Ok(())
    }
}

fn entry(action: Action, actor: Option<UserId>, user: UserId) -> Entry {
    Entry {
        action,
        actor,
        target: Target::user(user),
        workspace: None,
        detail: None,
    }
}
