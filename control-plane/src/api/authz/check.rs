//! `POST /authz/check` and `/authz/batch-check`: whether a subject stands in a relation to one of the service's objects.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::post;
use sentinel_authz::{At, CheckError, Query};
use sentinel_core::{Object, Subject, Tuple};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::questions::{TupleBody, Unanswered, contextual, object, subject, work};
use super::scope::Scope;
use crate::app::App;
use crate::commit::AnsweredAt;
use crate::extract::{Asking, Json};
use crate::problem::ApiError;

/// The most questions in one request.
pub(super) const MAX_CHECKS: usize = 1000;
/// The most tuples that come with all questions of one request together.
pub(super) const MAX_CONTEXTUAL_IN_ALL: usize = 1000;
/// How many steps a check may take on the thread that its request came in on.
const SOON: usize = 1 << 10;
/// How long all questions of one request may take together. What is left then has no answer.
const BATCH_TIME: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/authz/check", post(check))
        .route("/authz/batch-check", post(batch_check))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckBody {
    object: String,
    relation: String,
    subject: String,
    /// Tuples that hold for this question only.
    #[serde(default)]
    contextual_tuples: Vec<TupleBody>,
    /// Whether the answer says why.
    #[serde(default)]
    explain: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchBody {
    checks: Vec<BatchItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchItem {
    object: String,
    relation: String,
    subject: String,
    #[serde(default)]
    contextual_tuples: Vec<TupleBody>,
}

#[derive(Serialize)]
struct CheckAnswer {
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

/// Why the answer is what it is.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Explanation {
    /// The tuples that together give the relation, from the object to the subject.
    Tuples(Vec<String>),
    /// Sets of tuples, each of which would give it. There may be more; none where nothing that is added could.
    Missing(Vec<Vec<String>>),
}

#[derive(Serialize)]
struct BatchAnswer {
    /// In the order of the questions.
    results: Vec<BatchResult>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum BatchResult {
    Answered {
        allowed: bool,
    },
    /// Not a yes.
    Unanswered {
        error: Unanswered,
    },
}

/// A question whose parts have their form.
struct Asked {
    object: Object,
    relation: String,
    subject: Subject,
    contextual: Vec<Tuple>,
}

impl Asked {
    fn read(
        scope: &Scope,
        place: &[&str],
        (object_text, relation, subject_text): (&str, String, &str),
        tuples: &[TupleBody],
    ) -> Result<Self, ApiError> {
        Ok(Self {
            object: object(scope, place, object_text)?,
            relation,
            subject: subject(scope, place, subject_text)?,
            contextual: contextual(scope, place, tuples)?,
        })
    }

    fn query(&self) -> Query<'_> {
        Query::new(&self.object, &self.relation, &self.subject)
    }

    /// Asks the graph, with the tuples that came with the question.
    fn ask<T>(
        &self,
        scope: &Scope,
        at: At<'_>,
        ask: impl FnOnce(At<'_>) -> Result<T, CheckError>,
    ) -> Result<T, Unanswered> {
        let answer = if self.contextual.is_empty() {
            ask(at)
        } else {
            let with = at
                .with_of_services(&self.contextual)
                .map_err(|error| Unanswered::by_context(scope, &error))?;
            ask(with.at())
        };
        answer.map_err(|error| Unanswered::new(scope, &error))
    }

    fn allowed(&self, scope: &Scope, at: At<'_>) -> Result<bool, Unanswered> {
        self.ask(scope, at, |at| at.check(&self.query()))
    }

    /// The answer if little work finds it; `None` if that takes more.
    fn soon(&self, scope: &Scope, at: At<'_>) -> Result<Option<bool>, Unanswered> {
        self.ask(scope, at, |at| at.check_within(&self.query(), SOON))
    }

    fn explain(&self, scope: &Scope, at: At<'_>) -> Result<(bool, Explanation), Unanswered> {
        if let Some(tuples) = self.ask(scope, at, |at| at.explain(&self.query()))? {
            return Ok((true, Explanation::Tuples(shown(scope, &tuples))));
        }
        let missing = self.ask(scope, at, |at| at.missing(&self.query()))?;
        let missing = missing.iter().map(|tuples| shown(scope, tuples)).collect();
        Ok((false, Explanation::Missing(missing)))
    }
}

fn shown(scope: &Scope, tuples: &[Tuple]) -> Vec<String> {
    tuples.iter().map(|tuple| scope.show_tuple(tuple)).collect()
}

async fn check(
    State(app): State<App>,
    asking: Asking,
    Json(body): Json<CheckBody>,
) -> Result<impl IntoResponse, ApiError> {
    checked(&app, &asking, body)
        .await
        .map_err(|error| asking.refused(error))
}

async fn checked(
    app: &App,
    asking: &Asking,
    body: CheckBody,
) -> Result<(AnsweredAt, Json<CheckAnswer>), ApiError> {
    let scope = Scope::of(asking.key());
    let asked = Asked::read(
        &scope,
        &["body"],
        (&body.object, body.relation, &body.subject),
        &body.contextual_tuples,
    )?;
    let service = scope.service().clone();
    let (state, now) = (Arc::clone(asking.state()), app.now());
    let revision = AnsweredAt(state.revision());
    let answer = if body.explain {
        let explained = work(app, &service, move || {
            asked.explain(&scope, state.graph().at(now))
        })
        .await?;
        let (allowed, explanation) = explained?;
        CheckAnswer {
            allowed,
            explanation: Some(explanation),
        }
    } else {
        let allowed = match asked.soon(&scope, state.graph().at(now))? {
            Some(allowed) => allowed,
            // It takes long: not here, where others wait for the thread.
            None => {
                work(app, &service, move || {
                    asked.allowed(&scope, state.graph().at(now))
                })
                .await??
            }
        };
        CheckAnswer {
            allowed,
            explanation: None,
        }
    };
    Ok((revision, Json(answer)))
}

async fn batch_check(
    State(app): State<App>,
    asking: Asking,
    Json(body): Json<BatchBody>,
) -> Result<impl IntoResponse, ApiError> {
    let refused = |field, limit| {
        asking.refused(ApiError::invalid(
            ["body", field],
            format!("at most {limit} are expected"),
        ))
    };
    if body.checks.len() > MAX_CHECKS {
        return Err(refused("checks", MAX_CHECKS));
    }
    let contextual: usize = body.checks.iter().map(|item| item.contextual_tuples.len()).sum();
    if contextual > MAX_CONTEXTUAL_IN_ALL {
        return Err(refused("contextual_tuples", MAX_CONTEXTUAL_IN_ALL));
    }
    let scope = Scope::of(asking.key());
    let service = scope.service().clone();
    let (state, now) = (Arc::clone(asking.state()), app.now());
    let revision = AnsweredAt(state.revision());
    let results = work(&app, &service, move || {
        answers(&scope, state.graph().at(now), body.checks)
    })
    .await
    .map_err(|error| asking.refused(error))?;
    Ok((revision, Json(BatchAnswer { results })))
}

/// Each question's own answer, as far as the time allows.
fn answers(scope: &Scope, at: At<'_>, items: Vec<BatchItem>) -> Vec<BatchResult> {
    let begun = Instant::now();
    let mut results = Vec::with_capacity(items.len());
    for (place, item) in items.into_iter().enumerate() {
        let answer = if begun.elapsed() > BATCH_TIME {
            Err(Unanswered {
                code: "out_of_time",
                detail: "the questions before it took all the time; ask it again with fewer of them"
                    .to_owned(),
            })
        } else {
            item.answer(scope, place, at)
        };
        results.push(match answer {
            Ok(allowed) => BatchResult::Answered { allowed },
            Err(error) => BatchResult::Unanswered { error },
        });
    }
    results
}

impl BatchItem {
    fn answer(self, scope: &Scope, place: usize, at: At<'_>) -> Result<bool, Unanswered> {
        let place = place.to_string();
        let asked = Asked::read(
            scope,
            &["body", "checks", &place],
            (&self.object, self.relation, &self.subject),
            &self.contextual_tuples,
        )
        .map_err(|error| Unanswered::by_form(&error))?;
        asked.allowed(scope, at)
    }
}
