//! Reading tuples in pages, and deleting many at a time.

use std::collections::HashSet;

use sentinel_core::id::UserId;
use sentinel_core::name::ServiceName;
use sentinel_core::{Change, Fact, Object, Revision, Subject, Tuple};
use sentinel_store::{ChangesAfter, StoreError, Tx, WriteTx};
use serde_json::json;
use uuid::Uuid;

use super::repository::tuples::{self as rows, Place};
use super::{MAX_CHANGES, RelationTuple, Relations, fit};
use crate::activity::{Action, Entry, Target, TargetKind};
use crate::error::AccessError;
use crate::projection;

/// How many revisions of the change log are read at once.
const LOG_BATCH: u32 = 20;

/// Over how many changes it is looked at in the writer's turn.
const LOG_CHANGES: usize = 10_000;

/// Which tuples of a service. Every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    object_type: Option<String>,
    object: Option<Object>,
    relation: Option<String>,
    subject_type: Option<String>,
    subject: Option<Subject>,
}

/// A filter that cannot mean anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// An object's id without its type.
    #[error("an object's id means nothing without its type")]
    IdAlone,
    /// A subject's type that is not the subject's.
    #[error("the subject is not of that type")]
    OtherType,
    /// A relation with a name that no relation has.
    #[error("`{0}` is not the name of a relation")]
    Relation(String),
    /// A part has not the form that a tuple's part has.
    #[error(transparent)]
    Shape(#[from] sentinel_core::tuple::InvalidTuple),
}

impl Filter {
    /// A filter, with types by their whole names: `docs/folder`.
    pub fn new(
        object_type: Option<String>,
        object_id: Option<&str>,
        relation: Option<String>,
        subject_type: Option<String>,
        subject: Option<Subject>,
    ) -> Result<Self, InvalidFilter> {
        let object = match (&object_type, object_id) {
            (Some(kind), Some(id)) => Some(Object::new(kind, id)?),
            (None, Some(_)) => return Err(InvalidFilter::IdAlone),
            (_, None) => None,
        };
        if let Some(name) = &relation
            && (name.contains('/') || Object::new(name, "1").is_err())
        {
            return Err(InvalidFilter::Relation(name.chars().take(64).collect()));
        }
        if let (Some(kind), Some(subject)) = (&subject_type, &subject)
            && kind_of(subject) != kind
        {
            return Err(InvalidFilter::OtherType);
        }
        Ok(Self {
            object_type,
            object,
            relation,
            subject_type,
            subject,
        })
    }

    /// Where in the order of all tuples of the service the objects are.
    pub(super) fn objects(&self, service: &ServiceName) -> Place {
        let own = |kind: &str| fit::own_name(service, kind).unwrap_or(kind).to_owned();
        match (&self.object, &self.object_type) {
            (Some(object), _) => Place::exactly(format!("{}:{}", own(object.kind()), object.id())),
            (None, Some(kind)) => Place::of_type(&own(kind)),
            (None, None) => Place::ANYWHERE,
        }
    }

    /// The same of subjects.
    pub(super) fn subjects(&self) -> Place {
        match (&self.subject, &self.subject_type) {
            (Some(subject), _) => Place::exactly(subject.to_string()),
            (None, Some(kind)) => Place::of_type(kind),
            (None, None) => Place::ANYWHERE,
        }
    }

    pub(super) fn relation(&self) -> Option<&str> {
        self.relation.as_deref()
    }

    /// Whether it is a tuple of the service's that matches.
    fn matches(&self, service: &ServiceName, tuple: &Tuple) -> bool {
        let (object, subject) = (tuple.object(), tuple.subject());
        fit::own_name(service, object.kind()).is_some()
            && self.object_type.as_ref().is_none_or(|kind| object.kind() == kind)
            && self.object.as_ref().is_none_or(|only| object == only)
            && self.relation.as_ref().is_none_or(|only| tuple.relation() == only)
            && self
                .subject_type
                .as_ref()
                .is_none_or(|kind| kind_of(subject) == kind)
            && self.subject.as_ref().is_none_or(|only| subject == only)
    }
}

fn kind_of(subject: &Subject) -> &str {
    match subject {
        Subject::Object(object) | Subject::Userset(object, _) => object.kind(),
        Subject::Wildcard(kind) => kind,
    }
}

/// Which part of what matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched<'a> {
    /// Only what comes behind this tuple, in the order of tuples.
    pub after: Option<&'a Tuple>,
    /// At most so many.
    pub limit: u32,
}

/// Some tuples, in their order: by object, relation and subject, each by its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuplePage {
    /// The tuples.
    pub tuples: Vec<RelationTuple>,
    /// Whether there are more behind the last one.
    pub more: bool,
    /// The revision that they were read at.
    pub revision: Revision,
}

/// What matched a filter a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// The tuples, in their order.
    pub tuples: Vec<Tuple>,
    /// Whether more match.
    pub more: bool,
    /// The revision that they were read at.
    pub revision: Revision,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// How many tuples.
    pub deleted: usize,
    /// Whether there are more that match; also if that could not be found out in time.
    pub more: bool,
    /// The revision at which it is so.
    pub revision: Revision,
}

impl Relations {
    /// A page of the tuples that match and hold now.
    pub async fn read(
        &self,
        tx: &mut Tx,
        service: &ServiceName,
        filter: &Filter,
        page: Matched<'_>,
    ) -> Result<TuplePage, AccessError> {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let holding_at = Some(self.sources.now());
        let mut tuples = rows::matching(
            tx,
            service,
            filter,
            page.after,
            holding_at,
            page.limit.saturating_add(1),
        )
        .await?;
        let more = tuples.len() > limit;
        tuples.truncate(limit);
        Ok(TuplePage {
            tuples,
            more,
            revision: tx.head().await?,
        })
    }

    /// What matches, the first [`MAX_CHANGES`] of it: looked for before the writer's turn, however long it takes.
    pub async fn candidates(
        &self,
        tx: &mut Tx,
        service: &ServiceName,
        filter: &Filter,
    ) -> Result<Candidates, AccessError> {
        let limit = u32::try_from(MAX_CHANGES).unwrap_or(u32::MAX).saturating_add(1);
        let mut found = rows::matching(tx, service, filter, None, None, limit).await?;
        let more = found.len() > MAX_CHANGES;
        found.truncate(MAX_CHANGES);
        Ok(Candidates {
            tuples: found.into_iter().map(|row| row.tuple).collect(),
            more,
            revision: tx.head().await?,
        })
    }

    /// Deletes those of the candidates that are still there, and sees whether others have come to match since.
    pub async fn delete(
        &self,
        tx: &mut WriteTx,
        service: &ServiceName,
        actor: Option<UserId>,
        filter: &Filter,
        candidates: &Candidates,
    ) -> Result<Removed, AccessError> {
        let more = candidates.more || came_since(tx, service, filter, candidates).await?;
        let named = candidates.tuples.iter().map(|tuple| (service, tuple));
        let found = rows::named(tx, named).await?;
        rows::delete(tx, found.iter().map(|row| (service, &row.tuple))).await?;
        tx.record_all(
            found
                .iter()
                .map(|row| Change::Delete(projection::relation_tuple(row))),
        );
        if found.is_empty() {
            return Ok(Removed {
                deleted: 0,
                more,
                revision: tx.base(),
            });
        }
        let entry = Entry {
            action: Action::TuplesDeleted,
            actor,
            target: Target {
                kind: TargetKind::Service,
                id: Uuid::nil(),
            },
            workspace: None,
            detail: Some(json!({
                "service_name": service,
                "deleted_count": found.len(),
                "object_type": filter.object_type,
                "object_id": filter.object.as_ref().map(Object::id),
                "relation": filter.relation,
                "subject": filter.subject.as_ref().map(ToString::to_string),
                "subject_type": filter.subject_type,
            })),
        };
        self.activity.record(tx, entry).await?;
        Ok(Removed {
            deleted: found.len(),
            more,
            revision: tx.next_revision(),
        })
    }
}

/// Whether tuples match that did not when the candidates were looked for, as the change log has it. If that is too much to be
/// read while all writers wait, or not there any more, it may be so.
async fn came_since(
    tx: &mut Tx,
    service: &ServiceName,
    filter: &Filter,
    candidates: &Candidates,
) -> Result<bool, StoreError> {
    let head = tx.head().await?;
    let mut known = candidates.revision;
    let mut came: HashSet<Tuple> = HashSet::new();
    let mut looked_at = 0_usize;
    while known != head {
        let ChangesAfter::Changes(logged) = tx.changes_after(known, LOG_BATCH).await? else {
            return Ok(true);
        };
        let Some(last) = logged.last() else {
            return Ok(true);
        };
        known = last.revision;
        for change in logged.iter().flat_map(|logged| &logged.changes) {
            looked_at = looked_at.saturating_add(1);
            let (Fact::Tuple(tuple) | Fact::ExpiringTuple { tuple, .. }) = change.fact() else {
                continue;
            };
            match change {
                Change::Put(_) if filter.matches(service, tuple) => {
                    came.insert(tuple.clone());
                }
                Change::Put(_) => {}
                Change::Delete(_) => {
                    came.remove(tuple);
                }
            }
        }
        if looked_at > LOG_CHANGES && known != head {
            return Ok(true);
        }
    }
    // These are deleted with the others.
    if came.is_empty() {
        return Ok(false);
    }
    let those: HashSet<&Tuple> = candidates.tuples.iter().collect();
    Ok(came.iter().any(|tuple| !those.contains(tuple)))
}
