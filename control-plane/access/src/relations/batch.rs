//! Several requests in one transaction: each is judged by what is stored and by what those before it have changed, and what
//! all of them come to is written at once. To whoever asked it is as if they had been done one after the other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use sentinel_authz::{Model, Term};
use sentinel_core::name::ServiceName;
use sentinel_core::{Change, Revision, Timestamp, Tuple};
use sentinel_store::{StoreError, WriteTx};

use super::idempotency::Remembered;
use super::repository::keys;
use super::repository::tuples as rows;
use super::write::{Fault, RelationError, TupleWrite, Written, found};
use super::{Idempotency, RelationTuple, Relations};
use crate::error::AccessError;
use crate::projection;

/// A request to write tuples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// Whose tuples.
    pub(super) service: ServiceName,
    /// What is to be written.
    pub(super) asked: TupleWrite,
    /// The key under which it is remembered.
    pub(super) idempotency: Option<Idempotency>,
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// That was answered.
    Settled(Result<Written, RelationError>),
    /// The service's model is not the one that is at hand: it has to be made ready, outside of the writer's turn.
    Outdated,
}

impl Outcome {
    /// There is no revision after this one.
    fn not_after(&mut self, newest: Revision) {
        match self {
            Self::Settled(
                Ok(Written { revision, .. }) | Err(RelationError::Precondition { revision, .. }),
            ) => {
                *revision = newest.min(*revision);
            }
            Self::Settled(Err(_)) | Self::Outdated => {}
        }
    }
}

/// What is known of a request before it is looked at what is stored of its tuples.
enum Begun {
    /// It was done before, or something else was under its key, or the service has no model.
    Settled(Result<Written, RelationError>),
    Outdated,
    /// Parts of it cannot be done, whatever is stored.
    Faulty(Vec<Fault>),
    /// It depends on what is stored.
    Open,
}

impl Relations {
    /// Writes what is asked for, all of each request or nothing of it, in the order of the requests. Nothing is kept unless the
    /// transaction is committed, and no outcome may be told before.
    ///
    /// # Errors
    /// The database failed: the transaction is over, and nothing of any request is kept.
    pub(super) async fn write_all(
        &self,
        tx: &mut WriteTx,
        requests: &[Arc<Request>],
    ) -> Result<Vec<Outcome>, StoreError> {
        let now = self.sources.now();
        let mut begun = self.begin(tx, requests, now).await?;
        let open = requests.iter().zip(&begun);
        let open = open.filter(|(_, begun)| matches!(begun, Begun::Open));
        let named = open.flat_map(|(request, _)| {
            let tuples = request.asked.named();
            tuples.map(move |tuple| (&request.service, tuple))
        });
        let mut standing = Standing::new(named);
        standing.found(rows::named(tx, standing.named()).await?);
        let mut batch = Batch {
            now,
            base: tx.base(),
            next: tx.next_revision(),
            standing,
            keys: HashMap::new(),
        };
        let outcomes = requests.iter().zip(begun.drain(..));
        let mut outcomes: Vec<Outcome> = outcomes
            .map(|(request, begun)| batch.settle(request, begun))
            .collect();
        let Batch {
            base,
            standing,
            mut keys,
            ..
        } = batch;
        if !standing.is_changed() {
            // One has undone what another did: there is no next revision, and what there was says it all.
            for outcome in &mut outcomes {
                outcome.not_after(base);
            }
            for kept in keys.values_mut() {
                kept.written.revision = kept.written.revision.min(base);
            }
        }
        standing.write(tx).await?;
        keys::insert(tx, keys.values(), Self::kept_until(now)).await?;
        Ok(outcomes)
    }

    /// What can be said of each request before its tuples are looked for.
    async fn begin(
        &self,
        tx: &mut WriteTx,
        requests: &[Arc<Request>],
        now: Timestamp,
    ) -> Result<Vec<Begun>, StoreError> {
        let before = self.repeated(tx, requests, now).await?;
        let services = requests.iter().map(|request| &request.service);
        let models = self.at_hand(tx, services).await?;
        let begin = |(request, before): (&Arc<Request>, Option<Result<Written, RelationError>>)| {
            if let Some(before) = before {
                return Begun::Settled(before);
            }
            match models.get(&request.service) {
                None => Begun::Settled(Err(AccessError::NoModel.into())),
                Some(None) => Begun::Outdated,
                Some(Some(model)) => faulty_or_open(request, model, now),
            }
        };
        Ok(requests.iter().zip(before).map(begin).collect())
    }
}

fn faulty_or_open(request: &Request, model: &Model, now: Timestamp) -> Begun {
    let faults = found(&request.service, model, &request.asked, now);
    if faults.is_empty() {
        Begun::Open
    } else {
        Begun::Faulty(faults)
    }
}

/// Requests on their way, as far as they have come.
struct Batch<'r> {
    now: Timestamp,
    /// The revision of what was there.
    base: Revision,
    /// The one that the changes get.
    next: Revision,
    standing: Standing<'r>,
    /// What was done under a key by one of the requests.
    keys: HashMap<(&'r ServiceName, &'r str), Remembered<'r>>,
}

impl<'r> Batch<'r> {
    fn settle(&mut self, request: &'r Request, begun: Begun) -> Outcome {
        let key = request
            .idempotency
            .as_ref()
            .map(|asked| ((&request.service, asked.key.as_str()), asked));
        if let Some((place, asked)) = key
            && let Some(before) = self.keys.get(&place)
        {
            return Outcome::Settled(before.answer(asked));
        }
        let written = match begun {
            Begun::Settled(answer) => return Outcome::Settled(answer),
            Begun::Outdated => return Outcome::Outdated,
            Begun::Faulty(faults) => return Outcome::Settled(Err(RelationError::Faults(faults))),
            Begun::Open => self.apply(&request.asked),
        };
        if let (Some((place, asked)), Ok(written)) = (key, &written) {
            let remembered = Remembered {
                service: &request.service,
                asked,
                written: *written,
            };
            self.keys.insert(place, remembered);
        }
        Outcome::Settled(written)
    }

    /// Does what is asked for, if its preconditions are met.
    fn apply(&mut self, asked: &'r TupleWrite) -> Result<Written, RelationError> {
        for (index, condition) in asked.preconditions.iter().enumerate() {
            let must_exist = condition.must_exist;
            if self.standing.holds_at(&condition.tuple, self.now) != must_exist {
                return Err(RelationError::Precondition {
                    index,
                    must_exist,
                    revision: self.revision(),
                });
            }
        }
        let (mut written, mut deleted) = (0, 0);
        for tuple in &asked.deletes {
            // What had ended already is deleted in name only.
            deleted += u64::from(self.standing.holds_at(tuple, self.now));
            self.standing.set(tuple, None);
        }
        for put in &asked.puts {
            written += u64::from(self.standing.set(&put.tuple, Some(term(put.until))));
        }
        Ok(Written {
            written,
            deleted,
            revision: self.revision(),
        })
    }

    /// A revision at which what was found so far is so.
    fn revision(&self) -> Revision {
        if self.standing.was_changed {
            self.next
        } else {
            self.base
        }
    }
}

/// How the tuples of all requests stand: as they are stored, and as the requests so far have left them.
struct Standing<'r> {
    tuples: Vec<Place<'r>>,
    places: HashMap<&'r Tuple, usize>,
    /// Whether any request so far has changed anything, be it that another one changed it back.
    was_changed: bool,
}

struct Place<'r> {
    service: &'r ServiceName,
    tuple: &'r Tuple,
    before: Option<Term>,
    after: Option<Term>,
}

impl<'r> Standing<'r> {
    /// All of these, as if none were stored.
    fn new(named: impl Iterator<Item = (&'r ServiceName, &'r Tuple)>) -> Self {
        let mut standing = Self {
            tuples: Vec::new(),
            places: HashMap::new(),
            was_changed: false,
        };
        for (service, tuple) in named {
            if let Entry::Vacant(free) = standing.places.entry(tuple) {
                free.insert(standing.tuples.len());
                standing.tuples.push(Place {
                    service,
                    tuple,
                    before: None,
                    after: None,
                });
            }
        }
        standing
    }

    fn named(&self) -> impl Iterator<Item = (&'r ServiceName, &'r Tuple)> {
        self.tuples.iter().map(|place| (place.service, place.tuple))
    }

    /// These are stored.
    fn found(&mut self, stored: Vec<RelationTuple>) {
        for row in stored {
            if let Some(place) = self.place(&row.tuple) {
                place.before = Some(term(row.until));
                place.after = place.before;
            }
        }
    }

    fn holds_at(&self, tuple: &Tuple, now: Timestamp) -> bool {
        let place = self.places.get(tuple).and_then(|at| self.tuples.get(*at));
        place
            .and_then(|place| place.after)
            .is_some_and(|term| until(term).is_none_or(|until| now < until))
    }

    /// Whether that is a change.
    fn set(&mut self, tuple: &Tuple, to: Option<Term>) -> bool {
        let Some(place) = self.place(tuple) else {
            return false;
        };
        let is_change = place.after != to;
        place.after = to;
        self.was_changed |= is_change;
        is_change
    }

    /// Whether all requests together come to anything.
    fn is_changed(&self) -> bool {
        self.tuples.iter().any(|place| place.before != place.after)
    }

    fn place(&mut self, tuple: &Tuple) -> Option<&mut Place<'r>> {
        let at = self.places.get(tuple)?;
        self.tuples.get_mut(*at)
    }

    /// Changes the rows, and records what of it is a change.
    async fn write(&self, tx: &mut WriteTx) -> Result<(), StoreError> {
        let row = |place: &Place<'_>, of: Term| RelationTuple {
            tuple: place.tuple.clone(),
            until: until(of),
        };
        let (mut gone, mut put) = (Vec::new(), Vec::new());
        for place in &self.tuples {
            match (place.before, place.after) {
                (before, after) if before == after => {}
                (_, Some(after)) => put.push((place.service, row(place, after))),
                (Some(before), None) => gone.push((place.service, row(place, before))),
                (None, None) => {}
            }
        }
        rows::delete(tx, gone.iter().map(|(service, row)| (*service, &row.tuple))).await?;
        rows::upsert(tx, put.iter().map(|(service, row)| (*service, row))).await?;
        let gone = gone
            .iter()
            .map(|(_, row)| Change::Delete(projection::relation_tuple(row)));
        tx.record_all(gone);
        let put = put
            .iter()
            .map(|(_, row)| Change::Put(projection::relation_tuple(row)));
        tx.record_all(put);
        Ok(())
    }
}

fn term(until: Option<Timestamp>) -> Term {
    until.map_or(Term::Unlimited, Term::Until)
}

fn until(term: Term) -> Option<Timestamp> {
    match term {
        Term::Unlimited => None,
        Term::Until(until) => Some(until),
    }
}
