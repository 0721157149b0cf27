//! Whoever writes tuples waits for the writer's turn here. A request that finds nobody waiting goes on at once; those that
//! come while another one has the turn are done together in the next one, in one transaction and one revision.
//!
//! The turn itself is that of all replicating writers (docs/adr/0001), among whom this is one.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sentinel_core::name::ServiceName;
use sentinel_store::{Database, StoreError, WriteTx};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::batch::{Outcome, Request};
use super::queue::{Queue, Ticket};
use super::write::{RelationError, TupleWrite, Written};
use super::{Idempotency, Relations};

/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(10);

/// For how long requests that failed together are tried in parts.
const APART: Duration = Duration::from_secs(10);

/// How often a request gets in line anew because its service's model was replaced meanwhile.
const MODELS: usize = 4;

/// Writes services' tuples. Clones share the queue.
#[derive(Clone)]
pub struct TupleWriter {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    relations: Relations,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    queue: Queue<Waiting>,
    /// Whether somebody sees to the queue.
    is_served: bool,
}

/// A request in the queue.
struct Waiting {
    request: Arc<Request>,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// A place in the queue, which is given up when nobody waits for the answer any more.
struct Place<'w> {
    shared: &'w Shared,
    service: &'w ServiceName,
    ticket: Ticket,
}

impl TupleWriter {
    /// A writer on a database. There should be one for each database in a process: only what is in one queue is done
    /// together.
    pub fn new(database: Database, relations: Relations) -> Self {
        Self {
            shared: Arc::new(Shared {
                database,
                relations,
                line: Mutex::default(),
            }),
        }
    }

    /// Writes what is asked for, or nothing, and returns when it is stored. With an idempotency key, a write that was done
    /// answers again as it did; one that was refused is tried again.
    ///
    /// Dropped before its turn has come it was never asked for; dropped later it is done as if it had not been, unless it
    /// failed together with others and would have to be tried again.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if its turn does not come in ten seconds, too many wait, or the database is too slow: nothing is
    /// written then.
    pub async fn write(
        &self,
        service: &ServiceName,
        asked: TupleWrite,
        idempotency: Option<Idempotency>,
    ) -> Result<Written, RelationError> {
        let (relations, database) = (&self.shared.relations, &self.shared.database);
        let request = Arc::new(Request {
            service: service.clone(),
            asked,
            idempotency,
        });
        let mut is_ready = relations.has_at_hand(service);
        let mut ticket = None;
        for _ in 0..MODELS {
            if !is_ready {
                relations.make_ready(database, service).await?;
            }
            match self.settled(&request, &mut ticket).await? {
                Outcome::Settled(answer) => return answer,
                Outcome::Outdated => is_ready = false,
            }
        }
        Err(StoreError::Busy("the service's model is replaced again and again".into()).into())
    }

    /// How many requests wait for their turn.
    pub fn waiting(&self) -> usize {
        self.shared.line().queue.len()
    }

    /// What comes of a request in its next turn. With the ticket of the one before it waits in front of all that came later.
    async fn settled(
        &self,
        request: &Arc<Request>,
        ticket: &mut Option<Ticket>,
    ) -> Result<Outcome, StoreError> {
        let (answer, mut answered) = oneshot::channel();
        let place = self.enter(request, answer, *ticket)?;
        *ticket = Some(place.ticket);
        let lost = |gone: oneshot::error::RecvError| StoreError::Unavailable(gone.into());
        match timeout(TURN, &mut answered).await {
            Ok(answer) => answer.map_err(lost)?,
            Err(late) if place.withdraw() => Err(StoreError::Busy(late.into())),
            // Its turn has come, and it will end.
            Err(_) => answered.await.map_err(lost)?,
        }
    }

    fn enter<'w>(
        &'w self,
        request: &'w Arc<Request>,
        answer: oneshot::Sender<Result<Outcome, StoreError>>,
        before: Option<Ticket>,
    ) -> Result<Place<'w>, StoreError> {
        let waiting = Waiting {
            request: Arc::clone(request),
            answer,
        };
        let (ticket, is_served) = {
            let mut line = self.shared.line();
            let (of, size) = (&request.service, request.asked.size());
            let entered = match before {
                Some(ticket) => line.queue.push_again(ticket, of, size, waiting).map(|()| ticket),
                None => line.queue.push(of, size, waiting),
            };
            let ticket = entered.map_err(|full| StoreError::Busy(full.into()))?;
            (ticket, mem::replace(&mut line.is_served, true))
        };
        let place = Place {
            shared: &self.shared,
            service: &request.service,
            ticket,
        };
        if !is_served {
            // On its own, so that no caller who goes away takes others along; and not within the lock, which it takes when it
            // is dropped: a runtime that is closing drops it at once.
            let service = Service {
                shared: Arc::clone(&self.shared),
                has_left: false,
            };
            tokio::spawn(service.run());
        }
        Ok(place)
    }
}

impl Place<'_> {
    /// Whether it was given up before its turn came.
    fn withdraw(&self) -> bool {
        let withdrawn = self.shared.line().queue.withdraw(self.service, self.ticket);
        withdrawn.is_some()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever sees to the queue, while there is anything in it.
struct Service {
    shared: Arc<Shared>,
    /// There was nobody left, and whoever comes now is seen to by another one.
    has_left: bool,
}

impl Service {
    async fn run(mut self) {
        loop {
            let next = self.shared.line().queue.next();
            match self.shared.database.write().await {
                Ok(tx) => {
                    let taken = self.shared.line().queue.take();
                    self.settle(tx, taken).await;
                }
                // Whoever has waited for too long has gone by himself.
                Err(StoreError::Busy(_)) => {}
                // Whoever came while it was tried has not been refused anything yet.
                Err(error) => {
                    let waited = self.shared.line().queue.drain_before(next);
                    refuse(waited, &error);
                }
            }
            if self.leave() {
                return;
            }
        }
    }

    /// Whether nobody waits any more.
    fn leave(&mut self) -> bool {
        let mut line = self.shared.line();
        self.has_left = line.queue.len() == 0;
        line.is_served = !self.has_left;
        self.has_left
    }

    /// Does some requests in one transaction. If that fails because of what one of them asks for, they are done in parts, so
    /// that it spoils nothing for the others.
    async fn settle(&self, tx: WriteTx, taken: Vec<Waiting>) {
        match self.attempt(tx, &taken).await {
            Ok(outcomes) => answer(taken, outcomes),
            Err(error) if taken.len() > 1 && may_be_of_one(&error) => {
                tracing::warn!(%error, requests = taken.len(), "writes that waited together failed and are tried in parts");
                self.settle_apart(taken).await;
            }
            Err(error) => refuse(taken, &error),
        }
    }

    /// Does requests that failed together in halves, of which those that fail are halved again: in their order, and not for
    /// longer than others can be expected to wait.
    async fn settle_apart(&self, failed: Vec<Waiting>) {
        let deadline = Instant::now() + APART;
        let (first, second) = halves(failed);
        let mut parts = vec![second, first];
        while let Some(mut part) = parts.pop() {
            // Nothing was written for those who have gone meanwhile, and nothing needs to be.
            part.retain(|waiting| !waiting.answer.is_closed());
            if part.is_empty() {
                continue;
            }
            let attempt = async {
                if Instant::now() >= deadline {
                    return Err(StoreError::Busy(
                        "writes that failed together took too long".into(),
                    ));
                }
                let tx = self.shared.database.write().await?;
                self.attempt(tx, &part).await
            };
            match attempt.await {
                Ok(outcomes) => answer(part, outcomes),
                Err(error) if !may_be_of_one(&error) => {
                    refuse(part, &error);
                    for rest in parts.drain(..) {
                        refuse(rest, &error);
                    }
                }
                Err(error) if part.len() == 1 => refuse(part, &error),
                Err(_) => {
                    let (first, second) = halves(part);
                    parts.extend([second, first]);
                }
            }
        }
    }

    async fn attempt(&self, mut tx: WriteTx, taken: &[Waiting]) -> Result<Vec<Outcome>, StoreError> {
        let requests: Vec<Arc<Request>> = taken.iter().map(|waiting| Arc::clone(&waiting.request)).collect();
        match self.shared.relations.write_all(&mut tx, &requests).await {
            Ok(outcomes) => {
                tx.commit().await?;
                Ok(outcomes)
            }
            Err(error) => {
                // It fails in the same way, or it was the connection.
                let _ = tx.rollback().await;
                Err(error)
            }
        }
    }
}

/// However it ends: nobody is left waiting for nobody.
impl Drop for Service {
    fn drop(&mut self) {
        if !self.has_left {
            let left = {
                let mut line = self.shared.line();
                line.is_served = false;
                line.queue.drain()
            };
            drop(left);
        }
    }
}

/// Whether it can be what one of several requests asks for that failed. What is away is away for each of them, and whether a
/// commit was carried out is not known for any; a database that is slow would only be asked more.
fn may_be_of_one(error: &StoreError) -> bool {
    match error {
        StoreError::Conflict { .. }
        | StoreError::ForeignKey
        | StoreError::Check { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Other(_) => true,
        StoreError::Unavailable(_)
        | StoreError::Busy(_)
        | StoreError::Poisoned
        | StoreError::Schema(_)
        | StoreError::Url(_)
        | StoreError::Placeholders { .. } => false,
    }
}

fn halves(mut requests: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    let second = requests.split_off(requests.len() / 2);
    (requests, second)
}

fn answer(taken: Vec<Waiting>, outcomes: Vec<Outcome>) {
    for (waiting, outcome) in taken.into_iter().zip(outcomes) {
        // He has gone; it is done all the same.
        let _ = waiting.answer.send(Ok(outcome));
    }
}

/// Tells each why nothing was written for him.
fn refuse(taken: Vec<Waiting>, error: &StoreError) {
    for waiting in taken {
        let _ = waiting.answer.send(Err(error.again()));
    }
}
