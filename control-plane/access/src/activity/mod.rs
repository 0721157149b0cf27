//! The activity log: what was done, by whom, to what. Rows are only ever added, and keep the ids of things and people
//! that are gone. It is not the audit of every decision, which is the log stream's.

mod action;
mod repository;

use sentinel_core::Timestamp;
use sentinel_core::id::{ActivityId, GroupId, RoleId, UserId, WorkspaceId};
use sentinel_store::Tx;
use serde_json::Value;
use uuid::Uuid;

pub use action::{Action, TargetKind, UnknownWord};

use crate::error::AccessError;
use crate::members::Authority;
use crate::sources::Sources;

/// What something was done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The kind of thing.
    pub kind: TargetKind,
    /// Its id, also after it is gone.
    pub id: Uuid,
}

impl Target {
    /// A user.
    pub fn user(user: UserId) -> Self {
        Self {
            kind: TargetKind::User,
            id: user.as_uuid(),
        }
    }

    /// A group.
    pub fn group(group: GroupId) -> Self {
        Self {
            kind: TargetKind::Group,
            id: group.as_uuid(),
        }
    }

    /// A role.
    pub fn role(role: RoleId) -> Self {
        Self {
            kind: TargetKind::Role,
            id: role.as_uuid(),
        }
    }
}

/// One thing that was done, before it has a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What.
    pub action: Action,
    /// By whom; `None` for a service or the command line.
    pub actor: Option<UserId>,
    /// To what.
    pub target: Target,
    /// In which workspace, if in one.
    pub workspace: Option<WorkspaceId>,
    /// More about it, as an object.
    pub detail: Option<Value>,
}

/// One row of the log. Names of the actor are as they are now; they are `None` once the account is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The row's id.
    pub id: ActivityId,
    /// What was done, as the word in the database, which may be one of an older version.
    pub action: String,
    /// By whom.
    pub actor: Option<UserId>,
    /// The actor's name.
    pub actor_name: Option<String>,
    /// The actor's e-mail address.
    pub actor_email: Option<String>,
    /// The kind of thing it was done to.
    pub target_type: String,
    /// That thing's id.
    pub target_id: Uuid,
    /// The workspace that it happened in.
    pub workspace: Option<WorkspaceId>,
    /// More about it.
    pub detail: Option<Value>,
    /// When.
    pub created_at: Timestamp,
    /// What the thing is called now, if it is still there.
    pub target_label: Option<String>,
}

/// Which rows to list. Every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Only this action.
    pub action: Option<Action>,
    /// Only this kind of thing.
    pub target_type: Option<TargetKind>,
    /// Only in this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Only by this user.
    pub actor: Option<UserId>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
}

/// One page of a list, with the number of all rows that match.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows of this page.
    pub items: Vec<T>,
    /// How many there are on all pages.
    pub total: i64,
}

/// The service of the activity log.
#[derive(Clone)]
pub struct Activity {
    sources: Sources,
}

impl Activity {
    pub(crate) fn new(sources: Sources) -> Self {
        Self { sources }
    }

    /// Adds a row. It is there exactly when the transaction that it tells about is.
    pub async fn record(&self, tx: &mut Tx, entry: Entry) -> Result<(), AccessError> {
        let now = self.sources.now();
        let id = ActivityId::generate(now, self.sources.random());
        Ok(repository::insert(tx, id, &entry, now).await?)
    }

    /// Adds a row about what was done in a workspace by somebody who may.
    pub(crate) async fn record_by(
        &self,
        tx: &mut Tx,
        action: Action,
        by: &Authority,
        target: Target,
        detail: Option<Value>,
    ) -> Result<(), AccessError> {
        let entry = Entry {
            action,
            actor: by.actor(),
            target,
            workspace: Some(by.workspace()),
            detail,
        };
        self.record(tx, entry).await
    }

    /// The rows that match, newest first. `page` counts from 1.
    pub async fn list(
        &self,
        tx: &mut Tx,
        filter: &Filter,
        page: u32,
        page_size: u32,
    ) -> Result<Page<Record>, AccessError> {
        let offset = i64::from(page.saturating_sub(1)) * i64::from(page_size);
        Ok(Page {
            items: repository::page(tx, filter, i64::from(page_size), offset).await?,
            total: repository::count(tx, filter).await?,
        })
    }
}
