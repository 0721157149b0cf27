//! A model in OpenFGA's JSON form. Sentinel keeps models in the language; what comes in JSON is written in it, and what
//! is wanted in JSON is made from it.

mod read;
mod spot;
mod value;
mod write;

use self::value::Json;
use super::ast::{Form, Name, Place, Rewrite, TypeDef};
use super::{Model, ModelError, parser, print};

/// A text that is no model in OpenFGA's JSON form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: {message}")]
pub struct JsonModelError {
    /// Where in the JSON, such as `type_definitions[1].relations.viewer`; `$` is the whole.
    pub path: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// A model that was read from OpenFGA's JSON form.
#[derive(Debug, Clone)]
pub struct JsonModel {
    dsl: String,
    /// Where each name of the text stands in the JSON.
    places: Vec<(Place, String)>,
}

impl JsonModel {
    /// Reads OpenFGA's JSON: `schema_version` and `type_definitions`, without modules and conditions. Types may stand in
    /// any part of a union or an intersection, and once in a relation, which is what the language has a form for.
    /// Whether the names lead anywhere is not known yet: that is asked of [`JsonModel::dsl`].
    ///
    /// # Errors
    ///
    /// The text is no JSON, or has another shape than OpenFGA's.
    pub fn read(json: &str) -> Result<Self, JsonModelError> {
        let value: Json = serde_json::from_str(json).map_err(|error| JsonModelError {
            path: "$".to_owned(),
            message: format!("this is not JSON: {error}"),
        })?;
        let (types, paths) = read::read(&value)?;
        let dsl = print::dsl(&types);
        // INVARIANT: what was written can be read, with the same names in the same order.
        let written = parser::parse(&dsl).map_err(|error| JsonModelError {
            path: "$".to_owned(),
            message: error.message,
        })?;
        let path = |name: &Name<'_>| paths.get(name.at.line).cloned().unwrap_or_default();
        let places = names(&written).iter().map(|name| name.at).collect::<Vec<_>>();
        let paths = names(&types).iter().map(path).collect::<Vec<_>>();
        Ok(Self {
            places: places.into_iter().zip(paths).collect(),
            dsl,
        })
    }

    /// The model in OpenFGA's language.
    pub fn dsl(&self) -> &str {
        &self.dsl
    }

    /// What is wrong with the model's text, in terms of the JSON that it was read from.
    pub fn locate(&self, error: &ModelError) -> JsonModelError {
        let at = Place {
            line: error.line,
            column: error.column,
        };
        let place = self.places.iter().find(|(place, _)| *place == at);
        JsonModelError {
            path: place.map_or_else(|| "$".to_owned(), |(_, path)| path.clone()),
            message: error.message.clone(),
        }
    }
}

impl Model {
    /// Reads a model in OpenFGA's JSON form.
    ///
    /// # Errors
    ///
    /// The text is no model in that form, or names lead nowhere, or relations never end.
    pub fn parse_json(json: &str) -> Result<Self, JsonModelError> {
        let read = JsonModel::read(json)?;
        Self::parse(read.dsl()).map_err(|error| read.locate(&error))
    }

    /// The text of a model in OpenFGA's language, in OpenFGA's JSON form. Comments are left out.
    ///
    /// # Errors
    ///
    /// The text is not in the language. Whether its names lead anywhere is not looked at, so that the models of services
    /// can be written too, which use Sentinel's types.
    pub fn dsl_to_json(dsl: &str) -> Result<String, ModelError> {
        let json = write::json(&parser::parse(dsl)?);
        // A value of maps with texts as keys is always written.
        Ok(serde_json::to_string_pretty(&json).unwrap_or_default())
    }

    /// The text of a model in OpenFGA's language in its one canonical form. Comments are left out.
    ///
    /// # Errors
    ///
    /// As [`Model::dsl_to_json`].
    pub fn format(dsl: &str) -> Result<String, ModelError> {
        Ok(print::dsl(&parser::parse(dsl)?))
    }
}

/// Every name of a model, in the order of its text.
fn names<'t>(types: &[TypeDef<'t>]) -> Vec<Name<'t>> {
    let mut names = Vec::new();
    for def in types {
        names.push(def.name);
        for relation in &def.relations {
            names.push(relation.name);
            collect(&relation.rewrite, &mut names);
        }
    }
    names
}

fn collect<'t>(rewrite: &Rewrite<'t>, into: &mut Vec<Name<'t>>) {
    match rewrite {
        Rewrite::Direct(restrictions) => {
            for one in restrictions {
                into.push(one.kind);
                if let Form::Userset(relation) = one.form {
                    into.push(relation);
                }
            }
        }
        Rewrite::Computed(relation) => into.push(*relation),
        Rewrite::From { relation, tupleset } => into.extend([*relation, *tupleset]),
        Rewrite::Any(parts) | Rewrite::All(parts) => {
            for part in parts {
                collect(part, into);
            }
        }
        Rewrite::Except(base, minus) => {
            collect(base, into);
            collect(minus, into);
        }
    }
}

#[cfg(test)]
mod tests;
