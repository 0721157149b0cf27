//! Answers the questions of edges by the control plane's own replica. Nothing is remembered, and each edge can only have
//! so many questions answered at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sentinel_core::id::EdgeId;
use tonic::{Code, Status};

use super::FeedSource;
use crate::question::{Answers, Asked, CALLS_AT_ONCE};
use crate::signed::Signed;

/// The longest that a question waits for a revision, whatever the edge says.
const LONGEST: Duration = Duration::from_secs(1);

/// How many calls of each edge are open, those that wait for a revision among them. There are as many entries as edges
/// that are asking.
#[derive(Default)]
pub(super) struct Questions {
    open: Arc<Mutex<HashMap<EdgeId, usize>>>,
}

/// One question that is being answered.
#[derive(Debug)]
struct Turn {
    open: Arc<Mutex<HashMap<EdgeId, usize>>>,
    edge: EdgeId,
}

impl Questions {
    /// The signed answers to what an edge asks, all by one state.
    pub(super) async fn answer(
        &self,
        source: &Arc<dyn FeedSource>,
        edge: EdgeId,
        asked: &[u8],
    ) -> Result<Signed, Status> {
        let counted = Counted::new(source);
        let answer = self.try_answer(source, edge, asked).await;
        counted.over(&answer);
        answer
    }

    async fn try_answer(
        &self,
        source: &Arc<dyn FeedSource>,
        edge: EdgeId,
        asked: &[u8],
    ) -> Result<Signed, Status> {
        let _turn = self.turn(edge)?;
        let question = Asked::from_bytes(asked)
            .ok_or_else(|| Status::invalid_argument("these are no questions that this version knows"))?;
        let replica = source.replica();
        // The other half is for the ways there and back: so that the edge hears that the revision is not here, and does
        // not take this control plane for one that does not answer.
        let waited = replica.wait_for(question.at_least, (question.budget / 2).min(LONGEST));
        if !waited.await {
            return Err(Status::failed_precondition("that revision is not here yet"));
        }
        let (Some(age), state) = replica.sight() else {
            return Err(Status::unavailable("the control plane is starting"));
        };
        let now = source.now();
        let questions = question.questions.iter();
        let answers = Answers {
            answers: questions.map(|one| one.answered_by(&state, now)).collect(),
            revision: state.revision(),
            age,
        };
        Ok(answers.seal(asked, |context, payload| source.sign(context, payload)))
    }

    fn turn(&self, edge: EdgeId) -> Result<Turn, Status> {
        let mut open = lock(&self.open);
        let count = open.entry(edge).or_insert(0);
        if *count >= CALLS_AT_ONCE {
            return Err(Status::resource_exhausted(
                "too many questions of this edge at once",
            ));
        }
        *count += 1;
        Ok(Turn {
            open: Arc::clone(&self.open),
            edge,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if let Some(count) = open.get_mut(&self.edge) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.edge);
            }
        }
    }
}

/// A call that is counted among the open ones until it is dropped.
struct Counted<'s> {
    source: &'s Arc<dyn FeedSource>,
}

impl<'s> Counted<'s> {
    fn new(source: &'s Arc<dyn FeedSource>) -> Self {
        if let Some(observer) = source.observer() {
            observer.open_questions(1);
        }
        Self { source }
    }

    /// An edge that did not wait for the end is not counted among the outcomes.
    fn over(&self, answer: &Result<Signed, Status>) {
        if let Some(observer) = self.source.observer() {
            observer.questions(match answer.as_ref().map_err(Status::code) {
                Ok(_) => "answered",
                Err(Code::ResourceExhausted) => "busy",
                Err(Code::InvalidArgument) => "malformed",
                Err(Code::FailedPrecondition) => "behind",
                Err(_) => "starting",
            });
        }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some(observer) = self.source.observer() {
            observer.open_questions(-1);
        }
    }
}

fn lock(open: &Mutex<HashMap<EdgeId, usize>>) -> MutexGuard<'_, HashMap<EdgeId, usize>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use sentinel_core::{Clock as _, SystemClock, SystemRandom};

    use std::pin::pin;

    use tokio::time::timeout;

    use super::*;
    use crate::testing::{ControlPlane, rev};

    #[tokio::test(start_paused = true)]
    async fn that_a_revision_is_not_here_is_said_while_the_edge_still_waits() {
        let plane: Arc<dyn FeedSource> = ControlPlane::new([]);
        let edge = EdgeId::generate(SystemClock.now(), &SystemRandom);
        let budget = Duration::from_millis(50);
        let asked = Asked {
            questions: vec![crate::question::Question::Role {
                workspace: uuid::Uuid::from_u128(1).into(),
                user: uuid::Uuid::from_u128(2).into(),
                least: sentinel_core::WorkspaceRole::Viewer,
            }],
            at_least: rev(9),
            nonce: [0; 16],
            budget,
        }
        .to_bytes();
        let questions = Questions::default();
        let answer = pin!(questions.answer(&plane, edge, &asked));
        let said = timeout(budget * 3 / 4, answer).await.expect("in time");
        let status = said.map(|_| ()).expect_err("no answer");
        assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    }

    #[test]
    fn one_edge_does_not_take_all_the_turns() {
        let questions = Questions::default();
        let edge = || EdgeId::generate(SystemClock.now(), &SystemRandom);
        let (greedy, modest) = (edge(), edge());
        let turns: Vec<Turn> = (0..CALLS_AT_ONCE)
            .map(|_| questions.turn(greedy).expect("a turn"))
            .collect();
        let refused = questions.turn(greedy).expect_err("too many");
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert!(questions.turn(modest).is_ok());
        drop(turns);
        assert!(questions.turn(greedy).is_ok());
        assert!(lock(&questions.open).is_empty());
    }
}
