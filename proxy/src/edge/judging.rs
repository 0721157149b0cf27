//! The decision: by the replica, and by the control plane where the replica does not go.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::{Denial, Principal, Revision, Timestamp};
use sentinel_feed::{Question, ReplicaState};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Admitted, Edge, UNDISPUTED, guarded};
use crate::decide::{Answered, Knowledge, Otherwise, Permit, weigh};
use crate::request::Target;
use crate::routes::Route;

/// What is to be decided, and by which state of the replica.
#[derive(Debug, Clone)]
pub(super) struct Matter {
    pub(super) route: Arc<Route>,
    pub(super) target: Target,
    pub(super) principal: Arc<Principal>,
    pub(super) state: Arc<ReplicaState>,
    pub(super) moment: Moment,
    /// How new an answer of the control plane has to be.
    pub(super) at_least: Revision,
}

/// When it is decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    /// When the caller's credentials have to be good: when the exchange began.
    pub(super) began: Timestamp,
}

/// A decision of the control plane about an exchange that is open: it is asked again while that goes on.
#[derive(Debug)]
pub(super) struct Told {
    /// As of when the last word was true, however late it was listened to.
    as_of: Instant,
    /// When it was asked last.
    asked: Instant,
    /// Where the next word comes from, if it was asked for.
    next: Option<oneshot::Receiver<Result<Word, Denial>>>,
}

impl Told {
    /// It was true then.
    pub(super) fn at(as_of: Instant) -> Self {
        Self {
            as_of,
            asked: as_of,
            next: None,
        }
    }
}

/// A yes of the control plane.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) permit: Permit,
    /// As of when: never later than when it was asked for.
    pub(super) as_of: Instant,
}

impl Edge {
    /// The decision by what is known here, and by what the control plane has said.
    pub(super) fn weigh(
        &self,
        route: &Arc<Route>,
        target: &Target,
        principal: &Arc<Principal>,
        (state, moment): (&ReplicaState, Moment),
        answered: Option<&Answered>,
    ) -> Result<Permit, Otherwise> {
        guarded(|| {
            let known = Knowledge::replica(state, moment.now).with_credentials_at(moment.began);
            let relations = self.relations.wanted_of(state.graph().model());
            let known = match &relations {
                Some(relations) => known.with_relations(relations),
                None => known,
            };
            let known = answered.map_or(known, |answered| known.with_answers(answered));
            Ok(weigh(route, target, principal, known))
        })
        .unwrap_or_else(|denial| Err(denial.into()))
    }

    /// The decision about what the replica leaves open.
    pub(super) async fn ask(&self, matter: &Matter, questions: Vec<Question>) -> Result<Word, Denial> {
        let Some(asking) = &self.asking else {
            return Err(Denial::ReplicaIncomplete);
        };
        let Matter {
            route,
            target,
            principal,
            state,
            moment,
            at_least,
        } = matter;
        let asked = Instant::now();
        let answers = asking.ask(&questions, *at_least).await?;
        if answers.age > route.max_staleness() {
            return Err(Denial::ReplicaStale);
        }
        let known = Instant::now().checked_sub(answers.age);
        let as_of = known.map_or(asked, |known| known.min(asked));
        let answered = Answered { questions, answers };
        let permit = self.weigh(route, target, principal, (state, *moment), Some(&answered));
        // Everything that was open has been asked.
        let permit = permit.map_err(Otherwise::denial)?;
        Ok(Word { permit, as_of })
    }

    /// Whether an exchange that the control plane has decided about may go on: it is asked again, at most once a second and
    /// beside the exchange, and what it said last counts until it answers, for as long as the route lets the edge decide out
    /// of touch. That is reckoned from when it was true: a yes that nobody listened to for an hour is an hour old.
    pub(super) fn still_told(
        self: &Arc<Self>,
        admitted: &mut Admitted,
        matter: Matter,
    ) -> Result<(), Denial> {
        let known = (&*matter.state, matter.moment);
        let questions = match self.weigh(&matter.route, &matter.target, &matter.principal, known, None) {
            // The replica goes further than before.
            Ok(permit) => {
                admitted.permit = permit;
                admitted.judged = matter.state.revision();
                admitted.told = None;
                return Ok(());
            }
            Err(Otherwise::Denied(denial)) => return Err(denial),
            Err(Otherwise::Open(questions)) => questions,
        };
        let told = admitted.told.get_or_insert_with(|| Told::at(Instant::now()));
        match told.next.as_mut().map(oneshot::Receiver::try_recv) {
            None | Some(Err(oneshot::error::TryRecvError::Empty)) => {}
            Some(Ok(Ok(word))) => {
                admitted.permit = word.permit;
                told.as_of = told.as_of.max(word.as_of);
                told.next = None;
            }
            Some(Ok(Err(denial))) if denial.status() < 500 => return Err(denial),
            Some(_) => told.next = None,
        }
        let bound = admitted.permit.route().max_staleness();
        if told.as_of.elapsed() > bound.max(Duration::from_secs(1)) {
            return Err(Denial::ReplicaIncomplete);
        }
        if told.next.is_none() && told.asked.elapsed() >= UNDISPUTED {
            let (answer, next) = oneshot::channel();
            told.next = Some(next);
            told.asked = Instant::now();
            let edge = Arc::clone(self);
            // Nobody listens any more where the exchange has ended.
            tokio::spawn(async move { answer.send(edge.ask(&matter, questions).await) });
        }
        Ok(())
    }
}
