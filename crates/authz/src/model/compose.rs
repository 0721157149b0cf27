//! One model of several: Sentinel's, and beside it those of services, each under the service's name.

use std::collections::{HashMap, HashSet};

use sentinel_core::name::ServiceName;

use super::ast::{Name, Place, RelationDef, Restriction, Rewrite, TypeDef};
use super::{Model, ModelError, compile, parser, print};

/// The model of a service is not one, or it does not go with Sentinel's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the model of the service `{service}`: {error}")]
pub struct ServiceModelError {
    /// Whose model it is.
    pub service: ServiceName,
    /// What is wrong, and where in the service's text.
    pub error: ModelError,
}

/// A service's types, and what they are called beside those of others.
struct Own<'t> {
    service: &'t ServiceName,
    types: Vec<TypeDef<'t>>,
    names: HashMap<&'t str, String>,
}

/// The model of `base` and of every service. In a service's text a name means the service's own type, or else one of
/// `base`, whose types may be declared there, without relations (`type user`) or with exactly the same ones, so that the
/// text is a model by itself.
pub(crate) fn compose<'t>(
    base: &'t str,
    services: impl IntoIterator<Item = (&'t ServiceName, &'t str)>,
) -> Result<Model, ServiceModelError> {
    let known = parser::parse(base).unwrap_or_default();
    let mut all_own = Vec::new();
    for (service, text) in services {
        let own = parser::parse(text).and_then(|types| own_types(&known, types));
        let types = own.map_err(|error| of(service, error))?;
        let qualified = |def: &TypeDef<'t>| (def.name.text, format!("{service}/{}", def.name.text));
        let names = types.iter().map(qualified).collect();
        all_own.push(Own {
            service,
            types,
            names,
        });
    }
    let mut model = Model::of(&beside(base, &[])).unwrap_or_default();
    for (count, own) in all_own.iter().enumerate() {
        // Alone with the base, so that an error is known to be this service's; then with those before it, where only
        // their number can be wrong.
        let before = all_own.get(..=count).unwrap_or_default();
        let alone = Model::of(&beside(base, std::slice::from_ref(own)));
        model = alone
            .and_then(|_| Model::of(&beside(base, before)))
            .map_err(|error| of(own.service, error))?;
    }
    for kind in model.types.iter_mut().take(known.len()) {
        kind.is_sentinels = true;
    }
    Ok(model)
}

fn of(service: &ServiceName, error: ModelError) -> ServiceModelError {
    ServiceModelError {
        service: service.clone(),
        error,
    }
}

/// The types that are the service's own. Those of the base may be declared, and not be defined anew.
fn own_types<'t>(known: &[TypeDef<'_>], types: Vec<TypeDef<'t>>) -> Result<Vec<TypeDef<'t>>, ModelError> {
    let mut own = Vec::new();
    let mut declared = HashSet::new();
    for def in types {
        let Some(base) = known.iter().find(|other| other.name.text == def.name.text) else {
            own.push(def);
            continue;
        };
        if !declared.insert(def.name.text) {
            return Err(compile::twice(&def.name, "type"));
        }
        if let Some(place) = difference(base, &def) {
            let name = def.name.text;
            let message = format!(
                "`{name}` is a type of Sentinel and cannot be defined anew; write `type {name}` alone, or with Sentinel's own relations, or choose another name"
            );
            return Err(ModelError::at(place, message));
        }
    }
    Ok(own)
}

/// Where a declaration says something else than the definition; `None` if it says nothing, or the same in whatever order.
fn difference(base: &TypeDef<'_>, declared: &TypeDef<'_>) -> Option<Place> {
    let is_same = |relation: &RelationDef<'_>, other: &RelationDef<'_>| {
        relation.name.text == other.name.text
            && print::rewrite(&relation.rewrite) == print::rewrite(&other.rewrite)
    };
    let is_in_base = |relation: &RelationDef<'_>| base.relations.iter().any(|other| is_same(relation, other));
    let mut names = HashSet::new();
    let mut relations = declared.relations.iter();
    let wrong = relations.find(|relation| !is_in_base(relation) || !names.insert(relation.name.text));
    match wrong {
        Some(relation) => Some(relation.name.at),
        None => (!declared.relations.is_empty() && declared.relations.len() < base.relations.len())
            .then_some(declared.name.at),
    }
}

/// The base's types and those of services, under their qualified names.
fn beside<'s>(base: &'s str, services: &'s [Own<'_>]) -> Vec<TypeDef<'s>> {
    let mut types = parser::parse(base).unwrap_or_default();
    for own in services {
        types.extend(own.types.iter().map(|def| own.qualified(def)));
    }
    types
}

impl<'t> Own<'t> {
    fn qualified<'s>(&'s self, def: &'s TypeDef<'t>) -> TypeDef<'s> {
        let relation = |def: &'s RelationDef<'t>| RelationDef {
            name: def.name,
            rewrite: self.rewrite(&def.rewrite),
        };
        TypeDef {
            name: self.kind(def.name),
            relations: def.relations.iter().map(relation).collect(),
        }
    }

    fn rewrite<'s>(&'s self, rewrite: &'s Rewrite<'t>) -> Rewrite<'s> {
        let all = |parts: &'s [Rewrite<'t>]| parts.iter().map(|part| self.rewrite(part)).collect();
        match rewrite {
            Rewrite::Direct(restrictions) => {
                let one = |one: &Restriction<'t>| Restriction {
                    kind: self.kind(one.kind),
                    form: one.form,
                };
                Rewrite::Direct(restrictions.iter().map(one).collect())
            }
            Rewrite::Computed(name) => Rewrite::Computed(*name),
            Rewrite::From { relation, tupleset } => Rewrite::From {
                relation: *relation,
                tupleset: *tupleset,
            },
            Rewrite::Any(parts) => Rewrite::Any(all(parts)),
            Rewrite::All(parts) => Rewrite::All(all(parts)),
            Rewrite::Except(base, minus) => {
                Rewrite::Except(Box::new(self.rewrite(base)), Box::new(self.rewrite(minus)))
            }
        }
    }

    /// The service's own type of that name, or else one of the base.
    fn kind<'s>(&'s self, name: Name<'t>) -> Name<'s> {
        Name {
            text: self.names.get(name.text).map_or(name.text, String::as_str),
            at: name.at,
        }
    }
}
