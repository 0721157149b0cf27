//! How much there is of everything, for the first page of the panel.

mod repository;

use sentinel_core::id::WorkspaceId;
use sentinel_core::name::Slug;
use sentinel_store::Tx;

use crate::error::AccessError;
use crate::search::Search;
use crate::users::{ListedUser, repository as users};

/// How many users and workspaces are shown by name.
const SHOWN: i64 = 5;

/// How much there is of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Users, active or not.
    pub users: i64,
    /// Users who are active.
    pub active_users: i64,
    /// Workspaces.
    pub workspaces: i64,
    /// Groups of all workspaces.
    pub groups: i64,
    /// Registered resources.
    pub resources: i64,
    /// The newest users.
    pub recent_users: Vec<ListedUser>,
    /// The workspaces with the most members.
    pub top_workspaces: Vec<TopWorkspace>,
}

/// A workspace with many members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopWorkspace {
    /// Which.
    pub id: WorkspaceId,
    /// Its name for people.
    pub name: String,
    /// Its short name.
    pub slug: Slug,
    /// How many members it has.
    pub member_count: i64,
}

/// Counts everything. Reads whole tables: whoever asks often keeps the answer for a while.
pub async fn stats(tx: &mut Tx) -> Result<Stats, AccessError> {
    let counts = repository::counts(tx).await?;
    Ok(Stats {
        users: counts.users,
        active_users: counts.active_users,
        workspaces: counts.workspaces,
        groups: counts.groups,
        resources: counts.resources,
        recent_users: users::page(tx, &Search::default(), SHOWN, 0).await?,
        top_workspaces: repository::top_workspaces(tx, SHOWN).await?,
    })
}
