//! Services' own permission models: versions 1, 2, 3 …, none of which ever changes. The last one counts.

use std::sync::Arc;

use sentinel_authz::{Model, ModelError, ServiceModelError, sentinel};
use sentinel_core::id::UserId;
use sentinel_core::name::ServiceName;
use sentinel_core::{Change, Timestamp, Tuple};
use sentinel_store::{Tx, WriteTx};
use serde_json::json;
use uuid::Uuid;

use super::repository::models as rows;
use super::repository::routes;
use super::repository::tuples::{self, Shape};
use super::{Relations, RouteNeed};
use crate::activity::{Action, Entry, Target, TargetKind};
use crate::error::AccessError;
use crate::projection;

/// The longest text of a model, in bytes.
pub const MAX_MODEL: usize = 256 * 1024;

/// How many types a model may have.
const MAX_TYPES: usize = 256;

/// How many relations.
const MAX_RELATIONS: usize = 4_096;

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
}

impl ModelReport {
    /// Whether the model can be written with these options.
    pub fn allows(&self, options: ModelOptions) -> bool {
        self.misfits.count == 0 && (self.broken_routes.is_empty() || options.accept_broken_routes)
    }
}

impl Relations {
    /// Makes a text the service's current model.
    ///
    /// # Errors
    /// [`AccessError::InvalidModel`] if it is no model, or too large a one.
    pub async fn write_model(
        &self,
        tx: &mut WriteTx,
        service: &ServiceName,
        actor: Option<UserId>,
        text: &str,
        options: ModelOptions,
    ) -> Result<ModelOutcome, AccessError> {
        let text = plain(text);
        check_size(&text).map_err(AccessError::InvalidModel)?;
        let current = rows::current(tx, service).await?;
        let model = beside_others(tx, service, &text).await?;
        if let Some(current) = current.as_ref().filter(|current| current.text == text) {
            return Ok(if options.dry_run {
                ModelOutcome::DryRun(current.version, ModelReport::default())
            } else {
                ModelOutcome::Unchanged(current.clone())
            });
        }
        let now = self.sources.now();
        let version = current
            .as_ref()
            .map_or(0, |current| current.version)
            .saturating_add(1);
        let report = ModelReport {
            misfits: misfits(tx, service, &model).await?,
            broken_routes: broken(tx, service, current.as_ref(), &model).await?,
        };
        if options.dry_run {
            return Ok(ModelOutcome::DryRun(version, report));
        }
        if !report.allows(options) {
            return Ok(ModelOutcome::Refused(report));
        }
        let written = ServiceModel {
            service: service.clone(),
            version,
            text,
            created_by: actor,
            created_at: now,
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

/// The text with one kind of line ends and nothing invisible at them, so that what reads the same is the same.
fn plain(text: &str) -> String {
    let mut plain: String = text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
    plain.truncate(plain.trim_end().len());
    plain.push('\n');
    plain
}

/// Refuses a text that would be a model larger than any that people write.
fn check_size(text: &str) -> Result<(), ModelError> {
    let refuse = |message| {
        Err(ModelError {
            line: 1,
            column: 1,
            message,
        })
    };
    if text.len() > MAX_MODEL {
        return refuse(format!("a model has at most {MAX_MODEL} bytes"));
    }
    if text.contains('\0') {
        return refuse("a NUL character has no place in a model; remove it".to_owned());
    }
    let begin = |word: &str| {
        text.lines()
            .filter(|line| line.trim_start().starts_with(word))
            .count()
    };
    if begin("type ") > MAX_TYPES {
        return refuse(format!("a model has at most {MAX_TYPES} types"));
    }
    if begin("define ") > MAX_RELATIONS {
        return refuse(format!("a model has at most {MAX_RELATIONS} relations"));
    }
    Ok(())
}

/// The model beside Sentinel's and those of all other services, which is how every replica will have it.
async fn beside_others(tx: &mut Tx, service: &ServiceName, text: &str) -> Result<Arc<Model>, AccessError> {
    let all = rows::all_current(tx).await?;
    let others = all
        .iter()
        .filter(|other| other.service != *service)
        .map(|other| (&other.service, other.text.as_str()));
    let refused = |ServiceModelError { service: of, error }| {
        if of == *service {
            AccessError::InvalidModel(error)
        } else {
            // Alone it is a model, so that together there are too many types or relations.
            AccessError::NoRoomForModel(of)
        }
    };
    sentinel::model_with([(service, text)]).map_err(refused)?;
    sentinel::model_with(others.chain([(service, text)])).map_err(refused)
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

/// The routes that ask about what `current` has and `model` does not.
async fn broken(
    tx: &mut Tx,
    service: &ServiceName,
    current: Option<&ServiceModel>,
    model: &Model,
) -> Result<Vec<BrokenRoute>, AccessError> {
    let Some(current) = current else {
        return Ok(Vec::new());
    };
    let announced = routes::of_service(tx, service).await?;
    if announced.is_empty() {
        return Ok(Vec::new());
    }
    let before = sentinel::model_with([(service, current.text.as_str())]).ok();
    Ok(announced
        .into_iter()
        .filter(|route| {
            let works = |model: &Model| answers(model, &route.need);
            before.as_deref().is_some_and(works) && !works(model)
        })
        .collect())
}

/// Whether a user can stand in the relation that a route asks about, whatever tuples there are.
fn answers(model: &Model, need: &RouteNeed) -> bool {
    let kind = format!("{}/{}", need.service, need.object_type);
    model.has_relation(&kind, &need.relation) && model.can_have(&kind, &need.relation, "user")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_read_the_same_are_the_same() {
        let written = "model\n  schema 1.1\ntype user\n";
        for same in [
            written,
            "model\r\n  schema 1.1\r\ntype user",
            "model  \n  schema 1.1\t\ntype user\n\n \n",
        ] {
            assert_eq!(plain(same), written);
        }
        assert_ne!(plain("model\n schema 1.1\ntype user"), written);
    }

    #[test]
    fn models_have_bounds() {
        let types = |count: usize| "type a\n".repeat(count);
        assert!(check_size(&types(MAX_TYPES)).is_ok());
        let error = check_size(&types(MAX_TYPES + 1)).expect_err("too many");
        assert_eq!(error.message, "a model has at most 256 types");
        assert!(check_size(&"    define a: b\n".repeat(MAX_RELATIONS + 1)).is_err());
        assert!(check_size(&"x".repeat(MAX_MODEL + 1)).is_err());
        assert!(check_size("model\0").is_err());
    }
}
