//! A requirement, demand by demand: what holds, by which tuples, and what is missing.

use sentinel_authz::CheckError;
use sentinel_authz::sentinel::{self, Why};
use sentinel_config::edge::{IdTemplate, Permission, RelationTemplate, Requirement};
use sentinel_core::principal::User;
use sentinel_core::{Object, Principal, Tuple};
use serde::Serialize;

use super::related;
use crate::decide::{Knowledge, Otherwise, part_holds};
use crate::request::Target;
use crate::routes::{Described, Route};

/// A part of a requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Demand {
    /// What is demanded.
    pub demand: String,
    /// Whether it holds.
    pub holds: bool,
    /// Why not, by the word of [`sentinel_core::Denial`].
    pub code: Option<&'static str>,
    /// The tuples that it holds by.
    pub by: Vec<String>,
    /// Sets of tuples each of which would be enough. Not every one there is.
    pub enough: Vec<Vec<String>>,
    /// What helps to understand it.
    pub notes: Vec<String>,
    /// The parts that it consists of.
    pub parts: Vec<Demand>,
}

/// What requirements are judged by.
pub(super) struct Judge<'a> {
    pub(super) route: &'a Route,
    pub(super) target: &'a Target,
    pub(super) principal: &'a Principal,
    pub(super) known: Knowledge<'a>,
}

impl Judge<'_> {
    /// A requirement with all its parts.
    pub(super) fn demand(&self, requirement: &Requirement) -> Demand {
        let outcome = part_holds(requirement, self.route, self.target, self.principal, self.known);
        let is_open = matches!(outcome, Err(Otherwise::Open(_)));
        let mut demand = Demand {
            demand: self.words(requirement),
            holds: outcome.is_ok(),
            code: outcome.err().map(|otherwise| otherwise.denial().code()),
            by: Vec::new(),
            enough: Vec::new(),
            notes: Vec::new(),
            parts: Vec::new(),
        };
        match requirement {
            Requirement::All(parts) | Requirement::Any(parts) => {
                demand.parts = parts.iter().map(|part| self.demand(part)).collect();
            }
            Requirement::SignedIn => {}
            Requirement::Service(_) => demand.notes.extend(self.wrong_service(demand.holds)),
            Requirement::Role(_)
            | Requirement::Action(_)
            | Requirement::Permission(_)
            | Requirement::Relation(_)
                if is_open =>
            {
                demand.notes.push(
                    "this edge does not keep what it depends on: the control plane is asked, if `replicate.fallback` says so"
                        .to_owned(),
                );
            }
            Requirement::Relation(wanted) => self.ground_relation(wanted, &mut demand),
            Requirement::Role(_) | Requirement::Action(_) | Requirement::Permission(_) => {
                self.ground(requirement, &mut demand);
            }
        }
        demand
    }

    /// What is demanded, with the object that the path names.
    fn words(&self, requirement: &Requirement) -> String {
        match requirement {
            Requirement::All(_) => "all of".to_owned(),
            Requirement::Any(_) => "at least one of".to_owned(),
            Requirement::Permission(wanted) => {
                let (service, kind) = (&wanted.service, &wanted.resource_type);
                let id = self.object(&wanted.id).unwrap_or("?");
                format!("permission {service}/{kind}/{id}#{}", wanted.permission)
            }
            Requirement::Relation(wanted) => {
                let id = self.object(&wanted.id).unwrap_or("?");
                format!("relation {}:{id}#{}", wanted.object_type, wanted.relation)
            }
            other => Described(other).to_string(),
        }
    }

    fn object<'s>(&'s self, id: &'s IdTemplate) -> Option<&'s str> {
        match id {
            IdTemplate::Literal(id) => Some(id),
            IdTemplate::Param(name) => self.route.param(name, self.target),
        }
    }

    fn wrong_service(&self, holds: bool) -> Option<String> {
        let note = match self.principal.service() {
            _ if holds => return None,
            Some(service) => format!("the calling service is `{}`", service.name),
            None => "no service key is shown".to_owned(),
        };
        Some(note)
    }

    /// Fills in why a demand that is about relations holds or not.
    fn ground(&self, requirement: &Requirement, demand: &mut Demand) {
        let Some(user) = self.principal.user() else {
            demand
                .notes
                .push("only a user of the control plane can meet this".to_owned());
            return;
        };
        match self.why(requirement, user) {
            Ok(Some(why)) => {
                demand.by = texts(&why.by);
                demand.enough = why.enough.iter().map(|way| texts(way)).collect();
            }
            Ok(None) => {}
            Err(error) => demand.notes.push(format!("it cannot be decided: {error}")),
        }
        if !demand.holds {
            demand.notes.extend(self.home(requirement, user));
            if !matches!(requirement, Requirement::Role(_)) {
                demand.notes.extend(self.groups(user));
            }
        }
    }

    /// The same for a relation of a service's own model.
    fn ground_relation(&self, wanted: &RelationTemplate, demand: &mut Demand) {
        let (Some(user), Some(id)) = (self.principal.user(), self.object(&wanted.id)) else {
            demand
                .notes
                .push("only a user of the control plane can meet this".to_owned());
            return;
        };
        match related::why(self.known, wanted, id, user) {
            Ok(Ok(why)) => {
                demand.by = texts(&why.by);
                demand.enough = why.enough.iter().map(|way| texts(way)).collect();
            }
            Ok(Err(note)) => demand.notes.push(note),
            Err(error) => demand.notes.push(format!("it cannot be decided: {error}")),
        }
        if !demand.holds {
            demand.notes.extend(self.groups(user));
        }
    }

    fn why(&self, requirement: &Requirement, user: &User) -> Result<Option<Why>, CheckError> {
        let (graph, workspace) = (self.known.graph(), user.workspace);
        Ok(match requirement {
            Requirement::Role(role) => Some(sentinel::why_role(graph, workspace, user.id, *role)?),
            Requirement::Action(wanted) => Some(sentinel::why_act(
                graph,
                workspace,
                user.id,
                &wanted.service,
                &wanted.action,
            )?),
            Requirement::Permission(wanted) => match self.object(&wanted.id) {
                Some(id) => Some(sentinel::why_may(
                    graph,
                    workspace,
                    user.id,
                    &wanted.service,
                    &wanted.resource_type,
                    id,
                    match wanted.permission {
                        Permission::View => sentinel::Permission::View,
                        Permission::Edit => sentinel::Permission::Edit,
                        Permission::Manage => sentinel::Permission::Manage,
                    },
                )?),
                None => None,
            },
            _ => None,
        })
    }

    /// Where the object is, if it is not where the user acts.
    fn home(&self, requirement: &Requirement, user: &User) -> Option<String> {
        let Requirement::Permission(wanted) = requirement else {
            return None;
        };
        let id = self.object(&wanted.id)?;
        let graph = self.known.graph();
        let homes = sentinel::workspaces_of_resource(graph, &wanted.service, &wanted.resource_type, id);
        let homes = homes.ok()?;
        match homes.first() {
            None => Some(format!(
                "the control plane knows no {} `{id}` of `{}`",
                wanted.resource_type, wanted.service
            )),
            Some(_) if homes.contains(&user.workspace) => None,
            Some(home) => Some(format!(
                "it belongs to the workspace {home}, and the user acts in {}",
                user.workspace
            )),
        }
    }

    fn groups(&self, user: &User) -> Option<String> {
        let groups = sentinel::groups_of(self.known.graph(), user.id).ok()?;
        let ids: Vec<&str> = groups.iter().map(Object::id).collect();
        Some(if ids.is_empty() {
            "the user is in no group".to_owned()
        } else {
            format!("the user's groups: {}", ids.join(", "))
        })
    }
}

/// The tuples in words, each once.
fn texts(tuples: &[Tuple]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for tuple in tuples {
        let text = tuple.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}
