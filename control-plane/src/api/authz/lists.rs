//! `POST /authz/list-objects` and `/authz/list-subjects`: complete, in order, in pages that are all taken at the revision
//! and the moment of the first one. What could not be decided is named beside the list, and left out of it.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use sentinel_authz::{At, CheckError, Graph, Listed, ObjectsQuery, Page, SubjectsQuery};
use sentinel_core::{Object, Revision, Subject, Timestamp, Tuple};
use serde::{Deserialize, Serialize};

use super::cursor::{Cursor, QuestionId};
use super::questions::{TupleBody, Unanswered, contextual, object, subject, work};
use super::scope::{OutOfScope, Scope};
use crate::app::App;
use crate::commit::AnsweredAt;
use crate::extract::{Asking, Json};
use crate::problem::ApiError;
use crate::replication::Known;

/// The most ids on one page.
const MAX_LIMIT: usize = 1000;
/// The usual ones.
const USUAL_LIMIT: usize = 100;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/authz/list-objects", post(list_objects))
        .route("/authz/list-subjects", post(list_subjects))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectsBody {
    object_type: String,
    relation: String,
    subject: String,
    #[serde(default)]
    contextual_tuples: Vec<TupleBody>,
    limit: Option<usize>,
    /// Where an earlier page left off.
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectsBody {
    object: String,
    relation: String,
    subject_type: String,
    /// Asks for usersets: `member` for those of the form `group:3#member`.
    subject_relation: Option<String>,
    #[serde(default)]
    contextual_tuples: Vec<TupleBody>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Serialize)]
struct ObjectsAnswer {
    objects: Vec<String>,
    undecided: Vec<Undecided>,
    /// Where the next page begins; null behind the last one.
    cursor: Option<String>,
}

#[derive(Serialize)]
struct SubjectsAnswer {
    subjects: Vec<String>,
    undecided: Vec<Undecided>,
    cursor: Option<String>,
}

/// What has no answer, and counts as a no.
#[derive(Serialize)]
struct Undecided {
    id: String,
    error: Unanswered,
}

/// Which part of a list is asked for, and of which question.
struct Part {
    question: QuestionId,
    limit: usize,
    cursor: Option<Cursor>,
}

/// One page, with what it was taken of.
struct Taken {
    listed: Listed,
    revision: Revision,
    at: Timestamp,
}

async fn list_objects(
    State(app): State<App>,
    asking: Asking,
    Json(body): Json<ObjectsBody>,
) -> Result<impl IntoResponse, ApiError> {
    objects(&app, &asking, body)
        .await
        .map_err(|error| asking.refused(error))
}

async fn objects(
    app: &App,
    asking: &Asking,
    body: ObjectsBody,
) -> Result<(AnsweredAt, Json<ObjectsAnswer>), ApiError> {
    let scope = Scope::of(asking.key());
    let kind = named("object_type", scope.own_type(&body.object_type))?;
    let subject = subject(&scope, &["body"], &body.subject)?;
    let contextual = contextual(&scope, &["body"], &body.contextual_tuples)?;
    let service = scope.service().to_string();
    let whole = subject.to_string();
    let parts = ["list-objects", &service, &kind, &body.relation, &whole];
    let part = Part::read(
        app,
        asking,
        (&parts, &contextual),
        body.limit,
        body.cursor.as_deref(),
    )?;
    let question = part.question;
    let relation = body.relation;
    let own = kind.clone();
    let taken = take(app, asking, scope.clone(), part, contextual, move |at, page| {
        let query = objects_query(&own, &relation, &subject);
        at.list_objects(&query, page)
    })
    .await?;
    let name = |id: &str| format!("{}:{id}", scope.plain(&kind));
    let (revision, objects, undecided, cursor) = told(app, &scope, question, taken, name);
    let answer = ObjectsAnswer {
        objects,
        undecided,
        cursor,
    };
    Ok((revision, Json(answer)))
}

async fn list_subjects(
    State(app): State<App>,
    asking: Asking,
    Json(body): Json<SubjectsBody>,
) -> Result<impl IntoResponse, ApiError> {
    subjects(&app, &asking, body)
        .await
        .map_err(|error| asking.refused(error))
}

async fn subjects(
    app: &App,
    asking: &Asking,
    body: SubjectsBody,
) -> Result<(AnsweredAt, Json<SubjectsAnswer>), ApiError> {
    let scope = Scope::of(asking.key());
    let object = object(&scope, &["body"], &body.object)?;
    let kind = named("subject_type", scope.any_type(&body.subject_type))?;
    let contextual = contextual(&scope, &["body"], &body.contextual_tuples)?;
    let service = scope.service().to_string();
    let whole = object.to_string();
    let userset = body.subject_relation;
    let of = userset.as_deref().unwrap_or_default();
    let parts = ["list-subjects", &service, &whole, &body.relation, &kind, of];
    let part = Part::read(
        app,
        asking,
        (&parts, &contextual),
        body.limit,
        body.cursor.as_deref(),
    )?;
    let question = part.question;
    let relation = body.relation;
    let (subject_type, subject_relation) = (kind.clone(), userset.clone());
    let taken = take(app, asking, scope.clone(), part, contextual, move |at, page| {
        let query = subjects_query(&object, &relation, &subject_type, subject_relation.as_deref());
        at.list_subjects(&query, page)
    })
    .await?;
    let name = |id: &str| match &userset {
        Some(relation) => format!("{}:{id}#{relation}", scope.plain(&kind)),
        None => format!("{}:{id}", scope.plain(&kind)),
    };
    let (revision, subjects, undecided, cursor) = told(app, &scope, question, taken, name);
    let answer = SubjectsAnswer {
        subjects,
        undecided,
        cursor,
    };
    Ok((revision, Json(answer)))
}

fn named(field: &str, kind: Result<String, OutOfScope>) -> Result<String, ApiError> {
    kind.map_err(|error| ApiError::invalid(["body", field], error))
}

fn objects_query<'q>(kind: &'q str, relation: &'q str, subject: &'q Subject) -> ObjectsQuery<'q> {
    let (subject_type, subject_id, subject_relation) = match subject {
        Subject::Object(object) => (object.kind(), object.id(), None),
        Subject::Userset(object, relation) => (object.kind(), object.id(), Some(relation.as_str())),
        Subject::Wildcard(kind) => (kind.as_str(), "*", None),
    };
    ObjectsQuery {
        object_type: kind,
        id_prefix: "",
        relation,
        subject_type,
        subject_id,
        subject_relation,
    }
}

fn subjects_query<'q>(
    object: &'q Object,
    relation: &'q str,
    subject_type: &'q str,
    subject_relation: Option<&'q str>,
) -> SubjectsQuery<'q> {
    SubjectsQuery {
        object_type: object.kind(),
        object_id: object.id(),
        relation,
        subject_type,
        subject_relation,
    }
}

impl Part {
    fn read(
        app: &App,
        asking: &Asking,
        (parts, contextual): (&[&str], &[Tuple]),
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<Self, ApiError> {
        let limit = limit.unwrap_or(USUAL_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            let expected = format!("1 to {MAX_LIMIT} is expected");
            return Err(ApiError::invalid(["body", "limit"], expected));
        }
        let contextual: Vec<String> = contextual.iter().map(ToString::to_string).collect();
        let contextual = contextual.iter().map(String::as_str);
        let question = QuestionId::of(parts.iter().copied().chain(contextual));
        let cursor = cursor
            .map(|text| app.questions.cursors.open(question, text))
            .transpose()?;
        // The list is older than what the caller knows of.
        if cursor
            .as_ref()
            .is_some_and(|cursor| asking.at_least().is_some_and(|asked| asked > cursor.revision))
        {
            return Err(expired());
        }
        Ok(Self {
            question,
            limit,
            cursor,
        })
    }
}

/// Takes the page of the state that the list is taken of.
async fn take(
    app: &App,
    asking: &Asking,
    scope: Scope,
    part: Part,
    contextual: Vec<Tuple>,
    list: impl FnOnce(At<'_>, Page<'_>) -> Result<Listed, CheckError> + Send + 'static,
) -> Result<Taken, ApiError> {
    let (state, now) = (Arc::clone(asking.state()), app.now());
    let replication = Arc::clone(&app.replication);
    let service = scope.service().clone();
    work(app, &service.clone(), move || {
        let (revision, at, after) = match part.cursor {
            Some(cursor) => (cursor.revision, cursor.at, Some(cursor.after)),
            None => (state.revision(), now, None),
        };
        let (graph, known): (Graph, Option<Known>) = if revision == state.revision() {
            (state.graph().clone(), replication.known(revision))
        } else {
            let (graph, known) = replication.graph_at(revision).ok_or_else(expired)?;
            (graph, Some(known))
        };
        let page = Page {
            after: after.as_deref(),
            limit: part.limit,
        };
        let listed = if contextual.is_empty() {
            list(graph.at(at), page)
        } else {
            let with = graph
                .at(at)
                .with_of_services(&contextual)
                .map_err(|error| Unanswered::by_context(&scope, &error))?;
            list(with.at(), page)
        };
        let listed = listed.map_err(|error| Unanswered::new(&scope, &error))?;
        if listed.more
            && let Some(known) = known
        {
            replication.hold(&service, revision, &graph, known);
        }
        Ok(Taken { listed, revision, at })
    })
    .await?
}

/// The parts of the answer, with the names that `name` gives to ids.
fn told(
    app: &App,
    scope: &Scope,
    question: QuestionId,
    taken: Taken,
    name: impl Fn(&str) -> String,
) -> (AnsweredAt, Vec<String>, Vec<Undecided>, Option<String>) {
    let Taken { listed, revision, at } = taken;
    // Not behind the last id of the page, but behind the last one that was looked at: a page may be empty.
    let cursor = listed.next.clone().map(|after| {
        let cursor = Cursor { revision, at, after };
        app.questions.cursors.seal(question, &cursor)
    });
    let ids = listed.ids.iter().map(|id| name(id)).collect();
    let undecided = listed
        .undecided
        .iter()
        .map(|(id, error)| Undecided {
            id: name(id),
            error: Unanswered::new(scope, error),
        })
        .collect();
    (AnsweredAt(revision), ids, undecided, cursor)
}

fn expired() -> ApiError {
    ApiError::new(
        StatusCode::GONE,
        "cursor_expired",
        "The list cannot be continued: what it is taken of is too old; start again",
    )
}
