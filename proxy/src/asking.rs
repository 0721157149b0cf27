//! Asking the control plane what the replica does not keep. The request waits; nothing is remembered for the next one.

use std::sync::Arc;
use std::time::Duration;

use prometheus::IntCounterVec;
use sentinel_core::{Denial, Revision};
use sentinel_feed::{Answers, Ask, AskError, Question};

// A policy that asks for more was refused when it was loaded.
const _: () = assert!(sentinel_config::edge::MOST_ASKED <= sentinel_feed::MAX_QUESTIONS);

/// How the edge asks.
pub struct Asking {
    /// Whom.
    pub whom: Arc<dyn Ask>,
    /// How long the answers to the questions of one request may take.
    pub budget: Duration,
    /// How often it asked, by what came of it.
    pub asked: IntCounterVec,
}

impl Asking {
    /// The answers to the questions of one request, all by one state that is at least as new as `at_least`; counted.
    ///
    /// # Errors
    /// Why the request cannot be decided.
    pub async fn ask(&self, questions: &[Question], at_least: Revision) -> Result<Answers, Denial> {
        let asked = self.whom.ask(questions, at_least, self.budget);
        let answers = match tokio::time::timeout(self.budget, asked).await {
            Ok(answers) => answers.map_err(|error| (word(&error), denial(&error))),
            Err(_) => Err(("late", Denial::ReplicaIncomplete)),
        };
        // Whoever answers: what is older than what this edge has seen decides nothing, nor does half an answer.
        let answers = answers.and_then(|answers| {
            if answers.revision < at_least {
                Err(("behind", Denial::RevisionNotReached))
            } else if answers.answers.len() == questions.len() {
                Ok(answers)
            } else {
                Err(("forged", Denial::ReplicaIncomplete))
            }
        });
        let outcome = answers.as_ref().map_or_else(|(word, _)| *word, |_| "answered");
        self.asked.with_label_values(&[outcome]).inc();
        answers.map_err(|(_, denial)| denial)
    }
}

fn word(error: &AskError) -> &'static str {
    match error {
        AskError::NotConnected => "not_connected",
        AskError::Resting => "resting",
        AskError::Busy => "busy",
        AskError::Late(_) => "late",
        AskError::Behind => "behind",
        AskError::Forged(_) => "forged",
        _ => "refused",
    }
}

fn denial(error: &AskError) -> Denial {
    match error {
        AskError::Behind => Denial::RevisionNotReached,
        _ => Denial::ReplicaIncomplete,
    }
}
