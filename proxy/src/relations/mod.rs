//! What the relations that routes ask for are in a permission model: whether it has them at all, and what has to hold
//! besides.
//!
//! A service's model changes while the edge runs. What is found out about one model is found out once and kept as long as
//! that model counts; requests are judged by it without looking at names that the model lacks.

mod declared;
mod present;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sentinel_authz::sentinel::ServiceRelation;
use sentinel_authz::{Model, SubjectForm};
use sentinel_config::edge::{Access, RelationTemplate, Requirement};
use sentinel_feed::Need;

use crate::routes::{Route, Table};

pub use declared::{InvalidModels, declared};
pub use present::{Mismatch, Present};

/// Why nobody can be asked for a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// The service has no model.
    NoModel,
    /// The model has no such type.
    NoType,
    /// The type has no such relation.
    NoRelation,
    /// No user can have it, whatever tuples there are.
    NoUser,
}

/// A relation that a route asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The route, as the operator wrote it.
    pub route: String,
    /// The relation.
    pub relation: RelationTemplate,
}

/// By the type of the object, and then by the relation, what it is in the model.
type ByType = HashMap<Box<str>, Vec<(Box<str>, Result<ServiceRelation, Misfit>)>>;

/// The relations of a policy in one model.
#[derive(Debug)]
pub struct Relations {
    model: Arc<Model>,
    found: ByType,
}

impl Wanted {
    /// All that the routes of a policy ask for, in their order.
    pub fn all(table: &Table) -> Vec<Self> {
        let of_route = |route: &Route| {
            let relations = in_access(route.access()).into_iter().cloned();
            let wanted = relations.map(|relation| Self {
                route: route.name().to_owned(),
                relation,
            });
            wanted.collect::<Vec<Self>>()
        };
        table.routes().flat_map(of_route).collect()
    }

    /// The same as the control plane is told of it.
    pub fn announced(&self) -> Need {
        let RelationTemplate {
            service,
            object_type,
            relation,
            ..
        } = &self.relation;
        let own_name = object_type.split_once('/').map_or("", |(_, own)| own);
        Need {
            route: self.route.clone(),
            service: service.clone(),
            object_type: own_name.to_owned(),
            relation: relation.clone(),
        }
    }
}

/// The relations of services' own models that a route asks for.
pub(crate) fn in_access(access: &Access) -> Vec<&RelationTemplate> {
    let mut all = Vec::new();
    if let Access::Protected { require, .. } = access {
        collect(require, &mut all);
    }
    all
}

fn collect<'r>(requirement: &'r Requirement, all: &mut Vec<&'r RelationTemplate>) {
    match requirement {
        Requirement::All(parts) | Requirement::Any(parts) => {
            for part in parts {
                collect(part, all);
            }
        }
        Requirement::Relation(relation) => all.push(relation),
        _ => {}
    }
}

impl Relations {
    /// The relations that are wanted, in this model.
    pub fn of<'w>(wanted: impl IntoIterator<Item = &'w Wanted>, model: &Arc<Model>) -> Self {
        let mut found = ByType::new();
        for Wanted { relation, .. } in wanted {
            let of_type = found.entry(relation.object_type.as_str().into()).or_default();
            if !of_type.iter().any(|(known, _)| **known == *relation.relation) {
                of_type.push((relation.relation.as_str().into(), fit(model, relation)));
            }
        }
        Self {
            model: Arc::clone(model),
            found,
        }
    }

    /// Whether they are those of this model.
    pub fn are_of(&self, model: &Arc<Model>) -> bool {
        Arc::ptr_eq(&self.model, model)
    }

    /// What was found out about a relation.
    ///
    /// # Errors
    /// Why nobody can be asked for it.
    pub fn find(&self, wanted: &RelationTemplate) -> Result<&ServiceRelation, Misfit> {
        let of_type = self.found.get(wanted.object_type.as_str());
        let found = of_type.and_then(|all| all.iter().find(|(known, _)| **known == *wanted.relation));
        // What was not asked for when the model came is a defect, and opens nothing.
        let (_, fit) = found.ok_or(Misfit::NoModel)?;
        fit.as_ref().map_err(|misfit| *misfit)
    }
}

/// The relation in the model, with what has to hold besides: where objects of the type belong to workspaces, it must be that
/// of the user's token.
///
/// # Errors
/// Why nobody can be asked for it.
pub fn fit(model: &Arc<Model>, wanted: &RelationTemplate) -> Result<ServiceRelation, Misfit> {
    let (kind, relation) = (wanted.object_type.as_str(), wanted.relation.as_str());
    if !model.has_type(kind) {
        let of_service = |known: &str| {
            known
                .split_once('/')
                .is_some_and(|(name, _)| name == wanted.service.as_str())
        };
        let has_model = model.types().any(of_service);
        return Err(if has_model {
            Misfit::NoType
        } else {
            Misfit::NoModel
        });
    }
    if !model.has_relation(kind, relation) {
        return Err(Misfit::NoRelation);
    }
    if !model.can_have(kind, relation, "user") {
        return Err(Misfit::NoUser);
    }
    // Type and relation are there.
    ServiceRelation::find(model, kind, relation, has_workspace(model, kind)).map_err(|_| Misfit::NoRelation)
}

/// Whether objects of a type belong to workspaces: they say themselves to which, or it comes to them from other objects, as
/// in `define workspace: workspace from parent`.
pub(crate) fn has_workspace(model: &Model, kind: &str) -> bool {
    // A definition that takes workspaces and can hold for none is one nobody can meet, and not one that is not there.
    says_workspace(model, kind) || model.can_have(kind, "workspace", "workspace")
}

/// Whether objects of a type say themselves which workspace they belong to.
pub(crate) fn says_workspace(model: &Model, kind: &str) -> bool {
    model.relation_takes(kind, "workspace", SubjectForm::Object("workspace"))
}

/// What is wrong with a relation and how to mend it.
pub(crate) struct Told<'a>(pub(crate) &'a RelationTemplate, pub(crate) Misfit);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(wanted, misfit) = self;
        let (service, relation) = (&wanted.service, &wanted.relation);
        let kind = wanted.object_type.split_once('/').map_or("", |(_, kind)| kind);
        match misfit {
            Misfit::NoModel => write!(
                f,
                "the service `{service}` has no model: write one that defines the type `{kind}`"
            ),
            Misfit::NoType => write!(
                f,
                "the model of `{service}` has no type `{kind}`: name one that it has, or define it there"
            ),
            Misfit::NoRelation => write!(
                f,
                "the type `{kind}` of `{service}` has no relation `{relation}`: name one that it has, or define it there"
            ),
            Misfit::NoUser => write!(
                f,
                "no user can ever have `{relation}` to a `{kind}` of `{service}`: name a relation that leads to users"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
