//! A model on its way to be a service's: it is read, measured and compiled before anybody waits for it. In the writer's turn
//! there is only to be seen whether what it was compiled beside is still there.

use std::sync::Arc;

use sentinel_authz::{Model, ModelError, ServiceModelError, sentinel};
use sentinel_core::Timestamp;
use sentinel_core::name::ServiceName;
use sentinel_store::Tx;

use super::repository::models as rows;
use super::{Relations, ServiceModel};
use crate::error::AccessError;

/// The longest text of a model, in bytes.
pub const MAX_MODEL: usize = 256 * 1024;

/// How many types a model may have.
const MAX_TYPES: usize = 256;

/// How many relations.
const MAX_RELATIONS: usize = 4_096;

/// Which version of whose model is the current one, and when it was written.
pub(super) type ModelHead = (ServiceName, u64, Timestamp);

/// What a service's model is compiled beside: the current models of all services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelGround {
    service: ServiceName,
    models: Vec<ServiceModel>,
}

/// A text that is a model of a service, beside those of all others.
#[derive(Debug)]
pub struct ModelDraft {
    pub(super) service: ServiceName,
    pub(super) text: String,
    /// What it was compiled beside.
    pub(super) beside: Vec<ModelHead>,
    /// `None`: it says the same as the current one.
    pub(super) news: Option<News>,
}

/// A model that says something else than the current one.
#[derive(Debug)]
pub(super) struct News {
    /// It, beside Sentinel's and those of all other services, which is how every replica will have it.
    pub(super) model: Arc<Model>,
    /// The current one beside Sentinel's, if there is one.
    pub(super) before: Option<Arc<Model>>,
}

impl Relations {
    /// What a model of the service is to be compiled beside.
    pub async fn model_ground(&self, tx: &mut Tx, service: &ServiceName) -> Result<ModelGround, AccessError> {
        Ok(ModelGround {
            service: service.clone(),
            models: rows::all_current(tx).await?,
        })
    }
}

impl ModelGround {
    /// Compiles a text. That may take a while: it is done outside of every transaction, and of the threads that others wait
    /// for.
    ///
    /// # Errors
    /// [`AccessError::InvalidModel`] if it is no model, or too large a one; [`AccessError::NoRoomForModel`] if all together
    /// would be too large.
    pub fn draft(self, text: &str) -> Result<ModelDraft, AccessError> {
        let text = plain(text);
        let canonical = measured(&text).map_err(AccessError::InvalidModel)?;
        let Self { service, models } = self;
        let current = models.iter().find(|model| model.service == service);
        let is_same = current.is_some_and(|current| says(&current.text, &canonical));
        let news = if is_same {
            None
        } else {
            Some(News {
                model: compiled(&service, &text, &models)?,
                before: current
                    .and_then(|current| sentinel::model_with([(&service, current.text.as_str())]).ok()),
            })
        };
        let beside = models
            .into_iter()
            .map(|model| (model.service, model.version, model.created_at))
            .collect();
        Ok(ModelDraft {
            service,
            text,
            beside,
            news,
        })
    }
}

/// The text with one kind of line ends and nothing invisible at them.
fn plain(text: &str) -> String {
    let mut plain: String = text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
    plain.truncate(plain.trim_end().len());
    plain.push('\n');
    plain
}

/// Whether a model that is stored says what another one says, in whatever words.
fn says(text: &str, canonical: &str) -> bool {
    Model::format(text).is_ok_and(|written| written == canonical)
}

/// The canonical form of a text, unless it would be a model larger than any that people write. Nothing is compiled here.
fn measured(text: &str) -> Result<String, ModelError> {
    let refused = |message| ModelError {
        line: 1,
        column: 1,
        message,
    };
    if text.len() > MAX_MODEL {
        return Err(refused(format!("a model has at most {MAX_MODEL} bytes")));
    }
    if text.contains('\0') {
        let message = "a NUL character has no place in a model; remove it";
        return Err(refused(message.to_owned()));
    }
    // Of what was read, not of the lines of the text: those can be written in many ways.
    let canonical = Model::format(text)?;
    let begin = |word: &str| {
        let lines = canonical.lines().map(str::trim_start);
        lines.filter(|line| line.starts_with(word)).count()
    };
    if begin("type ") > MAX_TYPES {
        return Err(refused(format!("a model has at most {MAX_TYPES} types")));
    }
    if begin("define ") > MAX_RELATIONS {
        return Err(refused(format!("a model has at most {MAX_RELATIONS} relations")));
    }
    Ok(canonical)
}

/// The model beside Sentinel's and those of all other services.
fn compiled(service: &ServiceName, text: &str, all: &[ServiceModel]) -> Result<Arc<Model>, AccessError> {
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
    match sentinel::model_with(others.chain([(service, text)])) {
        Ok(model) => Ok(model),
        // What is wrong with it by itself is told first.
        Err(error) => Err(sentinel::model_with([(service, text)])
            .err()
            .map_or_else(|| refused(error), refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define reader: [user]\n";

    fn docs() -> ServiceName {
        "docs".parse().expect("a name")
    }

    fn ground(text: Option<&str>) -> ModelGround {
        let model = |text: &str| ServiceModel {
            service: docs(),
            version: 1,
            text: text.to_owned(),
            created_by: None,
            created_at: Timestamp::UNIX_EPOCH,
        };
        ModelGround {
            service: docs(),
            models: text.map(model).into_iter().collect(),
        }
    }

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
    fn models_that_say_the_same_are_the_same() {
        for (text, is_news) in [
            (MODEL.to_owned(), false),
            (MODEL.replace("type doc", "\n# What is read.\ntype doc"), false),
            (MODEL.replace("reader", "writer"), true),
        ] {
            let draft = ground(Some(MODEL)).draft(&text).expect("a model");
            assert_eq!(draft.news.is_some(), is_news, "{text}");
        }
        assert!(ground(None).draft(MODEL).expect("a model").news.is_some());
    }

    #[test]
    fn models_have_bounds_however_they_are_written() {
        for gap in [" ", "\t", "  "] {
            let types = |count: usize| {
                let types: Vec<String> = (0..count).map(|number| format!("type{gap}t{number}\n")).collect();
                let types = types.concat();
                measured(&format!("model\n  schema 1.1\n{types}"))
            };
            assert!(types(MAX_TYPES).is_ok());
            let error = types(MAX_TYPES + 1).expect_err("too many");
            assert_eq!(error.message, "a model has at most 256 types");
            let relations = |count: usize| {
                let relations: Vec<String> = (0..count)
                    .map(|number| format!("    define{gap}r{number}: [user]\n"))
                    .collect();
                let relations = relations.concat();
                measured(&format!(
                    "model\n  schema 1.1\ntype user\ntype doc\n  relations\n{relations}"
                ))
            };
            assert!(relations(MAX_RELATIONS).is_ok());
            let error = relations(MAX_RELATIONS + 1).expect_err("too many");
            assert_eq!(error.message, "a model has at most 4096 relations");
        }
        assert!(measured(&"x".repeat(MAX_MODEL + 1)).is_err());
        assert!(measured("model\0").is_err());
    }
}
