//! Asks the control plane what the edge cannot answer by what it keeps, over the connection that is there anyway.
//!
//! Whoever asks is a request that waits: no connection is made for it, nobody queues, and when the control plane does not
//! answer, nobody waits for it for a while. Nothing is remembered: the next one asks again.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use sentinel_core::{Random, Revision};
use sentinel_token::PlainEdgeKey;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tonic::Code;
use tonic::transport::Channel;

use super::breaker::{Breaker, Outcome};
use super::credentials::authorized;
use crate::frame::MessageError;
use crate::proto::CheckRequest;
use crate::proto::feed_client::FeedClient;
use crate::question::{Answers, Asked, CALLS_AT_ONCE, Question};
use crate::signed::Signed;

/// Why there is no answer. Whoever asked can say neither yes nor no.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The edge is not connected.
    #[error("the control plane is not connected")]
    NotConnected,
    /// It did not answer the last questions, and is left alone for a moment.
    #[error("the control plane does not answer, and is not asked for a moment")]
    Resting,
    /// Too many questions are on the way, or the control plane has too many of this edge to answer.
    #[error("too many questions to the control plane are on the way")]
    Busy,
    /// No answer came in time.
    #[error("the control plane did not answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// The control plane does not have the revision that the answer was to be as fresh as.
    #[error("the control plane does not have the revision yet that is asked for")]
    Behind,
    /// The control plane refused.
    #[error("the control plane refused the questions: {}", .0.message())]
    Refused(Box<tonic::Status>),
    /// What came is not the control plane's answer to these questions.
    #[error("what came is not the control plane's answer to the questions")]
    Forged(#[from] MessageError),
}

/// Asks the control plane. Clones share the connection, the bounds and the pause after failures.
#[derive(Clone)]
pub struct Asker {
    shared: Arc<Shared>,
}

struct Shared {
    key: PlainEdgeKey,
    random: Arc<dyn Random>,
    line: Arc<ArcSwapOption<FeedClient<Channel>>>,
    at_once: Semaphore,
    breaker: Breaker,
}

impl Asker {
    /// Over the connection that `line` has at the moment.
    pub(super) fn new(
        key: PlainEdgeKey,
        random: Arc<dyn Random>,
        line: Arc<ArcSwapOption<FeedClient<Channel>>>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                key,
                random,
                line,
                at_once: Semaphore::new(CALLS_AT_ONCE),
                breaker: Breaker::new(),
            }),
        }
    }
}

/// Somebody who can be asked what the edge does not know.
#[async_trait]
pub trait Ask: Send + Sync + 'static {
    /// Asks up to [`MAX_QUESTIONS`](crate::MAX_QUESTIONS) questions, and waits for no longer than `budget`. All are answered
    /// by one state, which has `at_least`: the revision that the request brought, or the edge's own if that is newer, so
    /// that nothing is answered by what is older than what the edge has seen.
    ///
    /// # Errors
    /// There is no answer. That is neither a yes nor a no.
    async fn ask(
        &self,
        questions: &[Question],
        at_least: Revision,
        budget: Duration,
    ) -> Result<Answers, AskError>;
}

#[async_trait]
impl Ask for Asker {
    async fn ask(
        &self,
        questions: &[Question],
        at_least: Revision,
        budget: Duration,
    ) -> Result<Answers, AskError> {
        let shared = &*self.shared;
        let Some(client) = shared.line.load_full() else {
            return Err(AskError::NotConnected);
        };
        let Ok(_turn) = shared.at_once.try_acquire() else {
            return Err(AskError::Busy);
        };
        // Dropped without an outcome where whoever asked went away: that says nothing about the control plane.
        let attempt = shared.breaker.attempt().ok_or(AskError::Resting)?;
        let answers = shared.put(&client, questions, at_least, budget).await;
        match outcome(&answers) {
            Some(outcome) => attempt.over(outcome),
            None => drop(attempt),
        }
        answers
    }
}

impl Shared {
    async fn put(
        &self,
        client: &FeedClient<Channel>,
        questions: &[Question],
        at_least: Revision,
        budget: Duration,
    ) -> Result<Answers, AskError> {
        let began = Instant::now();
        let mut nonce = [0; 16];
        self.random.fill(&mut nonce);
        let asked = Asked {
            questions: questions.to_vec(),
            at_least,
            nonce,
            budget,
        }
        .to_bytes();
        let request = authorized(
            &self.key,
            CheckRequest {
                asked: asked.clone().into(),
            },
        );
        let mut client = client.clone();
        let answered = timeout(budget, client.check(request))
            .await
            .map_err(|_| AskError::Late(budget))?;
        let signed = answered.map_err(refused)?.into_inner();
        let signed = Signed::from_proto(signed);
        let mut answers = Answers::open(&signed, self.key.feed_key(), &asked, questions.len())?;
        if answers.revision < at_least {
            return Err(AskError::Behind);
        }
        answers.age = answers.age.saturating_add(began.elapsed());
        Ok(answers)
    }
}

/// What an attempt says about whether the control plane answers; `None`: nothing. What is wrong with one's own questions
/// must not keep others from asking theirs.
fn outcome(answers: &Result<Answers, AskError>) -> Option<Outcome> {
    match answers {
        Ok(_) | Err(AskError::Behind) => Some(Outcome::Answered),
        Err(AskError::Refused(status)) => {
            // Besides the first, what becomes of a connection that is lost.
            let is_away = matches!(
                status.code(),
                Code::Unavailable
                    | Code::DeadlineExceeded
                    | Code::Unknown
                    | Code::Internal
                    | Code::Cancelled
                    | Code::Aborted
            );
            is_away.then_some(Outcome::Failed)
        }
        // Forged: somebody else is there in its place.
        Err(AskError::Late(_) | AskError::Forged(_)) => Some(Outcome::Failed),
        Err(AskError::NotConnected | AskError::Resting | AskError::Busy) => None,
    }
}

fn refused(status: tonic::Status) -> AskError {
    match status.code() {
        Code::FailedPrecondition => AskError::Behind,
        Code::ResourceExhausted => AskError::Busy,
        _ => AskError::Refused(Box::new(status)),
    }
}
