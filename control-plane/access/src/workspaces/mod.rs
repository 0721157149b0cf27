//! Workspaces: the tenants.

mod purge;
pub(crate) mod repository;

use sentinel_core::id::{MembershipId, UserId, WorkspaceId};
use sentinel_core::name::Slug;
use sentinel_core::{Change, Timestamp, WorkspaceRole};
use sentinel_store::{Tx, WriteTx};
use serde_json::json;

use crate::activity::{Action, Activity, Entry, Page, Target, TargetKind};
use crate::error::AccessError;
use crate::members::{Authority, Membership, repository as memberships};
use crate::projection;
use crate::sources::Sources;
use crate::text::{Description, Name};
use crate::users::repository as users;

/// The constraint on slugs, as the store names it.
const SLUG_UNIQUE: &str = "workspaces__slug";

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Which.
    pub id: WorkspaceId,
    /// Its short name in URLs and tokens; it never changes.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// More about it.
    pub description: Option<String>,
    /// Who made it, while that account exists.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
}

/// A workspace in the list of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedWorkspace {
    /// The workspace.
    pub workspace: Workspace,
    /// How many members it has.
    pub member_count: i64,
}

/// A workspace as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetailedWorkspace {
    /// The workspace.
    pub workspace: Workspace,
    /// How many members it has.
    pub member_count: i64,
    /// How many groups it has.
    pub group_count: i64,
}

/// A workspace to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedWorkspace {
    /// Which.
    pub id: WorkspaceId,
    /// Its name for people.
    pub name: String,
    /// Its short name.
    pub slug: Slug,
}

/// A workspace that somebody is a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedWorkspace {
    /// The workspace.
    pub workspace: Workspace,
    /// As what.
    pub role: WorkspaceRole,
    /// Since when.
    pub joined_at: Timestamp,
}

/// A workspace to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorkspace {
    /// Its name for people.
    pub name: Name,
    /// Its short name.
    pub slug: Slug,
    /// More about it.
    pub description: Option<Description>,
}

/// The service of workspaces.
#[derive(Clone)]
pub struct Workspaces {
    sources: Sources,
    activity: Activity,
}

impl Workspaces {
    pub(crate) fn new(sources: Sources, activity: Activity) -> Self {
        Self { sources, activity }
    }

    /// The workspace with this id.
    pub async fn find(&self, tx: &mut Tx, workspace: WorkspaceId) -> Result<Option<Workspace>, AccessError> {
        Ok(repository::find(tx, workspace).await?)
    }

    /// The workspace with this id, which must exist.
    pub async fn get(&self, tx: &mut Tx, workspace: WorkspaceId) -> Result<Workspace, AccessError> {
        self.find(tx, workspace)
            .await?
            .ok_or(AccessError::WorkspaceNotFound)
    }

    /// The workspace with this id, which stays until the transaction ends: whoever deletes it waits for that.
    pub async fn find_locked(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
    ) -> Result<Option<Workspace>, AccessError> {
        Ok(repository::find_locked(tx, workspace).await?)
    }

    /// Waits for every transaction that has the workspace locked, so that what they began in it is seen by the next
    /// statement, and those that come later wait for this one. Done before sessions are ended and it is deleted.
    pub async fn lock(&self, tx: &mut WriteTx, workspace: WorkspaceId) -> Result<(), AccessError> {
        Ok(repository::lock(tx, workspace).await?)
    }

    /// The workspaces that the user is a member of, oldest first.
    pub async fn of_user(&self, tx: &mut Tx, user: UserId) -> Result<Vec<Workspace>, AccessError> {
        let workspaces = repository::of_user(tx, user).await?;
        Ok(workspaces.into_iter().map(|joined| joined.workspace).collect())
    }

    /// The workspaces that the user is a member of, with what he is in each and since when, oldest first.
    pub async fn joined_by(&self, tx: &mut Tx, user: UserId) -> Result<Vec<JoinedWorkspace>, AccessError> {
        Ok(repository::of_user(tx, user).await?)
    }

    /// A page of all workspaces, newest first; for administrators of the installation. `page` counts from 1.
    pub async fn list_all(
        &self,
        tx: &mut Tx,
        page: u32,
        page_size: u32,
    ) -> Result<Page<ListedWorkspace>, AccessError> {
        let offset = i64::from(page.saturating_sub(1)) * i64::from(page_size);
        Ok(Page {
            items: repository::page(tx, i64::from(page_size), offset).await?,
            total: repository::count(tx).await?,
        })
    }

    /// Every workspace by its name; for administrators of the installation.
    pub async fn names(&self, tx: &mut Tx) -> Result<Vec<NamedWorkspace>, AccessError> {
        Ok(repository::names(tx).await?)
    }

    /// The workspace with this id, and how much is in it.
    pub async fn detail(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
    ) -> Result<DetailedWorkspace, AccessError> {
        repository::detail(tx, workspace)
            .await?
            .ok_or(AccessError::WorkspaceNotFound)
    }

    /// Refuses a short name that is taken. Another may take it until a workspace is made: whoever makes one asks here
    /// first only so that what cannot be is no writer.
    ///
    /// # Errors
    /// [`AccessError::SlugTaken`].
    pub async fn require_free(&self, tx: &mut Tx, slug: &Slug) -> Result<(), AccessError> {
        if repository::has_slug(tx, slug).await? {
            return Err(AccessError::SlugTaken);
        }
        Ok(())
    }

    /// Makes a workspace whose owner is `owner`.
    pub async fn create(
        &self,
        tx: &mut WriteTx,
        actor: Option<UserId>,
        owner: UserId,
        new: NewWorkspace,
    ) -> Result<Workspace, AccessError> {
        if users::find(tx, owner).await?.is_none() {
            return Err(AccessError::UserNotFound);
        }
        let now = self.sources.now();
        let workspace = Workspace {
            id: WorkspaceId::generate(now, self.sources.random()),
            slug: new.slug,
            name: new.name.as_str().to_owned(),
            description: new.description.map(|text| text.as_str().to_owned()),
            created_by: Some(owner),
            created_at: now,
        };
        repository::insert(tx, &workspace)
            .await
            .map_err(|error| AccessError::on_conflict(error, SLUG_UNIQUE, AccessError::SlugTaken))?;
        let membership = Membership {
            id: MembershipId::generate(now, self.sources.random()),
            workspace: workspace.id,
            user: owner,
            role: WorkspaceRole::Owner,
            joined_at: now,
        };
        memberships::insert(tx, &membership).await?;
        tx.record(Change::Put(projection::membership(&membership)));
        let detail = json!({ "name": workspace.name, "slug": workspace.slug });
        self.record(tx, Action::WorkspaceCreated, actor, workspace.id, Some(detail))
            .await?;
        Ok(workspace)
    }

    /// Takes over what is given and leaves the rest as it is.
    pub async fn update(
        &self,
        tx: &mut Tx,
        by: &Authority,
        name: Option<Name>,
        description: Option<Description>,
    ) -> Result<Workspace, AccessError> {
        by.require(WorkspaceRole::Admin)?;
        let name = name.as_ref().map(Name::as_str);
        let description = description.as_ref().map(Description::as_str);
        let workspace = repository::update(tx, by.workspace(), name, description)
            .await?
            .ok_or(AccessError::WorkspaceNotFound)?;
        self.record(tx, Action::WorkspaceUpdated, by.actor(), workspace.id, None)
            .await?;
        Ok(workspace)
    }

    /// Deletes the workspace with its memberships, groups and resources. Its sessions were ended before, in the same
    /// transaction: one that is left refuses the deletion.
    pub async fn delete(&self, tx: &mut WriteTx, by: &Authority) -> Result<(), AccessError> {
        by.require(WorkspaceRole::Owner)?;
        let workspace = self.get(tx, by.workspace()).await?;
        purge::purge(tx, workspace.id).await?;
        repository::delete(tx, workspace.id).await?;
        let detail = json!({ "name": workspace.name, "slug": workspace.slug });
        self.record(
            tx,
            Action::WorkspaceDeleted,
            by.actor(),
            workspace.id,
            Some(detail),
        )
        .await
    }

    async fn record(
        &self,
        tx: &mut Tx,
        action: Action,
        actor: Option<UserId>,
        workspace: WorkspaceId,
        detail: Option<serde_json::Value>,
    ) -> Result<(), AccessError> {
        let target = Target {
            kind: TargetKind::Workspace,
            id: workspace.as_uuid(),
        };
        self.activity
            .record(
                tx,
                Entry {
                    action,
                    actor,
                    target,
                    workspace: Some(workspace),
                    detail,
                },
            )
            .await
    }
}
