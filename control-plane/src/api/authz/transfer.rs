//! `/authz/tuples/export` and `…/import`: all tuples of a service as lines of JSON, read and written piece by piece.
//!
//! An export is no snapshot: tuples that are changed while it runs are in it as they were or as they are. Whoever needs one
//! follows the changes since the revision of the answer, which come to the same end whichever it was.

use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::body::Frame;
use sentinel_access::relations::{
    Filter, MAX_CHANGES, Matched, RelationError, RelationTuple, TuplePage, TupleWrite, WhatIsWrong,
};
use sentinel_core::{Revision, Tuple};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::lines::Lines;
use super::matching::filter;
use super::names::Names;
use super::scope::Scope;
use super::tuples::PutBody;
use crate::app::{App, revision_not_reached};
use crate::commit::{AnsweredAt, Committed, published};
use crate::extract::asking::Pass;
use crate::extract::body::media_type;
use crate::extract::{Asking, Json, Query, json};
use crate::problem::{ApiError, FieldError};

/// Where an import goes to: the one path whose bodies may be longer than others.
pub(crate) const IMPORT: &str = "/authz/tuples/import";

/// The longest body of an import, in bytes.
pub(crate) const MAX_IMPORT: u64 = 1024 * 1024 * 1024;

/// How many pages of an export wait for a reader.
const QUEUE: usize = 2;

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/authz/tuples/export", get(export))
        .route("/authz/tuples/import", post(import))
}

/// Which tuples, in the query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    object_type: Option<String>,
    object_id: Option<String>,
    relation: Option<String>,
    subject_type: Option<String>,
    subject: Option<String>,
}

/// Where an import goes on, in the query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportQuery {
    /// Leave out the lines up to this one: they were imported before.
    #[serde(default)]
    after_line: u64,
}

/// What was imported.
#[derive(Serialize)]
struct ImportedBody {
    /// How many lines were read, those that were left out included.
    lines: u64,
    /// How many tuples were written that were not there, or had another end.
    written: u64,
    /// How many tuples had ended already and were left out.
    ended: u64,
    revision: String,
}

async fn export(
    State(app): State<App>,
    asking: Asking,
    Query(query): Query<ExportQuery>,
) -> Result<Response, ApiError> {
    let names = Names::of_service(Scope::of(asking.key()));
    let filter = filter(
        &names,
        "query",
        query.object_type.as_deref(),
        query.object_id.as_deref(),
        query.relation.as_deref(),
        query.subject_type.as_deref(),
        query.subject.as_deref(),
    )?;
    let export = Export {
        app,
        names,
        filter,
        pass: asking.pass(),
    };
    // What goes wrong at once is told by the status.
    let first = export.page(None).await?;
    let revision = first.revision;
    // What the replica has reached the database can have lost meanwhile.
    if asking.at_least().is_some_and(|asked| revision < asked) {
        return Err(revision_not_reached(revision));
    }
    let (out, pages) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        if let Err(error) = export.run(first, &out).await {
            // An answer that breaks off is seen to be no whole one.
            let _ = out.send(Err(BrokenOff(error.code()))).await;
        }
    });
    Ok((
        AnsweredAt(revision),
        [(CONTENT_TYPE, NDJSON)],
        Body::new(Pages(pages)),
    )
        .into_response())
}

/// An export on its way.
struct Export {
    app: App,
    names: Names,
    filter: Filter,
    pass: Pass,
}

/// An export that could not be brought to its end.
#[derive(Debug, thiserror::Error)]
#[error("the export was broken off: {0}")]
struct BrokenOff(&'static str);

impl Export {
    async fn page(&self, after: Option<&Tuple>) -> Result<TuplePage, ApiError> {
        let mut tx = self.app.database().read().await?;
        let matched = Matched {
            after,
            limit: u32::try_from(MAX_CHANGES).unwrap_or(u32::MAX),
        };
        let relations = &self.app.access().relations;
        let page = relations
            .read(&mut tx, self.names.service(), &self.filter, matched)
            .await?;
        Ok(page)
    }

    async fn run(
        &self,
        first: TuplePage,
        out: &mpsc::Sender<Result<Bytes, BrokenOff>>,
    ) -> Result<(), ApiError> {
        let mut page = first;
        loop {
            let mut lines = Vec::new();
            for tuple in &page.tuples {
                serde_json::to_writer(&mut lines, &self.names.show(tuple)).map_err(ApiError::internal)?;
                lines.push(b'\n');
            }
            if out.send(Ok(lines.into())).await.is_err() {
                return Ok(());
            }
            let Some(last) = page.tuples.last().filter(|_| page.more) else {
                return Ok(());
            };
            if !self.pass.is_good(&self.app.replica().load(), self.app.now()) {
                return Err(key_is_over());
            }
            page = self.page(Some(&last.tuple)).await?;
        }
    }
}

fn key_is_over() -> ApiError {
    ApiError::unauthorized("Invalid or missing service API key").with_code("service_key_invalid")
}

/// The body of an export.
struct Pages(mpsc::Receiver<Result<Bytes, BrokenOff>>);

impl hyper::body::Body for Pages {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let page = self.0.poll_recv(cx);
        page.map(|page| page.map(|page| page.map(Frame::data)))
    }
}

async fn import(
    State(app): State<App>,
    asking: Asking,
    Query(query): Query<ImportQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<(Committed, Json<ImportedBody>), ApiError> {
    let media = media_type(&headers);
    if !matches!(
        media.as_deref(),
        Some("application/x-ndjson" | "application/jsonl")
    ) {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Lines of JSON with `Content-Type: application/x-ndjson` are expected",
        ));
    }
    let service = asking.key().name();
    let _place = app
        .questions
        .imports
        .enter(service)
        .ok_or_else(too_many_imports)?;
    let mut import = Import {
        app: &app,
        names: Names::of_service(Scope::of(asking.key())),
        pass: asking.pass(),
        done: query.after_line,
        written: 0,
        ended: 0,
        revision: asking.state().revision(),
    };
    let mut lines = Lines::new(body);
    let mut batch = Vec::new();
    loop {
        let line = match lines.next().await {
            Ok(line) => line,
            Err(error) => return Err(import.told(error)),
        };
        let is_last = line.is_none();
        if let Some(line) = line
            && lines.number() > query.after_line
            && !line.trim_ascii().is_empty()
        {
            batch.push((lines.number(), line));
        }
        if batch.len() >= MAX_CHANGES || (is_last && !batch.is_empty()) {
            if let Err(error) = import.batch(&batch).await {
                return Err(import.told(error));
            }
            batch.clear();
        }
        if is_last {
            break;
        }
    }
    let committed = published(&app, Some(import.revision)).await?;
    let body = ImportedBody {
        lines: lines.number(),
        written: import.written,
        ended: import.ended,
        revision: import.revision.to_string(),
    };
    Ok((committed, Json(body)))
}

fn too_many_imports() -> ApiError {
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_imports",
        "Too many imports are being read: send one after the other",
    )
    .with_header(RETRY_AFTER, HeaderValue::from_static("5"))
}

/// An import on its way.
struct Import<'a> {
    app: &'a App,
    names: Names,
    pass: Pass,
    /// The last line that was imported, or left out.
    done: u64,
    written: u64,
    ended: u64,
    revision: Revision,
}

impl Import<'_> {
    /// Writes some lines, all or none of them.
    async fn batch(&mut self, batch: &[(u64, Vec<u8>)]) -> Result<(), ApiError> {
        if !self.pass.is_good(&self.app.replica().load(), self.app.now()) {
            return Err(key_is_over());
        }
        let mut errors = Vec::new();
        // Of several lines about one tuple the last one counts, as it would in a batch of its own.
        let mut puts: HashMap<Tuple, (u64, RelationTuple)> = HashMap::new();
        for (number, line) in batch {
            let put = json::read(line).map_err(|error| error.to_string());
            match put.and_then(|put: PutBody| put.parse(&self.names)) {
                Ok(put) => drop(puts.insert(put.tuple.clone(), (*number, put))),
                Err(error) => errors.push((*number, error)),
            }
        }
        let mut puts: Vec<(u64, RelationTuple)> = puts.into_values().collect();
        puts.sort_by_key(|(number, _)| *number);
        let now = self.app.now();
        let read = puts.len();
        puts.retain(|(_, put)| put.holds_at(now));
        let ended = u64::try_from(read - puts.len()).unwrap_or(u64::MAX);
        let (numbers, puts): (Vec<u64>, Vec<RelationTuple>) = puts.into_iter().unzip();
        let asked = TupleWrite {
            puts,
            ..TupleWrite::default()
        };
        let faults = if errors.is_empty() {
            match self.app.tuples.write(self.names.service(), asked, None).await {
                Ok(written) => {
                    self.written = self.written.saturating_add(written.written);
                    self.ended = self.ended.saturating_add(ended);
                    self.done = batch.last().map_or(self.done, |(number, _)| *number);
                    self.revision = written.revision;
                    // Not faster than replicas follow.
                    return published(self.app, Some(written.revision)).await.map(drop);
                }
                Err(RelationError::Faults(faults)) => faults,
                Err(RelationError::Access(error)) => return Err(error.into()),
                Err(other) => return Err(ApiError::internal(other)),
            }
        } else {
            let relations = &self.app.access().relations;
            relations
                .faults(self.app.database(), self.names.service(), &asked)
                .await?
        };
        let faults = faults.iter().filter_map(|fault| {
            // It ended since it was looked at: the next attempt leaves it out.
            let what = match &fault.what {
                WhatIsWrong::Past => "the tuple ended meanwhile: try again".to_owned(),
                other => self.names.own_words(&other.to_string()),
            };
            numbers.get(fault.index).map(|number| (*number, what))
        });
        errors.extend(faults);
        errors.sort();
        let errors = errors
            .into_iter()
            .map(|(number, what)| FieldError::new(["body", &format!("line {number}")], what));
        Err(ApiError::unprocessable(errors.collect()))
    }

    /// An error that says how far the import has come.
    fn told(&self, error: ApiError) -> ApiError {
        let detail = format!(
            "{}. The lines up to {} were imported; go on with `after_line={}`",
            error.detail().trim_end_matches('.'),
            self.done,
            self.done
        );
        error.with_detail(detail).decided_at(self.revision)
    }
}
