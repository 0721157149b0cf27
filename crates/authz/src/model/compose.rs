//! One model of several: Sentinel's, and beside it those of services, each under the service's name.

use std::collections::{HashMap, HashSet};

use sentinel_core::name::ServiceName;

use super::ast::{Name, Place, RelationDef, Restriction, Rewrite, TypeDef};
use super::{Model, ModelError, compile, parser, print};
use crate::sentinel::is_subject_type;

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
        let names: HashMap<&str, String> = types.iter().map(qualified).collect();
        if let Some(error) = foreign_subject(&known, &names, &types) {
            return Err(of(service, error));
        }
        all_own.push(Own {
            service,
            types,
            names,
        });
    }
    let mut model = match Model::of(&beside(base, &all_own)) {
        Ok(model) => model,
        Err(error) => match blame(base, &all_own, error) {
            Some(error) => return Err(error),
            // Only where there is none but the base, of which a test holds that it is a model.
            None => Model::default(),
        },
    };
    for kind in model.types.iter_mut().take(known.len()) {
        kind.is_sentinels = true;
    }
    Ok(model)
}

/// Whose error it is that the whole is no model.
fn blame(base: &str, all_own: &[Own<'_>], error: ModelError) -> Option<ServiceModelError> {
    let refused = |own: &[Own<'_>]| Model::of(&beside(base, own)).err();
    for own in all_own {
        if let Some(error) = refused(std::slice::from_ref(own)) {
            return Some(of(own.service, error));
        }
    }
    // Alone with the base each is one. What is wrong is their number, with the first that there is no room for.
    let counts: Vec<usize> = (0..all_own.len()).collect();
    let room = counts.partition_point(|last| all_own.get(..=*last).is_some_and(|own| refused(own).is_none()));
    let own = all_own.get(room).or(all_own.last());
    own.map(|own| of(own.service, error))
}

fn of(service: &ServiceName, error: ModelError) -> ServiceModelError {
    ServiceModelError {
        service: service.clone(),
        error,
    }
}

/// A subject of which a service's relation takes none: what Sentinel knows of resources and actions is about all
/// services, and through a tuple that leads there one would read what another one has shared.
fn foreign_subject(
    known: &[TypeDef<'_>],
    own: &HashMap<&str, String>,
    types: &[TypeDef<'_>],
) -> Option<ModelError> {
    let is_foreign = |name: &Name<'_>| {
        !own.contains_key(name.text)
            && !is_subject_type(name.text)
            && known.iter().any(|def| def.name.text == name.text)
    };
    let mut relations = types.iter().flat_map(|def| &def.relations);
    let found = relations.find_map(|relation| find_kind(&relation.rewrite, &is_foreign))?;
    Some(ModelError::at(
        found.at,
        format!(
            "`{}` cannot be the subject of a service's relation; of Sentinel's types `user`, `workspace`, `group` and `role` can",
            found.text
        ),
    ))
}

/// The first of the types that a definition takes as subjects that is one of these.
fn find_kind<'t>(rewrite: &Rewrite<'t>, wanted: &impl Fn(&Name<'t>) -> bool) -> Option<Name<'t>> {
    match rewrite {
        Rewrite::Direct(restrictions) => restrictions.iter().map(|one| one.kind).find(wanted),
        Rewrite::Computed(_) | Rewrite::From { .. } => None,
        Rewrite::Any(parts) | Rewrite::All(parts) => parts.iter().find_map(|part| find_kind(part, wanted)),
        Rewrite::Except(base, minus) => find_kind(base, wanted).or_else(|| find_kind(minus, wanted)),
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

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::sentinel;

    #[test]
    fn whose_model_it_is_that_is_wrong_is_said() {
        let names = ["a", "b", "c"].map(|name| name.parse::<ServiceName>().expect("a name"));
        let good = "model\n  schema 1.1\ntype doc\n  relations\n    define viewer: [user]";
        let bad = "model\n  schema 1.1\ntype doc\n  relations\n    define viewer: [person]";
        let error = sentinel::model_with([(&names[0], good), (&names[1], bad), (&names[2], good)])
            .expect_err("refused");
        assert_eq!((&error.service, error.error.line), (&names[1], 5));
        // Each of them is small enough, and there is no room for all.
        let mut large = String::from("model\n  schema 1.1\n");
        for at in 0..30_000 {
            if at % 3_000 == 0 {
                writeln!(large, "type t{at}\n  relations").expect("written");
            }
            writeln!(large, "    define r{at}: [user]").expect("written");
        }
        let models = [
            (&names[0], large.as_str()),
            (&names[1], good),
            (&names[2], &large),
        ];
        assert!(sentinel::model_with(models).is_ok());
        let more = "d".parse::<ServiceName>().expect("a name");
        let models = models.into_iter().chain([(&more, large.as_str())]);
        let error = sentinel::model_with(models).expect_err("refused");
        assert_eq!(
            (&error.service, error.error.message.contains("too many")),
            (&more, true)
        );
    }

    #[test]
    fn what_sentinel_knows_of_other_services_is_no_subject() {
        let docs = "docs".parse::<ServiceName>().expect("a name");
        let with = |types: &str| {
            let text = format!("model\n  schema 1.1\ntype doc\n  relations\n    define a: [user]\n{types}");
            sentinel::model_with([(&docs, text.as_str())]).map_err(|error| error.error)
        };
        for (definition, column) in [
            ("[resource]", 16),
            ("[user, action]", 22),
            ("[user, resource#can_view] or a", 22),
            ("([resource:*] or a) but not a", 17),
        ] {
            let refused = with(&format!("    define b: {definition}")).expect_err(definition);
            assert_eq!((refused.line, refused.column), (6, column), "{refused}");
            assert!(refused.message.contains("cannot be the subject"), "{refused}");
        }
        for allowed in [
            "[user, user:*, group#member, role#holder, workspace#member, workspace]",
            "[doc, doc#a]",
        ] {
            assert!(with(&format!("    define b: {allowed}")).is_ok(), "{allowed}");
        }
        assert!(with("type resources\n  relations\n    define b: [resources]").is_ok());
    }
}
