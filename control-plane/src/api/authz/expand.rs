//! `POST /authz/expand`: what a relation of one of the service's objects is made of, one step deep.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use sentinel_authz::{ExpandError, Expansion, Userset};
use serde::{Deserialize, Serialize};

use super::questions::{TupleBody, Unanswered, contextual, object, work};
use super::scope::Scope;
use crate::app::App;
use crate::commit::AnsweredAt;
use crate::extract::{Asking, Json};
use crate::problem::ApiError;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/authz/expand", post(expand))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpandBody {
    object: String,
    relation: String,
    #[serde(default)]
    contextual_tuples: Vec<TupleBody>,
}

#[derive(Serialize)]
struct ExpandAnswer {
    tree: Tree,
}

/// One of these, as the definition has it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Tree {
    /// The subjects of the relation's own tuples.
    Leaf(Vec<String>),
    /// Another relation of the same object.
    Computed(String),
    /// A relation of what the tuples of another one lead to.
    From { tupleset: String, computed: Vec<String> },
    /// Whoever is in one of them.
    Union(Vec<Tree>),
    /// Whoever is in all of them.
    Intersection(Vec<Tree>),
    /// Whoever is in the first and not in the second.
    Difference { base: Box<Tree>, subtract: Box<Tree> },
}

async fn expand(
    State(app): State<App>,
    asking: Asking,
    Json(body): Json<ExpandBody>,
) -> Result<impl IntoResponse, ApiError> {
    expanded(&app, &asking, body)
        .await
        .map_err(|error| asking.refused(error))
}

async fn expanded(
    app: &App,
    asking: &Asking,
    body: ExpandBody,
) -> Result<(AnsweredAt, Json<ExpandAnswer>), ApiError> {
    let scope = Scope::of(asking.key());
    let object = object(&scope, &["body"], &body.object)?;
    let contextual = contextual(&scope, &["body"], &body.contextual_tuples)?;
    let (state, now) = (Arc::clone(asking.state()), app.now());
    let revision = AnsweredAt(state.revision());
    let service = scope.service().clone();
    let tree = work(app, &service, move || {
        let with = state
            .graph()
            .at(now)
            .with_of_services(&contextual)
            .map_err(|error| ApiError::from(Unanswered::by_context(&scope, &error)))?;
        let expansion = with.at().expand(&object, &body.relation);
        expansion
            .map(|expansion| Tree::of(&scope, expansion))
            .map_err(|error| refused(&scope, &error))
    })
    .await??;
    Ok((revision, Json(ExpandAnswer { tree })))
}

fn refused(scope: &Scope, error: &ExpandError) -> ApiError {
    match error {
        ExpandError::Unknown(error) => Unanswered::new(scope, error).into(),
        ExpandError::TooLarge => ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "expansion_too_large",
            error.to_string(),
        ),
    }
}

impl Tree {
    fn of(scope: &Scope, expansion: Expansion) -> Self {
        let all = |parts: Vec<Expansion>| parts.into_iter().map(|part| Self::of(scope, part)).collect();
        let shown =
            |userset: &Userset| format!("{}#{}", scope.show_object(&userset.object), userset.relation);
        match expansion {
            Expansion::Leaf(subjects) => Self::Leaf(
                subjects
                    .iter()
                    .map(|subject| scope.show_subject(subject))
                    .collect(),
            ),
            Expansion::Computed(userset) => Self::Computed(shown(&userset)),
            Expansion::From { tupleset, computed } => Self::From {
                tupleset: shown(&tupleset),
                computed: computed.iter().map(shown).collect(),
            },
            Expansion::Union(parts) => Self::Union(all(parts)),
            Expansion::Intersection(parts) => Self::Intersection(all(parts)),
            Expansion::Difference(base, subtract) => Self::Difference {
                base: Box::new(Self::of(scope, *base)),
                subtract: Box::new(Self::of(scope, *subtract)),
            },
        }
    }
}
