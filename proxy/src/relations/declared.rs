//! The models that stand beside the policy as files: what its routes are checked against and its tests are judged by,
//! before any control plane is there.

use std::fmt;
use std::sync::Arc;

use sentinel_authz::{JsonModel, Model, ServiceModelError, sentinel};
use sentinel_config::Problem;
use sentinel_config::edge::{Config, ModelFile};
use sentinel_core::name::ServiceName;

use super::{Told, Wanted, fit};

/// What is wrong with the files of models, and with routes by them, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidModels(Vec<Problem>);

impl InvalidModels {
    /// What is wrong, one by one.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for InvalidModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the policy and the models of services do not go together")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

impl std::error::Error for InvalidModels {}

/// Sentinel's model with those of the configuration's files beside it.
///
/// # Errors
/// A file is no model, or a route asks for a relation that its service's file does not have.
pub fn declared(config: &Config, wanted: &[Wanted]) -> Result<Arc<Model>, InvalidModels> {
    let mut problems = Vec::new();
    let mut texts: Vec<(&ServiceName, String)> = Vec::new();
    for (service, file) in config.models.iter() {
        match text(service, file) {
            Ok(text) => texts.push((service, text)),
            Err(message) => problems.push(file.written.problem(message)),
        }
    }
    // Each is a model by itself, so all of them together can only be too large.
    let model = sentinel::model_with(texts.iter().map(|(service, text)| (*service, text.as_str())));
    let model = model.unwrap_or_else(|error| {
        if let Some(file) = config.models.get(&error.service) {
            problems.push(file.written.problem(error.to_string()));
        }
        sentinel::model()
    });
    for Wanted { relation, .. } in wanted {
        let is_read = texts.iter().any(|(service, _)| **service == relation.service);
        if let Err(misfit) = fit(&model, relation)
            && is_read
        {
            problems.push(relation.written.problem(Told(relation, misfit).to_string()));
        }
    }
    if problems.is_empty() {
        Ok(model)
    } else {
        Err(InvalidModels(problems))
    }
}

/// The model of a file in OpenFGA's language.
fn text(service: &ServiceName, file: &ModelFile) -> Result<String, String> {
    let shown = file.path.display();
    let fault = |error: ServiceModelError| error.error;
    let alone = |text: &str| sentinel::model_with([(service, text)]).map_err(fault);
    if !file.text.trim_start().starts_with('{') {
        return match alone(&file.text) {
            Ok(_) => Ok(file.text.clone()),
            Err(error) => Err(format!("`{shown}`: {error}")),
        };
    }
    let json = JsonModel::read(&file.text).map_err(|error| format!("`{shown}`: {error}"))?;
    match alone(json.dsl()) {
        Ok(_) => Ok(json.dsl().to_owned()),
        Err(error) => Err(format!("`{shown}`: {}", json.locate(&error))),
    }
}
