//! What a service can ask to have written, all of it or nothing, and what can be wrong with it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;

use sentinel_authz::Model;
use sentinel_core::name::ServiceName;
use sentinel_core::{Revision, Timestamp, Tuple};
use sentinel_store::{Database, StoreError};

use super::{Misplaced, RelationTuple, Relations, fit};
use crate::error::AccessError;

/// How many tuples one request may write and delete.
pub const MAX_CHANGES: usize = 1_000;

/// The first second of the year 10000, since 1970.
const YEAR_10000: i64 = 253_402_300_800;

/// What a service wants to have written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TupleWrite {
    /// Tuples that hold from then on. One that is there already gets the end that is given here, or none.
    pub puts: Vec<RelationTuple>,
    /// Tuples that do not hold any more. One that is not there is no error.
    pub deletes: Vec<Tuple>,
    /// What must be so for anything to be written.
    pub preconditions: Vec<Precondition>,
}

/// Something that must be so before a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// The tuple.
    pub tuple: Tuple,
    /// Whether it must hold; otherwise it must not.
    pub must_exist: bool,
}

/// What a write has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// How many tuples were written that were not there, or had another end.
    pub written: u64,
    /// How many tuples were deleted.
    pub deleted: u64,
    /// The revision at which it is so: that of the write, which others may share, or of what was there if nothing had to be
    /// changed.
    pub revision: Revision,
}

/// A list of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultPlace {
    /// The tuples to be written.
    Writes,
    /// The tuples to be deleted.
    Deletes,
    /// The preconditions.
    Preconditions,
}

/// One part of a request that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In which list it stands.
    pub place: FaultPlace,
    /// Where in it, from 0.
    pub index: usize,
    /// What is wrong.
    pub what: WhatIsWrong,
}

/// What is wrong with one part of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhatIsWrong {
    /// The tuple is none that the service may write.
    #[error(transparent)]
    Misplaced(#[from] Misplaced),
    /// The end is not in the future.
    #[error("the tuple would end in the past")]
    Past,
    /// The end is later than a time can be written.
    #[error("the tuple would end after the year 9999: leave out the end")]
    Late,
    /// The same tuple stands in the request before.
    #[error("the tuple stands in {place} {index} already")]
    Twice {
        /// In which list.
        place: FaultPlace,
        /// Where in it, from 0.
        index: usize,
    },
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum RelationError {
    /// As everywhere in this crate.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Parts of the request cannot be done: all of them, in their order.
    #[error("{} parts of the request cannot be done", .0.len())]
    Faults(Vec<Fault>),
    /// A precondition is not met: the first of them.
    #[error("precondition {index} is not met: the tuple {}", if *.must_exist { "does not exist" } else { "exists" })]
    Precondition {
        /// Its place in the list, from 0.
        index: usize,
        /// What was demanded.
        must_exist: bool,
        /// A revision at which it is not met.
        revision: Revision,
    },
    /// The idempotency key stands for another request.
    #[error("this idempotency key was used for another request")]
    KeyReused,
}

impl From<StoreError> for RelationError {
    fn from(error: StoreError) -> Self {
        Self::Access(error.into())
    }
}

impl fmt::Display for FaultPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Writes => "writes",
            Self::Deletes => "deletes",
            Self::Preconditions => "preconditions",
        })
    }
}

impl TupleWrite {
    /// Every tuple that it speaks of.
    pub(super) fn named(&self) -> impl Iterator<Item = &Tuple> {
        let puts = self.puts.iter().map(|put| &put.tuple);
        let conditions = self.preconditions.iter().map(|condition| &condition.tuple);
        puts.chain(&self.deletes).chain(conditions)
    }

    /// How many tuples it speaks of.
    pub(super) fn size(&self) -> usize {
        let changes = self.puts.len().saturating_add(self.deletes.len());
        changes.saturating_add(self.preconditions.len())
    }
}

impl Relations {
    /// Everything that is wrong with a request whatever is stored, in its order, by the service's current model.
    pub async fn faults(
        &self,
        database: &Database,
        service: &ServiceName,
        asked: &TupleWrite,
    ) -> Result<Vec<Fault>, AccessError> {
        let model = self.make_ready(database, service).await?;
        Ok(found(service, &model, asked, self.sources.now()))
    }
}

/// Everything that is wrong with a request, in its order.
pub(super) fn found(service: &ServiceName, model: &Model, asked: &TupleWrite, now: Timestamp) -> Vec<Fault> {
    let mut seen: HashMap<&Tuple, (FaultPlace, usize)> = HashMap::new();
    let mut conditions: HashSet<&Tuple> = HashSet::new();
    let mut faults = Vec::new();
    let puts = asked
        .puts
        .iter()
        .enumerate()
        .map(|(index, put)| (FaultPlace::Writes, index, &put.tuple, put.until));
    let deletes = asked.deletes.iter().enumerate();
    let deletes = deletes.map(|(index, tuple)| (FaultPlace::Deletes, index, tuple, None));
    for (place, index, tuple, until) in puts.chain(deletes) {
        let mut wrong = |what| faults.push(Fault { place, index, what });
        if let Err(misplaced) = fit::check(service, model, tuple) {
            wrong(misplaced.into());
        }
        match until {
            Some(until) if until <= now => wrong(WhatIsWrong::Past),
            Some(until) if until.timestamp() >= YEAR_10000 => wrong(WhatIsWrong::Late),
            _ => {}
        }
        match seen.entry(tuple) {
            Entry::Occupied(first) => {
                let &(place, index) = first.get();
                wrong(WhatIsWrong::Twice { place, index });
            }
            Entry::Vacant(free) => {
                free.insert((place, index));
            }
        }
    }
    for (index, condition) in asked.preconditions.iter().enumerate() {
        let place = FaultPlace::Preconditions;
        // The same condition twice is no contradiction, and a contradiction is never met.
        if conditions.insert(&condition.tuple)
            && let Err(misplaced) = fit::check(service, model, &condition.tuple)
        {
            let what = misplaced.into();
            faults.push(Fault { place, index, what });
        }
    }
    faults
}
