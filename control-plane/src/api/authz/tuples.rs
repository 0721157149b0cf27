//! `POST /authz/tuples`: a service's own relation tuples, written all or nothing.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use sentinel_access::relations::{
    Fault, FaultPlace, Idempotency, InvalidIdempotencyKey, MAX_CHANGES, Precondition, RelationError,
    RelationTuple, TupleWrite, WhatIsWrong, Written,
};
use sentinel_core::{Timestamp, Tuple};
use sentinel_token::sha256;
use serde::{Deserialize, Serialize};

use super::names::Names;
use super::scope::Scope;
use crate::app::App;
use crate::commit::published;
use crate::extract::bearer::single;
use crate::extract::{Json, ServiceKey};
use crate::problem::{ApiError, FieldError};

/// The header that names a write, in case it is sent again (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(super) fn routes() -> Router<App> {
    Router::new().route("/authz/tuples", post(write))
}

/// What is to be written. What is misspelt is refused: an end that is not understood must not become none.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteBody {
    #[serde(default)]
    writes: Vec<PutBody>,
    #[serde(default)]
    deletes: Vec<DeleteBody>,
    #[serde(default)]
    preconditions: Vec<PreconditionBody>,
}

/// A tuple to be written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PutBody {
    object: String,
    relation: String,
    subject: String,
    expires_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteBody {
    object: String,
    relation: String,
    subject: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PreconditionBody {
    object: String,
    relation: String,
    subject: String,
    must: Must,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Must {
    Exist,
    NotExist,
}

/// What was written.
#[derive(Serialize)]
struct WrittenBody {
    written: u64,
    deleted: u64,
    revision: String,
}

impl From<Written> for WrittenBody {
    fn from(written: Written) -> Self {
        Self {
            written: written.written,
            deleted: written.deleted,
            revision: written.revision.to_string(),
        }
    }
}

impl PutBody {
    pub(super) fn parse(&self, names: &Names) -> Result<RelationTuple, String> {
        Ok(RelationTuple {
            tuple: tuple(names, &self.object, &self.relation, &self.subject)?,
            // Replicas know microseconds.
            until: self
                .expires_at
                .map(|at| Timestamp::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)),
        })
    }
}

/// A tuple of its parts, or what is wrong with them.
fn tuple(names: &Names, object: &str, relation: &str, subject: &str) -> Result<Tuple, String> {
    let tuple = names.tuple(object, relation, subject);
    tuple.map_err(|error| error.to_string())
}

/// A request, as far as it could be read: the places of its parts in the lists, and what could not be read.
#[derive(Default)]
struct Parsed {
    asked: TupleWrite,
    places: BTreeMap<FaultPlace, Vec<usize>>,
    errors: Vec<(FaultPlace, usize, String)>,
}

impl Parsed {
    fn new(names: &Names, body: &WriteBody) -> Self {
        let mut parsed = Self::default();
        for (index, put) in body.writes.iter().enumerate() {
            let put = put.parse(names);
            if let Some(put) = parsed.part(FaultPlace::Writes, index, put) {
                parsed.asked.puts.push(put);
            }
        }
        for (index, delete) in body.deletes.iter().enumerate() {
            let gone = tuple(names, &delete.object, &delete.relation, &delete.subject);
            if let Some(gone) = parsed.part(FaultPlace::Deletes, index, gone) {
                parsed.asked.deletes.push(gone);
            }
        }
        for (index, condition) in body.preconditions.iter().enumerate() {
            let part = tuple(names, &condition.object, &condition.relation, &condition.subject);
            if let Some(tuple) = parsed.part(FaultPlace::Preconditions, index, part) {
                let must_exist = condition.must == Must::Exist;
                parsed
                    .asked
                    .preconditions
                    .push(Precondition { tuple, must_exist });
            }
        }
        parsed
    }

    fn part<T>(&mut self, place: FaultPlace, index: usize, part: Result<T, String>) -> Option<T> {
        match part {
            Ok(part) => {
                self.places.entry(place).or_default().push(index);
                Some(part)
            }
            Err(error) => {
                self.errors.push((place, index, error));
                None
            }
        }
    }

    /// Where a part stood in the request.
    fn place(&self, place: FaultPlace, index: usize) -> usize {
        let places = self.places.get(&place);
        places
            .and_then(|places| places.get(index))
            .copied()
            .unwrap_or(index)
    }

    /// 422 with everything that is wrong, in the order of the request.
    fn refuse(mut self, names: &Names, faults: &[Fault]) -> ApiError {
        for fault in faults {
            let what = match fault.what {
                WhatIsWrong::Twice { place, index } => {
                    let index = self.place(place, index);
                    WhatIsWrong::Twice { place, index }.to_string()
                }
                ref other => names.own_words(&other.to_string()),
            };
            self.errors
                .push((fault.place, self.place(fault.place, fault.index), what));
        }
        self.errors.sort();
        let errors = self.errors.into_iter().map(|(place, index, msg)| {
            FieldError::new(["body", &place.to_string(), &index.to_string()], msg)
        });
        ApiError::unprocessable(errors.collect())
    }
}

async fn write(
    State(app): State<App>,
    key: ServiceKey,
    headers: HeaderMap,
    Json(body): Json<WriteBody>,
) -> Result<impl IntoResponse, ApiError> {
    let names = Names::of_service(Scope::of(&key));
    let changes = body.writes.len().saturating_add(body.deletes.len());
    if changes > MAX_CHANGES || body.preconditions.len() > MAX_CHANGES {
        return Err(ApiError::invalid(
            ["body"],
            format!("at most {MAX_CHANGES} changes and as many preconditions are expected"),
        )
        .with_code("too_many_changes"));
    }
    let idempotency = idempotency(&headers, &body)?;
    let mut parsed = Parsed::new(&names, &body);
    if !parsed.errors.is_empty() {
        let relations = &app.access().relations;
        let faults = relations
            .faults(app.database(), key.name(), &parsed.asked)
            .await?;
        return Err(parsed.refuse(&names, &faults));
    }
    let asked = std::mem::take(&mut parsed.asked);
    let written = app.tuples.write(key.name(), asked, idempotency).await;
    let written = written.map_err(|error| refused(&names, parsed, error))?;
    let committed = published(&app, Some(written.revision)).await?;
    Ok((committed, Json(WrittenBody::from(written))))
}

/// The key under which the write is to be remembered, with what is asked for.
fn idempotency(headers: &HeaderMap, body: &WriteBody) -> Result<Option<Idempotency>, ApiError> {
    let Some(value) = single(headers, &IDEMPOTENCY_KEY)? else {
        return Ok(None);
    };
    let invalid = |text: &str| ApiError::invalid(["header", "idempotency-key"], text);
    let key = value
        .to_str()
        .map_err(|_| invalid("printable ASCII is expected"))?
        .parse()
        .map_err(|error: InvalidIdempotencyKey| invalid(&error.to_string()))?;
    let request = serde_json::to_vec(body).map_err(ApiError::internal)?;
    Ok(Some(Idempotency {
        key,
        request: sha256(&request),
    }))
}

fn refused(names: &Names, parsed: Parsed, error: RelationError) -> ApiError {
    match error {
        RelationError::Access(error) => error.into(),
        RelationError::Faults(faults) => parsed.refuse(names, &faults),
        RelationError::Precondition {
            index,
            must_exist,
            revision,
        } => {
            let index = parsed.place(FaultPlace::Preconditions, index);
            let what = if must_exist {
                "the tuple does not exist"
            } else {
                "the tuple exists"
            };
            ApiError::new(
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                format!("preconditions.{index}: {what}"),
            )
            .with_errors(vec![FieldError::new(
                ["body", "preconditions", &index.to_string()],
                what,
            )])
            .decided_at(revision)
        }
        RelationError::KeyReused => ApiError::invalid(
            ["header", "idempotency-key"],
            "the key was used for another request in the last 24 hours",
        )
        .with_code("idempotency_key_reused"),
    }
}
