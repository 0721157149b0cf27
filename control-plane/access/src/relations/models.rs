//! Services' own permission models: versions 1, 2, 3 …, none of which ever changes. The last one counts.

use sentinel_authz::Model;
use sentinel_core::id::UserId;
use sentinel_core::name::ServiceName;
use sentinel_core::{Change, Timestamp, Tuple};
use sentinel_store::{Tx, WriteTx};
use serde_json::json;
use uuid::Uuid;

use super::draft::{ModelDraft, News};
use super::repository::models as rows;
use super::repository::routes;
use super::repository::tuples::{self, Shape};
use super::{Relations, RouteNeed};
use crate::activity::{Action, Entry, Target, TargetKind};
use crate::error::AccessError;
use crate::projection;

/// How many tuples that do not fit are shown.
const EXAMPLES: u32 = 10;

/// A version of a service's model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceModel {
    /// Whose.
    pub service: ServiceName,
    /// Which, from 1.
    pub version: u64,
    /// In OpenFGA's language, schema 1.1.
    pub text: String,
    /// The administrator who wrote it, while his account exists; `None` for the service itself.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
}

/// How a model is to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelOptions {
    /// Only say what would come of it.
    pub dry_run: bool,
    /// Write it though routes of edges ask about what it does not have; they deny from then on.
    pub accept_broken_routes: bool,
}

/// What would come of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelReport {
    /// Stored tuples that it does not allow.
    pub misfits: Misfits,
    /// Routes that ask about what the current model has and this one does not.
    pub broken_routes: Vec<BrokenRoute>,
}

/// Stored tuples that a model does not allow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misfits {
    /// How many.
    pub count: u64,
    /// The first of them, at most ten.
    pub examples: Vec<Tuple>,
}

/// A route that asks about what a model does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRoute {
    /// The edge's name.
    pub edge: String,
    /// What its route needs.
    pub need: RouteNeed,
}

/// What came of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelOutcome {
    /// It is the current one now.
    Written(ServiceModel),
    /// It is the current one already, and no new version was made.
    Unchanged(ServiceModel),
    /// It was not to be written: what would have come of it, and the version that it would have been.
    DryRun(u64, ModelReport),
    /// It was not written, because stored tuples do not fit, or routes would break.
    Refused(ModelReport),
    /// A model was written since the draft was made: it is to be made anew.
    Outdated,
}

impl ModelReport {
    /// Whether the model can be written with these options.
    pub fn allows(&self, options: ModelOptions) -> bool {
        self.misfits.count == 0 && (self.broken_routes.is_empty() || options.accept_broken_routes)
    }
}

impl Relations {
    /// What would come of a model, if that is clear without the writer's turn; `None` if it can be written.
    pub async fn preview_model(
        &self,
        tx: &mut Tx,
        draft: &ModelDraft,
        options: ModelOptions,
    ) -> Result<Option<ModelOutcome>, AccessError> {
        Ok(match judge(tx, draft, options).await? {
            Judgement::Settled(outcome) => Some(outcome),
            Judgement::Fits(..) => None,
        })
    }

    /// Makes a text the service's current model.
    pub async fn write_model(
        &self,
        tx: &mut WriteTx,
        actor: Option<UserId>,
        draft: &ModelDraft,
        options: ModelOptions,
    ) -> Result<ModelOutcome, AccessError> {
        let (version, report) = match judge(tx, draft, options).await? {
            Judgement::Settled(outcome) => return Ok(outcome),
            Judgement::Fits(version, report) => (version, report),
        };
        let written = ServiceModel {
            service: draft.service.clone(),
            version,
            text: draft.text.clone(),
            created_by: actor,
            created_at: self.sources.now(),
        };
        rows::insert(tx, &written).await?;
        tx.record(Change::Put(projection::model(&written)));
        self.note(tx, actor, &written, &report).await?;
        Ok(ModelOutcome::Written(written))
    }

    /// All versions of the service's model, the latest first, without their texts.
    pub async fn models(&self, tx: &mut Tx, service: &ServiceName) -> Result<Vec<ServiceModel>, AccessError> {
        Ok(rows::list(tx, service).await?)
    }

    /// One version of the service's model.
    pub async fn model(
        &self,
        tx: &mut Tx,
        service: &ServiceName,
        version: u64,
    ) -> Result<ServiceModel, AccessError> {
        rows::find(tx, service, version)
            .await?
            .ok_or(AccessError::ModelNotFound)
    }

    /// The service's current model.
    pub async fn current_model(
        &self,
        tx: &mut Tx,
        service: &ServiceName,
    ) -> Result<ServiceModel, AccessError> {
        rows::current(tx, service)
            .await?
            .ok_or(AccessError::ModelNotFound)
    }

    async fn note(
        &self,
        tx: &mut Tx,
        actor: Option<UserId>,
        written: &ServiceModel,
        report: &ModelReport,
    ) -> Result<(), AccessError> {
        let entry = Entry {
            action: Action::ModelWritten,
            actor,
            target: Target {
                kind: TargetKind::Service,
                id: Uuid::nil(),
            },
            workspace: None,
            detail: Some(json!({
                "service_name": written.service,
                "version": written.version,
                "broken_routes": report.broken_routes.len(),
            })),
        };
        self.activity.record(tx, entry).await
    }
}

/// What is to be done about a model.
enum Judgement {
    /// Nothing more: that came of it.
    Settled(ModelOutcome),
    /// It can be written, as this version.
    Fits(u64, ModelReport),
}

/// Compares a model with what is stored.
async fn judge(tx: &mut Tx, draft: &ModelDraft, options: ModelOptions) -> Result<Judgement, AccessError> {
    if rows::heads(tx).await? != draft.beside {
        return Ok(Judgement::Settled(ModelOutcome::Outdated));
    }
    let service = &draft.service;
    let Some(news) = &draft.news else {
        let current = rows::current(tx, service)
            .await?
            .ok_or(AccessError::ModelNotFound)?;
        return Ok(Judgement::Settled(if options.dry_run {
            ModelOutcome::DryRun(current.version, ModelReport::default())
        } else {
            ModelOutcome::Unchanged(current)
        }));
    };
    let current = draft.beside.iter().find(|(of, ..)| of == service);
    let version = current.map_or(0, |(_, version, _)| *version).saturating_add(1);
    let report = ModelReport {
        misfits: misfits(tx, service, &news.model).await?,
        broken_routes: broken(tx, service, news).await?,
    };
    Ok(if options.dry_run {
        Judgement::Settled(ModelOutcome::DryRun(version, report))
    } else if report.allows(options) {
        Judgement::Fits(version, report)
    } else {
        Judgement::Settled(ModelOutcome::Refused(report))
    })
}

/// The stored tuples that the model does not allow. Whether it allows one depends on names alone, of which there are few.
async fn misfits(tx: &mut Tx, service: &ServiceName, model: &Model) -> Result<Misfits, AccessError> {
    let mut misfits = Misfits::default();
    for shape in tuples::shapes(tx, service).await? {
        let Shape { example, count } = &shape;
        if model.validate(example).is_ok() {
            continue;
        }
        misfits.count = misfits.count.saturating_add(*count);
        let room = EXAMPLES.saturating_sub(u32::try_from(misfits.examples.len()).unwrap_or(EXAMPLES));
        if room > 0 {
            let of_shape = tuples::of_shape(tx, service, example, room).await?;
            misfits.examples.extend(of_shape);
        }
    }
    Ok(misfits)
}

/// The routes that ask about what the current model has and the new one does not.
async fn broken(tx: &mut Tx, service: &ServiceName, news: &News) -> Result<Vec<BrokenRoute>, AccessError> {
    let Some(before) = &news.before else {
        return Ok(Vec::new());
    };
    Ok(routes::of_service(tx, service)
        .await?
        .into_iter()
        .filter(|route| answers(before, &route.need) && !answers(&news.model, &route.need))
        .collect())
}

/// Whether a user can stand in the relation that a route asks about, whatever tuples there are.
fn answers(model: &Model, need: &RouteNeed) -> bool {
    let kind = format!("{}/{}", need.service, need.object_type);
    model.has_relation(&kind, &need.relation) && model.can_have(&kind, &need.relation, "user")
}
