//! `GET /authz/tuples` and `POST /authz/tuples/delete`: the tuples that match, read in pages and deleted many at a time.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use sentinel_access::relations::{Filter, Matched, TuplePage};
use sentinel_core::Tuple;
use serde::{Deserialize, Serialize};

use super::cursor::{Cursor, QuestionId};
use super::names::{Names, StoredBody};
use super::scope::Scope;
use super::writer::Writer;
use crate::app::{App, revision_not_reached};
use crate::commit::{AnsweredAt, published};
use crate::extract::bearer::revision_asked;
use crate::extract::{Json, Query, ServiceKey};
use crate::problem::ApiError;

/// How many tuples a page has when nothing else is asked for, and at most.
const USUAL_PAGE: u32 = 100;
const MAX_PAGE: u32 = 1_000;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/authz/tuples", get(read))
        .route("/authz/tuples/delete", post(delete))
}

/// Which tuples, in the query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ReadQuery {
    object_type: Option<String>,
    object_id: Option<String>,
    relation: Option<String>,
    subject_type: Option<String>,
    subject: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// A page of tuples.
#[derive(Serialize)]
pub(in crate::api) struct PageBody {
    tuples: Vec<StoredBody>,
    /// Where the next page begins; null if this is the last one.
    cursor: Option<String>,
}

/// Which tuples are to be deleted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct DeleteQuery {
    object_type: String,
    object_id: Option<String>,
    relation: Option<String>,
    subject_type: Option<String>,
    subject: Option<String>,
}

#[derive(Serialize)]
pub(in crate::api) struct DeletedBody {
    deleted: usize,
    /// Whether there are more, to be deleted by the same request again.
    more: bool,
    revision: String,
}

async fn read(
    State(app): State<App>,
    key: ServiceKey,
    Query(query): Query<ReadQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    page(&app, &Names::of_service(Scope::of(&key)), query, &headers).await
}

async fn delete(
    State(app): State<App>,
    key: ServiceKey,
    Json(body): Json<DeleteQuery>,
) -> Result<impl IntoResponse, ApiError> {
    let names = Names::of_service(Scope::of(&key));
    let filter = delete_filter(&names, &body)?;
    deleted(&app, &names, &Writer::Service(key.app()), &filter).await
}

/// A page of a service's tuples.
pub(in crate::api) async fn page(
    app: &App,
    names: &Names,
    query: ReadQuery,
    headers: &HeaderMap,
) -> Result<impl IntoResponse + use<>, ApiError> {
    let limit = query.limit.unwrap_or(USUAL_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::invalid(
            ["query", "limit"],
            format!("1 to {MAX_PAGE} is expected"),
        ));
    }
    let filter = read_filter(names, &query)?;
    let question = question(names, &query);
    let cursors = &app.questions.cursors;
    let after = query
        .cursor
        .as_deref()
        .map(|cursor| last_seen(&cursors.open(question, cursor)?))
        .transpose()?;
    let at_least = revision_asked(headers)?;
    let mut tx = app.database().read().await?;
    let matched = Matched {
        after: after.as_ref(),
        limit,
    };
    let TuplePage {
        tuples,
        more,
        revision,
    } = app
        .access()
        .relations
        .read(&mut tx, names.service(), &filter, matched)
        .await?;
    // What the replica has reached the database can have lost meanwhile.
    if at_least.is_some_and(|asked| revision < asked) {
        return Err(revision_not_reached(revision));
    }
    let last = tuples.last().filter(|_| more);
    let cursor = last.map(|last| Cursor {
        revision,
        at: app.now(),
        after: last.tuple.to_string(),
    });
    let body = PageBody {
        cursor: cursor.map(|cursor| cursors.seal(question, &cursor)),
        tuples: tuples.iter().map(|tuple| names.show(tuple)).collect(),
    };
    Ok((AnsweredAt(revision), Json(body)))
}

/// What a cursor belongs to: this order, this service, and all that the query asks for but the length of a page.
fn question(names: &Names, query: &ReadQuery) -> QuestionId {
    // What is not asked for is as good as an empty text, which no filter takes.
    let asked = [
        &query.object_type,
        &query.object_id,
        &query.relation,
        &query.subject_type,
        &query.subject,
    ];
    let asked = asked.into_iter().map(|part| part.as_deref().unwrap_or_default());
    QuestionId::of(["tuples", names.service().as_str()].into_iter().chain(asked))
}

/// Where a page begins: behind a tuple that may be gone meanwhile.
fn last_seen(cursor: &Cursor) -> Result<Tuple, ApiError> {
    cursor.after.parse().map_err(ApiError::internal)
}

/// The filter of a query.
fn read_filter(names: &Names, query: &ReadQuery) -> Result<Filter, ApiError> {
    filter(
        names,
        "query",
        query.object_type.as_deref(),
        query.object_id.as_deref(),
        query.relation.as_deref(),
        query.subject_type.as_deref(),
        query.subject.as_deref(),
    )
}

/// The filter of what is to be deleted.
pub(in crate::api) fn delete_filter(names: &Names, body: &DeleteQuery) -> Result<Filter, ApiError> {
    filter(
        names,
        "body",
        Some(&body.object_type),
        body.object_id.as_deref(),
        body.relation.as_deref(),
        body.subject_type.as_deref(),
        body.subject.as_deref(),
    )
}

pub(super) fn filter(
    names: &Names,
    place: &str,
    object_type: Option<&str>,
    object_id: Option<&str>,
    relation: Option<&str>,
    subject_type: Option<&str>,
    subject: Option<&str>,
) -> Result<Filter, ApiError> {
    let at = |field: &'static str| move |error| ApiError::invalid([place, field], error);
    let object_type = object_type.map(|name| names.own_type(name)).transpose();
    let subject_type = subject_type.map(|name| names.any_type(name)).transpose();
    let subject = subject.map(|text| names.subject(text)).transpose();
    Filter::new(
        object_type.map_err(at("object_type"))?,
        object_id,
        relation.map(str::to_owned),
        subject_type.map_err(at("subject_type"))?,
        subject.map_err(at("subject"))?,
    )
    .map_err(|error| ApiError::invalid([place], error))
}

/// Deletes what matches, on behalf of the service or of an administrator.
pub(in crate::api) async fn deleted(
    app: &App,
    names: &Names,
    writer: &Writer<'_>,
    filter: &Filter,
) -> Result<impl IntoResponse + use<>, ApiError> {
    let relations = &app.access().relations;
    let candidates = {
        let mut tx = app.database().read().await?;
        relations.candidates(&mut tx, names.service(), filter).await?
    };
    let mut tx = writer.begin(app).await?;
    let service = names.service();
    let removed = relations
        .delete(&mut tx, service, writer.user(), filter, &candidates)
        .await?;
    tx.commit().await?;
    let committed = published(app, Some(removed.revision)).await?;
    let body = DeletedBody {
        deleted: removed.deleted,
        more: removed.more,
        revision: removed.revision.to_string(),
    };
    Ok((committed, Json(body)))
}
