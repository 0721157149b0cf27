//! `/authz/models`: a service's own permission model, in versions that never change. The last one counts.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sentinel_access::AccessError;
use sentinel_access::relations::{
    BrokenRoute, MAX_MODEL, ModelOptions, ModelOutcome, ModelReport, ServiceModel,
};
use sentinel_authz::{JsonModel, JsonModelError, Model};
use sentinel_core::Revision;
use sentinel_core::id::UserId;
use serde::{Deserialize, Serialize};

use super::names::Names;
use super::questions::work;
use super::scope::Scope;
use super::writer::Writer;
use crate::api::wire::Moment;
use crate::app::App;
use crate::commit::{AnsweredAt, commit, published};
use crate::extract::body::{Whole, media_type, too_large};
use crate::extract::{Json, Path, Query, ServiceKey};
use crate::middleware::rate;
use crate::problem::{ApiError, FieldError};

/// The header that says which version an answer is.
const VERSION_HEADER: HeaderName = HeaderName::from_static("x-sentinel-model-version");

/// The longest model in JSON, in bytes: the same model is several times as long there.
pub(super) const MAX_JSON: usize = 8 * MAX_MODEL;

/// How often a model is drafted, while others write theirs.
const ATTEMPTS: usize = 3;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/authz/models", get(list).post(write))
        .route("/authz/models/{version}", get(show))
}

/// How a model is to be written, in the query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct WriteQuery {
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    accept_broken_routes: bool,
}

/// A model as it was written.
enum Written {
    /// In OpenFGA's language.
    Text(String),
    /// In OpenFGA's JSON.
    Json(JsonModel),
}

impl Written {
    /// In OpenFGA's language.
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Json(json) => json.dsl(),
        }
    }
}

/// A version of a model, without its text.
#[derive(Serialize)]
pub(in crate::api) struct ModelBody {
    version: u64,
    created_by: Option<UserId>,
    created_at: Moment,
}

impl From<&ServiceModel> for ModelBody {
    fn from(model: &ServiceModel) -> Self {
        Self {
            version: model.version,
            created_by: model.created_by,
            created_at: model.created_at.into(),
        }
    }
}

/// What would come of a model.
#[derive(Serialize)]
struct ReportBody {
    version: u64,
    would_be_written: bool,
    misfits: MisfitsBody,
    broken_routes: Vec<BrokenRouteBody>,
}

#[derive(Serialize)]
struct MisfitsBody {
    count: u64,
    examples: Vec<String>,
}

#[derive(Serialize)]
struct BrokenRouteBody {
    edge: String,
    route: String,
    object_type: String,
    relation: String,
}

impl ReportBody {
    fn new(names: &Names, version: u64, report: ModelReport, options: ModelOptions) -> Self {
        let would_be_written = report.allows(options);
        let broken = |route: BrokenRoute| BrokenRouteBody {
            edge: route.edge,
            route: route.need.route,
            object_type: route.need.object_type,
            relation: route.need.relation,
        };
        let examples = report.misfits.examples.iter();
        Self {
            version,
            would_be_written,
            misfits: MisfitsBody {
                count: report.misfits.count,
                examples: examples.map(|tuple| names.show_tuple(tuple)).collect(),
            },
            broken_routes: report.broken_routes.into_iter().map(broken).collect(),
        }
    }
}

/// Which version, in the path.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::api) enum Version {
    /// The last one.
    Current,
    /// The one of this number.
    Number(u64),
}

impl TryFrom<String> for Version {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text == "current" {
            return Ok(Self::Current);
        }
        let number = text.parse().ok().filter(|number: &u64| *number > 0);
        // One spelling of each: `7`, and neither `07` nor `+7`.
        number
            .filter(|number| number.to_string() == text)
            .map(Self::Number)
            .ok_or("a number from 1 on, or `current`, is expected")
    }
}

async fn list(State(app): State<App>, key: ServiceKey) -> Result<impl IntoResponse, ApiError> {
    listed(&app, &Scope::of(&key)).await
}

async fn show(
    State(app): State<App>,
    key: ServiceKey,
    Path(version): Path<Version>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    shown(&app, &Scope::of(&key), version, &headers).await
}

async fn write(
    State(app): State<App>,
    key: ServiceKey,
    Query(query): Query<WriteQuery>,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    rate::model(&app, key.app()).await?;
    let names = Names::of_service(Scope::of(&key));
    written(
        &app,
        &names,
        &Writer::Service(key.app()),
        (&headers, &body),
        &query,
    )
    .await
}

/// All versions of a service's model, the latest first.
pub(in crate::api) async fn listed(app: &App, scope: &Scope) -> Result<impl IntoResponse + use<>, ApiError> {
    let mut tx = app.database().read().await?;
    let models = app.access().relations.models(&mut tx, scope.service()).await?;
    let revision = tx.head().await?;
    let models: Vec<ModelBody> = models.iter().map(ModelBody::from).collect();
    Ok((AnsweredAt(revision), Json(models)))
}

/// One version: as text, or as OpenFGA's JSON if that is what the request accepts.
pub(in crate::api) async fn shown(
    app: &App,
    scope: &Scope,
    version: Version,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let relations = &app.access().relations;
    let mut tx = app.database().read().await?;
    let model = match version {
        Version::Current => relations.current_model(&mut tx, scope.service()).await?,
        Version::Number(number) => relations.model(&mut tx, scope.service(), number).await?,
    };
    let revision = AnsweredAt(tx.head().await?);
    let version = [(VERSION_HEADER, HeaderValue::from(model.version))];
    if accepts_json(headers) {
        let json = Model::dsl_to_json(&model.text).map_err(ApiError::internal)?;
        let json_type = [(CONTENT_TYPE, "application/json")];
        return Ok((revision, version, json_type, json).into_response());
    }
    // axum's text is `text/plain; charset=utf-8`.
    Ok((revision, version, model.text).into_response())
}

/// Writes a model on behalf of the service or of an administrator. It is read and compiled, and compared with what is
/// stored, before it takes the writer's turn.
pub(in crate::api) async fn written(
    app: &App,
    names: &Names,
    writer: &Writer<'_>,
    (headers, body): (&HeaderMap, &Bytes),
    query: &WriteQuery,
) -> Result<Response, ApiError> {
    let options = ModelOptions {
        dry_run: query.dry_run,
        accept_broken_routes: query.accept_broken_routes,
    };
    let relations = &app.access().relations;
    let service = names.service();
    for _ in 0..ATTEMPTS {
        let ground = {
            let mut tx = app.database().read().await?;
            relations.model_ground(&mut tx, service).await?
        };
        let (headers, body) = (headers.clone(), body.clone());
        let draft = work(app, service, move || {
            let model = model_of(&headers, &body)?;
            ground.draft(model.text()).map_err(|error| invalid(&model, error))
        })
        .await??;
        let (outcome, head) = {
            let mut tx = app.database().read().await?;
            (
                relations.preview_model(&mut tx, &draft, options).await?,
                tx.head().await?,
            )
        };
        match outcome {
            None => {}
            Some(ModelOutcome::Outdated) => continue,
            Some(outcome) => return told(app, names, options, outcome, head).await,
        }
        if let Writer::Service(of) = writer {
            rate::new_model(app, *of).await?;
        }
        let mut tx = writer.begin(app).await?;
        let head = tx.base();
        let outcome = relations
            .write_model(&mut tx, writer.user(), &draft, options)
            .await?;
        match outcome {
            ModelOutcome::Written(model) => {
                let committed = commit(app, tx).await?;
                return Ok((StatusCode::CREATED, committed, Json(ModelBody::from(&model))).into_response());
            }
            ModelOutcome::Outdated => tx.rollback().await?,
            outcome => {
                tx.rollback().await?;
                return told(app, names, options, outcome, head).await;
            }
        }
    }
    Err(ApiError::unavailable("Other models are being written: try again").with_code("busy"))
}

/// What is told of a model that changed nothing.
async fn told(
    app: &App,
    names: &Names,
    options: ModelOptions,
    outcome: ModelOutcome,
    head: Revision,
) -> Result<Response, ApiError> {
    match outcome {
        ModelOutcome::Written(model) | ModelOutcome::Unchanged(model) => {
            let committed = published(app, Some(head)).await?;
            Ok((committed, Json(ModelBody::from(&model))).into_response())
        }
        ModelOutcome::DryRun(version, report) => {
            let body = ReportBody::new(names, version, report, options);
            Ok((AnsweredAt(head), Json(body)).into_response())
        }
        ModelOutcome::Refused(report) => Err(refused(names, &report).decided_at(head)),
        ModelOutcome::Outdated => Err(ApiError::internal(anyhow::anyhow!(
            "a model that is outdated is drafted anew"
        ))),
    }
}

/// The model in a body.
fn model_of(headers: &HeaderMap, body: &[u8]) -> Result<Written, ApiError> {
    let no_text = |_| ApiError::invalid(["body"], "a text in UTF-8 is expected");
    match media_type(headers).as_deref() {
        None | Some("text/plain") => {
            if body.len() > MAX_MODEL {
                return Err(too_large());
            }
            let text = std::str::from_utf8(body).map_err(no_text)?;
            Ok(Written::Text(text.to_owned()))
        }
        Some("application/json") => {
            if body.len() > MAX_JSON {
                return Err(too_large());
            }
            let json = std::str::from_utf8(body).map_err(no_text)?;
            JsonModel::read(json)
                .map(Written::Json)
                .map_err(|error| in_json(&error))
        }
        Some(_) => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "A model is `text/plain` in OpenFGA's language, or `application/json`",
        )),
    }
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .map(str::trim)
        .find_map(|range| match range {
            "application/json" => Some(true),
            "text/plain" => Some(false),
            _ => None,
        })
        .unwrap_or(false)
}

/// A text that is no model, with the place where it is none.
fn invalid(model: &Written, error: AccessError) -> ApiError {
    let AccessError::InvalidModel(error) = error else {
        return error.into();
    };
    match model {
        Written::Text(_) => {
            let (line, column) = (format!("line {}", error.line), format!("column {}", error.column));
            let error = FieldError::new(["body", &line, &column], error.message);
            ApiError::unprocessable(vec![error]).with_code("invalid_model")
        }
        Written::Json(json) => in_json(&json.locate(&error)),
    }
}

fn in_json(error: &JsonModelError) -> ApiError {
    let error = FieldError::new(["body", &error.path], error.message.as_str());
    ApiError::unprocessable(vec![error]).with_code("invalid_model")
}

fn refused(names: &Names, report: &ModelReport) -> ApiError {
    if report.misfits.count > 0 {
        let examples = report.misfits.examples.iter().map(|tuple| {
            let text = names.show_tuple(tuple);
            FieldError::new(["tuples"], format!("`{text}` does not fit this model"))
        });
        let detail = format!(
            "{} stored tuples do not fit this model: delete them first",
            report.misfits.count
        );
        return ApiError::conflict(detail)
            .with_code("tuples_do_not_fit")
            .with_errors(examples.collect());
    }
    let routes = report.broken_routes.iter().map(|broken| {
        let need = &broken.need;
        FieldError::new(
            ["edges", broken.edge.as_str(), "routes", need.route.as_str()],
            format!(
                "the route asks about the relation `{}` of `{}`, which this model does not have",
                need.relation, need.object_type
            ),
        )
    });
    let detail = format!(
        "{} routes of edges ask about relations that this model does not have: change the routes first, or repeat with \
         `accept_broken_routes=true`, and they deny",
        report.broken_routes.len()
    );
    ApiError::conflict(detail)
        .with_code("model_in_use")
        .with_errors(routes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_is_known_is_the_one_that_is_accepted() {
        for (accept, json) in [
            ("", false),
            ("*/*", false),
            ("application/json", true),
            ("text/plain, application/json", false),
            ("text/html, application/json;q=0.9", true),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(accepts_json(&headers), json, "{accept}");
        }
    }

    #[test]
    fn a_version_is_a_number_or_the_current_one() {
        let version = |text: &str| Version::try_from(text.to_owned());
        assert!(matches!(version("current"), Ok(Version::Current)));
        assert!(matches!(version("7"), Ok(Version::Number(7))));
        for bad in [
            "",
            "0",
            "-1",
            "Current",
            "1.0",
            "01",
            "+1",
            "99999999999999999999999",
        ] {
            assert!(version(bad).is_err(), "{bad}");
        }
    }
}
