//! What the endpoints of questions share: how their parts are read, on which thread they are answered, and what a client
//! is told when there is no answer. It is never a yes.

use std::time::Duration;

use axum::http::StatusCode;
use sentinel_access::relations::is_placed;
use sentinel_authz::{CheckError, InvalidTupleForModel};
use sentinel_core::name::ServiceName;
use sentinel_core::{Object, Subject, Tuple};
use sentinel_identity::FeedKey;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::cursor::Cursors;
use super::scope::Scope;
use super::shares::Shares;
use super::watch::Places;
use crate::app::App;
use crate::problem::ApiError;

/// The most tuples that come with a question.
pub(super) const MAX_CONTEXTUAL: usize = 100;

/// How many long questions are answered at the same time.
const WORKERS: usize = 4;
/// How many of one service.
const WORKERS_OF_SERVICE: usize = 2;
/// How many imports there are at the same time: each holds lines that are not written yet.
const IMPORTS: usize = 8;
/// How many of one service.
const IMPORTS_OF_SERVICE: usize = 2;
/// How long one waits for its turn.
const TURN: Duration = Duration::from_secs(1);
/// How many streams read the change log at the same time.
const READERS: usize = 4;

/// What the endpoints of questions share.
pub struct Questions {
    pub(super) cursors: Cursors,
    pub(super) watchers: Places,
    pub(super) readers: Semaphore,
    pub(super) imports: Shares,
    workers: Shares,
}

impl Questions {
    /// Cursors are signed by a key that all control planes of an installation have.
    pub fn new(cursor_key: FeedKey) -> Self {
        Self {
            cursors: Cursors::new(cursor_key),
            watchers: Places::default(),
            readers: Semaphore::new(READERS),
            imports: Shares::new(IMPORTS, IMPORTS_OF_SERVICE),
            workers: Shares::new(WORKERS, WORKERS_OF_SERVICE),
        }
    }
}

/// Answers a question that may take long, where it keeps nobody else waiting. It goes on to its end also when the client
/// goes away, and takes its place until then.
///
/// # Errors
/// 503 when too many are being answered.
pub(super) async fn work<T: Send + 'static>(
    app: &App,
    service: &ServiceName,
    answer: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let turn = app.questions.workers.wait(service, TURN).await;
    let turn = turn.ok_or_else(|| {
        ApiError::unavailable("Too many long questions are being answered").with_code("busy")
    })?;
    let answered = tokio::task::spawn_blocking(move || {
        let answer = answer();
        drop(turn);
        answer
    });
    answered.await.map_err(ApiError::internal)
}

/// A tuple that comes with a question.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TupleBody {
    object: String,
    relation: String,
    subject: String,
}

/// The tuples that come with a question at `place` of the body. They are about the service's own objects: who is in which
/// workspace or group is not for the one who asks to say.
pub(super) fn contextual(
    scope: &Scope,
    place: &[&str],
    bodies: &[TupleBody],
) -> Result<Vec<Tuple>, ApiError> {
    if bodies.len() > MAX_CONTEXTUAL {
        return Err(invalid(
            place,
            "contextual_tuples",
            format!("at most {MAX_CONTEXTUAL} are expected"),
        ));
    }
    let tuples = bodies.iter().map(|body| {
        let refused = |error: String| invalid(place, "contextual_tuples", error);
        let tuple = scope
            .tuple(&body.object, &body.relation, &body.subject)
            .map_err(|error| refused(error.to_string()))?;
        // What is stored is held to the same: nothing that could not be is asked about.
        is_placed(scope.service(), &tuple)
            .map_err(|error| refused(error.to_string().replace(&format!("{}/", scope.service()), "")))?;
        Ok(tuple)
    });
    tuples.collect()
}

/// The object that is asked about.
pub(super) fn object(scope: &Scope, place: &[&str], text: &str) -> Result<Object, ApiError> {
    scope
        .object(text)
        .map_err(|error| invalid(place, "object", error))
}

/// The subject that is asked about.
pub(super) fn subject(scope: &Scope, place: &[&str], text: &str) -> Result<Subject, ApiError> {
    scope
        .subject(text)
        .map_err(|error| invalid(place, "subject", error))
}

fn invalid(place: &[&str], field: &str, error: impl ToString) -> ApiError {
    ApiError::invalid(place.iter().copied().chain([field]), error)
}

/// Why a question has no answer, for a program and for a person.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Unanswered {
    pub(super) code: &'static str,
    pub(super) detail: String,
}

impl Unanswered {
    /// In the names of the service that asks.
    pub(super) fn new(scope: &Scope, error: &CheckError) -> Self {
        let (code, error) = match error {
            CheckError::UnknownType(kind) => (
                "unknown_type",
                &CheckError::UnknownType(scope.plain(kind).to_owned()),
            ),
            CheckError::UnknownRelation { kind, relation } => (
                "unknown_relation",
                &CheckError::UnknownRelation {
                    kind: scope.plain(kind).to_owned(),
                    relation: relation.clone(),
                },
            ),
            CheckError::TooDeep => ("too_deep", error),
            CheckError::TooWide => ("too_wide", error),
            CheckError::Paradox => ("paradox", error),
        };
        Self {
            code,
            detail: error.to_string(),
        }
    }

    /// A question of several whose parts have not their form.
    pub(super) fn by_form(error: &ApiError) -> Self {
        Self {
            code: error.code(),
            detail: error.detail().to_owned(),
        }
    }

    /// A tuple that came with a question and does not go with the model.
    pub(super) fn by_context(scope: &Scope, error: &InvalidTupleForModel) -> Self {
        // The tuple's types have the service before them in the engine's words.
        let detail = error.to_string().replace(&format!("{}/", scope.service()), "");
        Self {
            code: "invalid_contextual_tuple",
            detail,
        }
    }
}

impl From<Unanswered> for ApiError {
    fn from(unanswered: Unanswered) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            unanswered.code,
            unanswered.detail,
        )
    }
}
