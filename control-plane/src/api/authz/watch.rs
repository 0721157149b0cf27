//! `GET /authz/tuples/watch`: how a service's own tuples change, as server-sent events (WHATWG HTML §9.2), from any
//! revision that the change log still reaches back to.
//!
//! - `changes`: what one transaction changed; its id is the revision. Revisions that changed nothing of the service's are
//!   left out.
//! - `heartbeat`: at once, and every five seconds. Its id is the revision up to which everything was told, so that whoever
//!   comes back with it in `Last-Event-ID` does not go over the same revisions again.
//!
//! - `end`: the history was replaced, so that revisions may mean something else than those that were told: whoever watches
//!   reads everything anew. It has no id, so that nobody comes back with one of the old history by himself.
//!
//! A stream ends then, when its key does, when the process stops, and when its reader does not keep up.

mod places;
mod stream;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Frame;
use sentinel_core::{Denial, Revision};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::scope::Scope;
use crate::app::App;
use crate::commit::AnsweredAt;
use crate::extract::bearer::single;
use crate::extract::{Asking, Query};
use crate::problem::ApiError;

use places::Place;
pub(crate) use places::Places;
use stream::{Filter, Stream};

/// What a client that was cut off has seen last (WHATWG HTML §9.2.3).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How many events wait for a reader.
const QUEUE: usize = 8;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/authz/tuples/watch", get(watch))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WatchQuery {
    /// Begin behind this revision; from now on if it is not given.
    after: Option<Revision>,
    /// Only tuples about objects of this type.
    object_type: Option<String>,
}

async fn watch(
    State(app): State<App>,
    asking: Asking,
    headers: HeaderMap,
    Query(query): Query<WatchQuery>,
) -> Result<Response, ApiError> {
    let scope = Scope::of(asking.key());
    let kind = query
        .object_type
        .map(|name| known_type(&asking, &scope, &name))
        .transpose()?;
    // First, so that it is no older edition than the revision is of.
    let editions = app.replication.editions();
    let after = last_seen(&headers)?
        .or(query.after)
        .unwrap_or_else(|| app.replica().load().revision());
    if after.epoch < asking.state().revision().epoch {
        return Err(asking.refused(too_old()));
    }
    app.state_for_question(Some(after)).await?;
    let place = Arc::new(app.questions.watchers.enter(scope.service())?);
    let (out, events) = mpsc::channel(QUEUE);
    let stream = Stream::new(
        app.clone(),
        asking.pass(),
        Filter::new(scope, kind),
        after,
        editions,
        out,
        Arc::clone(&place),
    );
    // Whether the log reaches back that far is told by the status.
    let first = stream.read().await?;
    let first = first.ok_or_else(|| asking.refused(too_old()))?;
    tokio::spawn(stream.run(first));
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // nginx would collect the events.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let events = Events {
        events,
        _place: place,
    };
    Ok((AnsweredAt(after), headers, Body::new(events)).into_response())
}

/// The whole name of a type that the service's model has: of any other one there would never be anything to tell.
fn known_type(asking: &Asking, scope: &Scope, name: &str) -> Result<String, ApiError> {
    let place = ["query", "object_type"];
    let kind = scope
        .own_type(name)
        .map_err(|error| ApiError::invalid(place, error))?;
    let model = asking.state().graph().model();
    if model.has_type(&kind) {
        return Ok(kind);
    }
    let own = model.types().map(|kind| (scope.plain(kind), kind));
    let mut known: Vec<String> = own
        .filter(|(plain, kind)| plain != kind)
        .map(|(plain, _)| format!("`{plain}`"))
        .collect();
    known.sort_unstable();
    let message = if known.is_empty() {
        format!("there is no type `{name}`: the service has no model with types of its own yet")
    } else {
        format!("there is no type `{name}`; the model has {}", known.join(", "))
    };
    let error = ApiError::invalid(place, message).with_code("unknown_type");
    Err(asking.refused(error))
}

/// The revision in `Last-Event-ID`; `None` if there is none.
fn last_seen(headers: &HeaderMap) -> Result<Option<Revision>, ApiError> {
    let Some(value) = single(headers, &LAST_EVENT_ID)? else {
        return Ok(None);
    };
    let revision = value.to_str().ok().and_then(|text| text.parse().ok());
    revision.map(Some).ok_or_else(|| Denial::RevisionInvalid.into())
}

fn too_old() -> ApiError {
    ApiError::new(
        StatusCode::GONE,
        "revision_too_old",
        "The changes since this revision are not known any more: read the tuples anew and watch from there",
    )
}

/// The body of the answer. What waits in it takes its place until the client has it or is gone, also when the stream is
/// over.
struct Events {
    events: mpsc::Receiver<Bytes>,
    _place: Arc<Place>,
}

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = self.events.poll_recv(cx);
        event.map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}
